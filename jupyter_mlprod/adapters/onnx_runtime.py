"""ONNX Runtime behind the ports `Runtimes` and `Runtime`: a bundle folder that answers.

Order of an answer: contract, preprocessing, graph, decision. The preprocessing is executed from the bundle's own text, in a namespace of
its own, never from what a notebook happens to hold. Run as a module it answers golden samples in a process that has seen no notebook: one
row to measure the cold start, all of them to prove that the code in the bundle stands on its own. What that code prints goes to standard
error there, since standard output carries the report.
"""

import datetime
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import msgspec
import numpy as np
import onnxruntime as ort

from jupyter_mlprod.core.admission import Admission, Admitted
from jupyter_mlprod.core.answer import LABEL, Ends, decide, demand_scores, final_outputs, graph_inputs, serving_view
from jupyter_mlprod.core.bundle import GOLDEN_ANSWERS, GOLDEN_INPUTS, GRAPH, MANIFEST, POSTPROCESS, PREPROCESS, Bundle
from jupyter_mlprod.core.cast import cast
from jupyter_mlprod.core.difference import row_gaps, units_of
from jupyter_mlprod.core.enclosure import enclose
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.execute import load_function
from jupyter_mlprod.core.graph import input_types
from jupyter_mlprod.core.promises import Promises
from jupyter_mlprod.core.raw import Array, Raw, part, with_nulls

