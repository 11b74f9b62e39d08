"""A function as text that stands on its own: its source, and the module-level names it uses, as imports, constants and functions.

What cannot be written down (a live object, a closure, a missing name) is named in the error. torch is refused, because what
answers requests does not have it.
"""

import ast
import builtins
import inspect
import textwrap
import types
from collections.abc import Callable
from typing import Any

from jupyter_mlprod.core.errors import Code, MlprodError

HEAVY = {"torch", "tensorflow", "jax", "mlflow"}
MAX_ELEMENTS = 10_000
CONSTANTS = (bool, int, float, str, bytes, type(None))


def standalone(function: Callable[..., Any]) -> str:
    """Python source that defines ``function`` and everything of its module that it uses.

    Raises
    ------
    MlprodError : ``preprocess`` naming what cannot be carried.
    """
    parts = _Parts()
    _add_function(function, parts)
    imports = sorted(parts.imports)
    pieces = ["\n".join(imports)] if imports else []
    if parts.constants:
        pieces.append("\n".join(f"{name} = {text}" for name, text in sorted(parts.constants.items())))
    return "\n\n\n".join([*pieces, *parts.functions.values()]) + "\n"


class _Parts:
    def __init__(self) -> None:
        self.imports: set[str] = set()
        self.constants: dict[str, str] = {}
        self.functions: dict[str, str] = {}
        self.open: set[str] = set()


def _refuse(what: str, *, hint: str) -> MlprodError:
    return MlprodError(Code.PREPROCESS, what, hint=hint)


def _add_function(function: Any, parts: _Parts) -> None:
    name = getattr(function, "__name__", "")
    if not isinstance(function, types.FunctionType) or name == "<lambda>":
        raise _refuse(f"{name or type(function).__name__} is not a plain function", hint="write it as 'def prepare(batch): …'")
    if function.__closure__:
        raise _refuse(f"{name} closes over {', '.join(function.__code__.co_freevars)}", hint="move those names to the top level of the notebook")
    if name in parts.functions or name in parts.open:
        return
    parts.open.add(name)
    try:
        source = textwrap.dedent(inspect.getsource(function)).rstrip()
    except (OSError, TypeError):
        raise _refuse(f"the source of {name} cannot be found", hint="define it in a cell or in a file") from None
    tree = ast.parse(source)
    for used in sorted(_names_used(tree)):
        if used == name or hasattr(builtins, used):
            continue
        if used not in function.__globals__:
            raise _refuse(f"{name} uses {used!r}, which is not defined", hint=f"define {used!r} before packaging")
        _add_name(used, function.__globals__[used], name, parts)
    for module in _modules_imported(tree):
        _allow(module, name)
    parts.functions[name] = source


def _names_used(tree: ast.AST) -> set[str]:
    """Names that are read, less those that the function itself binds anywhere."""
    read = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    bound = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    bound |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    bound |= {alias.asname or alias.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom) for alias in node.names}
    bound |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    return read - bound


def _modules_imported(tree: ast.AST) -> set[str]:
    found = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return found | {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}


def _allow(module: str, function: str) -> None:
    if module.split(".")[0] in HEAVY:
        raise _refuse(f"{function} imports {module}, which is not there when requests are answered", hint="move that part into the module, where it is exported with the graph")


def _add_name(name: str, value: Any, function: str, parts: _Parts) -> None:
    if isinstance(value, types.ModuleType):
        _allow(value.__name__, function)
        parts.imports.add(f"import {value.__name__}" if value.__name__ == name else f"import {value.__name__} as {name}")
    elif isinstance(value, types.FunctionType) and value.__module__ == "__main__":
        _add_function(value, parts)
    elif getattr(value, "__module__", None) and hasattr(value, "__qualname__") and value.__module__ != "__main__":
        _allow(value.__module__, function)
        own = value.__qualname__
        parts.imports.add(f"from {value.__module__} import {own}" if own == name else f"from {value.__module__} import {own} as {name}")
    elif (text := _constant(value)) is not None:
        parts.constants[name] = text
        if text.startswith("numpy."):
            parts.imports.add("import numpy")
    else:
        raise _refuse(f"{function} uses {name!r}, a {type(value).__name__} that cannot be written down", hint="turn it into numbers, strings, lists, dicts or a numpy array")


def _constant(value: Any) -> str | None:
    """The value as an expression, or None when it has none."""
    if isinstance(value, CONSTANTS):
        return f"float({str(value)!r})" if isinstance(value, float) and value - value != 0 else repr(value)
    if isinstance(value, list | tuple | set | dict):
        items = [x for pair in value.items() for x in pair] if isinstance(value, dict) else list(value)
        texts = [_constant(item) for item in items]
        if any(text is None or text.startswith("numpy.") for text in texts) or len(items) > MAX_ELEMENTS:
            return None
        return f"set({sorted(value, key=repr)!r})" if isinstance(value, set) else repr(value)
    kind = getattr(value, "dtype", None)
    if kind is not None and type(value).__module__ == "numpy" and kind.kind in "fiubU" and value.size <= MAX_ELEMENTS:
        return f"numpy.array({_numbers(value.tolist())}, dtype={kind.str!r})"
    return None


def _numbers(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_numbers(item) for item in value) + "]"
    return f"float({str(value)!r})" if isinstance(value, float) and value - value != 0 else repr(value)
