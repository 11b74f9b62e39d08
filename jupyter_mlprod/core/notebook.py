"""Notebook: the .ipynb under release. Its digest covers the code cells, their order and tags, and nothing that an editor or a run changes.

Parameters are read from the cell tagged ``parameters`` by ``ast``, so a name or a type is known before anything runs.
"""

import ast
import difflib
import json
import math
from typing import Any

import msgspec

from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.record import Record, digest_bytes
from jupyter_mlprod.core.strict_json import strict_json


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """One assignment of the parameters cell: name, type name (of the annotation, else of the default), default as source."""

    name: str
    type: str
    default: str


class Notebook(Record, frozen=True, kw_only=True, tag="notebook/1"):
    """What will be run: file name, digest of each code cell with its tags, parameters, language of the kernel."""

    name: str
    kernel: str
    cells: tuple[str, ...]
    parameters: tuple[Parameter, ...] = ()


TYPES: dict[str, type | tuple[type, ...]] = {
    "int": int,
    "float": (int, float),
    "bool": bool,
    "str": str,
    "list": list,
    "tuple": (list, tuple),
    "dict": dict,
}


def read_notebook(text: str, *, name: str) -> Notebook:
    """Parse an .ipynb.

    Raises
    ------
    MlprodError : ``bad-notebook`` when it is not JSON of one reading, not nbformat 4, or has no code cell.
    """
    try:
        document = strict_json(text)
    except ValueError as error:
        raise MlprodError(Code.BAD_NOTEBOOK, f"{name} is not JSON: {error}", hint="open and save it in JupyterLab") from None
    cells = document.get("cells") if isinstance(document, dict) else None
    if not isinstance(cells, list) or document.get("nbformat") != 4 or not all(isinstance(cell, dict) for cell in cells):
        raise MlprodError(Code.BAD_NOTEBOOK, f"{name} is not a version 4 notebook", hint="open and save it in JupyterLab")
    code = [cell for cell in cells if cell.get("cell_type") == "code" and source_of(cell).strip()]
    if not code:
        raise MlprodError(Code.BAD_NOTEBOOK, f"{name} has no code cell, so a run would prove nothing")
    tagged = [cell for cell in code if "parameters" in tags_of(cell)]
    if len(tagged) > 1:
        raise MlprodError(Code.BAD_NOTEBOOK, f"{name} has {len(tagged)} cells tagged 'parameters'; keep one")
    spec = _mapping(_mapping(document.get("metadata")).get("kernelspec"))
    return Notebook(
        name=name,
        kernel=str(spec.get("name", "python3")),
        cells=tuple(digest_bytes(json.dumps([source_of(c), sorted(tags_of(c))]).encode("utf-8", "surrogatepass")) for c in code),
        parameters=parameters_of(source_of(tagged[0]), name=name) if tagged else (),
    )


def source_of(cell: dict[str, Any]) -> str:
    source = cell.get("source", "")
    return "".join(map(str, source)) if isinstance(source, list) else str(source or "")


def tags_of(cell: dict[str, Any]) -> list[str]:
    tags = _mapping(cell.get("metadata")).get("tags")
    return [str(tag) for tag in tags] if isinstance(tags, list) else []


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def parameters_of(source: str, *, name: str) -> tuple[Parameter, ...]:
    """The plain assignments of a parameters cell, in order."""
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise MlprodError(Code.BAD_NOTEBOOK, f"{name}: the parameters cell does not parse: {error.msg} (line {error.lineno})") from None
    except (ValueError, RecursionError, MemoryError) as error:  # a lone surrogate; nesting too deep for the parser
        raise MlprodError(Code.BAD_NOTEBOOK, f"{name}: the parameters cell does not parse: {type(error).__name__}") from None
    found: dict[str, Parameter] = {}
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=key)], value=value):
                found[key] = Parameter(name=key, type=_type_of(value), default=ast.unparse(value))
            case ast.AnnAssign(target=ast.Name(id=key), annotation=annotation, value=value) if value is not None:
                found[key] = Parameter(name=key, type=ast.unparse(annotation).strip("'\"").split("[")[0], default=ast.unparse(value))
    return tuple(found.values())


def _type_of(value: ast.expr) -> str:
    try:
        return type(ast.literal_eval(value)).__name__
    except (ValueError, TypeError):  # no literal; a literal such as {[]: 1} that has no value
        return ""


def typed_parameters(notebook: Notebook, given: dict[str, str]) -> dict[str, Any]:
    """Turn ``-p name value`` text into values of the types that the notebook declares.

    Raises
    ------
    MlprodError : ``bad-parameter`` naming every unknown or ill-typed parameter at once.
    """
    known = {parameter.name: parameter for parameter in notebook.parameters}
    values: dict[str, Any] = {}
    faults: list[str] = []
    for key, text in given.items():
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            has = f"it has {', '.join(known)}" if known else "it has no cell tagged 'parameters'"
            faults.append(f"{notebook.name} has no parameter {key!r}" + (f": did you mean {close[0]!r}?" if close else f"; {has}"))
            continue
        try:
            values[key] = _typed(text, known[key].type)
        except ValueError:
            faults.append(f"parameter {key!r} is {known[key].type} (default {known[key].default}), got {text!r}")
    if faults:
        raise MlprodError(Code.BAD_PARAMETER, "; ".join(faults), hint=f"the parameters are in the tagged cell of {notebook.name}")
    return values


def _typed(text: str, type_name: str) -> Any:
    if type_name == "str":
        return text
    if type_name == "bool" and text in ("True", "False"):
        return text == "True"
    try:
        value = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deep") from None
    except json.JSONDecodeError:
        if type_name in TYPES:
            raise ValueError(text) from None
        return text
    wanted = TYPES.get(type_name)
    if wanted is None:
        return value
    if not isinstance(value, wanted) or (isinstance(value, bool) and type_name != "bool"):
        raise ValueError(text)
    return _finite(str(value)) if type_name == "float" else value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not finite")
    return value


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is not a parameter value")
