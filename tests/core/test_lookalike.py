"""Values that look like a category are told with the category, and nothing else is."""

import pytest

from jupyter_mlprod.core.lookalike import CONFUSABLE, LIKE, MOST_DISTINCT, alike


@pytest.mark.parametrize("value", ["a", " A", "A\u00a0", "A\u200b", "\uff21", "\u0410", "\u0391", "\u0430"])
def test_another_case_width_alphabet_or_blank_looks_the_same(value: str) -> None:
    assert alike({value: 1}, ("A", "B")) == "; 1 row looks like category 'A' and is written differently"


@pytest.mark.parametrize("value", ["", "C", "AB", "4", "\u0416", "A B"])
def test_another_text_looks_like_none(value: str) -> None:
    assert alike({value: 1}, ("A", "B")) == ""


def test_a_latin_value_looks_like_a_category_in_cyrillic() -> None:
    assert alike({"Moc": 3}, ("\u041c\u043e\u0441",)) == "; 3 rows look like category '\u041c\u043e\u0441' and are written differently"


def test_the_rows_of_all_values_that_look_alike_count_together_in_the_order_of_the_categories() -> None:
    told = alike({"b": 1, "a": 1000, "A ": 234, "z": 9}, ("A", "B"))
    assert (
        told == "; 1,234 rows look like category 'A' and are written differently; 1 row looks like category 'B' and is written differently"
    )


def test_of_more_values_than_a_column_of_categories_has_none_is_looked_at() -> None:
    many = {f"a{i}": 1 for i in range(MOST_DISTINCT)}
    assert alike({**many, "a": 1}, ("A",)) == ""
    assert alike({**dict(list(many.items())[1:]), "a": 1}, ("A",)) != ""


def test_no_letter_stands_for_two() -> None:
    assert len(CONFUSABLE) == sum(map(len, LIKE.values()))
    assert all(ord(letter) > 0x36F for letters in LIKE.values() for letter in letters)
