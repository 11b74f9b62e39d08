"""What a digest depends on, what packaging proves, and how it refuses: one line, and nothing is left."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from jupyter_mlprod.core.bundle import GOLDEN_ANSWERS, GOLDEN_INPUTS, LOCK, ORIGIN, SIGNATURE, SNAPSHOT, Bundle
from jupyter_mlprod.core.capture import CAPTURE_FILE
from jupyter_mlprod.core.contract import Tensor
from jupyter_mlprod.core.errors import Code
from jupyter_mlprod.core.evidence import Evidence
from jupyter_mlprod.core.record import canonical, digest
from jupyter_mlprod.core.requests import Package, Predict
from jupyter_mlprod.verbs import package
from tests.project import make_files, mlprod
from tests.verbs.tiny import PACKAGE_WORDS, PACKAGED, Desk, graph, linear

TORCH = """
import torch
from torch import nn


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 2)

    def forward(self, image, offset):
        return self.inner(image) + offset


class Restless(nn.Module):
    def forward(self, x):
        return nn.functional.dropout(x[:, :2], 0.5, training=True)


class Euros(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 256), nn.ReLU(), nn.Linear(256, 1))

    def forward(self, x):
        return self.body(x) * 1e6


class Scored(nn.Module):
    def forward(self, x):
        return {"scores": x[:, :2], "loss": "none"}


torch.manual_seed(0)
two, restless, euros, scored = Two(), Restless(), Euros(), Scored()


def broken():
    raise RuntimeError("no weights here")
"""

SHELLS = """
import os, sys
sys.path.insert(0, os.getcwd())
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config
from jupyter_mlprod.core.record import digest

PREPARE = "import numpy as np\\ndef prepare(batch):\\n    return (batch / 2.0).astype(np.float32)\\n"
OPTIONS = "--name tiny --example x8 --labels left,right"
AROUND = ("", "# an earlier cell\\nunused = [3]\\nprint('not', 'the', 'same')\\n\\n")
for around in AROUND:
    config = Config()
    config.HistoryManager.enabled = False
    shell = InteractiveShell(config=config)
    shell.run_line_magic("load_ext", "jupyter_mlprod")
    cells = [around + "import numpy as np\\nfrom tiny_models import linear", around + "net = linear(0.0)\\nx8 = np.load('x8.npy')", around + PREPARE]
    lines = [f"live = %mlprod package net {OPTIONS} --preprocess prepare"]
    if around:
        lines.append(f"{around}filed = %mlprod package net {OPTIONS} --preprocess prepare.py:prepare")
    for cell in cells + lines:
        shell.run_cell(cell).raise_error()
    print("DIGESTS", *(digest(shell.user_ns[name]) for name in ("live", "filed") if name in shell.user_ns))
"""

FULL_DISK = """
import resource, sys
import onnxruntime, onnx, pandas, cryptography, jupyter_mlprod.adapters.onnx_capture, jupyter_mlprod.adapters.ed25519_signer
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
from jupyter_mlprod.fronts import cli
sys.exit(cli.main(sys.argv[2:]))
"""


def kept(desk: Desk) -> list[str]:
    """What a refused packaging must not leave: bundles, records, staged and captured files."""
    marks = (".mlprod/bundles/", ".mlprod/records/", ".mlprod/scratch/staging", ".mlprod/scratch/captures/")
    return sorted(path for path in desk.files() if path.startswith(marks))


def request(**change: Any) -> Package:
    return Package(**{**PACKAGED, **change})


@pytest.fixture
def models(bare_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk with torch modules to import."""
    (bare_desk.folder / "torch_nets.py").write_text(TORCH)
    monkeypatch.syspath_prepend(bare_desk.folder)
    monkeypatch.delitem(sys.modules, "torch_nets", raising=False)
    return bare_desk


