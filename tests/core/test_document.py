"""TOML into Structs: right lines, right suggestions, and no text that crashes the reader."""

import contextlib
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlprod.core.document import decode_toml, did_you_mean, line_numbers, line_of
from jupyter_mlprod.core.errors import Code, MlprodError


class Inner(msgspec.Struct, frozen=True, kw_only=True):
    size: int
    mode: Literal["fast", "slow"] = "fast"


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    ratio: float | None = None
    on: bool = False
    tags: tuple[str, ...] = ()
    inner: dict[str, Inner] = {}
    free: dict[str, Any] = {}


def refused(text: str) -> list[str]:
    with pytest.raises(MlprodError) as caught:
        decode_toml(text, Sample, name="s.toml", code=Code.BAD_CONTRACT)
    assert caught.value.code is Code.BAD_CONTRACT
    return caught.value.message.splitlines()


def test_a_document_becomes_the_struct() -> None:
    text = 'name = "a"\nratio = 1\ntags = ["x", "y"]\n[inner.k]\nsize = 3\n[free]\nanything = [1, { b = 2 }]\n'
    sample = decode_toml(text, Sample, name="s.toml", code=Code.BAD_SETTINGS)
    assert sample == Sample(name="a", ratio=1.0, tags=("x", "y"), inner={"k": Inner(size=3)}, free={"anything": [1, {"b": 2}]})


def test_one_fault_hides_no_other() -> None:
    text = 'ratio = "x"\non = 1\ntags = ["x", 2]\n\n[inner.k]\nmode = "fst"\nsiz = 1\n'
    assert refused(text) == [
        "s.toml:1: 'name' is missing",
        "s.toml:1: ratio: Expected `float`, got `str`, got 'x'",
        "s.toml:2: on: Expected `bool`, got `int`, got 1",
        "s.toml:3: tags: Expected `str`, got `int`, got 2",
        "s.toml:7: unknown key 'siz' (did you mean 'size'?)",
        "s.toml:5: 'size' is missing",
        "s.toml:6: mode: Invalid enum value 'fst', got 'fst' (did you mean 'fast'?)",
    ]


def test_an_int_is_no_bool_and_a_bool_no_number() -> None:
    assert len(refused('name = "a"\non = 0\nratio = true')) == 2


@pytest.mark.parametrize(
    "text", ["name = ", "[a", 'name = "a"\nname = "b"', 'name = "\\ud800"', "\x00", "x = " + "[" * 100_000, "x = " + "9" * 5000]
)
def test_text_that_is_no_toml_is_refused_and_never_crashes(text: str) -> None:
    assert refused(text)[0].startswith("s.toml: ")


@given(st.text(alphabet='[]{}="\n.#a1', max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(MlprodError):
        decode_toml(text, Sample, name="s.toml", code=Code.BAD_SETTINGS)


def test_lines_of_tables_keys_and_arrays_of_tables() -> None:
    text = """\
# comment
title = 1

[a.b]   # why
"quoted key" = 1
dotted.key = 2
[[rule]]
x = 1
[rule.where]
y = 2
[[rule]]
x = 3
[rule.where]
y = 4
"""
    lines = line_numbers(text)
    expected = {
        ("title",): 2,
        ("a", "b"): 4,
        ("a", "b", "dotted", "key"): 6,
        ("rule",): 7,
        ("rule", 0): 7,
        ("rule", 0, "x"): 8,
        ("rule", 0, "where"): 9,
        ("rule", 0, "where", "y"): 10,
        ("rule", 1): 11,
        ("rule", 1, "x"): 12,
        ("rule", 1, "where", "y"): 14,
    }
    assert {path: lines[path] for path in expected} == expected


def test_an_unknown_path_has_the_line_of_its_nearest_ancestor() -> None:
    lines = line_numbers("a = 1\n[b]\nc = 2\n")
    assert line_of(("b", "nothing", 3), lines) == 2
    assert line_of(("nowhere",), lines) == 1


def test_suggestions_name_the_close_word_or_all_words() -> None:
    assert did_you_mean("acuracy", ["accuracy", "recall"]) == " (did you mean 'accuracy'?)"
    assert did_you_mean("zzz", ["accuracy", "recall"]) == " (known: accuracy, recall)"
    assert did_you_mean("zzz", []) == ""


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        ("[inputs]\na.type = 'int'\na.low = 9\n", ("inputs", "a", "low"), 3),
        ("[inputs]\n\na.type = 'int'\n", ("inputs", "a"), 3),
        ("x = 1\ninputs . a . low = 9\n", ("inputs", "a", "low"), 2),
        ('[x]\n[inputs."a.b"]\nlow = 9\n', ("inputs", "a.b", "low"), 3),
        ("[x]\n[inputs.'a ] \"b']\n", ("inputs", 'a ] "b'), 2),
        ('[inputs]\n"a.b".low = 9\n', ("inputs", "a.b", "low"), 2),
        ('[inputs."a\\u2028b"]\nlow = 1\n', ("inputs", "a\u2028b", "low"), 2),
        ('# a\u2028b\x85c\x0cd\n[inputs.a] # "e" ]\nlow = 1\n', ("inputs", "a", "low"), 3),
        ("[inputs.a]\r\nlow = 1\r\n", ("inputs", "a", "low"), 2),
        ('[inputs.a]\nx = """\n"\\q" = 1\n[b]\n"""\n', ("inputs", "a", "x"), 2),
    ],
)
def test_a_key_has_the_line_that_it_stands_on_however_it_is_written(text: str, path: tuple[str, ...], line: int) -> None:
    assert line_of(path, line_numbers(text)) == line
    assert path in line_numbers(text)
