"""Export: each form answers like the bundle in the tool that it is for, says what it leaves out, and is written whole or not at all."""

import gc
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from google.protobuf import text_format
from onnx import TensorProto, helper, numpy_helper

from jupyter_mlprod.adapters.onnx_graphs import OnnxGraphs
from jupyter_mlprod.core.bundle import GRAPH, GRAPH_DATA, LOCK, Bundle
from jupyter_mlprod.core.errors import Code
from jupyter_mlprod.core.evidence import Evidence
from jupyter_mlprod.core.listing import Listing
from jupyter_mlprod.core.lock import bundle_lock, lock_text
from jupyter_mlprod.core.record import digest, digest_bytes
from jupyter_mlprod.core.requests import Evaluate, Export, Gate, Gc, Predict, Promote, Show, Verify
from jupyter_mlprod.core.requests.export import Form
from jupyter_mlprod.core.verdict import Verdict, exit_status
from jupyter_mlprod.model import load
from tests.verbs.tiny import Desk, cells, furnish

FORMS: dict[Form, str] = {"onnx": ".onnx", "mlflow": "-mlflow", "triton": "-triton", "docker": "-docker", "mlprod": ".mlprod"}


def exported(desk: Desk, form: Form, subject: str = "tiny") -> tuple[Path, Listing]:
    """The path that an export without ``--out`` has written, and what it says."""
    listing = desk.run(Export(subject=subject, to=form), Listing)
    return desk.folder / str(listing.rows[0][0]).split("/")[0], listing


def with_other_graph(desk: Desk, change: Callable[[onnx.ModelProto, Path], None]) -> str:
    """Digest of a bundle whose graph was written anew in its folder."""
    found = desk.workspace().bundles
    made = desk.package(0.25, preprocess="")
    bundle = next(bundle for name, bundle, _ in found.all() if name == made)
    folder = desk.folder / "other"
    found.path(made).rename(folder)
    change(onnx.load(str(folder / GRAPH)), folder / GRAPH)
    return digest(found.add(folder, bundle, desk.workspace().machine.origin(notebook="", run="")))


def weights_outside(model: onnx.ModelProto, path: Path) -> None:
    """As those of a large model lie beside its graph."""
    onnx.save(model, str(path), save_as_external_data=True, location=GRAPH_DATA, size_threshold=0)


def without_a_shape(model: onnx.ModelProto, path: Path) -> None:
    model.graph.output[0].type.tensor_type.ClearField("shape")
    onnx.save(model, str(path))


def scores(model: Path, x: Any) -> Any:
    session = ort.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    (answer,) = session.run(["scores"], {"x": x})
    return answer


def test_plain_onnx_answers_like_the_graph_and_says_where_it_comes_from(desk: Desk) -> None:
    path, listing = exported(desk, "onnx")
    onnx.checker.check_model(str(path), full_check=True)
    x = np.load("x.npy").astype(np.float32)
    assert np.array_equal(scores(path, x), scores(desk.bundle_folder(desk.champion()) / GRAPH, x))
    metadata = {entry.key: entry.value for entry in onnx.load(str(path)).metadata_props}
    assert metadata == {"mlprod.name": "tiny", "mlprod.digest": desk.champion(), "mlprod.labels": '["left", "right"]'}
    assert listing.note == "without preprocessing prepare(), contract, golden samples; labels stand in its metadata only"


