"""Answers: whole or not at all, one a row, and never from rows that break the contract."""

from pathlib import Path

import numpy as np
import pytest

from jupyter_mlprod.core.bundle import SIGNATURE
from jupyter_mlprod.core.errors import Code
from jupyter_mlprod.core.listing import Listing
from jupyter_mlprod.core.requests import Predict
from tests.verbs.tiny import Desk, cells

SECRET = 424242.5


def predict(*, data: str = "x.npy", out: str = "") -> Predict:
    return Predict(subject="tiny", data=data, out=out)


def test_the_first_rows_are_shown_and_all_are_counted(desk: Desk) -> None:
    shown = desk.run(predict(), Listing)
    assert shown.columns == ("row", "label", "confidence", "scores")
    assert (len(shown.rows), shown.total) == (20, 400)
    expected = np.where(np.load("x.npy")[:20, 0] + 0.01 < 0, "right", "left")
    assert cells(shown, "label") == expected.tolist()


@pytest.mark.parametrize("suffix", ["csv", "parquet", "npz"])
def test_every_format_holds_every_answer(desk: Desk, suffix: str) -> None:
    shown = desk.run(predict(out=f"new/answers.{suffix}"), Listing)
    assert shown.note == f"all in new/answers.{suffix}"
    read = desk.workspace().data.read(f"new/answers.{suffix}")
    assert isinstance(read, dict)
    assert {len(column) for column in read.values()} == {400}
    np.testing.assert_array_equal(read["label"][:20].astype("U"), cells(shown, "label"))
    scores = read["scores"] if suffix == "npz" else np.column_stack([read["scores_0"], read["scores_1"]])
    np.testing.assert_allclose(scores[:, 0] - scores[:, 1], np.load("x.npy")[:, 0] + 0.01, atol=1e-5)
    assert [path.name for path in Path("new").iterdir()] == [f"answers.{suffix}"]


@pytest.mark.parametrize(
    ("out", "code"),
    [("answers.txt", Code.BAD_DATA), ("answers.npy", Code.BAD_DATA), ("answers", Code.BAD_DATA), ("x.npy/a.csv", Code.DISK)],
)
def test_a_file_that_cannot_be_written_is_refused_by_its_own_name(desk: Desk, out: str, code: Code) -> None:
    before = {path.name for path in Path().iterdir()}
    refusal = desk.refused(predict(out=out))
    assert refusal.code is code
    assert refusal.message.startswith(out)
    assert {path.name for path in Path().iterdir()} == before


def test_rows_that_break_the_contract_are_named_and_no_file_is_written(desk: Desk) -> None:
    Path("answers.csv").write_text("of yesterday")
    x = np.load("x.npy")
    x[300] = np.nan
    np.save("bad.npy", x)
    refusal = desk.refused(predict(data="bad.npy", out="answers.csv"))
    assert refusal.code is Code.CONTRACT
    assert refusal.code.status == 2
    assert "in 1 of 400 rows, first at row 300" in refusal.message
    assert Path("answers.csv").read_text() == "of yesterday"


def test_no_rows_are_no_answer(desk: Desk) -> None:
    np.save("none.npy", np.zeros((0, 3)))
    assert "the request has no rows" in desk.refused(predict(data="none.npy")).message


def test_a_preprocessing_that_drops_rows_does_not_shift_the_answers(bare_desk: Desk) -> None:
    text = "import numpy as np\n\n\ndef prepare(batch):\n    return batch[batch[:, 0] < 100].astype(np.float32)\n"
    Path("drops.py").write_text(text)
    bare_desk.package(0.0, preprocess="drops.py:prepare")
    x = np.load("x.npy")
    x[5, 0] = 1000
    np.save("far.npy", x)
    refusal = bare_desk.refused(predict(data="far.npy", out="answers.csv"))
    assert refusal.code is Code.PREPROCESS
    assert "256 rows went in and 255 answers came out" in refusal.message
    assert not Path("answers.csv").exists()


@pytest.mark.parametrize(
    ("line", "said"),
    [("raise KeyError(batch[0, 0])", "prepare() raised KeyError in line 6"), ("return batch.astype(np.float32)[:, :2]", "x (256, 2)")],
)
def test_a_preprocessing_that_fails_on_new_rows_is_one_line_that_quotes_no_value(bare_desk: Desk, line: str, said: str) -> None:
    text = f"import numpy as np\n\n\ndef prepare(batch):\n    if batch[0, 0] == {SECRET}:\n        {line}\n    return batch.astype(np.float32)\n"
    Path("fails.py").write_text(text)
    bare_desk.package(0.0, preprocess="fails.py:prepare")
    x = np.load("x.npy")
    x[0, 0] = SECRET
    np.save("far.npy", x)
    refusal = bare_desk.refused(predict(data="far.npy"))
    assert refusal.code is Code.PREPROCESS
    assert said in refusal.message
    assert str(SECRET) not in str(refusal)


def test_looking_never_asks_for_a_signature_and_running_does(desk: Desk) -> None:
    (desk.bundle_folder(desk.champion()) / SIGNATURE).unlink()
    for words in (["show", "tiny"], ["check", "tiny", "--data", "x.npy"], ["scan", "tiny"], ["compare", "tiny:1", "tiny:2"], ["list"]):
        assert desk.command(*words) == 0, words
    running = (
        ["predict", "tiny", "x.npy"],
        ["evaluate", "tiny", "--data", "x.npy", "--target", "y.npy"],
        ["profile", "tiny"],
        ["gate", "tiny"],
    )
    for words in running:
        assert desk.command(*words) == 2, words
    assert desk.command("verify", "tiny") == 1
    assert desk.command("predict", "tiny", "x.npy", "--trust", "I wrote it") == 0
