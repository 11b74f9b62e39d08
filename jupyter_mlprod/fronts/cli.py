"""The command line: ``mlprod VERB …``. Standard output carries the record and nothing else; all talk goes to standard error."""

import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from jupyter_mlprod.core.errors import MlprodError
from jupyter_mlprod.core.requests import REQUESTS
from jupyter_mlprod.fronts import call

CANCELLED = 130
BROKEN_PIPE = 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in words
    words = [word for word in words if word != "--json"]
    try:
        return _run(words, as_json=as_json)
    except MlprodError as error:
        _complain(error)
        return error.code.status
    except KeyboardInterrupt:
        sys.stderr.write("cancelled\n")
        return CANCELLED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE


def _run(words: list[str], *, as_json: bool) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        sys.stdout.write(call.usage() + "\n\n--json prints exactly one record on standard output.\n")
        return 0 if words else 2
    if words[0] == "--version":
        from importlib.metadata import version

        sys.stdout.write(f"mlprod {version('jupyter-mlprod')}\n")
        return 0
    verb, rest = words[0], words[1:]
    if verb not in REQUESTS:
        from jupyter_mlprod.core.document import did_you_mean
        from jupyter_mlprod.core.errors import Code

        raise MlprodError(Code.BAD_REQUEST, f"no verb {verb!r}{did_you_mean(verb, REQUESTS)}", hint="mlprod --help")
    if "--help" in rest or "-h" in rest:
        sys.stdout.write(call.parser_of(verb).format_help())
        return 0
    return _carry_out(verb, rest, as_json=as_json)


def _carry_out(verb: str, rest: list[str], *, as_json: bool) -> int:
    request = call.parse(verb, rest, resolve=_ask if verb == "init" and sys.stdin.isatty() and sys.stdout.isatty() else None)
    from jupyter_mlprod.core.verdict import exit_status
    from jupyter_mlprod.fronts import display
    from jupyter_mlprod.workspace import open_workspace

    workspace = open_workspace(call.start_of(request), taken_by="runner", progress=_bar, tell=_tell)
    record = workspace.run(request)
    text = display.as_json(record) if as_json else display.as_text(record, color=sys.stdout.isatty() and "NO_COLOR" not in os.environ)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
    return exit_status(record)


def _ask(values: dict[str, Any]) -> None:
    """Ask on a terminal for what was not given; Enter keeps the default."""
    for option in call.options_of(REQUESTS["init"]):
        if option.name in values or option.positional:
            continue
        choices = f" ({'/'.join(option.choices)})" if option.choices else ""
        answer = input(f"{option.help}{choices} [{option.default}]: ").strip()
        if answer:
            values[option.name] = answer


def _tell(line: str) -> None:
    sys.stderr.write(line + "\n")


def _bar(what: str, items: Sequence[Any]) -> Iterator[Any]:
    """A bar on standard error, for work that takes more than two seconds."""
    from tqdm import tqdm

    yield from tqdm(items, desc=what, delay=2, leave=False, disable=not sys.stderr.isatty())


def _complain(error: MlprodError) -> None:
    lines = error.message.splitlines() or [""]
    sys.stderr.write(f"{error.code.label}: {lines[0]}\n")
    sys.stderr.writelines(f"  {line}\n" for line in lines[1:])
    if error.hint:
        sys.stderr.write(f"hint: {error.hint}\n")
