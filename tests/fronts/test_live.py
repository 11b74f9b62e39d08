"""What a magic takes from the kernel: the right file for each word, or one line that says why not."""

import json
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

from jupyter_mlprod.core.answer import Ends
from jupyter_mlprod.core.capture import CAPTURE_FILE
from jupyter_mlprod.core.combine import Combine
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.snapshot import SUFFIX
from jupyter_mlprod.fronts.live import Live
from jupyter_mlprod.workspace import Workspace, open_workspace

X = np.arange(12.0).reshape(4, 3)
TABLE = pd.DataFrame({"age": [1.0, 2.0, 3.0, 4.0], "site": ["a", "b", None, "a"]})


NAMES: dict[str, Any] = {
    "X": X,
    "np": np,
    "table": TABLE,
    "frame": pl.DataFrame({"age": [1.0, 2.0, 3.0, 4.0], "site": ["a", "b", None, "a"]}),
    "tensor": torch.arange(12.0, requires_grad=True).reshape(4, 3),
    "rows": X.tolist(),
    "columns": {"age": [1.0, 2.0, 3.0, 4.0], "site": np.array(["a", "b", "c", "a"])},
    "y": np.array([0, 1, 0, 1]),
    "site": pd.Series(["n", "s", "n", "s"]),
    "names": ["benign", "malignant"],
    "folder": "data",
    "k": 2,
}


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Live:
    """Live over ``NAMES`` in an empty workspace, which is also where we stand."""
    monkeypatch.chdir(tmp_path)
    return Live(dict(NAMES), Workspace(tmp_path, environ={}, taken_by="notebook"))


def captured(live: Live, verb: str = "check", **values: str) -> dict[str, Any]:
    live.capture(verb, values)
    return values


def refused(live: Live, verb: str = "check", **values: str) -> str:
    with pytest.raises(MlprodError) as error:
        live.capture(verb, values)
    assert error.value.code in (Code.BAD_REQUEST, Code.BAD_DATA, Code.PREPROCESS)
    assert "\n" not in error.value.message
    return error.value.message


def read(live: Live, path: str) -> Any:
    return live.workspace.data.read(path)


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        ("X", X),
        ("X[:2]", X[:2]),
        ("X[:2, 0]", X[:2, 0]),
        ("tensor", X),
        ("tensor[1:]", X[1:]),
        ("rows", X),
        ("[[1, 2], [3, 4]]", np.array([[1, 2], [3, 4]])),
        ("np.stack([row * k for row in X])", X * 2),
        ("table.age", TABLE["age"].to_numpy()),
        ('table["age"]', TABLE["age"].to_numpy()),
        ("(lambda a: a + 1)(X)", X + 1),
    ],
)
def test_an_array_or_an_expression_becomes_a_file_of_its_values(word: str, wanted: Any, live: Live) -> None:
    path = captured(live, data=word)["data"]
    assert Path(path).suffix == ".npy"
    assert Path(path).is_relative_to(live.workspace.root / ".mlprod")
    np.testing.assert_array_equal(read(live, path), wanted)


@pytest.mark.parametrize("word", ["table", "frame", "table[['age', 'site']]", '{"age": table.age, "site": table.site}'])
def test_a_table_becomes_its_columns_with_their_nulls(word: str, live: Live) -> None:
    found = read(live, captured(live, data=word)["data"])
    assert isinstance(found, Mapping)
    assert found["age"].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert found["site"].tolist() == ["a", "b", None, "a"]


def test_a_mapping_of_columns_is_a_table(live: Live) -> None:
    found = read(live, captured(live, data="columns")["data"])
    assert {name: column.tolist() for name, column in found.items()} == {"age": [1.0, 2.0, 3.0, 4.0], "site": ["a", "b", "c", "a"]}


def test_a_file_wins_over_a_variable_of_its_name(live: Live) -> None:
    np.save("X.npy", X)
    Path("X").write_text("a file, too")
    assert captured(live, data="X.npy")["data"] == "X.npy"
    assert captured(live, data="X")["data"] == "X"


