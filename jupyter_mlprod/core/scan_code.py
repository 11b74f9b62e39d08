"""What Python code would do to the machine it runs on, read off its syntax tree; nothing is compiled or run.

Names are followed to what they stand for (``import os as o``, ``from subprocess import run as r``, ``f = os.system``), and text that is
put together of constants is put together (``getattr(os, "sys" + "tem")``). Of `os` what is harmless is listed, not what is harmful.
Such a reading can be evaded by who means it; it finds what code of a model has no business with, and bundles run under trust anyway.
"""

import ast
import base64
import binascii
import re
import warnings

from jupyter_mlprod.core.scan_acts import (
    ACTS,
    ADDRESS,
    ALLOW_PICKLE_AT,
    BUILTINS,
    ENVIRONMENT,
    HARMLESS_OS,
    HARMLESS_SHUTIL,
    INSIDES,
    LOADERS,
    PATH_KEEPERS,
    PATH_LISTS,
    PATH_MAKERS,
    PATH_WRITERS,
    PATHS,
    POWERFUL,
    PRETRAINED,
    READ_HERE,
    READERS,
    WRITERS,
)  # fmt: skip
from jupyter_mlprod.core.scan_look import Notes

MOST_BYTES = 10_000_000
MOST_FOLDED = 10_000
DEEPEST_FOLD = 50

READ_MODE = re.compile(r"[rbtU]+")
WRITE_MODE = re.compile(r"(?=.*[wax+])[rwaxbt+]{1,4}")


def note_code(source: bytes, notes: Notes, *, place: str = "", first_line: int = 1) -> None:
    """Note what code would do; code that cannot be parsed is a finding too, since then nobody has looked at it.

    Parameters
    ----------
    source : as in the file, with its own declaration of an encoding if it has one
    """
    if len(source) > MOST_BYTES:
        notes.add("code", f"is more than {MOST_BYTES:,} bytes of code, which is not read", place=place)
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the code's own, such as an invalid escape
            tree = ast.parse(source)
        found = _Reading(tree).found
    except SyntaxError as error:
        notes.add("code", f"cannot be parsed: {error.msg}", place=place, line=(error.lineno or 1) + first_line - 1)
        return
    except (ValueError, RecursionError, MemoryError) as error:  # a null byte, a lone surrogate; nesting too deep for the parser
        notes.add("code", f"cannot be parsed: {type(error).__name__}: {str(error)[:100]}", place=place)
        return
    for line, what in sorted(found):
        notes.add("code", what, place=place, line=line + first_line - 1)


