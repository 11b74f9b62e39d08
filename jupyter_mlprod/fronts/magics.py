"""``%mlprod``: the verbs in a notebook. A live object is captured to a file, then the very same request runs as on the command line.

Loading this extension imports nothing heavy; IPython's own `UsageError` (never a subclass, which would print a trace) carries a refusal.
"""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_magic, magics_class, needs_local_scope

from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.requests import REQUESTS, Request
from jupyter_mlprod.fronts import call
from jupyter_mlprod.fronts.words import split_words

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from jupyter_mlprod.core.record import Record
    from jupyter_mlprod.workspace import Workspace

PREFIX = "%mlprod"


@magics_class
class MlprodMagics(Magics):
    """Holds the kernel's workspace, which knows what this kernel has packaged."""

    def __init__(self, shell: "InteractiveShell") -> None:
        super().__init__(shell)
        self.opened: Workspace | None = None

    @needs_local_scope
    @line_magic
    def mlprod(self, line: str, local_ns: dict[str, Any] | None = None) -> "Record | None":
        """Package, measure, gate and promote a model: ``%mlprod VERB …``; ``%mlprod VERB?`` or ``%mlprod VERB --help`` shows a verb."""
        try:
            return self._run(line, {**self.shell.user_ns, **(local_ns or {})})
        except MlprodError as error:
            raise UsageError(one_line(error)) from None

    def _run(self, line: str, names: dict[str, Any]) -> "Record | None":
        words = split_words(line)
        if not words or words[0] in ("--help", "-h", "help", "?"):
            print(call.usage(PREFIX))  # noqa: T201  help is what was asked for
            return None
        verb, rest = words[0].rstrip("?"), words[1:]
        if verb not in REQUESTS:
            from jupyter_mlprod.core.document import did_you_mean

            raise MlprodError(Code.BAD_REQUEST, f"no verb {verb!r}{did_you_mean(verb, REQUESTS)}", hint=f"{PREFIX} --help")
        if words[0].endswith("?") or {"--help", "-h", "?"} & set(rest):
            print(call.parser_of(verb, prefix=PREFIX).format_help())  # noqa: T201  help is what was asked for
            return None
        return self._carry_out(verb, rest, names)

    def _carry_out(self, verb: str, rest: list[str], names: dict[str, Any]) -> "Record":
        from jupyter_mlprod.fronts.live import Live

        workspace = self.workspace()
        live = Live(names, workspace)
        request = call.parse(verb, rest, prefix=PREFIX, resolve=lambda values: live.capture(verb, values))
        record = workspace.run(request)
        self._stop_on_verdict(record, request, workspace)
        return record

    def _stop_on_verdict(self, record: "Record", request: Request, workspace: "Workspace") -> None:
        """Inside a gate run a verdict that is not pass fails the notebook, after it has been shown."""
        from jupyter_mlprod.core.requests.gate import Gate
        from jupyter_mlprod.core.verdict import Verdict
        from jupyter_mlprod.fronts import display

        if workspace.run_folder and isinstance(request, Gate) and isinstance(record, Verdict) and record.outcome != "pass":
            print(display.as_text(record))  # noqa: T201  the cell ends in an error, so nothing else would show it
            raise UsageError(f"the verdict is {record.outcome}, so the notebook stops here")

    def workspace(self) -> "Workspace":
        """The workspace around the notebook's folder, opened anew when the kernel changes folder or mlprod.toml changes."""
        from jupyter_mlprod.workspace import open_workspace

        session = self.opened.session if self.opened else {}
        self.opened = open_workspace(taken_by="notebook", progress=_bar)
        self.opened.session.update(session)
        return self.opened


def _bar(what: str, items: Any) -> Any:
    """A bar under the cell for work over two seconds; none inside a gate run, whose notebook is a record."""
    from tqdm import tqdm

    yield from tqdm(items, desc=what, delay=2, leave=False, disable="MLPROD_RUN" in os.environ)


def one_line(error: MlprodError) -> str:
    """A refusal as UsageError shows it."""
    hint = f" (hint: {error.hint})" if error.hint else ""
    return f"{error.code.label}: {error.message}{hint}"


def show_records(shell: "InteractiveShell") -> None:
    """Teach the shell to show every record as text and HTML; imported modules are read when the first record is shown."""
    formatters: dict[str, Callable[..., str]] = {"text/html": _html, "text/plain": _text}
    for kind, render in formatters.items():
        formatter = shell.display_formatter.formatters[kind]
        for noun in (
            "bundle.Bundle",
            "contract.Contract",
            "evidence.Evidence",
            "listing.Listing",
            "notebook.Notebook",
            "policy.Policy",
            "release.Release",
            "verdict.Verdict",
        ):
            module, name = noun.split(".")
            formatter.for_type_by_name(f"jupyter_mlprod.core.{module}", name, render)


def _html(record: "Record") -> str:
    from jupyter_mlprod.fronts import display

    return display.as_html(record)


def _text(record: "Record", printer: Any, cycle: bool) -> str:  # noqa: ARG001  IPython's signature
    from jupyter_mlprod.fronts import display

    printer.text(display.as_text(record))
    return ""
