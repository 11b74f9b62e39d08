"""Models that another tool logged to MLflow are taken over: evaluated, gated and promoted beside the versions that were there before."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
import torch

from jupyter_mlprod.adapters.mlflow_model import read_logged
from jupyter_mlprod.core.answer import Ends
from jupyter_mlprod.core.bundle import Bundle, Training
from jupyter_mlprod.core.capture import read_capture
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.evidence import Evidence
from jupyter_mlprod.core.record import digest
from jupyter_mlprod.core.release import Release
from jupyter_mlprod.core.requests import Evaluate, Gate, Package, Promote
from jupyter_mlprod.core.verdict import Verdict
from jupyter_mlprod.workspace import open_workspace
from tests.verbs.tiny import PACKAGED, Desk, furnish, linear

pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

OTHER_TOOL = """
import mlflow, numpy as np, onnx, torch, warnings
from pathlib import Path
from torch import nn

warnings.simplefilter("ignore")
mlflow.set_tracking_uri(f"sqlite:///{Path.cwd() / '.mlprod' / 'mlflow.db'}")
net = nn.Linear(3, 2).eval()
with torch.no_grad():
    net.weight[:] = torch.tensor([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]])
    net.bias[:] = 0
with mlflow.start_run() as run:
    mlflow.log_param("lr", 0.1)
    mlflow.log_metric("loss", 0.25)
    mlflow.log_metric("odd", float("nan"))
    given = {"registered_model_name": "tiny", "pip_requirements": []}
    mlflow.pytorch.log_model(net, name="pt2", input_example=np.ones((4, 3), np.float32), serialization_format="pt2", **given)
    mlflow.onnx.log_model(onnx.load("model.onnx"), name="onnx", **given)
    mlflow.pytorch.log_model(net, name="pickle", serialization_format="pickle", **given)
