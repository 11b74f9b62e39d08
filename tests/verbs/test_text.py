"""Text models: strings in, labels or embeddings out, the same from every front; a sequence may be of any length."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import TensorProto, helper, numpy_helper

from jupyter_mlprod import load
from jupyter_mlprod.core.bundle import Bundle
from jupyter_mlprod.core.contract import Text
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.evidence import Evidence
from jupyter_mlprod.core.listing import Listing
from jupyter_mlprod.core.requests import Check, Evaluate, Package, Predict, Profile
from tests.verbs.tiny import Desk, WarmRuntimes, cells, furnish, measure_of

TEXTS = ["good", "very good indeed", "bad", "so bad, so very bad", "", "good 🙂 ümlaut", "bad\nbad", "good"]
LABELS = ["good", "good", "bad", "bad", "good", "good", "bad", "good"]
PREPARE = """
import numpy as np


def prepare(texts):
    assert type(texts) is list and all(type(text) is str for text in texts)
    ids = [[ord(letter) % 64 for letter in text] or [0] for text in texts]
    longest = max(map(len, ids))
    return {
        "ids": np.array([row + [0] * (longest - len(row)) for row in ids]),
        "words": np.array([[1.0] * len(row) + [0.0] * (longest - len(row)) for row in ids], np.float32),
    }
