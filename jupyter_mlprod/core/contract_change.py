"""Changes of a ``contract.toml`` by its words: which suggestions are accepted, which keys set, what is confirmed; and what that changed.

A suggestion is accepted by taking the comment's mark away from its keys, where they stand, so the file stays the person's own.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jupyter_mlprod.core.document import did_you_mean
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.suggest import MARK
from jupyter_mlprod.core.toml_line import comment, dotted, inline

ALL = "all"
HEAD = re.compile(rf"# {MARK} (.+?): (.*)")
KEY = re.compile(r"# (?=[A-Za-z0-9_\"-]+ = )")
SECTIONS = ("inputs", "outputs", "data")

Path = tuple[str, ...]


def accepted(text: str, names: Sequence[str]) -> str:
    """The text with suggestions in force; a remark, which has no keys, stays a comment.

    Raises
    ------
    MlprodError : ``bad-request`` for a name that no suggestion has, or that is a remark.
    """
    lines = text.splitlines()
    blocks = dict(_blocks(lines))
    with_keys = {name for name, (first, last) in blocks.items() if last > first + 1}
    wanted = with_keys if ALL in names else set(names)
    for name in sorted(wanted - with_keys):
        if name in blocks:
            raise MlprodError(Code.BAD_REQUEST, f"--accept {name}: it is a remark, which declares nothing")
        raise MlprodError(Code.BAD_REQUEST, f"--accept {name[:80]!r} names no suggestion{did_you_mean(name, sorted(with_keys)[:20])}")
    for name in wanted:
        first, last = blocks[name]
        head = HEAD.fullmatch(lines[first])
        lines[first] = comment(head[2]) if head else lines[first]
        lines[first + 1 : last] = [line.removeprefix("# ") for line in lines[first + 1 : last]]
    return "\n".join(lines) + "\n"


def _blocks(lines: Sequence[str]) -> Iterator[tuple[str, tuple[int, int]]]:
    """Each suggestion: its name, its first line, and the line after its last."""
    for first, line in enumerate(lines):
        if head := HEAD.fullmatch(line):
            last = first + 1
            while last < len(lines) and KEY.match(lines[last]):
                last += 1
            yield head[1], (first, last)


def key_path(written: str) -> Path:
    """``inputs."a name".low`` as a path.

    Raises
    ------
    MlprodError : ``bad-request`` when it is no key of TOML.
    """
    try:
        found: Any = tomllib.loads(f"{written} = 0") if "\n" not in written else None
    except (tomllib.TOMLDecodeError, RecursionError):
        found = None
    path: list[str] = []
    while isinstance(found, dict) and len(found) == 1:
        key, found = next(iter(found.items()))
        path.append(key)
    if not path or found != 0:
        raise MlprodError(Code.BAD_REQUEST, f"--set {written[:80]!r} is no key", hint='write inputs.age.low, or inputs."a name".low')
    return tuple(path)


def value_of(written: str) -> Any:
    """A value as TOML writes it; a plain word is a string; nothing at all is None."""
    if not written.strip():
        return None
    try:
        found = tomllib.loads(f"value = {written}") if "\n" not in written else {}
    except (ValueError, RecursionError):
        found = {}
    return found["value"] if set(found) == {"value"} else written


def confirmations(document: Mapping[str, Any], names: Sequence[str], *, set_now: Sequence[Path] = ()) -> dict[Path, Any]:
    """Path of each ``inferred`` → what remains of it, or None; what was set now is a person's word, and no longer inferred.

    Parameters
    ----------
    names : ``age.type``, ``inputs.age.type``, or ``all``

    Raises
    ------
    MlprodError : ``bad-request`` for a name that is not inferred anywhere.
    """
    lists = dict(_inferred(document))
    known = {(*path[:-1], key) for path, keys in lists.items() for key in keys}
    taken = known & set(set_now)
    for name in names:
        found = known if name == ALL else {path for path in known if name in (dotted(path), dotted(path[1:]))}
        if not found and name != ALL:
            told = sorted(dotted(path[1:]) if len(path) > 2 else dotted(path) for path in known)
            raise MlprodError(Code.BAD_REQUEST, f"--confirm {name[:80]!r} is nothing that was inferred{did_you_mean(name, told[:20])}")
        taken |= found
    changed: dict[Path, Any] = {}
    for path, keys in lists.items():
        left = [key for key in keys if (*path[:-1], key) not in taken]
        if left != keys:
            changed[path] = left or None
    return changed


def _inferred(document: Mapping[str, Any]) -> Iterator[tuple[Path, list[str]]]:
    tables: list[tuple[Path, Any]] = [((section, name), table) for section in SECTIONS for name, table in _items(document.get(section))]
    tables.append((("target",), document.get("target")))
    for path, table in tables:
        if isinstance(table, Mapping) and isinstance(table.get("inferred"), list):
            yield (*path, "inferred"), [str(key) for key in table["inferred"]]


def _items(table: object) -> list[tuple[str, Any]]:
    return list(table.items()) if isinstance(table, Mapping) else []


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[tuple[str, str, str], ...]:
    """Key, what it said, what it says now, of every key that differs."""
    old, new = dict(_flat(before)), dict(_flat(now))
    keys = [*new, *(key for key in old if key not in new)]
    return tuple((key, old.get(key, ""), new.get(key, "")) for key in keys if old.get(key) != new.get(key))


def _flat(table: Mapping[str, Any], path: Path = ()) -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, Mapping) and len(path) < len(("inputs", "NAME")):
            yield from _flat(value, (*path, key))
        else:
            yield dotted((*path, key)), _shown(value)


def _shown(value: Any) -> str:
    try:
        return inline(value)
    except TypeError:  # a date, which no key of a contract takes
        return str(value)
