"""A function of a notebook as text that stands on its own, with the files it needs beside it.

What travels is the source of the function and of every function and class of the notebook that it uses, the modules as imports, and the
values as expressions or files (`core.literal`, `core.assets`). What cannot be written down is named in the error. torch is refused, because
what answers requests does not have it.
"""

import __future__

import ast
import builtins
import enum
import functools
import inspect
import sys
import sysconfig
import types
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

import msgspec

from jupyter_mlprod.core.assets import HERE, Asset, asset_of, file_asset, hint_for, names_a_file
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.literal import CONTAINERS, container, is_large, items_of, literal
from jupyter_mlprod.core.written import (
    Written,
    attributes_of,
    class_source,
    defined_in,
    function_source,
    functions_of,
    modules_imported,
    names_opened,
    names_used,
)

HEAVY = {"torch", "tensorflow", "jax", "mlflow"}
SHELL = {"open", "exit", "quit"}
"""IPython puts functions of its own by these names beside the builtins."""
NOTEBOOK_ONLY = {"display", "get_ipython"}
HISTORY = {"In": "_ih", "Out": "_oh"}
"""What IPython remembers of the cells, under both names; it would take the whole notebook along."""
FUTURE = "from __future__ import annotations"
GIVEN = {"__file__", "__name__"}
"""What every text finds defined, wherever it runs."""
HEAP_TYPE = 1 << 9
"""Py_TPFLAGS_HEAPTYPE: a class made by a class statement."""
RESTORED = ("_restored", "def _restored(kind, state):\n    made = kind.__new__(kind)\n    vars(made).update(state)\n    return made")


class Carried(msgspec.Struct, frozen=True, kw_only=True):
    """A text that defines ``name``, and the files that must lie beside it."""

    name: str
    text: str
    assets: dict[str, bytes] = {}


def carry(function: Any, *, name: str = "", code: Code = Code.PREPROCESS) -> Carried:
    """A callable with everything of its notebook that it uses.

    Parameters
    ----------
    function : a function, an instance of a class of the notebook with ``__call__``, a bound method, or a ``functools.partial``
    name : what the notebook calls it; a function has a name of its own

    Raises
    ------
    MlprodError : of the code, naming what cannot be carried.
    """
    parts = _Parts(home=_home(function), code=code)
    if isinstance(function, types.FunctionType):
        own = _add_function(function, parts)
    elif callable(function) and not isinstance(function, type | types.BuiltinFunctionType):
        own = name if name.isidentifier() else code.label
        parts.define(own, function, _expression(function, own, own, parts))
    else:
        raise parts.refuse(f"{name or type(function).__name__} is not a plain function", hint="write it as 'def prepare(batch): …'")
    return Carried(name=own, text=parts.text(), assets=parts.assets)


def carry_cell(text: str, name: str, namespace: Mapping[str, Any], *, code: Code = Code.PREPROCESS) -> Carried:
    """The text of a cell, as it stands, behind whatever it takes from the notebook.

    Raises
    ------
    MlprodError : of the code; names that neither the cell nor the notebook defines are named all at once.
    """
    tree = check_imports(text, name, code=code)
    parts = _Parts(home="__main__", code=code)
    needed = sorted(names_used(text) - defined_in(text))
    needed = [used for used in needed if used not in GIVEN and not _is_builtin(used, namespace)]
    missing = [used for used in needed if used not in namespace or _is_notebooks(used, namespace)]
    if missing:
        raise parts.refuse(
            f"the cell uses {', '.join(map(repr, missing))}, which it does not define", hint="define or import it in the cell"
        )
    for used in needed:
        _add_name(used, namespace[used], "the cell", parts, opened=used in names_opened(tree))
    before = parts.text()
    first, rest = _future_lines(text, tree)
    whole = "\n\n".join(filter(None, (first, before, rest))) if before.strip() else text
    return Carried(name=name, text=whole, assets=parts.assets)


