"""Reading a TOML document into a Struct, reporting every fault at once with its line and a "did you mean"; and writing one.

`tomllib` keeps no positions, so lines are found by a second, shallow look at the text: table headers and keys only.
"""

import difflib
import json
import pathlib
import re
import tomllib
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar, Union

import msgspec
from msgspec import inspect

from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.subject import names_file

T = TypeVar("T")
Path = tuple[str | int, ...]

WORD = r"""(?:[A-Za-z0-9_\-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
WORDS = rf"{WORD}(?:[ \t]*\.[ \t]*{WORD})*"
HEADER = re.compile(rf"^[ \t]*(\[\[?)[ \t]*({WORDS})[ \t]*\]\]?[ \t\r]*(?:#.*)?$", re.S)
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
KEY = re.compile(rf"^[ \t]*({WORDS})[ \t]*=")


def toml_text(value: str, *, name: str, code: Code) -> str:
    """The TOML that an option holds: the text itself, or that of the file that it names.

    Raises
    ------
    MlprodError : of the given code, when the file is not there or cannot be read.
    """
    if not names_file(value):
        if value.endswith(".toml"):
            raise MlprodError(code, f"{name}: there is no file {value!r}")
        return value
    try:
        return pathlib.Path(value).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MlprodError(code, f"{name}: {value} cannot be read: {error}") from None


def written_toml(table: Mapping[str, Any]) -> str:
    """A table as TOML, a key on each line; arrays and tensors in it are written as the lists that they are.

    Raises
    ------
    TypeError : with the type that TOML does not have.
    """
    return "".join(f"{_key(key)} = {toml_value(value)}\n" for key, value in table.items())


def toml_value(value: Any) -> str:
    """One value on one line; what an array holds on a line each."""
    if hasattr(value, "tolist"):
        return toml_value(value.tolist())
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {toml_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[\n" + "".join(f"    {toml_value(item)},\n" for item in value) + "]" if value else "[]"
    if isinstance(value, bool | str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, int | float):
        return repr(value)
    raise TypeError(type(value).__name__)


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"key of type {type(key).__name__}")
    return key if BARE_KEY.fullmatch(key) else json.dumps(key, ensure_ascii=False).replace("\x7f", "\\u007f")


def decode_toml(text: str, kind: type[T], *, name: str, code: Code) -> T:
    """The document as ``kind``.

    Raises
    ------
    MlprodError : of the given code; one line per fault, each ``name:line: what``.
    """
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: bad TOML, or an integer of more than 4300 digits
        raise MlprodError(code, f"{name}: {error}") from None
    faults: list[tuple[Path, str]] = []
    _check(document, inspect.type_info(kind), (), faults)
    if faults:
        lines = line_numbers(text)
        raise MlprodError(code, "\n".join(f"{name}:{line_of(path, lines)}: {what}" for path, what in faults))
    return msgspec.convert(document, kind)


def _check(value: Any, info: inspect.Type, path: Path, faults: list[tuple[Path, str]]) -> None:
    """Collect the faults of ``value`` against ``info``; containers are walked so that one fault hides no other."""
    if isinstance(info, inspect.UnionType):
        options = [option for option in info.types if not isinstance(option, inspect.NoneType)]
        info = options[0] if len(options) == 1 else info
    match info:
        case inspect.AnyType():
            pass
        case inspect.StructType() if isinstance(value, dict):
            fields = {field.encode_name: field for field in info.fields}
            unknown = [key for key in value if key not in fields]
            faults.extend(((*path, key), f"unknown key {key!r}{did_you_mean(key, fields)}") for key in unknown)
            for key, field in fields.items():
                if key in value:
                    _check(value[key], field.type, (*path, key), faults)
                elif field.required:
                    faults.append((path, f"{key!r} is missing"))
        case inspect.DictType() if isinstance(value, dict):
            for key, item in value.items():
                _check(item, info.value_type, (*path, key), faults)
        case inspect.VarTupleType() if isinstance(value, list):
            for index, item in enumerate(value):
                _check(item, info.item_type, (*path, index), faults)
        case _:
            faults.extend((path, what) for what in _leaf_faults(value, info, path))


def _leaf_faults(value: Any, info: inspect.Type, path: Path) -> list[str]:
    key = next((part for part in reversed(path) if isinstance(part, str)), "document")
    try:
        msgspec.convert(value, _python_type(info))
    except msgspec.ValidationError as error:
        choices = info.values if isinstance(info, inspect.LiteralType) else ()
        return [f"{key}: {error}, got {value!r}{did_you_mean(str(value), choices)}"]
    return []


def _python_type(info: inspect.Type) -> Any:
    """The type to convert one leaf to; a container here means the value was not one, and must be refused."""
    match info:
        case inspect.StructType() | inspect.DictType():
            return dict
        case inspect.VarTupleType():
            return list
        case inspect.LiteralType():
            return Literal[info.values]
        case inspect.StrType():
            return Annotated[str, msgspec.Meta(pattern=info.pattern)] if info.pattern else str
        case inspect.BoolType():
            return bool
        case inspect.IntType():
            return int
        case inspect.FloatType():
            return float
        case inspect.AnyType():
            return Any
        case inspect.UnionType():
            options = (option for option in info.types if not isinstance(option, inspect.NoneType))  # TOML has no null
            return Union[tuple(map(_python_type, options))]  # noqa: UP007  made of what is found
    raise TypeError(f"settings of type {info} are not supported")


def did_you_mean(word: str, known: Any) -> str:
    """`` (did you mean 'x'?)`` or the list of what is known."""
    names = [str(name) for name in known]
    close = difflib.get_close_matches(word, names, n=1)
    if close:
        return f" (did you mean {close[0]!r}?)"
    return f" (known: {', '.join(names)})" if names else ""


def line_numbers(text: str) -> dict[Path, int]:
    """Line of every table header and key, by path; arrays of tables are counted."""
    lines: dict[Path, int] = {(): 1}
    counts: dict[Path, int] = {}
    table: Path = ()
    for number, line in enumerate(text.split("\n"), start=1):
        if header := HEADER.match(line):
            *parents, last = _parts(header.group(2))
            table = ()
            for parent in parents:
                table = (*table, parent)
                table = (*table, counts[table]) if table in counts else table
            table = (*table, last)
            lines.setdefault(table, number)
            if header.group(1) == "[[":
                counts[table] = counts.get(table, -1) + 1
                table = (*table, counts[table])
                lines.setdefault(table, number)
        elif key := KEY.match(line):
            parts = _parts(key.group(1))
            for end in range(1, len(parts) + 1):  # a dotted key begins the tables that it goes through
                lines.setdefault((*table, *parts[:end]), number)
    return lines


def _parts(keys: str) -> tuple[str, ...]:
    """The names in a path of keys, each read as TOML reads it."""
    try:
        return tuple(next(iter(tomllib.loads(f"{word} = 0"))) for word in re.findall(WORD, keys))
    except tomllib.TOMLDecodeError:  # within a text of several lines, which may look like anything
        return (keys,)


def line_of(path: Path, lines: dict[Path, int]) -> int:
    """The line of the longest prefix of ``path`` that has one."""
    return next(lines[path[:end]] for end in range(len(path), -1, -1) if path[:end] in lines)
