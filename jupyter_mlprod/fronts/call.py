"""The one grammar of every front: a request's fields become a parser, words become a request, a request is carried out.

Command line and magic differ only in what a word may name: a file there, a variable here too.
"""

import argparse
import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import msgspec
from msgspec import inspect

from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.requests import REQUESTS, Request

PROGRAM = "mlprod"


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """One field of a request as a front sees it."""

    name: str
    help: str
    type: inspect.Type
    required: bool
    default: Any
    live: str
    positional: bool
    flag: str
    metavar: str
    names: str

    @property
    def written(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def is_switch(self) -> bool:
        return isinstance(self.type, inspect.BoolType)

    @property
    def choices(self) -> tuple[str, ...]:
        return tuple(map(str, self.type.values)) if isinstance(self.type, inspect.LiteralType) else ()


def options_of(kind: type[Request]) -> tuple[Option, ...]:
    """The options of a request, in the order of its fields."""
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    return tuple(_option(field) for field in info.fields)


def _option(field: inspect.Field) -> Option:
    declared: dict[str, Any] = {}
    text, bare = "", field.type
    while isinstance(bare, inspect.Metadata):
        declared |= bare.extra or {}
        text = (bare.extra_json_schema or {}).get("description", text)
        bare = bare.type
    default = field.default if field.default is not msgspec.NODEFAULT else None
    if field.default_factory is not msgspec.NODEFAULT:
        default = field.default_factory()
    return Option(name=field.name, help=text, type=bare, required=field.required, default=default, **declared)


def kind_of(verb: str, *, prefix: str = PROGRAM) -> type[Request]:
    """The request of a verb.

    Raises
    ------
    MlprodError : ``bad-request`` with the verb that was probably meant.
    """
    if verb not in REQUESTS:
        from jupyter_mlprod.core.document import did_you_mean

        raise MlprodError(Code.BAD_REQUEST, f"no verb {verb!r}{did_you_mean(verb, REQUESTS)}", hint=f"{prefix} --help")
    return REQUESTS[verb]


def help_of(kind: type[Request]) -> str:
    """First line of the docstring: what the verb does."""
    return (kind.__doc__ or "").strip().splitlines()[0]


class _Parser(argparse.ArgumentParser):
    """argparse that refuses in this project's own way instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        raise MlprodError(Code.BAD_REQUEST, f"{self.prog}: {message}", hint=f"{self.prog} --help")


def parser_of(verb: str, *, prefix: str = PROGRAM) -> argparse.ArgumentParser:
    """The parser of one verb; ``prefix`` is how the front is called (``mlprod`` or ``%mlprod``)."""
    kind = kind_of(verb, prefix=prefix)
    parser = _Parser(
        prog=f"{prefix} {verb}",
        description=_paragraphs(kind.__doc__ or ""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
        allow_abbrev=False,
    )
    shown = parser.add_argument_group("arguments"), parser.add_argument_group("options")
    for option in options_of(kind):
        _add(option, *shown)
    shown[1].add_argument("-h", "--help", action="store_true", default=argparse.SUPPRESS, help="show this and do nothing")
    return parser


def _paragraphs(doc: str) -> str:
    return "\n".join(line.strip() for line in doc.strip().splitlines())


def _add(option: Option, arguments: Any, options: Any) -> None:
    """Declare one option to argparse; a positional may be written with its name too, so its presence is checked later."""
    text = option.help.replace("%", "%%") + _default_text(option)
    common: dict[str, Any] = {"default": argparse.SUPPRESS, "help": text}
    shown = option.metavar or (None if option.choices else option.name.upper())
    if option.positional:
        many = isinstance(option.type, inspect.VarTupleType)
        arguments.add_argument(option.name, nargs="*" if many else "?", metavar=shown, **common)
        if not many:
            options.add_argument(option.written, dest=option.name, metavar=shown, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    elif option.is_switch:
        options.add_argument(option.written, dest=option.name, action="store_true", **common)
    elif isinstance(option.type, inspect.DictType):
        flags = [flag for flag in (option.flag, option.written) if flag]
        options.add_argument(*flags, dest=option.name, nargs=2, action="append", metavar=("NAME", "VALUE"), **common)
    else:
        flags = [flag for flag in (option.flag, option.written) if flag]
        options.add_argument(*flags, dest=option.name, metavar=shown, choices=option.choices or None, **common)


def _default_text(option: Option) -> str:
    if option.required or option.default in ("", False, (), {}) or isinstance(option.default, dict):
        return " (required)" if option.required and not option.positional else ""
    default = ",".join(map(str, option.default)) if isinstance(option.default, tuple) else option.default
    return f" (default: {default})"


def parse(verb: str, words: Sequence[str], *, prefix: str = PROGRAM, resolve: Callable[[dict[str, Any]], None] | None = None) -> Request:
    """Words to a request.

    Parameters
    ----------
    resolve : what a front does to the values before they are typed; a magic captures live objects here

    Raises
    ------
    MlprodError : ``bad-request``; the message names the option.
    """
    parser = parser_of(verb, prefix=prefix)
    found, extra = parser.parse_known_intermixed_args(list(words))
    if extra:
        raise _unknown(extra, verb, prefix=prefix)
    values = vars(found)
    values.pop("help", None)
    kind = REQUESTS[verb]
    options = {option.name: option for option in options_of(kind)}
    missing = [option for option in options.values() if option.required and not values.get(option.name)]
    if missing:
        words_needed = ", ".join(option.metavar if option.positional else option.written for option in missing)
        raise MlprodError(Code.BAD_REQUEST, f"{prefix} {verb} needs {words_needed}", hint=f"{prefix} {verb} --help")
    if resolve is not None:
        resolve(values)
    for name, value in values.items():
        if isinstance(options[name].type, inspect.DictType):
            values[name] = dict(value)
        elif isinstance(options[name].type, inspect.VarTupleType) and isinstance(value, str):
            values[name] = [item.strip() for item in value.split(",") if item.strip()]
    try:
        return msgspec.convert({"verb": verb, **values}, kind, strict=False)
    except msgspec.ValidationError as error:
        raise MlprodError(Code.BAD_REQUEST, f"{prefix} {verb}: {error}", hint=f"{prefix} {verb} --help") from None


def _unknown(extra: Sequence[str], verb: str, *, prefix: str) -> MlprodError:
    """The refusal of words that the verb has no place for."""
    from jupyter_mlprod.core.document import did_you_mean

    option = next((word.partition("=")[0] for word in extra if word.startswith("-")), "")
    written = [option.written for option in options_of(REQUESTS[verb]) if not option.positional]
    what = f"has no option {option}{did_you_mean(option, written)}" if option else f"has no place for {extra[0]!r}"
    return MlprodError(Code.BAD_REQUEST, f"{prefix} {verb} {what}", hint=f"{prefix} {verb} --help")


@contextlib.contextmanager
def naming_the_disk() -> Iterator[None]:
    """Turn a failing disk that no adapter named (full, read-only, no rights) into a refusal worth a retry.

    An OSError without an errno was raised by a library for a reason of its own, and stays what it is: a bug.
    """
    try:
        yield
    except ConnectionError:
        raise
    except OSError as error:
        if error.errno is None:
            raise
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
        raise MlprodError(Code.DISK, what, hint="free space or rights, then run it again") from error


def start_of(request: Request) -> Path:
    """The folder from which the workspace of a request is looked for: a notebook's own folder, else where we are."""
    named = [getattr(request, "notebook", ""), *getattr(request, "subjects", ())]
    for path in named:
        if path.endswith(".ipynb") and Path(path).parent.is_dir():
            return Path(path).parent
    return Path()


def usage(prefix: str = PROGRAM) -> str:
    """The overview of all verbs."""
    width = max(map(len, REQUESTS))
    lines = [f"usage: {prefix} VERB [options]", "", "The training notebook as the release desk.", "", "verbs:"]
    lines += [f"  {verb:<{width}}  {help_of(kind)}" for verb, kind in REQUESTS.items()]
    tail = f"{prefix} VERB --help shows a verb's options."
    return "\n".join([*lines, "", tail])