COLD_START_LIMIT_S = 120
REPLAY_LIMIT_S = 120
REPLAY_TOLERANCE = 1e-6
"""In the units of `core.difference`: the same bytes on the same machine, so only rounding may differ."""
KEPT_VARIABLES = {"PATH", "HOME", "USERPROFILE", "SYSTEMROOT", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH"}
"""``HOME`` finds what was installed for this user alone; before the bundle's code runs it becomes the empty folder."""
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
"""What a model hub would bring is not in the bundle."""
SAME = b"same"


class OnnxRuntimes:
    """Port `Runtimes`, on the CPU."""

    def open(self, folder: Path, bundle: Bundle, *, threads: int) -> "OnnxRuntime":
        return OnnxRuntime(folder, bundle, threads=threads)

    def cold_start_ms(self, folder: Path) -> float:
        """Wall time from the start of a fresh process to its first answer."""
        command = [sys.executable, "-m", __spec__.name, "start", str(folder)]
        with tempfile.TemporaryFile() as errors:  # a pipe that nobody reads would stop a child that prints much
            begin = time.perf_counter()
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as child:  # noqa: S603  our own interpreter
                assert child.stdout is not None
                line = child.stdout.readline()
                elapsed = 1000 * (time.perf_counter() - begin)
                child.wait(timeout=COLD_START_LIMIT_S)
            if line.strip() != "answered":
                raise MlprodError(Code.BAD_MODEL, f"a fresh process could not answer: {_last_line(errors) or line!r}")
        return elapsed

    def replay(self, folder: Path, bundle: Bundle) -> str:
        """Let a process that has seen no notebook answer the golden samples.

        It has an empty working folder and home, few variables of the environment, and no PYTHONPATH; see `core.enclosure`.

        Parameters
        ----------
        folder : a bundle, or one that is being staged: graph, code and golden samples are needed, no manifest

        Returns
        -------
        What went wrong there, in one line; empty when it gave the golden answers.
        """
        command = [sys.executable, "-E", "-P", "-m", __spec__.name, "replay", str(folder.resolve())]
        environ = {name: value for name, value in os.environ.items() if name in KEPT_VARIABLES} | OFFLINE
        with tempfile.TemporaryDirectory(prefix="mlprod-replay-") as empty, tempfile.TemporaryFile() as errors:
            try:
                child = subprocess.run(  # noqa: S603  our own interpreter
                    command, input=msgspec.json.encode(bundle), stdout=subprocess.PIPE, stderr=errors, cwd=empty, env=environ,
                    timeout=REPLAY_LIMIT_S, check=False,
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                return f"there was no answer within {REPLAY_LIMIT_S} s"
            if child.returncode or not child.stdout:
                return f"it ended with status {child.returncode}: {_last_line(errors)}"
        return "" if child.stdout == SAME else child.stdout.decode()

    def context(self) -> dict[str, str]:
        return {"onnxruntime": ort.__version__, "provider": "CPUExecutionProvider"}


class OnnxRuntime:
    """Port `Runtime`: one session over one bundle folder. ``admission.counts`` tells what requests have broken so far."""

    def __init__(self, folder: Path, bundle: Bundle, *, threads: int, tell: bool = False) -> None:
        """``tell`` says whether an exception of the bundle's code may be quoted; it may hold a value of the data."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self.session = ort.InferenceSession(str(folder / GRAPH), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # noqa: BLE001  onnxruntime raises C++ classes of its own, without a public common base
            raise MlprodError(Code.BAD_MODEL, f"ONNX Runtime cannot load {GRAPH}: {' '.join(str(error).split())[:300]}") from None
        self.bundle = bundle
        self.tell = tell
        self.admission = Admission(bundle.contract)
        self.promises = Promises(bundle.contract)
        self.inputs = input_types(self.session.get_inputs(), what=GRAPH)
        self.given = [entry.name for entry in self.session.get_outputs()]
        self.ends = Ends(
            preprocess=load_function(folder / PREPROCESS, bundle.preprocess) if bundle.preprocess else None,
            postprocess=load_function(folder / POSTPROCESS, bundle.postprocess, code=Code.POSTPROCESS) if bundle.postprocess else None,
            normalization=bundle.normalization or {},
        )

    def answer(self, raw: Raw | bytes | Admitted, *, now: datetime.datetime | None = None) -> dict[str, Array]:
        """Raw rows, or records as JSON, to answers; with ``imputed`` and ``passed`` where the contract allows anything to be either.

        Parameters
        ----------
        raw : a request; or rows that have been admitted, which are not judged again
        now : aware; without it no age is judged of which the rows do not say when they were used

        Raises
        ------
        MlprodError : ``contract-violation`` or ``more-needed`` naming every field that breaks the contract; nothing is computed then.
            ``preprocess`` when the preprocessing fails on these rows, ``no-answer`` when the scores of a row are none, or an output is
            not what the contract promises.
        """
        admitted = raw if isinstance(raw, Admitted) else self.admission.admit(raw, name=self.bundle.name, now=now)
        outputs = self.outputs(admitted.raw)
        n = admitted.rows
        odd = next((len(array) if array.ndim else 0 for array in outputs.values() if not array.ndim or len(array) != n), None)
        if odd is not None:
            what = f"{n} rows went in and {odd} answers came out"
            raise MlprodError(Code.PREPROCESS, what, hint="what stands before and behind the graph may drop or add no row")
        demand_scores(self.bundle, outputs)
        self.promises.demand(outputs, name=self.bundle.name)
        answers = decide(self.bundle, outputs)
        return answers | admitted.marks() if self.admission.marking else answers

    def outputs(self, raw: Raw) -> dict[str, Array]:
        """The contract's outputs, without contract and decision."""
        return final_outputs(self.ends, self.graph(self.prepare(raw)), tell=self.tell)

    def prepare(self, raw: Raw) -> dict[str, Array]:
        """What the graph takes, from the raw batch, by the bundle's own preprocessing."""
        return graph_inputs(self.ends, serving_view(self.bundle.contract, raw), list(self.inputs), tell=self.tell)

    def graph(self, prepared: Mapping[str, Array]) -> dict[str, Array]:
        feed = {name: cast(name, np.asarray(prepared[name]), kind, tell=self.tell) for name, kind in self.inputs.items()}
        try:
            answers = self.session.run(None, feed)
        except Exception as error:
            shapes = ", ".join(f"{name} {np.shape(array)}" for name, array in prepared.items())
            raise MlprodError(
                Code.PREPROCESS, f"the graph does not take what was prepared: {shapes}", hint="try it on these rows"
            ) from error
        return dict(zip(self.given, answers, strict=True))


def _last_line(errors: IO[bytes]) -> str:
    errors.seek(0)
    lines = errors.read().decode(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else ""


def _report_stream() -> IO[bytes]:
    """Standard output for the report alone: from here on, whatever else is printed goes to standard error."""
    report = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    return report


def _golden(file: Path) -> dict[str, Array]:
    with np.load(file, allow_pickle=False) as golden:
        return with_nulls({name: golden[name] for name in golden.files})


def _answer_one_golden_row(folder: Path) -> None:
    """What a fresh process does to answer for the first time."""
    report = _report_stream()
    bundle = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Bundle)
    runtime = OnnxRuntime(folder, bundle, threads=1)
    runtime.answer(part(_golden(folder / GOLDEN_INPUTS), 0, 1))
    report.write(b"answered\n")
    os._exit(0)


def _replay(folder: Path) -> None:
    """Answer the golden samples, and report ``same`` or what was different; the bundle comes on standard input."""
    report = _report_stream()
    bundle = msgspec.json.decode(sys.stdin.buffer.read(), type=Bundle)
    golden = _golden(folder / GOLDEN_ANSWERS)
    inputs = _golden(folder / GOLDEN_INPUTS)
    enclose(folder)
    try:
        found = OnnxRuntime(folder, bundle, threads=1, tell=True).outputs(inputs)
        report.write(_difference(bundle, found, golden).encode(errors="replace") or SAME)
    except MlprodError as error:
        report.write(error.message.encode(errors="replace"))
    os._exit(0)


def _difference(bundle: Bundle, found: Mapping[str, Array], golden: Mapping[str, Array]) -> str:
    """How answers differ from the golden ones, in one line; empty when they do not."""
    if set(found) != set(golden):
        return f"it answers {', '.join(sorted(found))} where {', '.join(sorted(golden))} were answered"
    for name, wanted in golden.items():
        if found[name].shape != wanted.shape:
            return f"{name!r} has shape {found[name].shape} where it had {wanted.shape}"
        gap = float(row_gaps(found[name], wanted, units_of([wanted])).max(initial=0.0))
        if not gap <= REPLAY_TOLERANCE:
            return f"the answers differ: {name!r} by {gap:g}, allowed is {REPLAY_TOLERANCE:g}"
    ours, theirs = decide(bundle, found), decide(bundle, golden)
    return "the labels differ" if bundle.labels and not np.array_equal(ours[LABEL], theirs[LABEL]) else ""


if __name__ == "__main__":
    {"start": _answer_one_golden_row, "replay": _replay}[sys.argv[1]](Path(sys.argv[2]))