def test_shell_cell_text_and_process_make_no_difference_to_the_digest_of_a_torch_module(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        make_files(folder)
        np.save(folder / "x8.npy", np.load(folder / "x.npy")[:8])
    words = ["--name", "tiny", "--example", "x8.npy", "--preprocess", "prepare.py:prepare", "--labels", "left,right"]
    by_command = json.loads(mlprod("package", "tiny_models:first", *words, "--json", cwd=folders[0]).stdout)["digest"]
    done = subprocess.run([sys.executable, "-c", SHELLS], cwd=folders[1], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    first, second = (line.split()[1:] for line in done.stdout.splitlines() if line.startswith("DIGESTS"))
    assert first[0] == second[0], "only the text around the cell differs"
    assert second[1] == by_command, "only shell, process and folder differ"


def test_time_person_and_place_are_attached_outside_the_digest(bare_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    made = bare_desk.package(0.5)
    monkeypatch.setenv("MLPROD_ACTOR", "somebody else")
    assert bare_desk.package(0.5, notebook="train.ipynb") == made
    origin = json.loads((bare_desk.bundle_folder(made) / ORIGIN).read_text())
    assert (origin["actor"], origin["notebook"]) == ("somebody else", "train.ipynb")
    manifest = (bare_desk.bundle_folder(made) / "bundle.json").read_text()
    assert "tester" not in manifest
    assert str(bare_desk.folder) not in manifest


@pytest.mark.parametrize(
    "change", [{"labels": "right,left"}, {"data": "y.npy"}, {"contract": "[inputs.input]\nhigh = 99"}, {"name": "other"}]
)
def test_what_changes_the_answer_or_its_meaning_changes_the_digest(bare_desk: Desk, change: dict[str, str]) -> None:
    assert bare_desk.package(0.5, **change) != bare_desk.package(0.5)


def test_the_bundle_holds_the_example_its_answers_the_snapshot_and_a_signature(bare_desk: Desk) -> None:
    made = bare_desk.package(0.5, data="x.npy")
    folder, data = bare_desk.bundle_folder(made), bare_desk.workspace().data
    inputs, answers = data.read(str(folder / GOLDEN_INPUTS)), data.read(str(folder / GOLDEN_ANSWERS))
    assert isinstance(inputs, dict)
    assert isinstance(answers, dict)
    np.testing.assert_array_equal(inputs["input"], np.load("x8.npy"))
    x = np.load("x8.npy")[:, 0] / 2
    np.testing.assert_allclose(answers["scores"], np.column_stack([x + 0.5, -x]), atol=1e-6)
    (bundle,) = [bundle for _, bundle, _ in bare_desk.workspace().bundles.all()]
    snapshot = bare_desk.workspace().snapshots.of_file("x.npy")
    assert bundle.snapshot == digest(snapshot)
    assert (folder / SNAPSHOT).read_bytes() == canonical(snapshot)
    assert bare_desk.workspace().records.get(bundle.snapshot) == snapshot
    assert (folder / SIGNATURE).is_file()
    assert [entry.path for entry in bundle.files if entry.path.startswith("attached")] == []


def test_packaging_records_parity_at_every_batch_and_clears_up_after_itself(bare_desk: Desk) -> None:
    made = bare_desk.package(0.5)
    (evidence,) = bare_desk.workspace().records.about(Evidence, made)
    assert evidence.kind == "parity"
    assert {measure.where["batch"] for measure in evidence.measures} == {"1", "3", "8", "16"}
    assert not [path for path in kept(bare_desk) if "scratch" in path]


@pytest.mark.parametrize(
    "body",
    [
        "return (batch - batch.mean(axis=0)).astype(np.float32)",
        "calls.append(1)\n    return (batch + len(calls)).astype(np.float32)",
        "return (batch + np.random.default_rng().normal(size=batch.shape)).astype(np.float32)",
    ],
    ids=["statistics of the batch", "state", "randomness"],
)
def test_a_preprocessing_that_answers_a_row_differently_each_time_is_not_kept(bare_desk: Desk, body: str) -> None:
    (bare_desk.folder / "odd.py").write_text(f"import numpy as np\n\ncalls = []\n\n\ndef prepare(batch):\n    {body}\n")
    linear(bare_desk.folder / "model.onnx", shift=0.0)
    refusal = bare_desk.refused(request(preprocess="odd.py:prepare"))
    assert refusal.code is Code.PARITY
    assert refusal.code.status == 1
    assert "free of state" in refusal.hint
    assert kept(bare_desk) == []


def test_a_module_that_drops_out_in_eval_mode_is_not_kept(models: Desk) -> None:
    refusal = models.refused(request(model="torch_nets:restless"))
    assert refusal.code is Code.PARITY
    assert kept(models) == []


def test_outputs_in_millions_are_held_to_seven_digits_and_not_to_a_ten_thousandth(models: Desk) -> None:
    bundle = models.run(request(model="torch_nets:euros", labels="", name="prices"), Bundle)
    assert bundle.scores == "values"


def test_a_preprocessing_may_give_a_mapping_to_a_module_of_several_inputs(models: Desk) -> None:
    text = "def prepare(batch):\n    return {'image': batch['image'] / 255, 'offset': batch['flag'] * 2.0}\n"
    (models.folder / "several.py").write_text(text)
    rng = np.random.default_rng(0)
    several = {"image": rng.integers(0, 255, (6, 3)), "flag": rng.integers(0, 2, (6, 1)).astype(bool)}
    models.workspace().data.write(several, models.folder / "several.npz")
    change = {"model": "torch_nets:two", "name": "several", "example": "several.npz", "preprocess": "several.py:prepare"}
    bundle = models.run(request(**change), Bundle)
    shapes = {field.name: field.shape for field in bundle.contract.inputs if isinstance(field, Tensor)}
    assert shapes == {"image": ("batch", 3), "flag": ("batch", 1)}
    assert models.command("predict", "several", "several.npz", "--out", "answers.npz") == 0


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("torch_nets:broken", "RuntimeError: no weights here"),
        ("torch_nets:Two", "Two is a class and no module yet"),
        ("torch_nets:scored", "returns a str under 'loss'"),
    ],
)
def test_a_model_that_cannot_be_had_is_one_line(models: Desk, model: str, said: str) -> None:
    refusal = models.refused(request(model=model))
    assert refusal.code is Code.BAD_MODEL
    assert said in refusal.message


def test_a_graph_whose_output_is_no_tensor_of_numbers_is_refused_by_name(bare_desk: Desk) -> None:
    model = graph([helper.make_node("Cast", ["x"], ["scores"], to=TensorProto.STRING)])
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("scores", TensorProto.STRING, ["batch", 3]))
    onnx.save(model, "model.onnx")
    refusal = bare_desk.refused(request())
    assert refusal.code is Code.BAD_MODEL
    assert "'scores'" in refusal.message


