"""How a subject is written: ``digits``, ``digits@champion``, ``digits:7``, ``sha256:ab12…``, or a path."""

import os.path
import re
from typing import Literal

import msgspec

from jupyter_mlprod.core.errors import Code, MlprodError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,99}")
NAME_RULE = "letters, digits, '.', '_' and '-', at most 100"
LONGEST_VERSION = 9
MODEL_URI = "models:/"
DIGEST = re.compile(r"sha256:[0-9a-f]{8,64}")


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed subject; ``rest`` is the alias, the version number or empty."""

    kind: Literal["name", "alias", "version", "digest", "path"]
    name: str
    rest: str = ""


def parse_subject(text: str) -> Subject:
    """Read a subject.

    Raises
    ------
    MlprodError : ``bad-request`` when it is none of the five forms.

    Examples
    --------
    >>> parse_subject("digits@champion").rest
    'champion'
    """
    if DIGEST.fullmatch(text):
        return Subject(kind="digest", name=text)
    if "/" in text or "\\" in text or text.endswith(".mlprod") or text in (".", ".."):
        return Subject(kind="path", name=text)
    name, at, alias = text.partition("@")
    if at and NAME.fullmatch(name) and NAME.fullmatch(alias):
        return Subject(kind="alias", name=name, rest=alias)
    name, colon, version = text.partition(":")
    if colon and NAME.fullmatch(name) and version.isdecimal() and len(version) <= LONGEST_VERSION and name != "sha256":
        return Subject(kind="version", name=name, rest=version)
    if NAME.fullmatch(text):
        return Subject(kind="name", name=text)
    raise MlprodError(
        Code.BAD_REQUEST,
        f"{text[:120]!r} is no subject",
        hint="write NAME, NAME@ALIAS, NAME:VERSION, sha256:… (8 or more digits) or a path",
    )


def parse_model_uri(text: str) -> Subject:
    """A version or an alias as MLflow writes it: ``models:/digits/3``, ``models:/digits@champion``.

    Raises
    ------
    MlprodError : ``bad-request`` when it is neither.
    """
    rest = text.removeprefix(MODEL_URI)
    try:
        subject = parse_subject(rest if "@" in rest else ":".join(rest.rsplit("/", 1)))
    except MlprodError:
        subject = Subject(kind="path", name=rest)
    if subject.kind not in ("alias", "version"):
        raise MlprodError(
            Code.BAD_REQUEST, f"{text[:120]!r} names no version", hint=f"write {MODEL_URI}NAME/VERSION or {MODEL_URI}NAME@ALIAS"
        )
    return subject


def names_file(text: str) -> bool:
    """Whether a text is the path of a file; one that is too long for a path is none."""
    return os.path.isfile(text)  # noqa: PTH113  Path.is_file raises on a name of more than 255 characters


def names_folder(text: str) -> bool:
    """Whether a text is the path of a folder; one that is too long for a path is none."""
    return os.path.isdir(text)  # noqa: PTH112  as above


def check_name(name: str, *, what: str) -> str:
    """A name that may stand in a path, a registry and a report."""
    if not NAME.fullmatch(name):
        raise MlprodError(Code.BAD_REQUEST, f"{what} {name[:120]!r} may hold {NAME_RULE}")
    return name
