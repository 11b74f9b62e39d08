"""Classes as text: the source of a class that is not installed, with everything that it uses, so that another machine can define it again.

What a function needs is found as in `source`; here torch is welcome, since a trainable module needs it anyway, and order matters: a base
class, a decorator or a default is there before the class that is made with it.
"""

import ast
import builtins
import enum
import inspect
import linecache
import logging
import symtable
import sys
import sysconfig
import textwrap
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jupyter_mlprod.core.literal import CONTAINERS, MAX_ELEMENTS, container, is_large, items_of, literal
from jupyter_mlprod.core.source import _is_builtin
from jupyter_mlprod.core.written import attributes_of, function_source

PACKAGES = {"site-packages", "dist-packages"}
"""Folders that installers fill."""
NAMED = (type, types.FunctionType, types.BuiltinFunctionType)
HINT = "define it at the top level of a cell or of a file"


class UnwritableError(Exception):
    """Why something cannot be written down."""


class Carried:
    """Classes and functions as one text, in an order in which it runs."""

    def __init__(self) -> None:
        self.imports: set[str] = set()
        self.constants: dict[str, str] = {}
        self.pieces: dict[str, str] = {}
        self.taken: dict[str, Any] = {}

    @property
    def text(self) -> str:
        """The whole, empty when nothing is carried."""
        if not self.pieces:
            return ""
        heads = ["\n".join(sorted(self.imports)), "\n".join(line for _, line in sorted(self.constants.items()))]
        return "\n\n\n".join([*filter(None, heads), *self.pieces.values()]) + "\n"

    def add(self, value: Any) -> str:
        """Carry a class or a function, and give the name under which the text defines it.

        Raises
        ------
        UnwritableError : naming what has no source, or what in it cannot be written down.
        """
        own = value.__qualname__
        if "<" in own:
            raise UnwritableError(f"{own} is made inside a function or by a lambda; {HINT}")
        top = own.partition(".")[0]
        holder = _namespace(value).get(top, value) if "." in own else value
        self._add_top(top, holder)
        return str(own)

    def _add_top(self, name: str, value: Any) -> None:
        if name in self.taken or name in self.constants or name in self.pieces:
            if self.taken.get(name) is not value:
                raise UnwritableError(f"two things are named {name!r}; rename one of them")
            return
        self.taken[name] = value
        source, namespace = _source(value), _namespace(value)
        at_once, later = _names(source)
        dotted = attributes_of(ast.parse(source), at_once | later)
        for used in sorted(at_once - {name}):
            self._add_name(used, name, namespace, dotted)
        self.pieces[name] = source
        for used in sorted(later - at_once - {name}):
            self._add_name(used, name, namespace, dotted)

    def _add_name(self, name: str, user: str, namespace: Mapping[str, Any], dotted: set[str]) -> None:
        if _is_builtin(name, dict(namespace)) or name in ("__class__", "__name__"):
            return
        if name not in namespace:
            raise UnwritableError(f"{user} uses {name!r}, which is not defined")
        value = typing.Any if _is_alias(namespace[name]) else namespace[name]
        if isinstance(value, types.ModuleType):
            self._add_module(name, value, user, dotted)
        elif line := _import_line(name, value):
            self.imports.add(line)
        elif isinstance(value, type | types.FunctionType) and "<" not in value.__qualname__ and value.__qualname__ == name:
            self.add(value)
        else:
            self._define(name, value, user)

    def _define(self, name: str, value: Any, user: str) -> None:
        """A name that a value is given; it stands behind the classes and functions that the expression names."""
        own: list[str] = []
        line = f"{name} = {self._expression(value, name, user, own)}"
        place = self.pieces if own else self.constants
        if name in self.taken or place.setdefault(name, line) != line or (name in self.constants and name in self.pieces):
            raise UnwritableError(f"two things are named {name!r}; rename one of them")

    def _expression(self, value: Any, name: str, user: str, own: list[str]) -> str:
        """A value as an expression; what of the text's own it names is added to ``own``."""
        if (text := self._written(value)) is not None:
            return text
        if type(value) in CONTAINERS and not is_large(value):
            return container(type(value), [self._expression(item, name, user, own) for item in items_of(value)])
        if isinstance(value, enum.Enum) and value.name:
            return f"{self._expression(type(value), name, user, own)}.{value.name}"
        if isinstance(value, NAMED):
            if path := import_path(value):
                self.imports.add(f"import {path[0]}")
                return ".".join(path)
            if "<" not in value.__qualname__ and not isinstance(value, types.BuiltinFunctionType):
                own.append(self.add(value))
                return own[-1]
        held = f" with more than {MAX_ELEMENTS:,} elements" if type(value) in CONTAINERS and is_large(value) else ""
        raise UnwritableError(f"{user} uses {name!r}, a {type(value).__name__}{held} that cannot be written down")

    def _add_module(self, name: str, module: types.ModuleType, user: str, dotted: set[str]) -> None:
        own = module.__name__
        if not is_installed(own):
            raise UnwritableError(f"{user} uses the module {own!r} of a file beside it; import the names themselves: from {own} import …")
        if own == name:
            self.imports.add(f"import {own}")
        else:
            parent, _, last = own.rpartition(".")
            self.imports.add(f"from {parent} import {last}" if parent and last == name else f"import {own} as {name}")
        self.imports |= {f"import {chain}" for chain in dotted if own == name and chain.startswith(f"{own}.") and chain in sys.modules}

    def _written(self, value: Any) -> str | None:
        """What holds no other value as an expression, or None; also a logger, type variable, union, and what torch prints as its own."""
        if isinstance(value, typing.TypeVar):
            self.imports.add("import typing")
            return f"typing.TypeVar({value.__name__!r})"
        if isinstance(value, types.UnionType):
            return " | ".join("None" if part is type(None) else part.__name__ for part in typing.get_args(value))
        if isinstance(value, logging.Logger):
            self.imports.add("import logging")
            return f"logging.getLogger({value.name!r})"
        if type(value).__module__ == "torch" and type(value).__name__ in ("dtype", "device"):
            self.imports.add("import torch")
            text = repr(value)
            return text if text.startswith("torch.") else f"torch.{text}"
        return literal(value, self.imports)