def test_an_output_without_a_row_for_each_row_is_refused_by_name(bare_desk: Desk) -> None:
    model = graph([helper.make_node("ReduceMean", ["x"], ["scores"], keepdims=0)])
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("scores", TensorProto.FLOAT, []))
    onnx.save(model, "model.onnx")
    refusal = bare_desk.refused(request(labels=""))
    assert refusal.code is Code.BAD_MODEL
    assert "output 'scores' has shape () for 1 rows" in refusal.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def prepare(batch) return\n", "SyntaxError"),
        ("import sys\nsys.exit(0)\ndef prepare(batch): return batch\n", "SystemExit"),
        ("def prepare(batch):\n    x = 1\n    return {}['nothing']\n", "prepare() raised KeyError in line 3: 'nothing'"),
        ("def prepare(batch):\n    import torch\n    return batch\n", "imports torch"),
        ("from torch.nn import functional\ndef prepare(batch): return batch\n", "imports torch.nn"),
        ("import my_own\ndef prepare(batch): return batch\n", "imports my_own, which no installed package brings"),
        ("# \udce9\ndef prepare(batch): return batch\n", "not UTF-8"),
    ],
)
def test_a_preprocessing_that_cannot_be_carried_is_one_line_and_leaves_nothing(
    bare_desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    monkeypatch.syspath_prepend(bare_desk.folder)
    (bare_desk.folder / "bad.py").write_bytes(text.encode("utf-8", "surrogateescape"))
    (bare_desk.folder / "my_own.py").write_text("")
    linear(bare_desk.folder / "model.onnx", shift=0.0)
    words = ["model.onnx", "--name", "tiny", "--example", "x8.npy", "--preprocess", "bad.py:prepare", "--labels", "left,right"]
    assert bare_desk.command("package", *words) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err.splitlines()[0]
    assert kept(bare_desk) == []


@pytest.mark.parametrize("suffix", ["pt", "pth", "pkl"])
def test_a_file_that_runs_code_when_it_is_loaded_is_refused_unread(bare_desk: Desk, suffix: str) -> None:
    refusal = bare_desk.refused(request(model=f"weights.{suffix}"))
    assert refusal.code is Code.BAD_MODEL
    assert "runs code" in refusal.message
    assert ".onnx" in refusal.hint


@pytest.mark.parametrize(
    ("labels", "said"),
    [("one,two,three", "3 labels, and the model scores 2 classes"), ("same,same", "'same'"), ("left,", "not be empty")],
)
def test_labels_that_do_not_fit_are_refused(bare_desk: Desk, labels: str, said: str) -> None:
    linear(bare_desk.folder / "model.onnx", shift=0.0)
    refusal = bare_desk.refused(request(labels=labels))
    assert refusal.code is Code.BAD_REQUEST
    assert said in refusal.message


@pytest.mark.parametrize("text", ["left,right", "left\nright\n", "left\r\nright\r\n", " left , right \n"])
def test_labels_may_stand_in_a_file(bare_desk: Desk, text: str) -> None:
    (bare_desk.folder / "names.txt").write_bytes(text.encode())
    assert bare_desk.package(0.5, labels="names.txt") == bare_desk.package(0.5)


def test_labels_may_be_longer_than_a_file_name(bare_desk: Desk) -> None:
    weights = np.zeros((3, 40))
    onnx.save(graph([helper.make_node("MatMul", ["x", "w"], ["scores"])], outputs=40, weights={"w": weights}), "model.onnx")
    labels = tuple(f"a long name of class number {index}" for index in range(40))
    assert bare_desk.run(request(labels=",".join(labels)), Bundle).labels == labels


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"contract": "absent.toml"}, "no file 'absent.toml'"),
        ({"contract": "[inputs.a]\n[inputs.b]\n"}, "[inputs.b] names no input; the example has input"),
        ({"contract": "[inputs.input]\nlow = 2\nhigh = 1\nnullable = true\n"}, "nullable does not apply"),
        ({"contract": "[inputs.input]\nlow = 2\nhigh = 1\nnullable = true\n"}, "low 2 is above high 1"),
        ({"contract": "[inputs.input]\nlow = 100\n"}, "the example itself breaks the contract: input 'input' is below 100 in 8 of 8 rows"),
    ],
)
def test_a_contract_that_contradicts_itself_or_the_example_is_refused_with_every_fault(
    bare_desk: Desk, change: dict[str, str], said: str
) -> None:
    linear(bare_desk.folder / "model.onnx", shift=0.0)
    refusal = bare_desk.refused(request(**change))
    assert refusal.code is Code.BAD_CONTRACT
    assert said in refusal.message