@pytest.mark.parametrize("word", ["f'{folder}/x.npy'", "folder + '/x.npy'", "here"])
def test_an_expression_that_names_a_file_means_that_file(word: str, live: Live) -> None:
    Path("data").mkdir()
    np.save("data/x.npy", X)
    live.names = {**live.names, "here": Path("data") / "x.npy"}
    assert captured(live, data=word)["data"] == "data/x.npy"


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("Xs", "'Xs' is neither a file nor an expression of this notebook (NameError: name 'Xs' is not defined (did you mean 'X'?))"),
        ("x.npy", "NameError"),
        ("X[", "SyntaxError"),
        ("X[:, 7]", "IndexError"),
        ("1 / 0", "ZeroDivisionError"),
        ("folder", "'folder' is 'data', and no such file exists"),
        ("np", "a module cannot be read as rows"),
        ("k", "a int cannot be read as rows"),
        ("[[1, 2], [3]]", "is not rows of equal length"),
        ("X" * 5000, "neither a file nor an expression"),
        ("X\0", "neither a file nor an expression"),
        ("raise_lines('a\\nb')", "neither a file nor an expression"),
    ],
)
def test_a_word_that_is_no_data_is_refused_in_one_line(word: str, says: str, live: Live) -> None:
    message = refused(live, data=word)
    assert says in message
    assert len(message) < 600


def test_an_expression_changes_no_name_of_the_notebook(live: Live) -> None:
    before = dict(live.names)
    captured(live, data="(k := X + 1)")
    captured(live, data="[z := row for row in X]")
    assert live.names == before


def test_the_same_data_is_written_once(live: Live) -> None:
    first = captured(live, "evaluate", data="X")["data"]
    stamp = Path(first).stat().st_mtime_ns
    assert captured(live, "evaluate", data="X.copy()")["data"] == first
    assert captured(live, "evaluate", data="rows")["data"] == first
    assert Path(first).stat().st_mtime_ns == stamp
    assert len(list(Path(first).parent.iterdir())) == 1


def test_columns_of_the_data_stay_names(live: Live) -> None:
    values = captured(live, "evaluate", subject="tiny", data="table", target="age", slices="site,age")
    assert (values["target"], values["slices"]) == ("age", "site,age")


def test_a_mistyped_column_or_variable_is_told_with_the_nearest(live: Live) -> None:
    found = refused(live, "evaluate", subject="tiny", data="table", target="y", slices="sitt")
    assert "'sitt' is no column of the data and no variable of this notebook (did you mean 'site'?)" in found
    assert "did you mean 'table'" in refused(live, data="tabel")


def test_arrays_of_the_notebook_become_columns_of_one_file(live: Live) -> None:
    values = captured(live, "evaluate", subject="tiny", data="X", target="y", slices="site, y")
    assert read(live, values["target"])["y"].tolist() == [0, 1, 0, 1]
    slices = read(live, values["slices"])
    assert {name: column.tolist() for name, column in slices.items()} == {"site": ["n", "s", "n", "s"], "y": [0, 1, 0, 1]}


def test_columns_and_arrays_may_be_mixed(live: Live) -> None:
    values = captured(live, "evaluate", subject="tiny", data="table", target="y", slices="age,y")
    assert read(live, values["slices"])["age"].tolist() == [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize("word", ["y[:4]", "np.where(X[:, 0] > 3, 1, 0)", "table['age']"])
def test_a_target_may_be_an_expression(word: str, live: Live) -> None:
    found = read(live, captured(live, "evaluate", subject="tiny", data="X", target=word)["target"])
    assert [len(column) for column in found.values()] == [4]


PACKAGE = {"model": "pack:net", "name": "n", "example": "X"}


@pytest.mark.parametrize(
    ("word", "labels"),
    [
        ("a,b", "a,b"),
        ("type A, type-B", "type A, type-B"),
        ("T-shirt/top,Trouser", "T-shirt/top,Trouser"),
        ("0,1,2", "0,1,2"),
        ("names", "benign,malignant"),
        ("np.array(names)", "benign,malignant"),
        ("names[::-1]", "malignant,benign"),
        ('["a", "b"]', "a,b"),
        ("[str(i) for i in range(3)]", "0,1,2"),
        ("range(3)", "0,1,2"),
        ("pd.Series(names)", "benign,malignant"),
        ("written", "x,y"),
    ],
)
def test_labels_are_words_or_a_list_of_the_notebook(word: str, labels: str, live: Live) -> None:
    live.names = {**live.names, "pd": pd, "written": "x,y"}
    assert captured(live, "package", **PACKAGE, labels=word)["labels"] == labels


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("by_id", "'by_id' is a dict; class names are a list, in the order of the scores"),
        ("k", "'k' is a int"),
        ('["a,b", "c"]', "holds a comma"),
        ('["a", ""]', "is empty"),
        ("nope.names", "NameError"),
    ],
)
def test_labels_that_could_be_misread_are_refused(word: str, says: str, live: Live) -> None:
    live.names = {**live.names, "by_id": {0: "a", 1: "b"}}
    assert says in refused(live, "package", **PACKAGE, labels=word)


