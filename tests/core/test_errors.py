"""Programs branch on the code, never on the text."""

import re

from jupyter_mlprod.core.errors import Code, MlprodError


def test_every_code_has_a_label_of_its_own() -> None:
    labels = [code.label for code in Code]
    assert len(set(labels)) == len(labels) == len(Code.__members__)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", label) for label in labels)


def test_every_code_has_a_status_and_a_meaning() -> None:
    assert {code.status for code in Code} == {1, 2, 3, 4}
    assert all(code.meaning and not code.meaning.endswith(".") for code in Code)


def test_an_error_says_its_code_what_was_found_and_what_to_do() -> None:
    error = MlprodError(Code.BAD_DATA, "x.csv is empty", hint="mlprod check")
    assert str(error) == "bad-data: x.csv is empty (hint: mlprod check)"
    assert str(MlprodError(Code.BAD_DATA, "x.csv is empty")) == "bad-data: x.csv is empty"
    assert (error.code.status, error.message, error.hint) == (2, "x.csv is empty", "mlprod check")
