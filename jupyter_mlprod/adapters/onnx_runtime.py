"""ONNX Runtime behind the ports `Runtimes` and `Runtime`: a bundle folder that answers.

Order of an answer: contract, preprocessing, graph, decision. The preprocessing is executed from the bundle's own text, in a namespace of
its own, never from what a notebook happens to hold. Run as a module it answers one golden row: that is how cold start is measured.
"""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
import onnxruntime as ort

from jupyter_mlprod.core.answer import Ends, decide, final_outputs, graph_inputs, serving_view
from jupyter_mlprod.core.bundle import GOLDEN_INPUTS, GRAPH, MANIFEST, POSTPROCESS, PREPROCESS, Bundle
from jupyter_mlprod.core.conformance import demand
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.graph import GRAPH_TYPES
from jupyter_mlprod.core.raw import Array, Raw, rows, with_nulls
from jupyter_mlprod.core.source import load_function

COLD_START_LIMIT_S = 120


class OnnxRuntimes:
    """Port `Runtimes`, on the CPU."""

    def open(self, folder: Path, bundle: Bundle, *, threads: int) -> "OnnxRuntime":
        return OnnxRuntime(folder, bundle, threads=threads)

    def cold_start_ms(self, folder: Path) -> float:
        """Wall time from the start of a fresh process to its first answer."""
        command = [sys.executable, "-m", __spec__.name, str(folder)]
        begin = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:  # noqa: S603  our own interpreter
            assert child.stdout is not None
            line = child.stdout.readline()
            elapsed = 1000 * (time.perf_counter() - begin)
            _, errors = child.communicate(timeout=COLD_START_LIMIT_S)
        if line.strip() != "answered":
            raise MlprodError(Code.BAD_MODEL, f"a fresh process could not answer: {errors.strip().splitlines()[-1:] or line!r}")
        return elapsed

    def context(self) -> dict[str, str]:
        return {"onnxruntime": ort.__version__, "provider": "CPUExecutionProvider"}


class OnnxRuntime:
    """Port `Runtime`: one session over one bundle folder."""

    def __init__(self, folder: Path, bundle: Bundle, *, threads: int) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self.session = ort.InferenceSession(str(folder / GRAPH), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # noqa: BLE001  onnxruntime raises C++ classes of its own, without a public common base
            raise MlprodError(Code.BAD_MODEL, f"ONNX Runtime cannot load {GRAPH}: {' '.join(str(error).split())[:300]}") from None
        self.bundle = bundle
        self.inputs = {entry.name: GRAPH_TYPES.get(entry.type, np.float32) for entry in self.session.get_inputs()}
        self.given = [entry.name for entry in self.session.get_outputs()]
        self.ends = Ends(
            preprocess=load_function(folder / PREPROCESS, bundle.preprocess) if bundle.preprocess else None,
            postprocess=load_function(folder / POSTPROCESS, bundle.postprocess) if bundle.postprocess else None,
            normalization=bundle.normalization or {},
        )

    def answer(self, raw: Raw) -> dict[str, Array]:
        """Raw rows to answers.

        Raises
        ------
        MlprodError : ``contract-violation`` naming every field that breaks the contract; nothing is computed then. ``preprocess`` when
            the preprocessing fails on these rows.
        """
        demand(self.bundle.contract, raw, name=self.bundle.name)
        outputs = self.outputs(raw)
        odd = next((len(array) if array.ndim else 0 for array in outputs.values() if not array.ndim or len(array) != rows(raw)), None)
        if odd is not None:
            what = f"{rows(raw)} rows went in and {odd} answers came out"
            raise MlprodError(Code.PREPROCESS, what, hint="what stands before and behind the graph may drop or add no row")
        return decide(self.bundle, outputs)

    def outputs(self, raw: Raw) -> dict[str, Array]:
        """The contract's outputs, without contract and decision."""
        return final_outputs(self.ends, self.graph(self.prepare(raw)), tell=False)

    def prepare(self, raw: Raw) -> dict[str, Array]:
        """What the graph takes, from the raw batch, by the bundle's own preprocessing."""
        return graph_inputs(self.ends, serving_view(self.bundle.contract, raw), list(self.inputs), tell=False)

    def graph(self, prepared: Mapping[str, Array]) -> dict[str, Array]:
        try:
            feed: dict[str, Array] = {name: np.ascontiguousarray(prepared[name], dtype=kind) for name, kind in self.inputs.items()}
            answers = self.session.run(None, feed)
        except Exception as error:
            shapes = ", ".join(f"{name} {np.shape(array)}" for name, array in prepared.items())
            raise MlprodError(
                Code.PREPROCESS, f"the graph does not take what was prepared: {shapes}", hint="try it on these rows"
            ) from error
        return dict(zip(self.given, answers, strict=True))


def _answer_one_golden_row(folder: Path) -> None:
    """What a fresh process does to answer for the first time."""
    bundle = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Bundle)
    runtime = OnnxRuntime(folder, bundle, threads=1)
    with np.load(folder / GOLDEN_INPUTS, allow_pickle=False) as golden:
        row = with_nulls({name: golden[name][:1] for name in golden.files})
    runtime.answer(row)
    sys.stdout.write("answered\n")
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    _answer_one_golden_row(Path(sys.argv[1]))