class _Reading:
    """One reading of a tree: first what each name stands for, then what is done with them."""

    def __init__(self, tree: ast.Module) -> None:
        self.names: dict[str, set[str]] = {name: {f"builtins.{name}"} for name in BUILTINS}
        self.texts: dict[str, set[str]] = {}
        self.paths: set[str] = set()
        self.found: set[tuple[int, str]] = set()
        nodes = list(ast.walk(tree))
        for node in nodes:
            self._import(node)
        for _ in range(3):  # names of names of names
            for node in nodes:
                self._assignment(node)
                self._path_name(node)
        called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
        inner = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
        for node in nodes:
            if isinstance(node, ast.Name) and node.id in INSIDES:
                self._tell(node, f"uses {node.id}, which reaches into the interpreter")
            if isinstance(node, ast.Call):
                self._call(node)
            elif isinstance(node, ast.Attribute):
                self._attribute(node, whole=id(node) not in inner)
            elif isinstance(node, ast.Name) and id(node) not in inner | called and isinstance(node.ctx, ast.Load):
                self._name(node)

    def _tell(self, node: ast.AST, what: str) -> None:
        self.found.add((getattr(node, "lineno", 1), what[:200]))

    def _import(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.split(".")[0]
                self.names.setdefault(alias.asname or top, set()).add(_own(alias.name) if alias.asname else top)
                self._judge(node, alias.name, "imports")
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                if alias.name == "*":
                    self._judge(node, str(node.module), "imports all of", whole=True)
                else:
                    self.names.setdefault(alias.asname or alias.name, set()).add(_own(name))
                    self._judge(node, name, "imports")

    def _assignment(self, node: ast.AST) -> None:
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr) and node.value is not None:
            text = self._text(node.value)
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name):
                    self.names.setdefault(target.id, set()).update(self._dotted(node.value))
                    self.texts.setdefault(target.id, set()).update({text} if text else ())
                    self.paths |= {target.id} if self._is_path(node.value) else set()

    def _path_name(self, node: ast.AST) -> None:
        """What a loop over a folder, or the declared type of a parameter, says to be a path."""
        if isinstance(node, ast.For | ast.comprehension) and isinstance(node.target, ast.Name):
            match node.iter:
                case (
                    ast.Call(func=ast.Attribute(attr=method))
                    | ast.Call(func=ast.Name(id="sorted" | "list"), args=[ast.Call(func=ast.Attribute(attr=method)), *_])
                ) if method in PATH_LISTS:
                    self.paths.add(node.target.id)
        elif isinstance(node, ast.arg) and node.annotation is not None and self._dotted(node.annotation) & PATHS:
            self.paths.add(node.arg)

    def _is_path(self, node: ast.expr) -> bool:
        """Whether an expression is seen to come to a path."""
        match node:
            case ast.Name(id=name):
                return name in self.paths
            case ast.Call(func=ast.Attribute(attr=method)) if method in PATH_MAKERS:
                return True
            case ast.Call(func=ast.Attribute(value=value, attr=method)) if method in PATH_KEEPERS:
                return self._is_path(value)
            case ast.Call(func=function):
                return bool(self._dotted(function) & PATHS)
            case ast.Attribute(value=value, attr=name) if name in PATH_KEEPERS:
                return self._is_path(value)
            case ast.BinOp(left=left, op=ast.Div(), right=right):
                return self._is_path(left) or self._is_path(right)
        return False

    def _dotted(self, node: ast.expr) -> set[str]:
        """The dotted names that an expression may stand for; a module that another has imported is that module again."""
        return {_own(name) for name in self._followed(node)}

    def _followed(self, node: ast.expr) -> set[str]:
        if isinstance(node, ast.Name):
            return self.names.get(node.id, set())
        if isinstance(node, ast.Attribute):
            return {f"{name}.{node.attr}" for name in self._dotted(node.value)}
        if isinstance(node, ast.Subscript):  # __builtins__["eval"], vars(os)["system"], os.__dict__["system"]
            key = self._text(node.slice)
            return (
                {f"{name.removesuffix('.__dict__').removesuffix('.__builtins__')}.{key}" for name in self._dotted(node.value)}
                if key
                else set()
            )
        if isinstance(node, ast.Call) and node.args:
            called = self._dotted(node.func)
            if "builtins.getattr" in called and len(node.args) > 1 and (key := self._text(node.args[1])):
                return {f"{name}.{key}" for name in self._dotted(node.args[0])}
            if "builtins.vars" in called:
                return self._dotted(node.args[0])
            if called & {"builtins.__import__", "importlib.import_module", "importlib.__import__"} and (key := self._text(node.args[0])):
                return {key}
        return set()

    def _text(self, node: ast.expr, depth: int = 0) -> str:
        """The text that an expression of constants comes to; empty when it is none or is not known."""
        if depth > DEEPEST_FOLD:
            return ""
        match node:
            case ast.Constant(value=str() as text):
                return text[:MOST_FOLDED]
            case ast.Constant(value=bytes() as data):
                return data[:MOST_FOLDED].decode("latin-1")
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return (self._text(left, depth + 1) + self._text(right, depth + 1))[:MOST_FOLDED]
            case ast.JoinedStr(values=values):
                return "".join(self._text(value, depth + 1) for value in values)
            case ast.FormattedValue(value=value):
                return self._text(value, depth + 1)
            case ast.Subscript(
                value=value, slice=ast.Slice(lower=None, upper=None, step=ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=1)))
            ):
                return self._text(value, depth + 1)[::-1]
            case ast.Call(func=ast.Name(id="chr"), args=[ast.Constant(value=int() as number)]) if 0 <= number < 0x110000:
                return chr(number)
            case ast.Call(func=ast.Attribute(value=joint, attr="join"), args=[ast.List(elts=items) | ast.Tuple(elts=items)]):
                return self._text(joint, depth + 1).join(self._text(item, depth + 1) for item in items[:MOST_FOLDED])
            case ast.Call(func=ast.Attribute(value=value, attr="decode")):
                return self._text(value, depth + 1)
            case ast.Call(func=ast.Attribute(attr="b64decode"), args=[value, *_]):
                return _unpacked(self._text(value, depth + 1))
            case ast.Call(func=ast.Attribute(attr="fromhex"), args=[value, *_]):
                return _from_hex(self._text(value, depth + 1))
        return ""

    def _judge(self, node: ast.AST, name: str, verb: str, *, whole: bool = False) -> None:
        """Tell when a dotted name, or what it lies in, does something."""
        name = _own(name)
        parts = name.split(".")
        if name in HARMLESS_SHUTIL or name.startswith("os.path."):
            return
        if name in ENVIRONMENT or ".".join(parts[:2]) in ENVIRONMENT:
            self._tell(node, f"{verb} {'.'.join(parts[:2])}, which reads the environment")
        elif parts[0] == "os" and ((len(parts) > 1 and parts[1] not in HARMLESS_OS) or (whole and len(parts) == 1)):
            self._tell(node, f"{verb} {name}, which acts on the system")
        for length in range(len(parts), 0, -1):
            head = ".".join(parts[:length])
            if head in ACTS:
                self._tell(node, f"{verb} {name}, which {ACTS[head]}")
                return

    def _name(self, node: ast.Name) -> None:
        for name in self.names.get(node.id, ()):
            if name in POWERFUL:
                self._tell(node, f"hands {name} on as a value, which cannot be followed")
            elif name not in READ_HERE and "." in name:
                self._judge(node, name, "uses")

    def _attribute(self, node: ast.Attribute, *, whole: bool) -> None:
        if node.attr in INSIDES:
            self._tell(node, f"uses {node.attr}, which reaches into the interpreter")
        if whole:
            for name in self._dotted(node):
                if name in POWERFUL:
                    self._tell(node, f"hands {name} on as a value, which cannot be followed")
                self._judge(node, name, "uses")

    def _call(self, node: ast.Call) -> None:
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        called = self._dotted(node.func)
        for name in called:
            if isinstance(node.func, ast.Attribute):
                continue  # told as an attribute
            if name not in READ_HERE:
                self._judge(node, name, "calls")
        if called & {"builtins.open", "io.open", "codecs.open", "gzip.open", "bz2.open", "lzma.open"} or method == "open":
            self._opening(node, by_method=method == "open" and not called)
        if called & {"builtins.getattr", "builtins.setattr", "builtins.delattr"} and node.args:
            self._reaching(node)
        if called & {"importlib.import_module", "importlib.__import__"}:
            key = self._text(node.args[0]) if node.args else ""
            self._judge(node, key, "imports") if key else self._tell(node, "imports a module by a name that is made up as it goes")
        if (method in WRITERS and not called) or (method in PATH_WRITERS and self._moves(node)):
            self._tell(node, f"calls .{method}(), which writes or removes files")
        if method in LOADERS and not called:
            self._tell(node, f"calls .{method}(), which loads what may run code")
        if self._allows_pickle(node, called):
            self._tell(node, "allows pickle in what it loads")
        self._reading(node, {method, *(name.rpartition(".")[2] for name in called)})

    def _moves(self, node: ast.Call) -> bool:
        """Whether it is a path that is renamed: one argument, where text has two and a table has names."""
        return isinstance(node.func, ast.Attribute) and len(node.args) == 1 and not node.keywords and self._is_path(node.func.value)

    def _allows_pickle(self, node: ast.Call, called: set[str]) -> bool:
        """By name, or of numpy's own readers by position; where that is unpacked from something, it is not known."""
        given = [word.value for word in node.keywords if word.arg == "allow_pickle"]
        for name in called & set(ALLOW_PICKLE_AT):
            place = ALLOW_PICKLE_AT[name]
            given += [arg for arg in node.args[: place + 1] if isinstance(arg, ast.Starred)] + node.args[place : place + 1]
            given += [word.value for word in node.keywords if word.arg is None]
        return any(not (isinstance(value, ast.Constant) and value.value is False) for value in given)

    def _reading(self, node: ast.Call, verbs: set[str]) -> None:
        """A reader that is given an address, and a pretrained model that is no folder beside the code."""
        given = [*node.args, *(word.value for word in node.keywords)]
        verb = next((verb for verb in sorted(verbs) if READERS.fullmatch(verb)), "")
        schemes = {scheme for value in given for scheme in self._schemes(value)} if verb else set()
        if schemes:
            self._tell(node, f"calls {verb}() on an address of {min(schemes)}, which opens connections")
        named = node.args[:1] or [word.value for word in node.keywords if word.arg in ("pretrained_model_name_or_path", "identifier")]
        offline = any(
            word.arg == "local_files_only" and isinstance(word.value, ast.Constant) and word.value.value is True for word in node.keywords
        )
        if PRETRAINED in verbs and not offline and not (named and self._lies_here(named[0])):
            self._tell(node, f"calls {PRETRAINED}() by a name that is no folder beside the code, which opens connections")

    def _schemes(self, node: ast.expr) -> set[str]:
        """Of the addresses that an argument holds, or that a name in it was given."""
        texts = [inner.value for inner in ast.walk(node) if isinstance(inner, ast.Constant) and isinstance(inner.value, str)]
        texts += [text for inner in ast.walk(node) if isinstance(inner, ast.Name) for text in self.texts.get(inner.id, ())]
        return {found[1].lower() for text in [*texts, self._text(node)] if (found := ADDRESS.match(text))}

    def _lies_here(self, node: ast.expr) -> bool:
        """Whether what is named is a path: made by `pathlib`, by way of ``__file__``, or written as one."""
        texts = self.texts.get(node.id, set()) if isinstance(node, ast.Name) else {self._text(node)} - {""}
        beside = any(isinstance(inner, ast.Name) and inner.id in self.paths | {"__file__"} for inner in ast.walk(node))
        return beside or self._is_path(node) or (bool(texts) and all(text.startswith((".", "/", "~")) for text in texts))

    def _opening(self, node: ast.Call, *, by_method: bool) -> None:
        """An ``open`` for anything but reading, or in a mode that is not known; of a method only a mode that can be read is told."""
        given = [word.value for word in node.keywords if word.arg == "mode"] or node.args[0 if by_method else 1 : 2]
        modes = [self._text(mode) for mode in given]
        writes = any(WRITE_MODE.fullmatch(mode) for mode in modes)
        if writes or (not by_method and not all(READ_MODE.fullmatch(mode) for mode in modes)):
            self._tell(node, "opens a file for writing, or in a mode that is made up as it goes")

    def _reaching(self, node: ast.Call) -> None:
        """``getattr`` on a module by a name that is not known, or on anything by a name that leads inside."""
        key = self._text(node.args[1]) if len(node.args) > 1 else ""
        owners = self._dotted(node.args[0])
        if not key and owners:
            self._tell(node, f"reaches into {min(owners)} by a name that is made up as it goes")
        elif key in INSIDES:
            self._tell(node, f"uses {key}, which reaches into the interpreter")
        for owner in owners if key else ():
            self._judge(node, f"{owner}.{key}", "reaches for")


def _own(name: str) -> str:
    """The name by which a module is known wherever it is reached from: ``random._os.system`` is ``os.system``."""
    parts = name.split(".")
    at = next((index for index in range(len(parts) - 1, 0, -1) if parts[index].lstrip("_") in POWERFUL), 0)
    return ".".join([parts[at].lstrip("_"), *parts[at + 1 :]])


def _unpacked(text: str) -> str:
    try:
        return base64.b64decode(text).decode("latin-1")
    except (ValueError, binascii.Error):
        return ""


def _from_hex(text: str) -> str:
    try:
        return bytes.fromhex(text).decode("latin-1")
    except ValueError:
        return ""