def _is_alias(value: Any) -> bool:
    """Whether a value only names a type, which nobody asks when a module computes; a union of builtins may be asked."""
    if isinstance(value, types.UnionType):
        return any(part.__module__ != "builtins" for part in typing.get_args(value))
    return typing.get_origin(value) is not None


def _import_line(name: str, value: Any) -> str:
    """The line that imports a value of an installed module by its own name; empty when there is none."""
    module = getattr(value, "__module__", None)
    own = getattr(value, "__qualname__", None) or getattr(value, "__name__", None) or getattr(value, "_name", None)
    if not isinstance(module, str) or not isinstance(own, str) or not own.isidentifier() or not is_installed(module):
        return ""
    if getattr(sys.modules.get(module), own, None) is not value:
        return ""
    return f"from {module} import {own}" if own == name else f"from {module} import {own} as {name}"


def import_path(value: Any) -> tuple[str, str] | None:
    """The installed module that holds a class or function, and its name there; a builtin may not say which, such as those of torch."""
    module, own = getattr(value, "__module__", None) or "builtins", getattr(value, "__qualname__", value.__name__)
    if is_installed(module) and _found(module, own) is value:
        return module, own
    if not isinstance(value, types.BuiltinFunctionType):
        return None
    holding = (name for name, held in sorted(sys.modules.items()) if getattr(held, "__dict__", {}).get(value.__name__) is value)
    found = next(filter(is_installed, holding), None)
    return (found, value.__name__) if found else None


def _found(module: str, own: str) -> Any:
    value: Any = sys.modules.get(module)
    for part in own.split("."):
        value = getattr(value, part, None)
    return value