@pytest.mark.parametrize(
    "example",
    [np.array([["a", "b"], ["c", "d"]]), np.zeros((4, 3), complex), np.zeros(4, "datetime64[s]"), np.zeros(4, [("a", "f8")])],
    ids=repr,
)
def test_an_example_that_is_neither_numbers_nor_a_table_says_what_to_do(bare_desk: Desk, example: Any) -> None:
    np.save("odd.npy", example)
    (bare_desk.folder / "zeros.py").write_text("import numpy as np\n\n\ndef prepare(batch):\n    return np.zeros((len(batch), 3))\n")
    linear(bare_desk.folder / "model.onnx", shift=0.0)
    refusal = bare_desk.refused(request(example="odd.npy", preprocess="zeros.py:prepare"))
    assert refusal.code is Code.BAD_DATA
    assert "has dtype" in refusal.message
    assert "columns of a table" in refusal.hint


def test_a_folder_that_is_no_capture_is_one_line(bare_desk: Desk) -> None:
    (bare_desk.folder / "net").mkdir()
    (bare_desk.folder / "net" / CAPTURE_FILE).write_text("{}")
    assert bare_desk.refused(request(model="net")).code is Code.BAD_MODEL


def test_a_store_that_cannot_be_made_is_infrastructure_and_one_line(bare_desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    linear(bare_desk.folder / "model.onnx", shift=0.0)
    (bare_desk.folder / ".mlprod").write_text("a file")
    assert bare_desk.command("package", "model.onnx", "--name", "tiny", "--example", "x8.npy") == 4
    assert capsys.readouterr().err.startswith("disk:")
    assert (bare_desk.folder / ".mlprod").read_text() == "a file"


@pytest.mark.parametrize("limit", [100, 300, 1000], ids=["at the key", "at the capture", "at the manifest"])
def test_a_disk_that_fills_up_is_infrastructure_and_nothing_is_left_of_it(bare_desk: Desk, limit: int) -> None:
    linear(bare_desk.folder / "model.onnx", shift=0.0)
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(limit), *PACKAGE_WORDS],
        cwd=bare_desk.folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 4, done.stderr
    assert done.stderr.startswith("disk:")
    assert len(done.stderr.splitlines()) == 2, "what, and a hint"
    assert kept(bare_desk) == []
    assert bare_desk.command(*PACKAGE_WORDS) == 0, "the same command goes through once there is space"


