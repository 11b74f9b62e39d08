"""Changes of a ``contract.toml`` by its words: which suggestions are accepted, which keys set, what is confirmed; and what that changed.

A suggestion is accepted by taking the comment's mark away from its keys, where they stand, so the file stays the person's own.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from jupyter_mlprod.core.document import did_you_mean
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.suggest import MARK
from jupyter_mlprod.core.toml_line import comment, dotted, inline

ALL = "all"
WORD = r'(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*")'
HEAD = re.compile(rf"# {MARK} ({WORD}(?:\.{WORD})*)(?: \(([a-z_, ]+)\))?: (.*)")
SECTIONS = ("inputs", "outputs", "data")

Path = tuple[str, ...]


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """A suggestion among the lines of a file: its name, where it begins, and the lines that are keys of it."""

    name: str
    first: int
    keys: tuple[int, ...]

    @property
    def names(self) -> tuple[str, str]:
        """By which it may be called: with the section's kind before the field, and without."""
        path = key_path(self.name)
        return self.name, dotted(path[1:]) if len(path) > 2 else self.name


def accepted(text: str, names: Sequence[str]) -> str:
    """The text with suggestions in force; a remark, which has no keys, stays a comment.

    Raises
    ------
    MlprodError : ``bad-request`` for a name that no suggestion or more than one has, or that is a remark.
    """
    lines = text.split("\n")  # and at no other line's end, which TOML has not: a value may hold one
    blocks = list(_blocks(lines))
    wanted = {block.name for block in blocks if block.keys} if ALL in names else set()
    wanted |= {_named(name, blocks).name for name in names if name != ALL}
    for block in blocks:
        if block.name not in wanted:
            continue
        if sum(other.name == block.name for other in blocks) > 1:
            raise MlprodError(Code.BAD_REQUEST, f"--accept {block.name}: the file has it more than once, so take the mark away by hand")
        head = HEAD.fullmatch(lines[block.first].rstrip("\r"))
        assert head is not None
        lines[block.first] = comment(head[3]) + "\r" * lines[block.first].endswith("\r")
        for line in block.keys:
            lines[line] = lines[line].removeprefix("# ")
    return "\n".join(lines)


def _named(name: str, blocks: Sequence[Block]) -> Block:
    found = {block.name: block for block in blocks if name in block.names}
    known = sorted({block.names[1] for block in blocks if block.keys})
    if not found:
        raise MlprodError(Code.BAD_REQUEST, f"--accept {name[:80]!r} names no suggestion{did_you_mean(name, known[:20])}")
    if len(found) > 1:
        raise MlprodError(Code.BAD_REQUEST, f"--accept {name} names {len(found)} suggestions: say {' or '.join(found)}")
    (block,) = found.values()
    if not block.keys:
        raise MlprodError(Code.BAD_REQUEST, f"--accept {name}: it is a remark, which declares nothing")
    return block


def _blocks(lines: Sequence[str]) -> Iterator[Block]:
    """The suggestions; the lines of one end where a line is none of the keys that its head names, such as a person's own comment."""
    for first, line in enumerate(lines):
        if head := HEAD.fullmatch(line.rstrip("\r")):
            left = (head[2] or "").split(", ")
            last = first + 1
            while last < len(lines) and lines[last].startswith("# "):
                key = lines[last][2:].partition(" = ")[0]
                if key not in left:
                    break
                left.remove(key)
                last += 1
            yield Block(name=head[1], first=first, keys=tuple(range(first + 1, last)))


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
