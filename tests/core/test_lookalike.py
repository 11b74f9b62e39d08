"""Values that look like a category are told with the category, and nothing else is."""

from collections.abc import Iterator

import pytest

from jupyter_mlprod.core.lookalike import CONFUSABLE, LIKE, MOST_DISTINCT, Looks


@pytest.mark.parametrize("value", ["a", " A", "A\u00a0", "A\u200b", "\uff21", "\u0410", "\u0391", "\u0430"])
def test_another_case_width_alphabet_or_blank_looks_the_same(value: str) -> None:
    assert Looks(("A", "B")).alike({value: 1}) == "; 1 row looks like category 'A' and is written differently"


@pytest.mark.parametrize("value", ["", "C", "AB", "4", "\u0416", "A B"])
def test_another_text_looks_like_none(value: str) -> None:
    assert Looks(("A", "B")).alike({value: 1}) == ""


def test_a_latin_value_looks_like_a_category_in_cyrillic() -> None:
    assert (
        Looks(("\u041c\u043e\u0441",)).alike({"Moc": 3}) == "; 3 rows look like category '\u041c\u043e\u0441' and are written differently"
    )


def test_the_rows_of_all_values_that_look_alike_count_together_in_the_order_of_the_categories() -> None:
    told = Looks(("A", "B")).alike({"b": 1, "a": 1000, "A ": 234, "z": 9})
    assert (
        told == "; 1,234 rows look like category 'A' and are written differently; 1 row looks like category 'B' and is written differently"
    )


def test_of_more_values_than_a_column_of_categories_has_none_is_looked_at() -> None:
    many = {f"a{i}": 1 for i in range(MOST_DISTINCT)}
    assert Looks(("A",)).alike({**many, "a": 1}) == ""
    assert Looks(("A",)).alike({**dict(list(many.items())[1:]), "a": 1}) != ""


class Counted(tuple[str, ...]):
    rounds = 0

    def __iter__(self) -> Iterator[str]:
        self.rounds += 1
        return super().__iter__()


def test_the_categories_are_looked_at_once_and_only_when_a_value_is_none_of_them() -> None:
    categories = Counted(("A", "B"))
    looks = Looks(categories)
    assert (looks.alike({}), categories.rounds) == ("", 0)
    assert [looks.alike({"a": 1}), looks.alike({"b": 1})] != ["", ""]
    assert categories.rounds == 1


def test_no_letter_stands_for_two() -> None:
    assert len(CONFUSABLE) == sum(map(len, LIKE.values()))
    assert all(ord(letter) > 0x36F for letters in LIKE.values() for letter in letters)