def test_weights_outside_the_graph_come_along_under_the_new_name(bare_desk: Desk) -> None:
    made = with_other_graph(bare_desk, weights_outside)
    bare_desk.run(Export(subject=made, to="onnx", out="plain.onnx"), Listing)
    assert sorted(path.name for path in bare_desk.folder.glob("plain*")) == ["plain.onnx", "plain.onnx.data"]
    onnx.checker.check_model("plain.onnx")
    x = np.load("x.npy").astype(np.float32)
    assert np.array_equal(scores(Path("plain.onnx"), x), scores(bare_desk.bundle_folder(made) / GRAPH, x))
    (bare_desk.folder / "plain.onnx").unlink()
    refusal = bare_desk.refused(Export(subject=made, to="onnx", out="plain.onnx"))
    assert "plain.onnx.data is there already" in refusal.message
    assert not Path("plain.onnx").exists()
    path, _ = exported(bare_desk, "triton", made)
    assert np.array_equal(scores(path / "tiny" / "1" / GRAPH, x), scores(bare_desk.bundle_folder(made) / GRAPH, x))


def test_a_note_names_what_the_bundle_has_and_the_form_has_not(bare_desk: Desk) -> None:
    (bare_desk.folder / "after.py").write_text("def finish(outputs):\n    return {'scores': outputs['scores'] * 2}\n")
    bare_desk.package(
        0.0,
        postprocess="after.py:finish",
        normalize="[x]\nmean = [0.5]\nstd = [2.0]\n",
        operating_point="temperature = 2.0\n[thresholds]\nleft = 0.7\n",
    )
    whole = "preprocessing prepare(), postprocessing finish(), normalization of x, operating point"
    _, triton = exported(bare_desk, "triton")
    assert triton.note == f"without {whole}, labels, contract, golden samples"
    _, plain = exported(bare_desk, "onnx")
    assert plain.note == f"without {whole}, contract, golden samples; labels stand in its metadata only"


@pytest.mark.filterwarnings("ignore:.*Any type hint:UserWarning")  # MLflow, of a signature that it prescribes itself
def test_an_mlflow_model_loads_and_answers_the_same(desk: Desk) -> None:
    import mlflow

    path, _ = exported(desk, "mlflow")
    x = np.load("x.npy")
    answers = mlflow.pyfunc.load_model(str(path)).predict(x)
    desk.run(Predict(subject="tiny", data="x.npy", out="answers.npz"), Listing)
    with np.load("answers.npz") as ours:
        assert set(answers) == set(ours.files)
        assert all(np.array_equal(answers[name], ours[name]) for name in answers)
    assert exit_status(desk.run(Verify(subject=str(path)), Verdict)) == 0, "signature and digests came along"


def test_triton_reads_the_configuration_of_a_bundle(desk: Desk) -> None:
    from tritonclient.grpc import model_config_pb2

    path, listing = exported(desk, "triton")
    read = text_format.Parse((path / "tiny" / "config.pbtxt").read_text(), model_config_pb2.ModelConfig())
    assert (read.name, read.platform, read.backend, read.max_batch_size) == ("tiny", "onnxruntime_onnx", "onnxruntime", 64)
    assert [(end.name, end.data_type, list(end.dims)) for end in (*read.input, *read.output)] == [
        ("x", model_config_pb2.TYPE_FP32, [3]),
        ("scores", model_config_pb2.TYPE_FP32, [2]),
    ]
    assert read.HasField("dynamic_batching")
    assert read.version_policy.latest.num_versions == 1
    assert read.instance_group[0].count == 1
    assert read.parameters["mlprod.digest"].string_value == desk.champion()
    assert (path / "tiny" / read.output[0].label_filename).read_text() == "left\nright\n"
    assert (path / "tiny" / "1" / "model.onnx").read_bytes() == (desk.bundle_folder(desk.champion()) / GRAPH).read_bytes()
    assert listing.note == "without preprocessing prepare(), contract, golden samples"


