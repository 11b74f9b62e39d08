"""What torch's tracing says of a module: why it cannot be exported, the sizes at which it takes another path, and the line of either.

Programs and errors are read by their fields and words, without torch. A line is the user's when it lies in none of the libraries given.
"""

import re
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from jupyter_mlprod.core.errors import Code, MlprodError

OPERATOR = re.compile(r"OpOverload\(op='([\w.]+)', overload='(\w+)'\)")
NODE = re.compile(r"\[target=torch\.ops\.(\w+\.\w+)")
FIXED = re.compile(r"inferred a static shape of (\d+) for dimension inputs\['tensors'\]\[(\d+)\]\.shape\[(\d+)\]")
RAISED_AT = re.compile(r'File "([^"]+)", line (\d+), in \w+\n\s*([^\n]+)')
UNTOLD = "a line that torch does not tell"
GREATEST = 1 << 31
"""A bound from here on is one of the machine's integers, and no path of the module."""
SPECIAL = 2
"""Tracing takes sizes of 0 and 1 for special ones; a lower bound up to here is its own."""


class Bound(msgspec.Struct, frozen=True, kw_only=True):
    """The last size at which a program is still what was traced: ``beyond`` is the first one behind it.

    Attributes
    ----------
    input, axis, dimension : where it holds, and the name of the dimension there
    place : ``file:line: source`` of the user's line that it comes from; empty when it comes from an operator
    """

    input: str
    axis: int
    dimension: str
    limit: int
    beyond: int
    place: str

    @property
    def words(self) -> str:
        return f"{self.dimension!r} of its input {self.input!r} {'above' if self.beyond > self.limit else 'below'} {self.limit}"


def bounds_of(program: Any, shapes: Mapping[str, tuple[int | str, ...]], *, libraries: tuple[str, ...]) -> list[Bound]:
    """The bounds that tracing has put on the dimensions with a name.

    Parameters
    ----------
    program : a ``torch.export.ExportedProgram``
    shapes : of its inputs, in their order
    """
    nodes = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    found: dict[tuple[str, int], Bound] = {}
    for name, user_input in zip(shapes, program.graph_signature.user_inputs, strict=True):
        for axis, dimension in enumerate(shapes[name]):
            size: Any = getattr(nodes[user_input].meta["val"].shape[axis], "node", None)
            if size is None or not isinstance(dimension, str) or size.expr not in program.range_constraints:
                continue
            span = program.range_constraints[size.expr]
            origin = getattr(size.shape_env, "var_to_range_sloc", {}).get(size.expr)
            for limit, step, line in (
                (span.upper, 1, getattr(origin, "upper", None)),
                (span.lower, -1, getattr(origin, "lower", None)),
            ):
                if limit < GREATEST if step > 0 else limit > SPECIAL:
                    place = _place_of(line, libraries)
                    bound = Bound(input=name, axis=axis, dimension=dimension, limit=int(limit), beyond=int(limit) + step, place=place)
                    found.setdefault((dimension, step), bound)
    return list(found.values())


def _place_of(line: Any, libraries: tuple[str, ...]) -> str:
    """Where a bound comes from, if that is a line of the user's; torch keeps a frame, or in words the line and where it stands."""
    frame = getattr(line, "framework_loc", None)
    if isinstance(frame, traceback.FrameSummary) and not frame.filename.startswith(libraries):
        return _shown(frame.filename, frame.lineno, frame.line)
    source, there, where = (getattr(line, "maybe_user_loc", None) or "").rpartition("  # ")
    return f"{Path(where.partition(' in ')[0]).name}: {source.strip()[:120]}" if there else ""


def refusal(error: Exception, shapes: Mapping[str, tuple[int | str, ...]], *, libraries: tuple[str, ...]) -> MlprodError:
    """Why a module cannot be exported: the operator that ONNX lacks, the size that it fixes, or the line at which tracing ended."""
    chain: list[BaseException] = [error]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    cause, text = chain[-1], str(chain[-1])
    if operator := OPERATOR.search(text):
        name = ".".join(operator.groups()).removesuffix(".default")
        return MlprodError(
            Code.BAD_MODEL, f"the operator {name} has no form in ONNX", hint="compute it in another way, or in --postprocess"
        )
    if fixed := FIXED.search(text):
        name, shape = list(shapes.items())[int(fixed[2])]
        what = f"forward works at one size alone: {shape[int(fixed[3])]!r} of its input {name!r} may vary, and it asks for {fixed[1]}"
        return MlprodError(Code.BAD_MODEL, what, hint="take sizes from the tensors' shape, and put no size of the example into forward")
    place = _user_line(cause, text, libraries)
    if "data-dependent" in text:
        what = f"what forward does depends on values of its input, at {place or UNTOLD}"
        return MlprodError(Code.BAD_MODEL, what, hint="use torch.where or torch.cond, or move the branch into --preprocess")
    node = next((found[1] for link in reversed(chain) if (found := NODE.search(str(link)))), "")
    if not place and node:
        what = f"the operator {node} has no form in ONNX as it is used: {one_line(cause)}"
        return MlprodError(Code.BAD_MODEL, what, hint="compute it in another way, or in --postprocess")
    what = f"torch.onnx.export: {one_line(cause)} (at {place or UNTOLD})"
    return MlprodError(Code.BAD_MODEL, what, hint="rewrite that line with torch operators")


def _user_line(error: BaseException, text: str, libraries: tuple[str, ...]) -> str:
    """``file:line: source`` of the last line that is not a library's, or nothing."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(libraries)]
    if frames:
        return _shown(frames[-1].filename, frames[-1].lineno, frames[-1].line)
    told = [found for found in RAISED_AT.findall(text) if not found[0].startswith(libraries)]
    return _shown(*told[0]) if told else ""


def _shown(file: str, line: Any, source: str | None) -> str:
    return f"{Path(file).name}:{line}: {(source or '').strip()[:120]}"


def one_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]