def test_a_labels_file_stays_a_file(live: Live) -> None:
    Path("labels.txt").write_text("a,b")
    assert captured(live, "package", **PACKAGE, labels="labels.txt")["labels"] == "labels.txt"


def test_a_contract_may_be_a_string_of_the_notebook(live: Live) -> None:
    live.names = {**live.names, "toml": "[inputs.x]\nlow = 0\n"}
    path = captured(live, "package", **PACKAGE, contract="toml")["contract"]
    assert Path(path).read_text() == "[inputs.x]\nlow = 0\n"
    assert "a dict, a string of TOML or a file is wanted" in refused(live, "package", **PACKAGE, contract="k")


def test_what_stands_in_toml_may_be_a_dict_of_the_notebook(live: Live) -> None:
    point = {"temperature": np.float64(1.25), "thresholds": {"a\x7f \u00fc\n": 0.5, "b": 1e-9}, "otherwise": "neither"}
    scaling = {"x": {"mean": np.array([0.5, 1.5]), "std": [True, 3]}, "odd name": {}}
    live.names = {**live.names, "point": point, "scaling": scaling, "odd": {"x": object()}, "number": {1: 2}}
    path = captured(live, "package", **PACKAGE, operating_point="point")["operating_point"]
    assert tomllib.loads(Path(path).read_text("utf-8")) == point
    path = captured(live, "package", **PACKAGE, normalize="scaling")["normalize"]
    assert tomllib.loads(Path(path).read_text("utf-8")) == {"x": {"mean": [0.5, 1.5], "std": [True, 3]}, "odd name": {}}
    assert "holds a object, which TOML cannot" in refused(live, "package", **PACKAGE, normalize="odd")
    assert "holds a key of type int, which TOML cannot" in refused(live, "package", **PACKAGE, contract="number")


def scale(batch: Any) -> Any:
    return batch / 2.0


def closing(over: Any) -> Callable[[Any], Any]:
    def prepare(batch: Any) -> Any:
        return batch / over

    return prepare


def test_a_function_becomes_a_source_file(live: Live) -> None:
    live.names = {**live.names, "scale": scale}
    file, _, name = captured(live, "package", **PACKAGE, preprocess="scale")["preprocess"].rpartition(":")
    assert name == "scale"
    assert "batch / 2.0" in Path(file).read_text()


def test_a_function_in_a_file_stays_there(live: Live) -> None:
    Path("prep.py").write_text("def scale(batch):\n    return batch\n")
    live.names = {**live.names, "scale": scale}
    assert captured(live, "package", **PACKAGE, preprocess="prep.py:scale")["preprocess"] == "prep.py:scale"


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("inner", "prepare closes over 'over', a object that cannot be written down"),
        ("lambda batch: batch", "is not a plain function"),
        ("k", "k is not a plain function"),
        ("prep.py:nope", "neither a file nor an expression"),
    ],
)
def test_what_cannot_be_carried_is_refused(word: str, says: str, live: Live) -> None:
    live.names = {**live.names, "inner": closing(object())}
    assert says in refused(live, "package", **PACKAGE, preprocess=word)


def quarter(batch: Any) -> Any:
    return (batch / 4.0).astype(np.float32)


def linear() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Linear(3, 2)


def test_a_live_module_becomes_a_capture_of_its_own_answers(live: Live) -> None:
    net = linear()
    live.names = {**live.names, "net": net, "scale": quarter}
    values = captured(live, "package", model="net", name="n", example="X", preprocess="scale")
    folder = Path(values["model"])
    assert json.loads((folder / CAPTURE_FILE).read_bytes())["original"] == "torch"
    reference = read(live, str(folder / "reference.npz"))
    with torch.inference_mode():
        wanted = net(torch.from_numpy(quarter(X))).numpy()
    answers = next(array for name, array in reference.items() if name.startswith("4/"))
    np.testing.assert_allclose(answers, wanted, rtol=1e-6)
    assert net.training


