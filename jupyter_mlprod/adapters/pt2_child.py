"""The process in which a ``.pt2`` is loaded: ``python -I pt2_child.py`` in a folder of its own, which it reads from and writes to.

    program.pt2     the archive, as `core.pt2` has written it anew
    case_NNN.npz    prepared inputs by name
    more_NNN.npz    the same, which the program need not answer
    graph.onnx      (written) the graph
    answers.npz     (written) "NNN/<output>": what the program answers to a case
    outcome.json    (written) the names of the outputs, or in one line what went wrong

It shares no code with the package, and limits itself before it loads anything, since loading may run code after all.
"""

import json
import resource
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils import _pytree

MEMORY_BYTES = 24 << 30
CPU_S = 900
OPEN_FILES = 256
SPARE_BYTES = 256 << 20


def limit() -> None:
    """What this process may use, from now on."""
    written = 4 * Path("program.pt2").stat().st_size + SPARE_BYTES
    for kind, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, CPU_S),
        (resource.RLIMIT_FSIZE, written),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (allowed, allowed))


def answer_and_export() -> dict[str, Any]:
    """Load, answer the cases, export."""
    program = torch.export.load("program.pt2")
    names = list(program.graph_signature.user_inputs)
    types = {node.name: node.meta["val"].dtype for node in program.graph.nodes if node.op == "placeholder"}
    module, layout = program.module(), program.call_spec.in_spec
    answers: dict[str, Any] = {}
    outputs: list[str] = []
    for case in sorted(Path().glob("*_*.npz")):
        with np.load(case, allow_pickle=False) as prepared:
            leaves = [torch.from_numpy(prepared[name]).to(types[name]) for name in names]
        args, kwargs = _pytree.tree_unflatten(leaves, layout)
        try:
            with torch.inference_mode():
                found = named_outputs(module(*args, **kwargs))
        except Exception:
            if case.stem.startswith("more_"):
                continue
            raise
        named = {f"{name}_output" if name in names else name: tensor for name, tensor in found.items()}
        outputs = list(named)
        answers |= {f"{case.stem.partition('_')[2]}/{name}": plain(tensor) for name, tensor in named.items()}
    np.savez("answers.npz", allow_pickle=False, **answers)
    exported = torch.onnx.export(program, dynamo=True, input_names=names, output_names=outputs, verbose=False)
    assert exported is not None
    exported.save("graph.onnx")
    return {"outputs": outputs, "torch": str(torch.__version__)}


def named_outputs(result: Any, name: str = "") -> dict[str, torch.Tensor]:
    """Every tensor of a result by name, as those of a live module are named."""
    if isinstance(result, torch.Tensor):
        return {name or "output": result}
    items = result.items() if isinstance(result, dict) else ((str(i) if name else f"output_{i}", item) for i, item in enumerate(result))
    found: dict[str, torch.Tensor] = {}
    for key, item in items:
        found |= named_outputs(item, f"{name}_{key}" if name else str(key)) if item is not None else {}
    return found


def plain(tensor: torch.Tensor) -> Any:
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


if __name__ == "__main__":
    limit()
    try:
        outcome = answer_and_export()
    except Exception as error:  # noqa: BLE001  whatever it is, the process that asked tells it
        outcome = {"fault": " ".join(f"{type(error).__name__}: {error}".split())[:300]}
    Path("outcome.json").write_text(json.dumps(outcome))
    sys.exit("fault" in outcome)