def cancelled(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("step", ["attach_locks", "attach"])
def test_cancelled_while_it_is_attached_to_there_is_no_bundle(bare_desk: Desk, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    linear(bare_desk.folder / "model.onnx", shift=0.5)
    with monkeypatch.context() as patch:
        patch.setattr(package, step, cancelled)
        assert bare_desk.command(*PACKAGE_WORDS) == 130
    assert not bare_desk.workspace().bundles.all()
    assert not [path for path in kept(bare_desk) if "records" not in path]
    assert bare_desk.command(*PACKAGE_WORDS) == 0
    assert bare_desk.command("verify", "tiny") == 0


def test_cancelled_while_a_bundle_is_packaged_again_it_stays_signed(bare_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    made = bare_desk.package(0.5)
    before = (bare_desk.bundle_folder(made) / SIGNATURE).read_bytes()
    monkeypatch.setattr(package, "attach_locks", cancelled)
    assert bare_desk.command(*PACKAGE_WORDS) == 130
    assert (bare_desk.bundle_folder(made) / SIGNATURE).read_bytes() == before
    assert (bare_desk.bundle_folder(made) / LOCK).is_file()
    assert bare_desk.command("predict", "tiny", "x.npy") == 0


def test_a_bundle_that_another_process_keeps_in_the_meantime_stays_and_is_attached_to(bare_desk: Desk) -> None:
    made = bare_desk.package(0.5)
    workspace, home = bare_desk.workspace(), bare_desk.bundle_folder(made)
    bundle, _ = workspace.bundles.faults(home)
    assert bundle is not None
    staged = workspace.scratch / "staging-late"
    shutil.copytree(home, staged, ignore=shutil.ignore_patterns("attached", "bundle.json"))
    home.rename(bare_desk.folder / "theirs")
    places: list[Path] = []

    def finish(folder: Path, whole: Bundle) -> None:
        assert whole == bundle
        if not places:
            assert not home.exists(), "nobody sees it yet"
            (bare_desk.folder / "theirs").rename(home)
        places.append(folder)

    origin = workspace.machine.origin(notebook="late.ipynb", run="")
    assert workspace.bundles.add(staged, bundle, origin, finish=finish) == bundle
    assert places == [staged, home]
    assert not staged.exists()
    assert (home / SIGNATURE).is_file(), "what was attached there stays"
    assert "late.ipynb" in (home / ORIGIN).read_text()


def test_a_key_that_cannot_be_read_is_told_before_anything_is_kept(bare_desk: Desk) -> None:
    linear(bare_desk.folder / "model.onnx", shift=0.0)
    (bare_desk.folder / ".mlprod").mkdir()
    (bare_desk.folder / ".mlprod" / "key.pem").write_text("no key")
    assert "move key.pem away" in bare_desk.refused(request()).hint
    assert kept(bare_desk) == []


def test_packaging_again_mends_a_bundle_that_was_damaged(bare_desk: Desk) -> None:
    made = bare_desk.package(0.5)
    (bare_desk.bundle_folder(made) / "model.onnx").write_bytes(b"")
    assert bare_desk.refused(Predict(subject="tiny", data="x.npy")).code is Code.BUNDLE_BROKEN
    assert bare_desk.package(0.5) == made
    assert bare_desk.command("predict", "tiny", "x.npy") == 0


def test_a_graph_without_preprocessing_or_labels_is_a_bundle_too(bare_desk: Desk) -> None:
    linear(bare_desk.folder / "model.onnx", shift=0.0)
    np.save("x32.npy", np.load("x8.npy").astype(np.float32))
    bundle = bare_desk.run(request(preprocess="", labels="", example="x32.npy"), Bundle)
    assert not bundle.has_code
    assert bundle.scores == "values"
    assert "code/preprocess.py" not in {entry.path for entry in bundle.files}
    answers = bare_desk.workspace().runtimes.open(bare_desk.bundle_folder(digest(bundle)), bundle, threads=1).answer(np.load("x32.npy"))
    assert list(answers) == ["scores"]


def test_personal_data_is_held_back_and_the_same_data_gives_the_same_digest(bare_desk: Desk) -> None:
    personal = '[inputs.input]\npii = "vitals"\n'
    first = bare_desk.package(0.5, data="x.npy", contract=personal)
    folder = bare_desk.bundle_folder(first)
    assert b'"fingerprint":""' in (folder / SNAPSHOT).read_bytes()
    assert b'"withheld":true' in (folder / SNAPSHOT).read_bytes()
    assert bare_desk.package(0.5, data="x.npy", contract=personal) == first


def test_data_that_cannot_be_read_is_refused_before_the_model_is_touched(bare_desk: Desk) -> None:
    Path("cut.parquet").write_bytes(b"PAR1")
    assert (
        "cut.parquet cannot be read"
        in bare_desk.refused(Package(model="nothing.onnx", name="tiny", example="x8.npy", data="cut.parquet")).message
    )
