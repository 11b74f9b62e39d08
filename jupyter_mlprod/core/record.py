"""A record: a frozen, versioned, typed JSON document, addressed by the sha256 of its canonical bytes.

Canonical means msgspec's encoding with sorted keys. The digest is never a field: it is computed, so it cannot lie.
"""

import hashlib
from pathlib import Path
from typing import Any

import msgspec

DIGEST_PREFIX = "sha256:"


class Record(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", forbid_unknown_fields=True):
    """Base of every noun. A subclass names its schema by ``tag``, such as ``bundle/1``."""


def canonical(record: msgspec.Struct) -> bytes:
    """The bytes that are hashed, signed and stored."""
    return msgspec.json.encode(record, order="sorted")


def digest(record: msgspec.Struct) -> str:
    """``sha256:`` and 64 hexadecimal digits over :func:`canonical`."""
    return digest_bytes(canonical(record))


def digest_bytes(data: bytes) -> str:
    return DIGEST_PREFIX + hashlib.sha256(data).hexdigest()


def digest_of_file(path: Path) -> str:
    """``sha256:`` and 64 hexadecimal digits over a file's bytes, which are not held in memory."""
    with path.open("rb") as stream:
        return DIGEST_PREFIX + hashlib.file_digest(stream, "sha256").hexdigest()


def short(digest_text: str) -> str:
    """A digest as people read it: the first twelve digits."""
    return digest_text[: len(DIGEST_PREFIX) + 12]


def with_digest(record: Record) -> dict[str, Any]:
    """What ``--json`` prints: the record's fields, led by schema and digest."""
    fields = msgspec.to_builtins(record)
    return {"schema": fields.pop("schema"), "digest": digest(record), **fields}
