"""A magic's line as words."""

import contextlib
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.fronts.words import split_words

PLAIN = string.ascii_letters + string.digits + "_-./@:,+*<>%~äß猫"
SIMPLE = st.text(PLAIN, min_size=1)
BLANKS = st.text(" \t", min_size=1, max_size=3)


@given(st.lists(SIMPLE), BLANKS)
def test_simple_words_come_back_whatever_blanks_are_between_them(words: list[str], blank: str) -> None:
    assert split_words(blank + blank.join(words) + blank) == words


@given(st.lists(st.text(PLAIN + " []{}()'\\")), st.sampled_from("\"'"))
def test_a_quoted_word_comes_back_without_its_quotes(words: list[str], quote: str) -> None:
    kept = [word.replace(quote, "") for word in words]
    assert split_words(" ".join(f"{quote}{word}{quote}" for word in kept)) == kept


BRACKETED = st.recursive(
    st.text(PLAIN + " ").map(lambda text: f"({text})"),
    lambda inner: st.tuples(st.sampled_from(["()", "[]", "{}"]), st.lists(inner, min_size=1, max_size=3)).map(
        lambda pair: pair[0][0] + " ".join(pair[1]) + pair[0][1]
    ),
    max_leaves=6,
)


@given(st.lists(st.tuples(SIMPLE, BRACKETED).map("".join), min_size=1))
def test_blanks_inside_brackets_do_not_split(words: list[str]) -> None:
    assert split_words(" ".join(words)) == words


@given(st.text())
def test_any_text_is_split_or_refused_in_one_way(line: str) -> None:
    with contextlib.suppress(MlprodError):
        words = split_words(line)
        assert sum(map(len, words)) <= len(line)
        assert "\n" not in "".join(word for word in words if not set(word) & set("\"' ([{"))


@given(st.lists(SIMPLE), st.sampled_from("\"'([{"), st.lists(SIMPLE))
def test_what_is_not_closed_is_a_bad_request_that_names_it(before: list[str], opened: str, after: list[str]) -> None:
    with pytest.raises(MlprodError) as refused:
        split_words(" ".join([*before, opened, *after]))
    assert refused.value.code is Code.BAD_REQUEST
    assert {"(": ")", "[": "]", "{": "}"}.get(opened, opened) in refused.value.message
    assert "\n" not in refused.value.message


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", []),
        ("   ", []),
        ("check tiny --data X[:8, 0]", ["check", "tiny", "--data", "X[:8, 0]"]),
        ('--why "too slow"', ["--why", "too slow"]),
        ("--why ''", ["--why", ""]),
        ('--why="too slow"', ["--why=too slow"]),
        ("""--data table[["a", 'b c']]""", ["--data", """table[["a", 'b c']]"""]),
        ("""--data=table["a b"]""", ['--data=table["a b"]']),
        ("""--data {"a": x, "b": y}""", ["--data", """{"a": x, "b": y}"""]),
        (r"package C:\models\net.onnx", ["package", r"C:\models\net.onnx"]),
        ('"it\'s fine"', ["it's fine"]),
        ('"a" "b"', ["a", "b"]),
        ('"a"+"b"', ['"a"+"b"']),
        ('x["a)"]', ['x["a)"]']),
        ("a) b", ["a)", "b"]),
    ],
)
def test_words_as_a_person_writes_them(line: str, words: list[str]) -> None:
    assert split_words(line) == words
