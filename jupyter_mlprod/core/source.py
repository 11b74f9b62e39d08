"""A function as text that stands on its own: its source, and the module-level names it uses, as imports, constants and functions.

What cannot be written down (a live object, a closure, a missing name) is named in the error. torch is refused, because what
answers requests does not have it.
"""

import ast
import builtins
import inspect
import symtable
import sys
import textwrap
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jupyter_mlprod.core.errors import Code, MlprodError

HEAVY = {"torch", "tensorflow", "jax", "mlflow"}
MAX_ELEMENTS = 10_000
CONSTANTS = (bool, int, float, str, bytes, type(None))
CONTAINERS = (list, tuple, set, dict)
SHELL = {"open", "exit", "quit"}
"""IPython puts functions of its own by these names beside the builtins."""


def standalone(function: Callable[..., Any]) -> str:
    """Python source that defines ``function`` and everything of its module that it uses.

    Raises
    ------
    MlprodError : ``preprocess`` naming what cannot be carried.
    """
    parts = _Parts(home=getattr(function, "__module__", "__main__"))
    _add_function(function, parts)
    imports = sorted(parts.imports)
    pieces = ["\n".join(imports)] if imports else []
    if parts.constants:
        pieces.append("\n".join(f"{name} = {text}" for name, text in sorted(parts.constants.items())))
    return "\n\n\n".join([*pieces, *parts.functions.values()]) + "\n"


class _Parts:
    def __init__(self, *, home: str) -> None:
        self.home = home
        self.imports: set[str] = set()
        self.constants: dict[str, str] = {}
        self.functions: dict[str, str] = {}
        self.taken: dict[str, Any] = {}


def _refuse(what: str, *, hint: str) -> MlprodError:
    return MlprodError(Code.PREPROCESS, what, hint=hint)


def _add_function(function: Any, parts: _Parts) -> None:
    name = getattr(function, "__name__", "")
    if not isinstance(function, types.FunctionType) or name == "<lambda>":
        raise _refuse(f"{name or type(function).__name__} is not a plain function", hint="write it as 'def prepare(batch): …'")
    if function.__closure__:
        raise _refuse(
            f"{name} closes over {', '.join(function.__code__.co_freevars)}", hint="move those names to the top level of the notebook"
        )
    if name in parts.taken:
        if parts.taken[name] is function:
            return
        raise _refuse(f"two functions are named {name!r}", hint="rename one of them")
    parts.taken[name] = function
    try:
        source = textwrap.dedent(inspect.getsource(function)).rstrip()
    except (OSError, TypeError):
        raise _refuse(f"the source of {name} cannot be found", hint="define it in a cell or in a file") from None
    tree = ast.parse(source)
    names = _names_used(source)
    for used in sorted(names):
        if used == name or _is_builtin(used, function.__globals__):
            continue
        if used not in function.__globals__:
            raise _refuse(f"{name} uses {used!r}, which is not defined", hint=f"define {used!r} before packaging")
        _add_name(used, function.__globals__[used], name, parts)
    for module in _modules_imported(tree):
        _allow(module, name)
    for dotted in _dotted(tree, names):
        if dotted in sys.modules:  # a submodule such as PIL.Image, which "import PIL" would not bring
            _allow(dotted, name)
            parts.imports.add(f"import {dotted}")
    parts.functions[name] = source


def _names_used(source: str) -> set[str]:
    """Global names that are read in the function, in its defaults and decorators, and in the functions inside it."""
    names: set[str] = set()
    tables = [symtable.symtable(source, "<function>", "exec")]
    while tables:
        table = tables.pop()
        names |= {symbol.get_name() for symbol in table.get_symbols() if symbol.is_global() and symbol.is_referenced()}
        tables += table.get_children()
    return names


def _is_builtin(name: str, namespace: dict[str, Any]) -> bool:
    """Whether a name means the builtin, which nothing of the notebook shadows."""
    return hasattr(builtins, name) and (name not in namespace or name in SHELL or name.startswith("__"))