def test_a_graph_of_several_inputs_is_read_without_its_weights(tmp_path: Path) -> None:
    body = helper.make_graph(
        [helper.make_node("Gather", ["table", "ids"], ["rows"]), helper.make_node("Identity", ["flag"], ["same"])],
        "several",
        [
            helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "length"]),
            helper.make_tensor_value_info("flag", TensorProto.BOOL, ["batch"]),
            helper.make_tensor_value_info("table", TensorProto.FLOAT, [5, 4]),
        ],
        [
            helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["batch", "length", 4]),
            helper.make_tensor_value_info("same", TensorProto.BOOL, ["batch"]),
        ],
        [numpy_helper.from_array(np.zeros((5, 4), np.float32), "table")],
    )
    onnx.save(helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), str(tmp_path / "several.onnx"))
    inputs, outputs = OnnxGraphs().ends(tmp_path / "several.onnx")
    assert [(end.name, end.dtype, end.shape) for end in inputs] == [
        ("ids", "INT64", ("batch", "length")),
        ("flag", "BOOL", ("batch",)),
    ]
    assert [end.shape for end in outputs] == [("batch", "length", 4), ("batch",)]


# The archive.


def test_an_archive_is_the_same_bytes_each_time_and_keeps_the_digest(desk: Desk) -> None:
    made, listing = exported(desk, "mlprod")
    first = made.read_bytes()
    desk.run(Export(subject="tiny", to="mlprod", out="again.mlprod"), Listing)
    assert Path("again.mlprod").read_bytes() == first
    assert digest(desk.run(Show(subject="again.mlprod"), Bundle)) == desk.champion()
    desk.run(Export(subject="again.mlprod", to="mlprod", out="third.mlprod"), Listing)
    assert Path("third.mlprod").read_bytes() == first, "an archive of an archive is the archive"
    desk.run(Export(subject="again.mlprod", to="mlflow", out="folder"), Listing)
    desk.run(Export(subject="./folder", to="mlprod", out="fourth.mlprod"), Listing)
    assert Path("fourth.mlprod").read_bytes() == first, "and so is one of the folder"
    assert listing.rows == ((made.name, "archive", len(first)),)


def test_any_zip_tool_unpacks_an_archive_to_the_bundle(desk: Desk) -> None:
    made, _ = exported(desk, "mlprod")
    with zipfile.ZipFile(made) as archive:
        assert archive.testzip() is None
        assert archive.namelist()[0] == "bundle.json"
        archive.extractall("unzipped")
    assert digest(desk.run(Show(subject="./unzipped"), Bundle)) == desk.champion()


def test_every_verb_takes_an_archive_and_leaves_no_copy(desk: Desk) -> None:
    subject = exported(desk, "mlprod")[0].name
    for words in (["show"], ["verify"], ["scan"], ["check", "--data", "x.npy"], ["predict", "x.npy"], ["gate"], ["profile"]):
        options = ["--budget-s", "0.1", "--batches", "1"] if words == ["profile"] else []
        assert desk.command(words[0], subject, *words[1:], *options) == 0, words
    assert desk.command("compare", subject, "tiny:1") == 0
    assert not list((desk.folder / ".mlprod" / "scratch").glob("unpacked/*"))


