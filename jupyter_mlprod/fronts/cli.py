"""The command line: ``mlprod VERB …``. Standard output carries the record and nothing else; all talk goes to standard error."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from jupyter_mlprod.core.errors import MlprodError
from jupyter_mlprod.core.requests import REQUESTS
from jupyter_mlprod.fronts import call

CANCELLED = 130
BROKEN_PIPE = 141
HELP = ("-h", "--help")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; what is neither a refusal nor a cancellation is a bug, and keeps its trace."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in words
    words = [word for word in words if word != "--json"]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        with call.naming_the_disk():
            status = _run(words, as_json=as_json)
            sys.stdout.flush()
        return status
    except MlprodError as error:
        _complain(error)
        _settle_output()
        return error.code.status
    except BrokenPipeError:
        _settle_output()
        return BROKEN_PIPE
    except SystemExit as ended:  # code that a verb ran tried to end the process: whatever status it chose, nothing was proven
        sys.stderr.write(f"ended from within by SystemExit({ended.code!r})\n")
        return 1
    except (Exception, KeyboardInterrupt) as error:
        if not _is_cancelled(error):
            raise
        sys.stderr.write("cancelled\n")
        return CANCELLED


def _is_cancelled(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind it: an extension module that is interrupted while it is imported says ImportError."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _settle_output() -> None:
    """Let go of output that nobody takes, else the interpreter would try again at its end and complain."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(words: list[str], *, as_json: bool) -> int:
    if words[:1] == ["help"]:
        words = [*words[1:], "--help"]
    if not words or words[0] in HELP:
        sys.stdout.write(call.usage() + "\n\n--json prints exactly one record on standard output.\n")
        return 0 if words else 2
    if words[0] == "--version":
        from importlib.metadata import version

        sys.stdout.write(f"mlprod {version('jupyter-mlprod')}\n")
        return 0
    verb, rest = words[0], words[1:]
    if set(HELP) & set(rest):
        sys.stdout.write(call.parser_of(verb).format_help())
        return 0
    return _carry_out(verb, rest, as_json=as_json)


def _carry_out(verb: str, rest: list[str], *, as_json: bool) -> int:
    asks = verb == "init" and not as_json and sys.stdin.isatty() and sys.stdout.isatty()
    request = call.parse(verb, rest, resolve=_ask if asks else None)
    from jupyter_mlprod.core.verdict import exit_status
    from jupyter_mlprod.fronts import display
    from jupyter_mlprod.workspace import open_workspace

    workspace = open_workspace(call.start_of(request), taken_by="runner", progress=_bar, tell=_tell)
    with _nothing_but_the_record():
        record = workspace.run(request)
    text = display.as_json(record) if as_json else display.as_text(record, color=_wants_color())
    sys.stdout.write(text + "\n")
    return exit_status(record)


@contextlib.contextmanager
def _nothing_but_the_record() -> Iterator[None]:
    """What code of a model or a bundle prints goes to standard error, also from below Python where standard output is the process's own."""
    with contextlib.redirect_stdout(sys.stderr), contextlib.ExitStack() as undo:
        with contextlib.suppress(OSError, ValueError, AttributeError):  # a stream that is closed, or is not the process's own
            if sys.__stdout__.fileno() == 1:  # type: ignore[union-attr]
                kept = os.dup(1)
                undo.callback(os.close, kept)
                undo.callback(os.dup2, kept, 1)
                os.dup2(2, 1)
                undo.callback(sys.__stdout__.flush)  # type: ignore[union-attr]  # what waits in it was printed here, too
        yield


def _wants_color() -> bool:
    """On a terminal that can show them, unless https://no-color.org is asked for."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _ask(values: dict[str, Any]) -> None:
    """Ask on a terminal for what was not given; Enter keeps the default, and the end of the input cancels."""
    for option in call.options_of(REQUESTS["init"]):
        if option.name in values or option.positional:
            continue
        choices = f" ({'/'.join(option.choices)})" if option.choices else ""
        try:
            answer = input(f"{option.help}{choices} [{option.default}]: ").strip()
        except EOFError:
            raise KeyboardInterrupt from None
        if answer:
            values[option.name] = answer


def _tell(line: str) -> None:
    """What is told beside the record; a name in it may be hostile."""
    from jupyter_mlprod.core.plain import clean

    sys.stderr.write(clean(line) + "\n")


def _bar(what: str, items: Sequence[Any]) -> Iterator[Any]:
    """A bar on standard error, for work that takes more than two seconds."""
    from tqdm import tqdm

    yield from tqdm(items, desc=what, delay=2, leave=False, disable=not sys.stderr.isatty())


def _complain(error: MlprodError) -> None:
    """The refusal on standard error; a name in it may be hostile."""
    from jupyter_mlprod.core.plain import clean

    lines = error.message.splitlines() or [""]
    sys.stderr.write(f"{error.code.label}: {clean(lines[0])}\n")
    sys.stderr.writelines(f"  {clean(line)}\n" for line in lines[1:])
    if error.hint:
        sys.stderr.write(f"hint: {clean(error.hint)}\n")