def _future_lines(text: str, tree: ast.Module) -> tuple[str, str]:
    """A text up to its last ``__future__`` line, before which Python allows nothing but a docstring; and the rest."""
    ends = [node.end_lineno or 0 for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    lines = text.split("\n")
    return "\n".join(lines[: max(ends, default=0)]), "\n".join(lines[max(ends, default=0) :])


class _Parts:
    """What a text is gathered from: ``home`` is the module whose functions and classes are written out, not imported."""

    def __init__(self, *, home: str, code: Code) -> None:
        self.home = home
        self.code = code
        self.imports: set[str] = set()
        self.definitions: dict[str, str] = {}
        self.assets: dict[str, bytes] = {}
        self.taken: dict[str, Any] = {}
        self.open: list[int] = []

    def refuse(self, what: str, *, hint: str) -> MlprodError:
        return MlprodError(self.code, what, hint=hint)

    def take(self, name: str, value: Any) -> bool:
        """Whether a name is still to be defined; two different things of one name are refused."""
        if name in self.taken:
            if self.taken[name] is value:
                return False
            kind = "functions" if isinstance(value, types.FunctionType) else "things"
            raise self.refuse(f"two {kind} are named {name!r}", hint="rename one of them")
        self.taken[name] = value
        return True

    def define(self, name: str, value: Any, expression: str) -> None:
        if expression != name and self.take(name, value):
            self.definitions[name] = f"{name} = {expression}"

    def keep(self, asset: Asset) -> str:
        """Keep a file under a name that no other content has, and tell the expression that reads it."""
        stem, dot, suffix = asset.name.partition(".")
        name, n = asset.name, 2
        while self.assets.get(name, asset.content) != asset.content:
            name, n = f"{stem}_{n}{dot}{suffix}", n + 1
        self.assets[name] = asset.content
        self.imports |= set(asset.imports)
        helper, source = asset.helper
        if helper:
            self.definitions.setdefault(helper, source)
        return asset.restored.format(file=HERE.format(name=name))

    def text(self) -> str:
        """Imports, then the definitions, each behind what it needs; assignments of a line stand together."""
        bound = {line.split()[-1].split(".")[0] for line in self.imports - {FUTURE}}
        twice = sorted(bound & set(self.definitions))
        if twice:
            raise self.refuse(f"{twice[0]!r} names a module and something else of the notebook", hint="rename one of them")
        text = "\n".join(sorted(self.imports, key=lambda line: (line != FUTURE, line)))
        before = text
        for piece in self.definitions.values():
            apart = "\n" if "\n" not in piece and "\n" not in before and before not in ("", text) else "\n\n\n"
            text, before = f"{text}{apart if text else ''}{piece}", piece
        return text + "\n"


def _home(function: Any) -> str:
    """The module of a callable's own code, unless that module is installed and can be imported."""
    if isinstance(function, functools.partial):
        return _home(function.func)
    owner = type(function.__self__) if isinstance(function, types.MethodType) else function
    module = str(getattr(owner, "__module__", "__main__"))
    file = getattr(sys.modules.get(module), "__file__", None)
    installed = [sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")]
    return "__main__" if file and any(Path(file).is_relative_to(folder) for folder in installed if folder) else module


def _add_function(function: Any, parts: _Parts) -> str:
    """Write a function out, and tell its name; one that was decorated is written with its decorators.

    Of closures that one factory made, the first has the name and the others are made where they stand.
    """
    plain = inspect.unwrap(function)
    name = str(plain.__name__)
    if name == "<lambda>":
        raise parts.refuse("<lambda> is not a plain function", hint="write it as 'def prepare(batch): …'")
    first = inspect.unwrap(parts.taken.get(name, function))
    if first is not plain and plain.__closure__ and getattr(first, "__code__", None) is plain.__code__:
        return _made(name, _closed_over(plain, name, parts))
    if not parts.take(name, function):
        return name
    written = function_source(plain)
    if written is None:
        raise parts.refuse(f"the source of {name} cannot be found", hint="define it in a cell or in a file")
    if plain is not function and not written.decorated:
        raise parts.refuse(f"{name} was wrapped after its definition", hint=f"write the decorator above 'def {name}'")
    free = _closed_over(plain, name, parts)
    _add_written(written.within(free), name, plain.__globals__, parts, future=_is_of_the_future(plain))
    if free:
        parts.definitions[f"{name}="] = f"{name} = {_made(name, free)}"
    return name


def _made(name: str, free: Mapping[str, str]) -> str:
    return f"_make_{name}({', '.join(f'{key}={text}' for key, text in free.items())})"


def _closed_over(function: types.FunctionType, name: str, parts: _Parts) -> dict[str, str]:
    """The names that a function closes over, each with the expression of its value; its own name is left to its definition."""
    free: dict[str, str] = {}
    for key, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            value = cell.cell_contents
        except ValueError:
            raise parts.refuse(f"{name} closes over {key!r}, which is not defined", hint="define it before packaging") from None
        if value is function or key == name:
            continue
        if isinstance(value, types.FunctionType) and (source := function_source(inspect.unwrap(value))) and source.decorated:
            raise parts.refuse(f"{name} wraps {value.__name__}", hint="let the decorator use functools.wraps")
        free[key] = _expression(value, key, name, parts, verb="closes over")
    return free


def _add_class(kind: type, parts: _Parts) -> str:
    if not parts.take(kind.__name__, kind):
        return kind.__name__
    written = class_source(kind)
    if written is None:
        raise parts.refuse(f"the source of class {kind.__name__} cannot be found", hint="define it in a cell or in a file")
    methods = functions_of(kind)
    free = {name for method in methods for name in method.__code__.co_freevars} - {"__class__"}
    if free:
        what = f"class {kind.__name__} closes over {', '.join(sorted(free))}"
        raise parts.refuse(what, hint="move those names to the top level of the notebook")
    namespace = methods[0].__globals__ if methods else vars(sys.modules.get(kind.__module__, builtins))
    _add_written(written, kind.__name__, namespace, parts, future=any(map(_is_of_the_future, methods)))
    return kind.__name__


def _is_of_the_future(function: types.FunctionType) -> bool:
    """Whether annotations are never evaluated where a function stands."""
    return bool(function.__code__.co_flags & __future__.annotations.compiler_flag)


def _add_written(written: Written, name: str, namespace: Mapping[str, Any], parts: _Parts, *, future: bool) -> None:
    """What a source uses, then the source."""
    tree = ast.parse(written.text)
    names = names_used(f"{FUTURE}\n{written.text}" if future else written.text)
    if future:
        parts.imports.add(FUTURE)
    opened = names_opened(tree)
    for used in sorted(names - {name} - GIVEN):
        if _is_notebooks(used, namespace):
            raise parts.refuse(f"{name} uses {used!r}, which only a notebook has", hint="leave that to another function")
        if _is_builtin(used, namespace):
            continue
        if used not in namespace:
            raise parts.refuse(f"{name} uses {used!r}, which is not defined", hint=f"define {used!r} before packaging")
        _add_name(used, namespace[used], name, parts, opened=used in opened)
    for module in modules_imported(tree):
        _allow(module, name, parts.code)
    for dotted in attributes_of(tree, names):
        if dotted in sys.modules:  # a submodule such as PIL.Image, which "import PIL" would not bring
            _allow(dotted, name, parts.code)
            parts.imports.add(f"import {dotted}")
    parts.definitions[name] = written.text


def _add_name(name: str, value: Any, user: str, parts: _Parts, *, opened: bool) -> None:
    """A name that a source uses."""
    if isinstance(value, types.ModuleType):
        _allow(value.__name__, user, parts.code)
        parts.imports.add(f"import {value.__name__}" if value.__name__ == name else f"import {value.__name__} as {name}")
    elif not _is_own(value, parts) and (path := _import_path(value)):
        module, own = path
        _allow(module, user, parts.code)
        parts.imports.add(f"from {module} import {own}" if own == name else f"from {module} import {own} as {name}")
    elif name not in parts.taken or parts.taken[name] is not value:
        parts.define(name, value, _expression(value, name, user, parts, opened=opened))


def _expression(value: Any, name: str, user: str, parts: _Parts, *, opened: bool = False, verb: str = "uses") -> str:
    """A value as an expression over what the text defines by then."""
    if (path := names_a_file(value, opened=opened)) is not None:
        return parts.keep(file_asset(path, as_text=isinstance(value, str), code=parts.code))
    if isinstance(value, PurePath) and Path(value).is_dir():
        raise parts.refuse(f"{user} {verb} {name!r}, which is a folder", hint="keep the path of each file in a name of its own")
    if (text := literal(value, parts.imports)) is not None:
        return text
    if isinstance(value, types.ModuleType):
        _allow(value.__name__, user, parts.code)
        parts.imports.add(f"import {value.__name__}")
        return value.__name__
    if _is_own(value, parts):
        return _add_class(value, parts) if isinstance(value, type) else _add_function(value, parts)
    if imported := _import_path(value):
        _allow(imported[0], user, parts.code)
        parts.imports.add(f"import {imported[0]}")
        return ".".join(imported)
    if id(value) in parts.open:
        raise parts.refuse(f"{user} {verb} {name!r}, which holds itself", hint="break the circle before packaging")
    parts.open.append(id(value))
    try:
        text = _composed(value, name, user, parts)
    finally:
        parts.open.pop()
    if text is None:
        what = f"{user} {verb} {name!r}, a {type(value).__name__} that cannot be written down"
        raise parts.refuse(what, hint=hint_for(value))
    return text


def _composed(value: Any, name: str, user: str, parts: _Parts) -> str | None:
    """The expression of a value that holds others, or that becomes a file; None when there is none."""

    def inner(item: Any, key: str) -> str:
        return _expression(item, key, user, parts)

    if (asset := asset_of(value, name, code=parts.code)) is not None:
        return parts.keep(asset)
    if type(value) in CONTAINERS:
        return None if is_large(value) else container(type(value), [inner(item, name) for item in items_of(value)])
    if type(value) is functools.partial:
        given = [inner(value.func, name), *(inner(item, name) for item in value.args)]
        given += [f"{key}={inner(item, key)}" for key, item in value.keywords.items()]
        parts.imports.add("import functools")
        return f"functools.partial({', '.join(given)})"
    if isinstance(value, types.MethodType):
        return f"{inner(value.__self__, name)}.{value.__name__}"
    kind = type(value)
    if kind.__module__ != parts.home:
        return None
    if isinstance(value, enum.Enum):
        return f"{_add_class(kind, parts)}.{value.name}"
    if not hasattr(value, "__dict__") or any(not base.__flags__ & HEAP_TYPE for base in kind.__mro__[:-1]):
        return None
    state = ", ".join(f"{key!r}: {_expression(item, f'{name}.{key}', user, parts)}" for key, item in vars(value).items())
    own = _add_class(kind, parts)
    parts.definitions.setdefault(*RESTORED)
    return f"{RESTORED[0]}({own}, {{{state}}})"


def _is_own(value: Any, parts: _Parts) -> bool:
    """Whether a value is a function or a class of the notebook."""
    plain = inspect.unwrap(value) if hasattr(value, "__wrapped__") else value
    return isinstance(plain, types.FunctionType | type) and plain.__module__ == parts.home


def _import_path(value: Any) -> tuple[str, str] | None:
    """Module and name by which a value can be imported."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str) or isinstance(value, types.MethodType):
        return None
    return (module, name) if getattr(sys.modules.get(module), name, None) is value else None


def _is_builtin(name: str, namespace: Mapping[str, Any]) -> bool:
    """Whether a name means the builtin, which nothing of the notebook shadows."""
    return hasattr(builtins, name) and name not in NOTEBOOK_ONLY and (name not in namespace or name in SHELL or name.startswith("__"))


def _is_notebooks(name: str, namespace: Mapping[str, Any]) -> bool:
    """Whether a name is one that IPython put there."""
    return name in NOTEBOOK_ONLY or (name in HISTORY and name in namespace and namespace[name] is namespace.get(HISTORY[name]))


def _allow(module: str, user: str, code: Code) -> None:
    if module.split(".")[0] in HEAVY:
        raise MlprodError(
            code,
            f"{user} imports {module}, which is not there when requests are answered",
            hint="move that part into the module, where it is exported with the graph",
        )


def check_imports(text: str, name: str, *, code: Code = Code.PREPROCESS) -> ast.Module:
    """Refuse a standalone text that imports, anywhere in it, what is not there when requests are answered.

    Raises
    ------
    MlprodError : of the code.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:  # the last three: NUL, and nesting too deep for the parser
        raise MlprodError(code, f"the code of {name} does not parse: {type(error).__name__}: {error}", hint="correct it") from None
    for module in modules_imported(tree):
        _allow(module, name, code)
    return tree