class Recorder:
    """Port `Models` that keeps what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, Any, Callable[[Any], Any] | None]] = []

    def capture(
        self, source: Any, example: Any, ends: Ends, *, shapes: Mapping[str, tuple[int | str, ...]], combine: Combine | None = None
    ) -> Path:
        self.asked.append((source, example, ends.preprocess))
        return Path("the-capture")


@pytest.fixture
def models(live: Live) -> Recorder:
    """What stands for the exporter in the fixture ``live``."""
    recorder = Recorder()
    live.workspace.__dict__["models"] = recorder  # where a cached property keeps what it has built
    return recorder


def test_the_original_answers_with_the_notebooks_own_function(live: Live, models: Recorder) -> None:
    live.names = {**live.names, "net": linear(), "scale": scale}
    assert captured(live, "package", model="net", name="n", example="X", preprocess="scale")["model"] == "the-capture"
    assert models.asked[0][2] is scale


def test_a_capture_that_no_verb_took_is_forgotten(live: Live, models: Recorder) -> None:
    Path("the-capture").mkdir()
    live.names = {**live.names, "net": linear()}
    captured(live, "package", model="net", name="n", example="X")
    live.forget()
    assert models.asked
    assert not Path("the-capture").exists()
    assert list(live.folder.glob("*.npy")), "rows that are not personal stay, since they are found again by their content"


def test_a_function_named_by_its_file_is_the_one_in_the_file(live: Live, models: Recorder) -> None:
    Path("prep.py").write_text("def scale(batch):\n    return batch * 100\n")
    live.names = {**live.names, "net": linear(), "scale": scale}
    captured(live, "package", model="net", name="n", example="X", preprocess="prep.py:scale")
    function = models.asked[0][2]
    assert function is not None
    assert function(2) == 200


def test_a_folder_does_not_hide_a_model_of_its_name(live: Live, models: Recorder) -> None:
    Path("net").mkdir()
    net = linear()
    live.names = {**live.names, "net": net}
    captured(live, "package", model="net", name="n", example="X")
    assert models.asked[0][0] is net


@pytest.mark.parametrize("word", ["models[-1:][0]", "models[0]", "by_name['a:b']"])
def test_a_model_may_be_an_expression(word: str, live: Live, models: Recorder) -> None:
    net = linear()
    live.names = {**live.names, "models": [net], "by_name": {"a:b": net}}
    captured(live, "package", model=word, name="n", example="X")
    assert models.asked[0][0] is net


def test_a_model_may_be_named_by_text(live: Live, models: Recorder) -> None:
    Path("net.onnx").write_bytes(b"")
    live.names = {**live.names, "path": Path("net.onnx")}
    assert captured(live, "package", model="pack.age:net", name="n", example="X")["model"] == "pack.age:net"
    assert captured(live, "package", model="net.onnx", name="n", example="X")["model"] == "net.onnx"
    assert captured(live, "package", model="path", name="n", example="X")["model"] == "net.onnx"
    assert models.asked == []


def test_a_live_frame_is_described_and_never_written_out(live: Live) -> None:
    live.names = {**live.names, "secrets": np.array(["a very long secret value"] * 4)}
    path = captured(live, "package", data="{'s': secrets, 'x': X}")["data"]
    assert path.endswith(SUFFIX)
    assert live.workspace.snapshots.of_file(path) == live.workspace.snapshots.of_live({"s": live.names["secrets"], "x": X})
    assert [file.suffix for file in live.folder.iterdir() if file.name != Path(path).name] == []


def test_what_the_contract_calls_personal_is_not_described_even_in_the_scratch_folder(live: Live) -> None:
    live.names = {
        **live.names,
        "people": {"age": np.array([71.25, 3.5]), "site": np.array(["left", "right"]), "pulse": np.array([61.5, 99.0])},
        "toml": '[inputs.age]\npii = "age"\n[data.pulse]\npii = "vitals"\n',
    }
    path = captured(live, "package", data="people", contract="toml")["data"]
    columns = live.workspace.snapshots.of_file(path).columns
    assert [column.name for column in columns if column.withheld] == ["age", "pulse"]
    assert "71.25" not in Path(path).read_text()
    assert "61.5" not in Path(path).read_text()


def test_a_folder_and_a_file_are_left_for_the_verb_to_read(live: Live) -> None:
    Path("images").mkdir()
    np.save("train.npy", X)
    live.names = {**live.names, "where": Path("images"), "file": Path("train.npy")}
    for word, wanted in (("images", "images"), ("where", "images"), ("file", "train.npy"), ("train.npy", "train.npy")):
        assert captured(live, "package", data=word)["data"] == wanted


def test_a_folder_of_images_stays_a_folder_and_a_name_of_the_notebook_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    live = Live({"PLACE": tmp_path / "images"}, open_workspace(tmp_path))
    for word in ("images", "PLACE"):
        values: dict[str, Any] = {"subject": "tiny", "data": word}
        live.capture("check", values)
        assert Path(values["data"]).resolve() == tmp_path / "images"
    named = Live({"images": np.zeros((2, 3))}, open_workspace(tmp_path))
    values = {"subject": "tiny", "data": "images", "prepared": "images + 1"}
    named.capture("check", values)
    assert np.load(values["data"]).tolist() == np.zeros((2, 3)).tolist()
    assert np.load(values["prepared"]).tolist() == np.ones((2, 3)).tolist()