def is_installed(module: str) -> bool:
    """Whether another machine gets a module by installing a package, which a notebook or a file beside it does not come with."""
    found = sys.modules.get(module)
    if found is None or module == "__main__":
        return False
    file, top = getattr(found, "__file__", None), module.partition(".")[0]
    if file is None:  # built in, or made by a package without a file of its own, such as torch.ops
        return top in sys.builtin_module_names or top in sys.stdlib_module_names or (top != module and is_installed(top))
    path = Path(file).resolve()
    return bool(PACKAGES & set(path.parts)) or path.is_relative_to(Path(sysconfig.get_path("stdlib")).resolve())


def _namespace(value: Any) -> Mapping[str, Any]:
    """The global names that a class or function sees."""
    if isinstance(value, types.FunctionType):
        return value.__globals__
    function = next(_functions(value), None)
    return function.__globals__ if function else vars(sys.modules.get(value.__module__, builtins))


def _functions(kind: type) -> Iterator[types.FunctionType]:
    """The functions that stand in the body of a class, found through what wraps them."""
    for member in vars(kind).values():
        plain: Any = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        plain = inspect.unwrap(plain) if callable(plain) else plain
        # What a decorator or a base class has made has the class's name too, and other global names.
        if not isinstance(plain, types.FunctionType) or plain.__globals__.get("__name__") != kind.__module__:
            continue
        if plain.__qualname__.startswith(f"{kind.__qualname__}."):
            yield plain


def _source(value: Any) -> str:
    if isinstance(value, types.FunctionType):
        written = function_source(value)
        if written is None:
            raise UnwritableError(f"the source of {value.__name__} cannot be found; {HINT}")
        return written.text
    for function in _functions(value):
        if source := _class_source(value, function.__code__.co_filename, line=function.__code__.co_firstlineno):
            return source
    cells = [file for file in reversed(linecache.cache) if not Path(file).is_file()]  # of a class without a function; the last cell counts
    for cell in cells if not hasattr(sys.modules.get(value.__module__), "__file__") else ():
        if source := _class_source(value, cell, line=0):
            return source
    try:
        return textwrap.dedent(inspect.getsource(value)).rstrip()
    except (OSError, TypeError, SyntaxError):
        raise UnwritableError(f"the source of the class {value.__qualname__} cannot be found; {HINT}") from None


def _class_source(kind: type, file: str, *, line: int) -> str:
    """The class statement around a line, or the one with the bases and fields of the class when that is 0.

    `inspect` finds none for a class of a notebook: ``__main__`` has no file there.
    """
    lines = linecache.getlines(file)
    try:
        tree = ast.parse("".join(lines))
    except (SyntaxError, ValueError):  # a cell with magics in it, as IPython was given it
        return ""
    for node in tree.body:
        if not isinstance(node, ast.ClassDef) or node.name != kind.__name__:
            continue
        if node.lineno <= line <= (node.end_lineno or 0) if line else _is_of(kind, node):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            return "".join(lines[first - 1 : node.end_lineno]).rstrip()
    return ""


def _is_of(kind: type, node: ast.ClassDef) -> bool:
    if not {item.name for item in node.body if isinstance(item, ast.FunctionDef)} <= vars(kind).keys():
        return False
    fields = [item.target.id for item in node.body if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)]
    names = [ast.unparse(base).rpartition(".")[2] for base in node.bases] or ["object"]
    bases = ["tuple" if name == "NamedTuple" else name for name in names]
    return fields == [*vars(kind).get("__annotations__", {})] and bases == [base.__name__ for base in kind.__bases__]


def _names(source: str) -> tuple[set[str], set[str]]:
    """Global names that a statement reads when it is executed, and those that the functions in it read when they are called."""
    at_once: set[str] = set()
    later: set[str] = set()
    tables = [(symtable.symtable(source, "<source>", "exec"), True)]
    while tables:
        table, now = tables.pop()
        now = now and table.get_type() != "function"
        names = {s.get_name() for s in table.get_symbols() if s.is_referenced() and (s.is_global() or table.get_type() == "module")}
        (at_once if now else later).update(names)
        tables += [(child, now) for child in table.get_children()]
    return at_once, later
