"""A forged bundle whose ``MLmodel`` would run code of its own, or whose graph reads files of the machine: refused wherever it is looked at."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_mlprod.core.archive import write_archive
from jupyter_mlprod.core.bundle import GRAPH, GRAPH_DATA, MANIFEST, REQUIREMENTS
from jupyter_mlprod.core.contract import Column, Contract, Tensor
from jupyter_mlprod.core.errors import Code
from jupyter_mlprod.core.evidence import Evidence
from jupyter_mlprod.core.external_data import HOLDS, locations
from jupyter_mlprod.core.listing import Listing
from jupyter_mlprod.core.mlmodel import MLMODEL, PYTHON_ENV, written
from jupyter_mlprod.core.requests import Export, Predict, Scan, Show, Verify
from jupyter_mlprod.core.requests.export import Form
from jupyter_mlprod.core.verdict import Verdict, exit_status
from tests.attacks.forged import Change, forged
from tests.attacks.test_onnx_external import external, model
from tests.verbs.tiny import Desk, measure_of

FORMS: tuple[Form, ...] = ("onnx", "mlflow", "triton", "docker", "mlprod")


def refused_everywhere(desk: Desk, sent: Path, reason: str) -> None:
    """Every verb that would use the bundle refuses it, the looking ones count it, and nothing is written or run."""
    before = sorted(desk.folder.iterdir())
    requests = [Export(subject=str(sent), to=form) for form in FORMS] + [Show(subject=str(sent)), Predict(subject=str(sent), data="x.npy")]
    for request in requests:
        refusal = desk.refused(request)
        assert refusal.code is Code.BUNDLE_BROKEN
        assert reason in refusal.message
    scan = measure_of(desk.run(Scan(subject=str(sent)), Evidence), "digest_mismatches")
    assert scan.value == 1
    assert reason in scan.note
    assert exit_status(desk.run(Verify(subject=str(sent)), Verdict)) == 1
    assert desk.command("scan", str(sent)) == 1
    assert sorted(desk.folder.iterdir()) == before
    assert not Path("ran").exists()


# What MLflow would run.


def edited(change: Callable[[dict[str, Any]], object]) -> Change:
    """A change of the document ``MLmodel``."""

    def apply(folder: Path) -> None:
        document = json.loads((folder / MLMODEL).read_text())
        change(document)
        (folder / MLMODEL).write_text(json.dumps(document, indent=1) + "\n")

    return apply


def own_loader(folder: Path) -> None:
    edited(lambda d: d["flavors"]["python_function"].update(loader_module="helper", code="code"))(folder)
    (folder / "code" / "helper.py").write_text("def _load_pyfunc(path):\n    open('ran', 'w').close()\n")


FOREIGN: dict[str, tuple[Change, str]] = {
    "a loader of its own": (own_loader, MLMODEL),
    "code beside our loader": (edited(lambda d: d["flavors"]["python_function"].update(code="code")), MLMODEL),
    "another flavor": (edited(lambda d: d["flavors"].update(sklearn={"pickled_model": "model.pkl"})), MLMODEL),
    "another environment": (edited(lambda d: d["flavors"]["python_function"].update(env="conda.yaml")), MLMODEL),
    "other bytes of the same meaning": (lambda folder: (folder / MLMODEL).write_text((folder / MLMODEL).read_text() + "\n"), MLMODEL),
    "a signature of another contract": (edited(lambda d: d["signature"].update(inputs="[]")), MLMODEL),
    "no JSON": (lambda folder: (folder / MLMODEL).write_text("!!python/object/apply:os.system ['touch ran']\n"), MLMODEL),
    "what is installed": (
        lambda folder: (folder / PYTHON_ENV).write_text('{"dependencies": ["--index-url https://example.org", "evil"]}'),
        PYTHON_ENV,
    ),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_what_mlflow_would_act_on_is_what_mlprod_writes(desk: Desk, kind: str) -> None:
    change, path = FOREIGN[kind]
    refused_everywhere(desk, forged(desk, change), f"{path} is not what mlprod writes for this contract")


def test_a_foreign_loader_is_refused_in_an_archive_too(desk: Desk) -> None:
    sent = forged(desk, own_loader)
    paths = sorted(path.relative_to(sent).as_posix() for path in sent.rglob("*") if path.is_file() and path.name != MANIFEST)
    with Path("sent.mlprod").open("xb") as stream:
        write_archive(stream, sent, [MANIFEST, *paths])
    refused_everywhere(desk, Path("sent.mlprod"), f"{MLMODEL} is not what mlprod writes")


@pytest.mark.parametrize("name", ["mlmodel", "MLMODEL", "Model.onnx", "Python_env.yaml", "Bundle.json", "ATTACHED/origin.json"])
def test_a_name_that_some_systems_take_for_another_file_is_refused(desk: Desk, name: str) -> None:
    def add(folder: Path) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("x")

    refusal = desk.refused(Show(subject=str(forged(desk, add))))
    assert refusal.code is Code.BUNDLE_BROKEN
    assert "in case or spelling alone" in refusal.message or "has no place in it" in refusal.message


def test_the_texts_of_the_first_bundles_stay_good() -> None:
    """Their digests, as they were written when there was no other version: whoever changes a text adds to them and takes none away."""
    tensor = Tensor(name="x", dtype="float32", shape=("batch", 1, 8, 8))
    scores = Tensor(name="scores", dtype="float32", shape=("batch", 10))
    columns = (Column(name="age", type="int"), Column(name="größe", type="float"))
    image, table = (Contract(inputs=inputs, outputs=(scores,)) for inputs in ((tensor,), columns))
    assert "sha256:a8c41e74cedcc388c9362adca3697fa61abaa2b0adce80670bca5f9a04f56e8b" in written(image)[MLMODEL]
    assert "sha256:9333f77ca623fdf494ccf8a0aa85f444484fb7cc52f85059d1334f212eff0fd9" in written(table)[MLMODEL]
    assert "sha256:df06b50d930b782d7648e12938bc209dce2029b4d1087531c9a118bcde6c0f80" in written(table)[PYTHON_ENV]


def test_requirements_that_are_options_of_pip_are_not_handed_to_mlflow(desk: Desk) -> None:
    sent = forged(desk, lambda folder: (folder / REQUIREMENTS).write_text("--index-url https://example.org\nnumpy==2.0\n"))
    refusal = desk.refused(Export(subject=str(sent), to="mlflow"))
    assert refusal.code is Code.BUNDLE_BROKEN
    assert "is not NAME==VERSION" in refusal.message


def test_an_export_to_mlflow_says_when_nobody_trusted_has_signed(desk: Desk) -> None:
    sent = forged(desk, lambda folder: (folder / "code" / "preprocess.py").write_text("def prepare(batch):\n    return batch\n"))
    assert "no trusted key signed it, and MLflow asks for none" in desk.run(Export(subject=str(sent), to="mlflow"), Listing).note
    assert "no trusted key" not in desk.run(Export(subject="tiny", to="mlflow"), Listing).note


# Where a graph looks for its weights.


def looking_in(location: str, place: str = "initializer") -> Change:
    tensor = external("w" if place == "initializer" else "v", location, shape=(6,) if place == "sparse" else (3, 2))
    return lambda folder: (folder / GRAPH).write_bytes(model(tensor, place=place).SerializeToString())


@pytest.mark.parametrize("location", ["/etc/hostname", "../../key.pem", "golden/inputs.npz", "*/_ORT_MEM_ADDR_/*", GRAPH_DATA, "", "a\nb"])
def test_a_graph_that_looks_elsewhere_is_refused_by_every_verb(desk: Desk, location: str) -> None:
    refused_everywhere(desk, forged(desk, looking_in(location)), f"looks for weights in {location!a}")


@pytest.mark.parametrize("place", ["initializer", "sparse", "attribute", "subgraph", "function"])
def test_it_is_seen_wherever_the_tensor_stands(desk: Desk, place: str) -> None:
    refusal = desk.refused(Show(subject=str(forged(desk, looking_in("/etc/hostname", place)))))
    assert "looks for weights in '/etc/hostname'" in refusal.message


def test_the_one_place_that_is_listed_is_good(desk: Desk) -> None:
    def beside(folder: Path) -> None:
        looking_in(GRAPH_DATA)(folder)
        (folder / GRAPH_DATA).write_bytes(bytes(24))

    assert desk.command("show", str(forged(desk, beside))) == 0


def ways() -> dict[str, dict[int, str]]:
    """Message → field → message in it, for those on a way to where a tensor's values lie, as ONNX itself declares them."""
    kinds, seen = [onnx.ModelProto.DESCRIPTOR], {}
    while kinds:
        kind = kinds.pop()
        if kind.name not in seen:
            seen[kind.name] = {field.number: field.message_type for field in kind.fields if field.message_type is not None}
            kinds += seen[kind.name].values()
    leading = {"TensorProto"}
    while more := {name for name, held in seen.items() if leading & {inner.name for inner in held.values()}} - leading:
        leading |= more
    found = {name: {number: inner.name for number, inner in seen[name].items() if inner.name in leading} for name in leading}
    number = onnx.TensorProto.DESCRIPTOR.fields_by_name["external_data"].number
    return found | {"TensorProto": {number: "StringStringEntryProto"}}