def test_a_look_at_an_archive_makes_no_workspace(
    desk: Desk, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, _ = exported(desk, "mlprod")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(elsewhere)
    assert Desk(elsewhere).command("show", str(made)) == 0
    assert list(elsewhere.iterdir()) == []


def test_an_archive_from_elsewhere_can_be_gated_and_promoted(
    bare_desk: Desk, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = bare_desk.package(0.0)
    archive, _ = exported(bare_desk, "mlprod")
    key = bare_desk.workspace().signer.key().public
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    furnish(elsewhere)
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("MLPROD_TRUSTED_KEYS", key)
    there = Desk(elsewhere)
    assert there.refused(Promote(subject=str(archive))).code is Code.NOT_PROVEN
    assert not there.workspace().bundles.all(), "what is not promoted is not taken in"
    there.command("evaluate", str(archive), "--data", "x.npy", "--target", "y.npy")
    assert there.run(Gate(subjects=(str(archive),)), Verdict).outcome == "pass"
    assert there.command("promote", str(archive), "--why", "it came well recommended") == 0
    assert there.champion() == made
    assert exit_status(there.run(Verify(subject="tiny@champion"), Verdict)) == 0
    ((_, _, origin),) = there.workspace().bundles.all()
    assert origin == bare_desk.workspace().bundles.all()[0][2], "who made it is not forgotten"
    archive.unlink()
    assert there.command("predict", "tiny", "x.npy") == 0


def test_a_gate_that_promotes_takes_the_archive_in(bare_desk: Desk) -> None:
    made = bare_desk.package(0.0)
    archive, _ = exported(bare_desk, "mlprod")
    bare_desk.run(Evaluate(subject=str(archive), data="x.npy", target="y.npy"), Evidence)
    bare_desk.workspace().bundles.remove(made)
    assert bare_desk.command("gate", str(archive), "--promote", "champion") == 0
    assert bare_desk.champion() == made


def test_a_loaded_archive_answers_for_as_long_as_it_is_held(desk: Desk) -> None:
    made, _ = exported(desk, "mlprod")
    model = load(made.name)
    made.unlink()
    (copy,) = (desk.folder / ".mlprod" / "scratch" / "unpacked").iterdir()
    assert set(model.answer(np.load("x.npy"))["label"]) == {"left", "right"}
    assert copy.is_dir()
    del model
    gc.collect()
    assert not copy.exists()


def test_a_copy_that_a_killed_process_left_is_freed(desk: Desk) -> None:
    left = desk.folder / ".mlprod" / "scratch" / "unpacked" / "0123"
    left.mkdir(parents=True)
    assert "0123" not in cells(desk.run(Gc(), Listing), "what"), "it may be in use"
    os.utime(left, (0, 0))
    assert ("unpacked", "0123") in {row[:2] for row in desk.run(Gc(delete=True), Listing).rows}
    assert not left.exists()


# Where it is written.


@pytest.mark.parametrize("form", FORMS)
def test_what_is_there_is_not_overwritten(desk: Desk, form: Form) -> None:
    path, _ = exported(desk, form)
    assert path.name == f"tiny-{desk.champion()[7:19]}{FORMS[form]}"
    before = desk.files()
    stood = {file: file.read_bytes() for file in desk.folder.rglob(f"{path.name}*") if file.is_file()}
    refusal = desk.refused(Export(subject="tiny", to=form))
    assert refusal.code is Code.BAD_REQUEST
    assert "is there already" in refusal.message
    assert {file: file.read_bytes() for file in stood} == stood
    assert desk.files() == before


@pytest.mark.parametrize("thing", ["link to nothing", "empty folder"])
def test_neither_a_link_nor_an_empty_folder_is_taken_over(desk: Desk, thing: str) -> None:
    Path("out.onnx").symlink_to("absent") if thing == "link to nothing" else Path("out.onnx").mkdir()
    assert "is there already" in desk.refused(Export(subject="tiny", to="onnx", out="out.onnx")).message
    assert not Path("absent").exists()


@pytest.mark.parametrize(
    ("out", "code"),
    [
        ("absent/out.mlprod", Code.BAD_REQUEST), (".", Code.BAD_REQUEST), ("..", Code.BAD_REQUEST), ("out", Code.BAD_REQUEST),
        ("a\0b.mlprod", Code.BAD_REQUEST), ("a\nb.mlprod", Code.BAD_REQUEST), ("x" * 5000 + ".mlprod", Code.DISK),
    ],
)  # fmt: skip
def test_a_path_that_cannot_be_written_is_one_line(desk: Desk, out: str, code: Code) -> None:
    before = sorted(desk.folder.iterdir())
    assert desk.refused(Export(subject="tiny", to="mlprod", out=out)).code is code
    assert sorted(desk.folder.iterdir()) == before


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("stop", "status"), [(KeyboardInterrupt(), 130), (OSError(28, "No space left on device"), 4)])
def test_what_is_interrupted_leaves_nothing(
    desk: Desk, form: Form, stop: BaseException, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(desk.folder.iterdir())

    def interrupt(*_: object, **__: object) -> None:
        raise stop

    monkeypatch.setattr(Path, "rename", interrupt)
    assert desk.command("export", "tiny", "--to", form) == status
    assert sorted(desk.folder.iterdir()) == before


def test_export_runs_no_code_and_asks_for_no_trust(
    bare_desk: Desk, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bare_desk.folder / "loud.py").write_text(
        "def prepare(batch):\n    import pathlib\n    pathlib.Path('ran').touch()\n    return (batch / 2.0).astype('float32')\n"
    )
    bare_desk.package(0.0, preprocess="loud.py:prepare")
    archive, _ = exported(bare_desk, "mlprod")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(elsewhere)
    for form in FORMS:
        assert Desk(elsewhere).command("export", str(archive), "--to", form) == 0
    assert not (elsewhere / "ran").exists()
    assert Desk(elsewhere).refused(Predict(subject=str(archive), data=str(bare_desk.folder / "x.npy"))).code is Code.NOT_TRUSTED
    (read_me,) = elsewhere.glob("*-docker/README.md")
    assert "--trust" in read_me.read_text()
    assert not (elsewhere / ".mlprod" / "key.pem").exists(), "a look makes no key"


def test_a_broken_bundle_is_not_exported(desk: Desk) -> None:
    (desk.bundle_folder(desk.champion()) / GRAPH).write_bytes(b"x")
    for form in FORMS:
        assert desk.refused(Export(subject="tiny", to=form)).code is Code.BUNDLE_BROKEN


@pytest.mark.parametrize("form", ["mlflow", "docker", "mlprod"])
def test_a_link_in_what_is_attached_is_not_carried_along(desk: Desk, form: Form) -> None:
    (desk.bundle_folder(desk.champion()) / "attached" / "key.pem").symlink_to(desk.folder / ".mlprod" / "key.pem")
    refusal = desk.refused(Export(subject="tiny", to=form))
    assert "key.pem is a link" in refusal.message


# The image, as far as it can be built without an engine.


def without_addresses(folder: Path) -> None:
    """Lock a bundle as behind an index of one's own: every file by ``wheels/FILE``."""
    lock = bundle_lock(folder)
    packages = tuple(
        msgspec.structs.replace(
            package, wheels=tuple(msgspec.structs.replace(file, url="", path=f"wheels/{file.name}") for file in package.wheels)
        )
        for package in lock.packages
    )
    (folder / LOCK).write_text(lock_text(msgspec.structs.replace(lock, packages=packages)))


def as_the_read_me_says(folder: Path) -> None:
    """Fill ``wheels/`` by the command in the read-me, and find there what is listed."""
    (command,) = (line for line in (folder / "README.md").read_text().splitlines() if "pip download" in line)
    _, *words = command.split()
    subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, check=True, timeout=240)
    sums = (folder / "wheels" / "SHA256SUMS").read_text().splitlines()
    listed = {name: sha256 for sha256, name in (line.split("  ") for line in sums)}
    there = {path.name: digest_bytes(path.read_bytes()) for path in (folder / "wheels").glob("*.whl") if path.name in listed}
    assert there == {name: f"sha256:{listed[name]}" for name in there}
    assert len(there) == sum("==" in line for line in (folder / "requirements.lock").read_text().splitlines())


def carried_out(folder: Path, image: Path, **variables: str) -> tuple[list[str], list[str]]:
    """Do what a Dockerfile's lines say, with a folder for the image's root; the command that answers, and the lines that were done."""
    done: list[str] = []
    entry: list[str] = []
    app = image / "app"
    for line in (folder / "Dockerfile").read_text().splitlines():
        step, _, rest = line.partition(" ")
        match step:
            case "WORKDIR":
                assert rest == "/app"
                app.mkdir(parents=True)
            case "COPY":
                *sources, target = rest.split()
                for source in sources:
                    into = app / target if source.endswith("/") else app / target / source
                    into.parent.mkdir(parents=True, exist_ok=True)
                    subprocess.run(["cp", "-r", str(folder / source), str(into)], check=True)
            case "RUN":
                path = f"{image / 'venv' / 'bin'}:{os.environ['PATH']}"
                environ = {**os.environ, "PATH": path, "PIP_NO_COMPILE": "1", **variables}  # compiling is no use for one question
                run = subprocess.run(["/bin/sh", "-c", rest], cwd=app, env=environ, capture_output=True, text=True, check=False)
                assert run.returncode == 0, run.stderr
            case "ENTRYPOINT":
                entry = json.loads(rest)
        done.append(line)
    return entry, done


@pytest.mark.parametrize("source", ["index", "wheels"])
def test_the_lines_of_the_dockerfile_install_and_answer_without_torch_and_mlflow(
    source: str, bare_desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLPROD_LOCK", "hashes")
    made = bare_desk.package(0.0)
    if source == "wheels":
        without_addresses(bare_desk.bundle_folder(made))
    folder, _ = exported(bare_desk, "docker")
    image = tmp_path / "image"
    subprocess.run([sys.executable, "-m", "venv", str(image / "venv")], check=True, timeout=120)
    if source == "wheels":
        as_the_read_me_says(folder)
        entry, done = carried_out(folder, image, PIP_NO_INDEX="1")
    else:
        entry, done = carried_out(folder, image)
    (install,) = (line for line in done if "pip install" in line)
    assert install.endswith(" --require-hashes -r requirements.lock"), "what was carried out takes nothing without its hash"
    assert all("--hash=sha256:" in line for line in (folder / "requirements.lock").read_text().splitlines())
    assert not (folder / "requirements.unhashed").exists()
    assert "USER 10001:10001" in done

    python = image / "venv" / "bin" / "python"
    assert entry[0] == "python"
    command = [str(python), *entry[1:], str(bare_desk.folder / "x8.npy"), str(tmp_path / "answers.npz")]
    for path in sorted((image / "app").rglob("*"), reverse=True):  # the image's files are not the answering user's
        path.chmod(0o555 if path.is_dir() else 0o444)
    answered = subprocess.run(command, cwd=image / "app", env={}, capture_output=True, text=True, timeout=120, check=False)
    assert answered.returncode == 0, answered.stderr
    bare_desk.run(Predict(subject=made, data="x8.npy", out="ours.npz"), Listing)
    with np.load(tmp_path / "answers.npz") as theirs, np.load("ours.npz") as ours:
        assert all(np.array_equal(theirs[name], ours[name]) for name in ours.files)

    probe = "import importlib.util as u; print([m for m in ('torch', 'mlflow', 'pandas', 'onnx') if u.find_spec(m)])"
    assert subprocess.run([str(python), "-c", probe], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    installed = sum(path.stat().st_size for path in image.rglob("*") if path.is_file() and not path.is_symlink())
    assert installed < 500e6
    for path in sorted((image / "app").rglob("*")):
        path.chmod(0o755)


def test_whatever_umask_the_files_of_an_image_can_be_read_by_its_user(desk: Desk) -> None:
    before = os.umask(0o077)
    try:
        path, _ = exported(desk, "docker")
    finally:
        os.umask(before)
    for file in path.rglob("*"):
        assert file.stat().st_mode & 0o777 == (0o755 if file.is_dir() else 0o644)


def test_a_graph_that_triton_cannot_serve_is_refused(bare_desk: Desk) -> None:
    made = with_other_graph(bare_desk, without_a_shape)
    refusal = bare_desk.refused(Export(subject=made, to="triton"))
    assert refusal.code is Code.BAD_MODEL
    assert "no declared shape" in refusal.message
    assert not list(bare_desk.folder.glob("tiny-*"))