mlflow.MlflowClient().set_registered_model_alias("tiny", "theirs", "2")
print(run.info.run_id)
"""


@pytest.fixture(scope="session")
def logged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder whose registry holds three versions of ``tiny`` by another tool, and the id of the run that logged them."""
    folder = tmp_path_factory.mktemp("logged")
    furnish(folder)
    linear(folder / "model.onnx", shift=0.0)
    (folder / ".mlprod").mkdir()
    done = subprocess.run([sys.executable, "-c", OTHER_TOOL], cwd=folder, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder, done.stdout.split()[-1]


@pytest.fixture
def theirs(logged: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    """That folder itself, since a registry knows its artifacts by their full path."""
    monkeypatch.chdir(logged[0])
    return Desk(logged[0])


def adopted(desk: Desk, model: str, name: str) -> Bundle:
    return desk.run(Package(**{**PACKAGED, "model": model, "name": name}), Bundle)


@pytest.mark.parametrize(
    ("model", "output"), [("models:/tiny/1", "output"), ("models:/tiny/2", "scores"), ("models:/tiny@theirs", "scores")]
)
def test_both_flavors_are_taken_over_under_another_name(theirs: Desk, model: str, output: str) -> None:
    bundle = adopted(theirs, model, "mine")
    assert [tensor.name for tensor in bundle.contract.outputs] == [output]
    assert not list((theirs.folder / ".mlprod" / "scratch").glob("*/*")), "what was fetched is gone"


@pytest.fixture
def busy(theirs: Desk) -> Iterator[Desk]:
    """The same folder in a process that is training something else: a run of its own, a seed, executed cells."""
    mlflow.set_tracking_uri(f"sqlite:///{theirs.folder / 'mine.db'}")
    torch.manual_seed(7)
    try:
        with mlflow.start_run():
            mlflow.log_param("lr", "not theirs")
            mlflow.log_metric("accuracy", 0.99)
            yield theirs
    finally:
        mlflow.set_tracking_uri("")
        shutil.rmtree(theirs.folder / ".mlprod" / "scratch")


def training_of(desk: Desk, model: Any) -> Training:
    workspace = desk.workspace()
    workspace.cells = ("sha256:of-this-kernel",)
    return read_capture(workspace.models.capture(model, np.load("x8.npy").astype(np.float32), Ends(), shapes={})).training


class Net(torch.nn.Module):
    """A live module with the input of ``model.onnx``."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :2]


NO_MODULE = "an .onnx file holds a graph, and no module"


def test_where_it_comes_from_is_asked_of_the_store_and_not_of_this_process(busy: Desk, logged: tuple[Path, str]) -> None:
    assert training_of(busy, "models:/tiny@theirs") == Training(
        mlflow_run=logged[1], parameters={"lr": "0.1"}, metrics={"loss": 0.25}, untrainable=NO_MODULE, adopted="models:/tiny/2"
    )


def test_of_a_file_this_process_knows_nothing_and_of_a_live_module_what_it_has_done(busy: Desk) -> None:
    linear(busy.folder / "model.onnx", shift=0.0)
    assert training_of(busy, "model.onnx") == Training(untrainable=NO_MODULE)
    live = training_of(busy, Net())
    assert live.parameters == {"lr": "not theirs"}
    assert live.metrics == {"accuracy": 0.99}
    assert (live.seeds["torch"], live.cells, live.adopted) == (7, ("sha256:of-this-kernel",), "")
    mixed = training_of(busy, [Net(), "models:/tiny/2"])
    assert mixed == Training(untrainable="an ensemble holds its members' graphs, and no module", adopted="models:/tiny/2")


def test_a_run_that_the_store_does_not_know_is_named_and_no_more(bare_desk: Desk) -> None:
    folder = model_folder(bare_desk.folder, "flavors: {onnx: {data: model.onnx}}\nrun_id: abc\n")
    linear(folder / "model.onnx", shift=0.0)
    lines: list[str] = []
    workspace = open_workspace(bare_desk.folder, tell=lines.append)
    capture = read_capture(workspace.models.capture("model", np.load("x8.npy").astype(np.float32), Ends(), shapes={}))
    assert capture.training == Training(mlflow_run="abc", untrainable=NO_MODULE, adopted="model")
    assert ["tells nothing of the run abc" in line for line in lines] == [True]
    assert not (bare_desk.folder / ".mlprod" / "mlflow.db").exists(), "asking makes no database"


@pytest.mark.parametrize("run", ["[abc]", "'a/../b'", "'<b>'", "7", "''"])
def test_a_run_id_that_is_none_is_not_noted(bare_desk: Desk, run: str) -> None:
    folder = model_folder(bare_desk.folder, f"flavors: {{onnx: {{data: model.onnx}}}}\nrun_id: {run}\n")
    linear(folder / "model.onnx", shift=0.0)
    assert read_logged(folder, "it").run == ""


def test_a_pt2_becomes_the_first_champion_as_the_next_version_of_the_same_name(theirs: Desk) -> None:
    made = digest(adopted(theirs, "models:/tiny/1", "tiny"))
    theirs.run(Evaluate(subject=made, data="x.npy", target="y.npy"), Evidence)
    assert theirs.run(Gate(subjects=(made,)), Verdict).outcome == "pass"
    release = theirs.run(Promote(subject=made, why="it was in use already"), Release)
    assert release.version == 4
    assert theirs.champion() == made
    assert theirs.workspace().registry.alias("tiny", "theirs") == 2, "their alias stands where it stood"
    refusal = theirs.refused(Package(**{**PACKAGED, "model": "models:/tiny@champion"}))
    assert "models:/tiny/4 is a bundle already" in refusal.message


@pytest.mark.parametrize(
    ("model", "code", "said"),
    [
        ("models:/tiny/3", Code.BAD_MODEL, "models:/tiny/3 has the flavor pytorch and is brought back by a pickle or by code alone"),
        ("models:/tiny/99", Code.UNKNOWN_SUBJECT, "tiny has no version 99 in the registry"),
        ("models:/tiny@nobody", Code.UNKNOWN_SUBJECT, "the registry's tiny has no alias 'nobody'"),
        ("models:/none/1", Code.UNKNOWN_SUBJECT, "none has no version 1 in the registry"),
        ("models:/tiny", Code.BAD_REQUEST, "'models:/tiny' names no version"),
        ("models:/tiny/Production", Code.BAD_REQUEST, "names no version"),
        ("models:/../../etc/1", Code.BAD_REQUEST, "names no version"),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_over_is_one_line(theirs: Desk, model: str, code: Code, said: str) -> None:
    refusal = theirs.refused(Package(**{**PACKAGED, "model": model, "name": "mine"}))
    assert refusal.code is code
    assert said in refusal.message
    assert len(refusal.message.splitlines()) == 1


def test_a_run_of_the_user_goes_on_undisturbed(theirs: Desk) -> None:
    database = f"sqlite:///{theirs.folder / '.mlprod' / 'mlflow.db'}"
    mlflow.set_tracking_uri(database)
    try:
        with mlflow.start_run() as run:
            mlflow.log_metric("loss", 0.5, step=0)
            linear(theirs.folder / "model.onnx", shift=0.0)
            theirs.run(Package(**{**PACKAGED, "name": "beside"}), Bundle)
            active = mlflow.active_run()
            assert active is not None
            assert active.info.run_id == run.info.run_id
            assert mlflow.get_tracking_uri() == database
            mlflow.log_metric("loss", 0.25, step=1)
        done = mlflow.MlflowClient().get_run(run.info.run_id)
        assert done.info.status == "FINISHED"
        assert done.data.metrics == {"loss": 0.25}
        assert not mlflow.MlflowClient().list_artifacts(run.info.run_id)
    finally:
        mlflow.set_tracking_uri("")


@pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning")
def test_the_same_bundle_registered_twice_is_loaded_and_answers_the_same(theirs: Desk) -> None:
    linear(theirs.folder / "model.onnx", shift=0.0)
    made = digest(theirs.run(Package(**{**PACKAGED, "name": "twice"}), Bundle))
    workspace, folder = theirs.workspace(), theirs.bundle_folder(made)
    assert workspace.registry.register("twice", folder, made) == workspace.registry.register("twice", folder, made) == 1
    assert workspace.registry.register("again", folder, made) == 1
    rows = np.load("x.npy")
    answers = []
    for name in ("twice", "again"):
        location = workspace.registry.fetch(name, 1, theirs.folder / "loaded")
        answers.append(mlflow.pyfunc.load_model(str(location)).predict(rows))
    assert set(answers[0]) == {"label", "confidence", "scores"}
    for key, array in answers[0].items():
        assert np.array_equal(array, answers[1][key])
    assert np.array_equal(answers[0]["label"] == "right", rows[:, 0] < 0)


def model_folder(tmp_path: Path, text: str) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "MLmodel").write_text(text)
    (tmp_path / "outside.onnx").write_bytes(b"")
    return folder


def test_a_folder_of_mlflow_is_taken_over_too(bare_desk: Desk) -> None:
    folder = model_folder(bare_desk.folder, "flavors: {onnx: {data: model.onnx}, python_function: {}}\n")
    linear(folder / "model.onnx", shift=0.0)
    bundle = adopted(bare_desk, "model", "mine")
    assert bundle.contract.outputs[0].name == "scores"


BOMB = "a: &a [x]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("flavors: {onnx: {data: ../outside.onnx}}", "has the flavor onnx and is brought back by a pickle"),
        ("flavors: {onnx: {data: link.onnx}}", "has the flavor onnx and is brought back by a pickle"),
        ("flavors: {sklearn: {pickled_model: model.pkl}, python_function: {}}", "has the flavor sklearn and"),
        ("flavors: {python_function: {loader_module: os}}", "has the flavor python_function alone and"),
        ("flavors: [onnx]", "names no flavors"), ("{}", "names no flavors"), ("[1]", "it is no mapping"), (BOMB, "it holds an alias"),
        ("a: !!python/object/apply:os.mkdir [executed]", "could not determine a constructor"), ("[" * 20_000, "cannot be read"),
        ("a: [", "cannot be read"), ("x" * 4_100_000, "larger than"), ("a: &a [*a]", "it holds an alias"),
    ],
)  # fmt: skip
def test_a_hostile_folder_is_refused_and_nothing_is_run(text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = model_folder(tmp_path, text)
    (folder / "link.onnx").symlink_to(tmp_path / "outside.onnx")
    with pytest.raises(MlprodError) as refusal:
        read_logged(folder, "it")
    assert refusal.value.code is Code.BAD_MODEL
    assert said in refusal.value.message
    assert not Path("executed").exists()