def test_the_walk_knows_every_way_from_a_model_to_a_tensor() -> None:
    assert ways() == HOLDS


def named(message: Any) -> set[bytes]:
    """The same places, read by protobuf."""
    found = set()
    if isinstance(message, onnx.TensorProto):
        found |= {entry.value.encode() for entry in message.external_data if entry.key == "location"}
    for field, value in message.ListFields():
        if field.message_type is not None:
            for item in value if hasattr(value, "add") else (value,):
                found |= named(item)
    return found


PLACES = ("initializer", "sparse", "attribute", "subgraph", "function")
WHOLE = [model(external("v", "/etc/hostname"), place=place).SerializeToString() for place in PLACES]


@pytest.mark.parametrize("data", WHOLE, ids=PLACES)
def test_bytes_and_protobuf_agree_on_whole_models(data: bytes) -> None:
    assert locations(data) == named(onnx.ModelProto.FromString(data)) == {b"/etc/hostname"}


@settings(deadline=None, derandomize=True, database=None, max_examples=300)
@given(data=st.sampled_from(WHOLE), at=st.integers(0, 2000), old=st.integers(0, 4), new=st.binary(max_size=6))
def test_whatever_protobuf_reads_in_a_changed_model_the_walk_has_seen(data: bytes, at: int, old: int, new: bytes) -> None:
    at %= len(data)
    changed = data[:at] + new + data[at + old :]
    try:
        read = onnx.ModelProto.FromString(changed)
    except Exception:  # noqa: BLE001  protobuf's implementations raise classes of their own
        return
    try:
        seen = locations(changed)
    except ValueError:
        return
    assert named(read) <= seen


@pytest.mark.parametrize(
    "data",
    [b"\x3b\x3c", b"\x03\x04", b"\x00\x00", b"\x3a\x05abc", b"\x3a" + b"\x80" * 11, b"\x08" + b"\xff" * 11, b"\x3a", b"\x0d\x00", b"\x3e\x00"],
    ids=["group", "group zero", "field zero", "too long", "endless length", "endless number", "no length", "half a float", "type six"],
)  # fmt: skip
def test_what_is_no_protobuf_is_a_fault_and_not_passed_over(desk: Desk, data: bytes) -> None:
    with pytest.raises(ValueError, match="byte"):
        locations(data)
    sent = forged(desk, lambda folder: (folder / GRAPH).write_bytes(data))
    assert re.search(r"cannot be read as a graph: .* byte", desk.refused(Show(subject=str(sent))).message)
