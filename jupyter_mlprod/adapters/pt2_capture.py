"""A ``.pt2`` program as a capture. It is looked into first (`core.pt2`), then loaded in a child process with limits (`pt2_child`).

Preprocessing and postprocessing run here, so the child sees no code of the user; of the child nothing is read but arrays without objects,
a graph, and one JSON document.
"""

import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
from google.protobuf.message import DecodeError

from jupyter_mlprod.core.answer import Ends, final_outputs, graph_inputs
from jupyter_mlprod.core.capture import Capture, write_capture
from jupyter_mlprod.core.cast import cast
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.graph import packed
from jupyter_mlprod.core.pt2 import Program, read_program
from jupyter_mlprod.core.raw import Array, Raw
from jupyter_mlprod.core.subject import names_file
from jupyter_mlprod.core.tracing import SPECIAL
from jupyter_mlprod.core.trial import BATCH, Shapes, Trial, ask_further, beyond, taken, trials

CHILD = Path(__file__).with_name("pt2_child.py")
PATIENCE_S = 1200


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What the child says of itself."""

    outputs: tuple[str, ...] = ()
    torch: str = ""
    fault: str = ""


class Pt2Capture:
    """Captures ``.pt2`` files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def capture(self, source: str, example: Raw, ends: Ends, *, shapes: Shapes) -> Path:
        """Look into the file, and let a child process answer and export.

        Raises
        ------
        MlprodError : ``bad-model`` with what in the file is refused, or why the child could not do it.
        """
        if not names_file(source):
            raise MlprodError(Code.BAD_MODEL, f"no model file {source!r}")
        work = self.folder / f"pt2-{uuid.uuid4().hex[:12]}"
        try:
            work.mkdir(parents=True)
            program = read_program(Path(source), work / "program.pt2")

            def prepared(trial: Trial) -> dict[str, Array]:
                given = graph_inputs(ends, taken(trial, example, shapes), list(program.shapes), tell=True)
                return {name: cast(name, array, program.types[name], tell=True) for name, array in given.items()}

            cases = {trial: prepared(trial) for trial in trials(example, shapes)}
            more, refused = ask_further(example, shapes, lambda trial: _within(program, prepared(trial)))
            for number, (trial, given) in enumerate({**more, **cases}.items()):
                np.savez(work / f"{'more' if trial in more else 'case'}_{number:03}.npz", allow_pickle=False, **given)
            outcome = _run(work, Path(source).name)
            refused += _ends(program, example, shapes)
            return self._written(work, program, outcome, ends, (list(more), list(cases)), refused)
        except OSError as error:
            raise MlprodError(Code.DISK, f"{work} could not be written: {error.strerror or error}", hint="free space or rights") from error
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _written(
        self, work: Path, program: Program, outcome: Outcome, ends: Ends, asked: tuple[list[Trial], list[Trial]], refused: tuple[Trial, ...]
    ) -> Path:
        more, cases = asked
        try:
            with np.load(work / "answers.npz", allow_pickle=False) as answers:
                numbers = {trial: number for number, trial in enumerate((*more, *cases))}
                silent = [trial for trial in more if f"{numbers[trial]:03}/{outcome.outputs[0]}" not in answers.files]
                given = {
                    trial: {name: answers[f"{number:03}/{name}"] for name in outcome.outputs}
                    for trial, number in numbers.items()
                    if trial not in silent
                }
            model = onnx.load(str(work / "graph.onnx"))
        except (OSError, ValueError, KeyError, IndexError, DecodeError, onnx.checker.ValidationError) as error:
            reason = " ".join(str(error).split())[:200]
            raise MlprodError(Code.BAD_MODEL, f"the process that loaded the file left something unreadable behind: {reason}") from error
        final = {trial: final_outputs(ends, named, tell=True) for trial, named in given.items()}
        reference = {f"{trial.key}/{name}": array for trial, named in final.items() for name, array in named.items()}
        capture = Capture(
            original="pt2",
            versions={"torch": outcome.torch},
            inputs=tuple(program.shapes),
            outputs=tuple(final[cases[-1]]),
            shapes=program.shapes,
            further=tuple(trial for trial in more if trial in final),
            refused=(*refused, *silent),
        )
        graph, data = packed(model)
        return write_capture(self.folder / uuid.uuid4().hex[:12], capture, graph=graph, reference=reference, data=data)


def _within(program: Program, prepared: dict[str, Array]) -> dict[str, Array]:
    """What is prepared, if its sizes are in the program's ranges: the child does not ask, since guards are code and left out."""
    for name, array in prepared.items():
        for dimension, size in zip(program.shapes[name], array.shape, strict=False):
            least, most = program.ranges.get(str(dimension), (0, None))
            if not (least <= SPECIAL or least <= size) or (most is not None and size > most):
                raise MlprodError(Code.BAD_MODEL, f"the program takes no {dimension} of {size}")
    return prepared


def _ends(program: Program, example: Raw, shapes: Shapes) -> tuple[Trial, ...]:
    """The first trials at which the program, by the ranges in it, does not answer, for dimensions that the contract lets vary."""
    found: dict[Trial, None] = {}
    for name, shape in program.shapes.items():
        for axis, dimension in enumerate(shape):
            declared = BATCH if axis == 0 else shapes.get(name, ())[axis : axis + 1] or ("",)
            wanted = declared if isinstance(declared, str) else str(declared[0])
            most = program.ranges.get(str(dimension), (0, None))[1]
            trial = beyond(wanted, most + 1, example, shapes, seen=most) if most is not None else None
            if trial is not None:
                found[trial] = None
    return tuple(found)


def _run(work: Path, name: str) -> Outcome:
    """Let the child do it: no modules from the working folder or the user's, no environment, no input."""
    environ: dict[str, Any] = {"PATH": os.environ.get("PATH", ""), "HOME": str(work), "TMPDIR": str(work), "LANG": "C.UTF-8"}
    command = [sys.executable, "-I", "-W", "ignore", str(CHILD)]
    try:
        done = subprocess.run(  # noqa: S603  our own interpreter and file
            command, cwd=work, env=environ, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise MlprodError(Code.BAD_MODEL, f"{name} was not exported within {PATIENCE_S} seconds") from None
    try:
        outcome = msgspec.json.decode((work / "outcome.json").read_bytes(), type=Outcome)
    except (OSError, msgspec.DecodeError) as error:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or [f"it ended with status {done.returncode}"]
        raise MlprodError(Code.BAD_MODEL, f"{name}: the process that loads it broke off: {last[0][:200]}") from error
    if outcome.fault or done.returncode:
        raise MlprodError(Code.BAD_MODEL, f"{name} cannot be exported: {outcome.fault}", hint="load it yourself and export .onnx")
    return outcome