def _dotted(tree: ast.AST, names: set[str]) -> set[str]:
    """Attribute chains, as text, that begin at one of the names."""
    chains = (ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    return {chain for chain in chains if chain.split(".")[0] in names}


def _modules_imported(tree: ast.AST) -> set[str]:
    found = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return found | {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}


def _allow(module: str, function: str) -> None:
    if module.split(".")[0] in HEAVY:
        raise _refuse(
            f"{function} imports {module}, which is not there when requests are answered",
            hint="move that part into the module, where it is exported with the graph",
        )


def _add_name(name: str, value: Any, function: str, parts: _Parts) -> None:
    if isinstance(value, types.ModuleType):
        _allow(value.__name__, function)
        parts.imports.add(f"import {value.__name__}" if value.__name__ == name else f"import {value.__name__} as {name}")
    elif isinstance(value, types.FunctionType) and value.__module__ == parts.home:
        _add_function(value, parts)
        if value.__name__ != name:
            parts.taken[name] = value
            parts.functions[name] = f"{name} = {value.__name__}"
    elif getattr(value, "__module__", parts.home) != parts.home and hasattr(
        sys.modules.get(value.__module__), getattr(value, "__qualname__", "")
    ):
        _allow(value.__module__, function)
        own = value.__qualname__
        parts.imports.add(f"from {value.__module__} import {own}" if own == name else f"from {value.__module__} import {own} as {name}")
    elif (text := _constant(value)) is not None:
        parts.constants[name] = text
        if "numpy." in text:
            parts.imports.add("import numpy")
    else:
        raise _refuse(
            f"{function} uses {name!r}, a {type(value).__name__} that cannot be written down",
            hint="turn it into numbers, strings, lists, dicts or a numpy array",
        )


def _constant(value: Any) -> str | None:
    """The value as an expression, or None when it has none. Types are held exactly: a subclass has a repr of its own."""
    if type(value) in CONSTANTS:
        return f"float({str(value)!r})" if isinstance(value, float) and value - value != 0 else repr(value)
    if type(value) in CONTAINERS:
        items = [x for pair in value.items() for x in pair] if isinstance(value, dict) else list(value)
        texts = [text for item in items[: MAX_ELEMENTS + 1] if (text := _constant(item)) is not None]
        return _container(type(value), texts) if len(items) == len(texts) <= MAX_ELEMENTS else None
    if type(value).__module__ == "numpy" and hasattr(value, "dtype"):
        return _numpy_constant(value)
    return None


def _container(kind: type, texts: list[str]) -> str:
    if kind is dict:
        return "{" + ", ".join(f"{key}: {item}" for key, item in zip(texts[::2], texts[1::2], strict=True)) + "}"
    if kind is tuple:
        return "(" + "".join(f"{text}, " for text in texts) + ")"
    return f"set([{', '.join(sorted(texts))}])" if kind is set else f"[{', '.join(texts)}]"


def _numpy_constant(value: Any) -> str | None:
    """An array, or a scalar of numpy's, which is taken out of an array of no dimensions; long doubles have no exact text."""
    array = type(value).__name__ == "ndarray"
    if value.dtype.kind not in "fiubU" or value.dtype.char == "g" or value.size > MAX_ELEMENTS or not (array or value.shape == ()):
        return None
    if value.size == 0:
        return f"numpy.empty({value.shape}, dtype={value.dtype.str!r})"
    return f"numpy.array({_constant(value.tolist())}, dtype={value.dtype.str!r})" + ("" if array else "[()]")


def check_imports(text: str, name: str) -> None:
    """Refuse a standalone text that imports, anywhere in it, what is not there when requests are answered.

    Raises
    ------
    MlprodError : ``preprocess``.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:  # the last three: NUL, and nesting too deep for the parser
        raise _refuse(f"the code of {name} does not parse: {type(error).__name__}: {error}", hint="correct it") from None
    for module in _modules_imported(tree):
        _allow(module, name)


def load_function(file: Path, name: str) -> Callable[..., Any]:
    """The function ``name`` of a standalone file, executed in a namespace of its own; ``__file__`` leads it to the files beside it.

    Raises
    ------
    MlprodError : ``preprocess`` when the text does not run or does not define the function.
    """
    namespace: dict[str, Any] = {"__name__": f"mlprod_{name}", "__file__": str(file)}
    try:
        exec(compile(file.read_text("utf-8"), f"<{name}>", "exec"), namespace)  # noqa: S102  the caller has established trust
    except (Exception, SystemExit) as error:
        raise _refuse(f"the code of {name} does not run: {type(error).__name__}: {error}", hint="run it in a fresh kernel") from error
    function = namespace.get(name)
    if not callable(function):
        raise _refuse(f"the code defines no function {name!r}", hint="write FILE.py:FUNCTION")
    return function  # type: ignore[no-any-return]
