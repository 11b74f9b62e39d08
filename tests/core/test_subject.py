"""The five ways to write a subject, and nothing between them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.subject import Subject, check_name, parse_subject


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("digits", Subject(kind="name", name="digits")),
        ("d.i-g_1", Subject(kind="name", name="d.i-g_1")),
        ("digits@champion", Subject(kind="alias", name="digits", rest="champion")),
        ("digits:7", Subject(kind="version", name="digits", rest="7")),
        ("sha256:ab12cd34", Subject(kind="digest", name="sha256:ab12cd34")),
        ("sha256:" + "1" * 64, Subject(kind="digest", name="sha256:" + "1" * 64)),
        ("./digits", Subject(kind="path", name="./digits")),
        ("C:\\digits", Subject(kind="path", name="C:\\digits")),
        ("/a/b@c:1", Subject(kind="path", name="/a/b@c:1")),
        ("digits.mlprod", Subject(kind="path", name="digits.mlprod")),
        (".", Subject(kind="path", name=".")),
        ("..", Subject(kind="path", name="..")),
    ],
)
def test_each_form_is_read(text: str, subject: Subject) -> None:
    assert parse_subject(text) == subject


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "@champion", "digits@", "digits@a@b", "digits:", "digits:v7", "digits:-1", "digits:1.0", ".hidden", "-x", "a b"),
        *("digits\n", "digits@champion\n", "digits:7\n", "sha256:ab12cd3", "sha256:1234567", "sha256:AB12CD34", "sha256:" + "a" * 65),
        *("a" * 101, "ä", "a\0", "\ud800", "a;b", "a$b"),
    ],
)
def test_what_is_none_of_them_is_refused(text: str) -> None:
    with pytest.raises(MlprodError) as caught:
        parse_subject(text)
    assert caught.value.code is Code.BAD_REQUEST
    assert len(caught.value.message) < 250


@given(st.text(max_size=120))
def test_a_name_never_holds_a_path_or_white_space(text: str) -> None:
    try:
        subject = parse_subject(text)
    except MlprodError:
        return
    if subject.kind != "path":
        assert not set(f"{subject.name}{subject.rest}") & set("/\\ \t\n\0")
        assert not subject.name.startswith((".", "-"))


def test_a_name_is_held_against_the_same_rule() -> None:
    assert check_name("digits-2", what="name") == "digits-2"
    for bad in ("", "../x", "a/b", "digits\n", "a" * 101):
        with pytest.raises(MlprodError, match=r"alias .* may hold letters") as caught:
            check_name(bad, what="alias")
        assert caught.value.code is Code.BAD_REQUEST
