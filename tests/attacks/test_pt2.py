"""A hostile ``.pt2`` is refused before anything loads it: nothing is executed, nothing is written. Each case runs code when torch loads it."""

import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from jupyter_mlprod.core.bundle import Bundle
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.pt2 import MODEL, OPERATOR, SAMPLES, WEIGHTS_CONFIG, WRITES, is_arithmetic, pickle_fault, read_program
from jupyter_mlprod.core.requests import Package
from tests.verbs.tiny import Desk

MARK = "executed"
CODE = f"__import__('os').mkdir('{MARK}')"
LOAD = """
import os, sys, torch
for file in sys.argv[1:]:
    os.mkdir(file + ".run")
    os.chdir(file + ".run")
    try:
        torch.export.load(file).module()(torch.ones(4, 3))
    except Exception as error:
        print(file, error)
"""
Documents = dict[str, Any]


class Bomb:
    """Unpickling this leaves a folder behind."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (MARK,)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.layer(x), torch.einsum("bi,bi->b", x, x)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program as `torch.export.save` writes it."""
    file = tmp_path_factory.mktemp("pt2") / "net.pt2"
    torch.manual_seed(0)
    batch = torch.export.Dim("batch", min=2)
    torch.export.save(torch.export.export(Net().eval(), (torch.randn(4, 3),), dynamic_shapes=({0: batch},)), file)
    return file


