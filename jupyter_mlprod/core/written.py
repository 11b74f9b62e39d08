"""Where the source of a function or a class is found, and which names it uses.

Python 3.11 does not find the source of a class that a notebook defined, because ``__main__`` has no file there; the cells are in
`linecache` all the same, and the class is found by its methods' lines.
"""

import ast
import inspect
import linecache
import os.path
import symtable
import textwrap
import types
from collections.abc import Iterable

import msgspec

READERS = {"Path", "fromfile", "from_file", "genfromtxt", "load", "loadtxt", "load_npz", "open", "parse"}
"""Callables that take the name of a file, besides those whose name begins with ``read``."""


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """A definition as text: ``text`` at the margin, ``raw`` as it stands in its file; ``decorated`` when decorators lead it."""

    name: str
    text: str
    raw: str
    decorated: bool

    def within(self, free: dict[str, str]) -> "Written":
        """The definition inside a function that binds the names it closes over; lines stay where they are, as a string may span several."""
        if not free:
            return self
        raw = self.raw if self.raw[:1].isspace() else textwrap.indent(self.raw, "    ")
        margin = raw[: len(raw) - len(raw.lstrip())]
        text = f"def _make_{self.name}({', '.join(free)}):\n{raw}\n{margin}return {self.name}"
        return msgspec.structs.replace(self, text=text)


def function_source(function: types.FunctionType) -> Written | None:
    """A function's definition, or None when no file or cell holds it."""
    try:
        raw = inspect.getsource(function).rstrip()
    except (OSError, TypeError):
        return None
    return _written(function.__name__, raw)


def class_source(kind: type) -> Written | None:
    """A class's definition, or None when no file or cell holds it."""
    for function in functions_of(kind):
        lines = linecache.getlines(function.__code__.co_filename)
        if found := _class_in(lines, kind.__name__, function.__code__.co_firstlineno):
            return found
    if kind.__module__ == "__main__":
        cells = [file for file in linecache.cache if not os.path.exists(file)]  # noqa: PTH110  a name such as <ipython-input-1> is no path
        for file in reversed(cells):
            if found := _class_in(linecache.getlines(file), kind.__name__, 0):
                return found
    try:
        return _written(kind.__name__, inspect.getsource(kind).rstrip())
    except (OSError, TypeError):
        return None


def functions_of(kind: type) -> list[types.FunctionType]:
    """The functions that a class statement holds; those that a decorator or a metaclass adds are of another module, or in no file."""
    members = [_plain(getattr(member, "__func__", getattr(member, "fget", member))) for member in vars(kind).values()]
    found = [member for member in members if isinstance(member, types.FunctionType) and member.__module__ == kind.__module__]
    return [member for member in found if linecache.getlines(member.__code__.co_filename)]


def _plain(member: object) -> object:
    return inspect.unwrap(member) if callable(member) and hasattr(member, "__wrapped__") else member


def _class_in(lines: list[str], name: str, line: int) -> Written | None:
    """The class of a name that spans a line; any line when that is 0."""
    try:
        tree = ast.parse("".join(lines))
    except (SyntaxError, ValueError):
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name == name:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            last = node.end_lineno or first
            if not line or first <= line <= last:
                return _written(name, "".join(lines[first - 1 : last]).rstrip())
    return None


def _written(name: str, raw: str) -> Written | None:
    indented = f"if True:\n{raw}"  # for a definition that cannot be moved to the margin, since a string in it spans lines
    for text in (textwrap.dedent(raw), indented):
        try:
            (node,) = ast.parse(text).body
        except (SyntaxError, ValueError):
            continue
        definition = node.body[0] if isinstance(node, ast.If) and text == indented else node
        if getattr(definition, "name", name) != name:  # the lines of a file that was edited after its import
            continue
        return Written(name=name, text=text, raw=raw, decorated=bool(getattr(definition, "decorator_list", ())))
    return None


def last_function(source: str) -> str:
    """The name of the last function that a source defines at its top; empty when there is none."""
    names = [node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    return names[-1] if names else ""


def names_used(source: str) -> set[str]:
    """Global names that are read in a source, in its defaults and decorators, and in the functions and classes inside it."""
    names: set[str] = set()
    tables = [symtable.symtable(source, "<source>", "exec")]
    while tables:
        table = tables.pop()
        names |= {symbol.get_name() for symbol in table.get_symbols() if symbol.is_global() and symbol.is_referenced()}
        tables += table.get_children()
    return names


def defined_in(source: str) -> set[str]:
    """Names that a source defines at its top."""
    symbols = symtable.symtable(source, "<source>", "exec").get_symbols()
    return {symbol.get_name() for symbol in symbols if symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()}


def names_opened(tree: ast.AST) -> set[str]:
    """Names that are given to something that reads files."""
    found: set[str] = set()
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        reader = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if reader in READERS or reader.startswith("read"):
            found |= {argument.id for argument in call.args if isinstance(argument, ast.Name)}
    return found


def attributes_of(tree: ast.AST, names: Iterable[str]) -> set[str]:
    """Attribute chains, as text, that begin at one of the names."""
    chains = (ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    return {chain for chain in chains if chain.split(".")[0] in names}


def modules_imported(tree: ast.AST) -> set[str]:
    """Modules that a source imports, anywhere in it."""
    found = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return found | {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