"""


MOODS = Package(
    model="embed.onnx", name="moods", example="texts.npy", preprocess="read.py:prepare", labels="good,bad",
    contract="[inputs.message]\nlongest = 2000\n",
)  # fmt: skip


def embed(path: Path, *, width: int = 2) -> None:
    """A sum of embeddings over a sequence of any length, the letter b against the letter g."""
    table = np.zeros((64, width), np.float32)
    table[ord("b") % 64, 1], table[ord("g") % 64, 0], table[0, 0] = 1, 1, 0.5
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["each"]),
        helper.make_node("Unsqueeze", ["words", "last"], ["mask"]),
        helper.make_node("Mul", ["each", "mask"], ["held"]),
        helper.make_node("ReduceSum", ["held", "middle"], ["scores"], keepdims=0),
    ]
    body = helper.make_graph(
        nodes,
        "embed",
        [
            helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "length"]),
            helper.make_tensor_value_info("words", TensorProto.FLOAT, ["batch", "length"]),
        ],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", width])],
        [
            numpy_helper.from_array(table, "table"),
            numpy_helper.from_array(np.array([2]), "last"),
            numpy_helper.from_array(np.array([1]), "middle"),
        ],
    )
    onnx.save(helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), str(path))


@pytest.fixture(scope="module")
def made_texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the bundle ``moods``, and its texts in every kind of file."""
    folder = tmp_path_factory.mktemp("texts")
    furnish(folder)
    embed(folder / "embed.onnx")
    (folder / "read.py").write_text(PREPARE)
    np.save(folder / "texts.npy", np.array(TEXTS))
    frame = pd.DataFrame({"message": TEXTS, "mood": LABELS, "row": range(len(TEXTS))})
    frame.to_parquet(folder / "texts.parquet", index=False)
    frame[frame.message != ""].to_csv(folder / "texts.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        bundle = Desk(folder).run(MOODS, Bundle)
    assert bundle.contract.inputs == (Text(name="message", longest=2000, declared=("longest",)),)
    return folder


@pytest.fixture
def texts(made_texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A copy of that folder, where we stand."""
    folder = tmp_path / "texts"
    shutil.copytree(made_texts, folder)
    monkeypatch.chdir(folder)
    return Desk(folder)


@pytest.mark.parametrize("file", ["texts.npy", "texts.csv", "texts.parquet"])
def test_texts_are_checked_evaluated_and_answered_from_every_file(file: str, texts: Desk) -> None:
    target = "mood" if file != "texts.npy" else "texts.parquet"
    if target != "mood":
        np.save("mood.npy", np.array(LABELS))
        target = "mood.npy"
    assert measure_of(texts.run(Check(subject="moods", data=file), Evidence), "violations").value == 0
    quality = texts.run(Evaluate(subject="moods", data=file, target=target), Evidence)
    assert measure_of(quality, "accuracy").value == 1.0
    wanted = [label for text, label in zip(TEXTS, LABELS, strict=True) if text or file != "texts.csv"]
    assert cells(texts.run(Predict(subject="moods", data=file), Listing), "label") == wanted


@pytest.mark.parametrize(
    "values",
    [
        TEXTS,
        tuple(TEXTS),
        np.array(TEXTS),
        np.array(TEXTS, dtype=object),
        pd.Series(TEXTS),
        pd.Series(TEXTS, dtype="string"),
        pd.DataFrame({"message": TEXTS}),
        pd.DataFrame({"message": TEXTS, "other": range(8)}),
        {"message": TEXTS},
    ],
    ids=lambda values: type(values).__name__,
)
def test_a_loaded_bundle_answers_texts_however_they_are_held(values: Any, texts: Desk) -> None:
    assert load("moods").answer(values)["label"].tolist() == LABELS


@pytest.mark.filterwarnings("ignore:.*Any type hint")  # MLflow's, about classes of its own
def test_mlflow_answers_lists_and_tables_of_texts(texts: Desk) -> None:
    from mlflow import pyfunc

    (folder,) = (texts.folder / ".mlprod" / "bundles").iterdir()
    model = pyfunc.load_model(str(folder))
    for values in (TEXTS, pd.Series(TEXTS), pd.DataFrame({"message": TEXTS}), np.array(TEXTS)):
        assert model.predict(values)["label"].tolist() == LABELS


def test_a_batch_in_which_all_texts_are_longer_or_shorter_than_the_example_is_answered(texts: Desk) -> None:
    model = load("moods")
    assert model.answer(["g" * 1500, "b"])["label"].tolist() == ["good", "bad"]
    assert model.answer(["b"])["scores"].tolist() == [[0, 1]]


def test_texts_are_profiled(texts: Desk) -> None:
    workspace = texts.workspace()
    workspace.__dict__["runtimes"] = WarmRuntimes()
    profile = workspace.run(Profile(subject="moods", budget_s=1.0, batches=(1,)))
    assert isinstance(profile, Evidence)


@pytest.mark.parametrize(
    ("values", "code", "says"),
    [
        ([None, "a"], Code.CONTRACT, "input 'message' is null in 1 of 2 rows, first at row 0"),
        (pd.Series(["a", None]), Code.CONTRACT, "input 'message' is null in 1 of 2 rows, first at row 1"),
        (["a", 3], Code.CONTRACT, "holds values that are no strings in 1 of 2 rows, first at row 1"),
        ([3, 4], Code.CONTRACT, "input 'message' holds values that are no strings in 2 of 2 rows"),
        ([["a"], ["b"]], Code.CONTRACT, "holds values that are no strings in 2 of 2 rows"),
        ([b"a"], Code.CONTRACT, "holds values that are no strings in 1 of 1 rows"),
        (["a" * 1_000_000] + ["b"] * 3000, Code.CONTRACT, "longer than 2,000 characters in 1 of 3,001 rows"),
        (["b", "half \ud800"], Code.CONTRACT, "half of a surrogate pair, which is no character in 1 of 2 rows, first at row 1"),
        ([], Code.CONTRACT, "the request has no rows"),
        ("one text", Code.BAD_DATA, "a str cannot be read as rows"),
        (pd.DataFrame({"other": ["a"], "more": ["b"]}), Code.CONTRACT, "input 'message' is missing"),
    ],
)
def test_texts_that_break_the_contract_are_refused_in_one_line(values: Any, code: Code, says: str, texts: Desk) -> None:
    with pytest.raises(MlprodError) as refused:
        load("moods").answer(values)
    assert refused.value.code is code
    assert says in refused.value.message
    assert "\n" not in refused.value.message


def test_embeddings_are_answered_where_there_are_no_labels(texts: Desk) -> None:
    embed(texts.folder / "embed.onnx", width=5)
    texts.run(Package(model="embed.onnx", name="vectors", example="texts.npy", preprocess="read.py:prepare"), Bundle)
    answers = load("vectors").answer(["bad", "good good"])
    assert set(answers) == {"scores"}
    assert answers["scores"].tolist() == [[0, 1, 0, 0, 0], [2, 0, 0, 0, 0]]