def entries_of(file: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(file) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def written(entries: dict[str, bytes], file: Path, *, kind: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(file, "w", kind) as archive:
        for name, data in entries.items():
            archive.writestr(f"net/{name}", data)
    return file


def saved(value: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def graph_of(model: Documents) -> Documents:
    found: Documents = model["graph_module"]["graph"]
    return found


def call_of(model: Documents) -> Documents:
    found: Documents = model["graph_module"]["module_call_graph"][0]["signature"]
    return found


def evaluate_a_size(model: Documents) -> None:
    graph_of(model)["tensor_values"]["x"]["sizes"][0]["as_expr"]["expr_str"] = CODE


def evaluate_a_stride(model: Documents) -> None:
    values = graph_of(model)["tensor_values"]
    values[next(name for name in values if name != "x")]["strides"][0] = {"as_expr": {"expr_str": f"Max(1, {CODE})", "hint": None}}


def call_the_system(model: Documents) -> None:
    graph_of(model)["nodes"][0]["target"] = "torch.hub.os.mkdir"


def open_a_file(model: Documents) -> None:
    graph_of(model)["nodes"][0]["target"] = "torch.ops.aten.from_file.default"


def import_for_a_tree(model: Documents) -> None:
    context = json.dumps({"default_factory_module": "hostile", "default_factory_name": "f", "dict_context": []})
    tree = {"type": "collections.defaultdict", "context": context, "children_spec": []}
    call_of(model)["in_spec"] = json.dumps([1, tree])


def import_for_a_key(model: Documents) -> None:
    enum = json.dumps([{"__enum__": True, "fqn": "hostile:Enum", "name": "A"}])
    call_of(model)["in_spec"] = json.dumps([1, {"type": "builtins.dict", "context": enum, "children_spec": []}])


def name_an_input_in_code(model: Documents) -> None:
    call_of(model)["forward_arg_names"] = [f"x={CODE}"]


def bring_an_object(model: Documents) -> None:
    graph_of(model)["custom_obj_values"] = {"thing": {"name": "thing", "class_fqn": "os.mkdir"}}


IN_THE_MODEL: dict[Callable[[Documents], None], str] = {
    evaluate_a_size: "expr_str is",
    evaluate_a_stride: "expr_str is",
    call_the_system: "target is 'torch.hub.os.mkdir'",
    open_a_file: "target is 'torch.ops.aten.from_file.default'",
    import_for_a_tree: "in_spec is",
    import_for_a_key: "in_spec is",
    name_an_input_in_code: "forward_arg_names is",
    bring_an_object: "objects of classes of its own",
}


def changed(plain: Path, change: Callable[[Documents], None], file: Path) -> Path:
    entries = entries_of(plain)
    model = json.loads(entries[MODEL])
    change(model)
    return written({**entries, MODEL: json.dumps(model).encode()}, file)


def guarded(model: Documents) -> None:
    model["guards_code"] = [CODE]


def refused(file: Path, tmp_path: Path) -> str:
    clean = tmp_path / "clean.pt2"
    with pytest.raises(MlprodError) as refusal:
        read_program(file, clean)
    assert refusal.value.code is Code.BAD_MODEL
    assert len(str(refusal.value).splitlines()) == 1
    return refusal.value.message


def test_these_files_do_run_code_when_torch_loads_them(plain: Path, tmp_path: Path) -> None:
    files = [
        written({**entries_of(plain), SAMPLES: saved(((Bomb(),), {}))}, tmp_path / "sample.pt2"),
        changed(plain, evaluate_a_size, tmp_path / "size.pt2"),
        changed(plain, guarded, tmp_path / "guard.pt2"),
    ]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOAD, *map(str, files)], capture_output=True, text=True, timeout=120, check=True
    )
    assert [(file.parent / f"{file.name}.run" / MARK).is_dir() for file in files] == [True] * 3, done.stdout


@pytest.mark.parametrize("change", IN_THE_MODEL, ids=lambda change: change.__name__)
def test_code_in_the_model_is_refused(
    change: Callable[[Documents], None], plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = changed(plain, change, tmp_path / "hostile.pt2")
    assert IN_THE_MODEL[change] in refused(file, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["hostile.pt2"]


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ({SAMPLES: saved(((Bomb(),), {}))}, "sample inputs are a pickle that imports 'posix mkdir'"),
        ({SAMPLES: saved(((nn.Linear(1, 1),), {}))}, "imports 'torch.nn.modules.linear Linear'"),
        ({SAMPLES: pickle.dumps(Bomb())}, "is no .pt2 archive"),
        ({"data/aotinductor/model/x.so": b"\x7fELF"}, "holds 'data/aotinductor/model/x.so'"),
        ({"data/constants/custom_obj_0": pickle.dumps(Bomb())}, "holds 'data/constants/custom_obj_0'"),
        ({"data/weights/../../../x": b""}, "holds 'data/weights/../../../x'"),
        ({MODEL: b"[" * 100_000}, "is no .pt2 archive"),
        ({MODEL: b"{}"}, "is no .pt2 archive"),
    ],
)  # fmt: skip
def test_what_no_plain_program_has_is_refused(
    entries: dict[str, bytes], reason: str, plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert reason in refused(written({**entries_of(plain), **entries}, tmp_path / "hostile.pt2"), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["hostile.pt2"]


def test_weights_that_are_pickled_or_lie_elsewhere_are_refused(plain: Path, tmp_path: Path) -> None:
    for key, value in (("use_pickle", True), ("path_name", "../../../etc/passwd")):
        entries = entries_of(plain)
        config = json.loads(entries[WEIGHTS_CONFIG])
        config["config"]["layer.weight"][key] = value
        file = written({**entries, WEIGHTS_CONFIG: json.dumps(config).encode()}, tmp_path / "hostile.pt2")
        assert "the tensor 'layer.weight' is pickled or absent" in refused(file, tmp_path)


def test_archives_that_readers_see_differently_are_refused(plain: Path, tmp_path: Path) -> None:
    assert "is packed" in refused(written(entries_of(plain), tmp_path / "packed.pt2", kind=zipfile.ZIP_DEFLATED), tmp_path)
    file = written(entries_of(plain), tmp_path / "twice.pt2")
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(file, "a") as archive:
        archive.writestr(f"net/{MODEL}", b"{}")
    assert "there twice" in refused(file, tmp_path)
    (tmp_path / "legacy.pt2").write_bytes(pickle.dumps(Bomb()))
    assert "is no .pt2 archive" in refused(tmp_path / "legacy.pt2", tmp_path)


def test_what_is_loaded_holds_no_pickle_no_guard_and_no_trace(plain: Path, tmp_path: Path) -> None:
    clean = tmp_path / "clean.pt2"
    read_program(changed(plain, guarded, tmp_path / "guarded.pt2"), clean)
    entries = entries_of(clean)
    assert entries[SAMPLES] == b""
    model = json.loads(entries[MODEL])
    assert model["guards_code"] == []
    assert all(node["metadata"] == {} for node in graph_of(model)["nodes"])
    assert str(Path(__file__).parent).encode() not in entries[MODEL]


@pytest.mark.parametrize(
    "text", ["Symbol('s31', positive=True, integer=True)", "2*s0 + 1", "Max(1, s0//2)", "Mod(s0, 4)", "Eq(s0, u1)", "-1", "s0 > 2"]
)
def test_arithmetic_is_let_through(text: str) -> None:
    assert is_arithmetic(text)


@pytest.mark.parametrize(
    "text",
    [CODE, "s0.__class__", "s0[0]", "lambda: 1", "Symbol(__import__('os'))", "Symbol('s0', cls=print)", "Max(*s0)", "Max(**s0)", "print(1)",
     "(Max)(1)(2)", "[s0 for s0 in s1]", "f'{s0}'", "'text'", "Symbol('()')", "9**9**9", "1" * 5000, "s0 if s0 else s1", "(s0 := 1)", "",
     "Max('a', 1)", "9" * 30, "exec", "S", "b'a'", "...", "Symbol('s0', **{})", "Function('f')(1)", "s0; s1", "s0 @ s1", "None"],
)  # fmt: skip
def test_everything_else_is_not_arithmetic(text: str) -> None:
    assert not is_arithmetic(text)


@pytest.mark.parametrize(
    ("target", "known"),
    [
        ("torch.ops.aten.conv2d.default", True), ("torch.ops.aten.__and__.Tensor", True), ("torch.sym_max", True), ("_operator.add", True),
        ("torch.ops.aten.__class__.mro", False), ("torch.ops.aten.add.__class__", False), ("torch.hub.load", False), ("os.system", False),
        ("torch.ops.aten.save", False), ("torch.ops.profiler._x", False), ("_operator.attrgetter", False), ("torch.ops.aten.add.op.x", False),
        ("#ext:op", False), ("math.inf", False), ("torch.ops.load_library", False),
    ],
)  # fmt: skip
def test_operators_are_those_of_a_graph(target: str, known: bool) -> None:
    assert bool(OPERATOR.fullmatch(target) and not WRITES.match(target)) is known


def test_a_pickle_of_tensors_alone_has_no_fault() -> None:
    values = ((torch.ones(2), {"a": torch.zeros(3, dtype=torch.bfloat16), "b": [1, 2.0, None, "text"]}), {"k": nn.Parameter(torch.ones(1))})
    with zipfile.ZipFile(io.BytesIO(saved(values))) as archive:
        assert pickle_fault(archive.read(next(name for name in archive.namelist() if name.endswith("data.pkl")))) == ""
    assert pickle_fault(pickle.dumps(Bomb(), 4)) == "holds FRAME"
    assert pickle_fault(pickle.dumps(Bomb(), 2)) == "imports 'posix mkdir'"


def test_a_plain_program_is_packaged_and_the_file_may_hold_guards(bare_desk: Desk, plain: Path) -> None:
    changed(plain, guarded, bare_desk.folder / "net.pt2")
    np.save("x.npy", np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32))
    bundle = bare_desk.run(Package(model="net.pt2", name="net", example="x.npy"), Bundle)
    assert [output.name for output in bundle.contract.outputs] == ["output_0", "output_1"]
    assert not Path(MARK).exists()
    assert not list((bare_desk.folder / ".mlprod" / "scratch").glob("*/*"))
