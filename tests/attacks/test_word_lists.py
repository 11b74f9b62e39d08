"""A list of words is no pickle although its letters are opcodes, and a pickle is one although its opcodes are letters."""

import io
import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_mlprod.core.scan_pickle import harm, programs
from tests.attacks.hostile import HOSTILE
from tests.verbs.tiny import Desk

LABELS = {
    "animals": "cat\ndog\nbird\n",
    "elements": "ice\nfire\nwater\n",
    "columns": "id\nname\nage\n",
    "functions": "cos\nsin\ntan\n",
    "towns": "chicago\nboston\nVienna\nRome\n",
    "towns with dots": "chicago\nboston\nN.Y.\n",
    "metals": "carbon\ncopper\nNb\nNa\n",
    "files": "cache\ndocs\n.gitignore\n",
    "hosts": "cnn.com\nfox.com\nbbc.co.uk\n",
    "modules": "ctypes\ncurses\ndatetime\n",
    "in brackets": "(in)\n(out)\n",
    "by Windows": "cat\r\ndog\r\nbird\r\n",
    "accents": "café\ncrème\nÁrbol\n",
    "table": "city,code\ncorvo,1\nNancy,2\n",
    "numbers": "I5\nK2\n.\n.5\n",
}
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,11}", fullmatch=True)
WORDS = st.one_of(
    st.from_regex(r"[a-z]{1,12}", fullmatch=True),
    st.from_regex(r"[ci][a-z]{1,9}", fullmatch=True),
    st.from_regex(r"[A-Z][a-z]{0,9}([ '-][A-Z]?[a-z]{1,9}){0,2}", fullmatch=True),
    st.from_regex(r"([A-Z]\.){1,3}|\.?[a-z]{1,8}\.[a-z]{2,3}|[0-9]{1,4}(\.[0-9]{1,3})?|\([a-z]{1,6}\)", fullmatch=True),
    st.text(st.characters(min_codepoint=0xC0, max_codepoint=0x17F), min_size=1, max_size=8),
)
ENDS = st.sampled_from(["", "\n", "\r\n"])


def told(data: bytes) -> list[str]:
    return [harm(program) or "a pickle" for program in programs(io.BytesIO(data), len(data))]


@pytest.mark.parametrize("name", LABELS)
def test_a_list_of_words_is_no_pickle(name: str) -> None:
    assert told(LABELS[name].encode()) == []


@settings(max_examples=500)
@given(words=st.lists(WORDS, min_size=2, max_size=30), line=st.sampled_from(["\n", "\r\n"]), end=ENDS)
def test_no_vocabulary_is_a_pickle(words: list[str], line: str, end: str) -> None:
    assert told((line.join(words) + end).encode()) == []


@settings(max_examples=300)
@given(rows=st.lists(st.lists(WORDS, min_size=3, max_size=3), min_size=1, max_size=20), comma=st.sampled_from([",", "\t", ";"]))
def test_no_table_is_a_pickle(rows: list[list[str]], comma: str) -> None:
    assert told("".join(comma.join(row) + "\n" for row in rows).encode()) == []


@settings(max_examples=300)
@given(module=NAMES, name=NAMES, kind=st.sampled_from("Rio"), rest=st.one_of(st.binary(max_size=20), WORDS.map(str.encode)))
def test_what_calls_something_is_one_whatever_follows(module: str, name: str, kind: str, rest: bytes) -> None:
    asked = f"{module}\n{name}\n".encode()
    calls = {"R": b"c" + asked + b"(S'x'\ntR", "i": b"(S'x'\ni" + asked, "o": b"(c" + asked + b"S'x'\no"}
    assert f"{module}.{name}" in told(calls[kind] + rest)[0]
    assert f"{module}.{name}" in told(b"I1\n." + calls[kind] + rest)[1]


@given(module=NAMES, name=NAMES, end=ENDS)
def test_what_imports_and_ends_with_its_file_is_one(module: str, name: str, end: str) -> None:
    assert f"{module}.{name}" in told(f"c{module}\n{name}\n.{end}".encode())[0]


@settings(max_examples=50)
@given(inner=NAMES, name=NAMES, rest=WORDS, top=st.sampled_from(["idlelib", "pip", "torch", "os", "lib2to3"]))
def test_what_imports_a_module_inside_a_known_package_is_one_even_when_it_breaks_off(top: str, inner: str, name: str, rest: str) -> None:
    assert f"{top}.{inner}.{name}" in told(f"c{top}.{inner}\n{name}\n\n{rest}".encode())[0]


@pytest.mark.parametrize(
    ("stream", "what"),
    [
        (b"cantigravity\nfly\ngarbage", "antigravity.fly"),
        (b"csys\npath\nS'/tmp'\nagarbage", "sys.path"),
        (b"csys\nmodules\nS'os'\nNsgarbage", "sys.modules"),
        (b"cevil\nmodules\nS'os'\nNs.", "evil.modules"),
        (b"cevil\nNet\n(S'x'\nI1\ndbgarbage", "evil.Net"),
    ],
)
def test_what_acts_without_a_call_is_one(stream: bytes, what: str) -> None:
    assert what in told(stream)[0]


@pytest.mark.parametrize("first", [pickle.dumps([1, 2], 0), pickle.dumps(None, 0), pickle.dumps("x", 1)])
def test_a_harmless_stream_of_protocol_0_hides_nothing_behind_it(first: bytes) -> None:
    assert told(first + HOSTILE["os.system"]) == ["a pickle", "runs os.system when it is loaded"]
    assert told(first * 30 + HOSTILE["protocol 0"])[-1].startswith("runs ")


def test_labels_pass_the_scan(bare_desk: Desk) -> None:
    Path("labels.txt").write_text(LABELS["animals"])
    assert bare_desk.command("scan", "labels.txt") == 0
