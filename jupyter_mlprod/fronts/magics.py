"""``%mlprod``: the verbs in a notebook. A live object is captured to a file, then the very same request runs as on the command line.

``%%mlprod preprocess`` runs a cell and keeps its text, so that what travels is what was read; ``%%mlprod contract`` keeps one of TOML.

Loading this extension imports nothing heavy; IPython's own `UsageError` (never a subclass, which would print a trace) carries a refusal.
"""

import importlib.util
import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, needs_local_scope

from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.requests import Request
from jupyter_mlprod.fronts import call
from jupyter_mlprod.fronts.words import split_words

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from jupyter_mlprod.core.portrait import Portrait
    from jupyter_mlprod.core.record import Record
    from jupyter_mlprod.fronts.live import CellCode
    from jupyter_mlprod.workspace import Workspace

PREFIX = "%mlprod"
CONTRACT = "contract"
HELP = ("-h", "--help", "?")
NOUNS = ("bundle.Bundle", "contract.Contract", "evidence.Evidence", "listing.Listing", "notebook.Notebook", "policy.Policy",
         "portrait.Portrait", "release.Release", "snapshot.Snapshot", "verdict.Verdict")  # fmt: skip

NO_KERNEL = "suggestions are accepted here while a kernel runs"
PORTRAIT = ("jupyter_mlprod.core.portrait", "Portrait")


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """The portrait that was shown last, and what accepts its suggestions."""

    portrait: "Portrait"
    accept: "Callable[[Mapping[str, str]], Portrait]"


@magics_class
class MlprodMagics(Magics):
    """Holds the kernel's workspace, which knows what this kernel has packaged."""

    def __init__(self, shell: "InteractiveShell") -> None:
        super().__init__(shell)
        self.opened: Workspace | None = None
        self.cells: dict[str, CellCode] = {}
        self.contract = ""
        self.offered: Offer | None = None

    @needs_local_scope
    @line_magic
    def mlprod(self, line: str, local_ns: dict[str, Any] | None = None) -> Any:
        """Package, measure, gate and promote a model: ``%mlprod VERB …``; ``%mlprod VERB?`` or ``%mlprod VERB --help`` shows a verb."""
        assert self.shell is not None
        try:
            with call.naming_the_disk():
                return self._run(line, {**self.shell.user_ns, **(local_ns or {})})
        except MlprodError as error:
            raise UsageError(one_line(error)) from None

    @cell_magic("mlprod")  # type: ignore[arg-type]  # IPython types the bare decorator alone
    def mlprod_cell(self, line: str, cell: str) -> None:
        """``%%mlprod preprocess [NAME]``, or postprocess: run the cell and keep its text; its last function, or NAME, is packaged.

        ``%%mlprod contract``: keep the cell's TOML as the contract that verbs take when none is given.
        """
        try:
            words = split_words(line)
            if words == [CONTRACT]:
                self._keep_contract(cell)
            else:
                self._keep_cell(words, cell)
        except MlprodError as error:
            raise UsageError(one_line(error)) from None

    def _keep_contract(self, cell: str) -> None:
        """A contract whose every fault is told at once; with any, the former one stays."""
        from jupyter_mlprod.core.contract_toml import check_text

        if not cell.strip():
            raise MlprodError(Code.BAD_REQUEST, "the cell is blank, and the former contract stays", hint='--contract "" takes none')
        check_text(cell, name="cell")
        self.contract = cell

    def _keep_cell(self, words: list[str], cell: str) -> None:
        """What the cell cannot take along is told before it runs."""
        from jupyter_mlprod.core.source import carry_cell, check_imports
        from jupyter_mlprod.core.written import defined_in, last_function
        from jupyter_mlprod.fronts.live import CODES, CellCode

        assert self.shell is not None
        if not words or words[0] not in CODES or len(words) > 2:
            raise MlprodError(
                Code.BAD_REQUEST, f"%%{call.PROGRAM} takes {' or '.join(CODES)}, and the name of a function of the cell; or {CONTRACT}"
            )
        option, code = words[0], CODES[words[0]]
        check_imports(cell, "the cell", code=code)
        name = words[1] if len(words) == 2 else last_function(cell)
        if not name or name not in defined_in(cell):
            raise MlprodError(
                code, f"the cell defines no function{f' {name!r}' if name else ''}", hint="write it as 'def prepare(batch): …'"
            )
        carry_cell(cell, name, self.shell.user_ns, code=code)
        if not self.shell.run_cell(cell, store_history=False).success:  # type: ignore[no-untyped-call]
            raise MlprodError(code, "the cell did not run to its end, so it is not kept")
        function = self.shell.user_ns[name]
        if not callable(function):
            raise MlprodError(code, f"{name!r} is a {type(function).__name__}", hint="write it as 'def prepare(batch): …'")
        self.cells[option] = CellCode(name=name, text=cell, function=function)

    def _run(self, line: str, names: dict[str, Any]) -> Any:
        words = split_words(line.rstrip().removesuffix(";"))  # by which IPython is told to show nothing
        if words[:1] == ["help"]:
            words = [*words[1:], "--help"]
        if not words or words[0] in HELP:
            print(call.usage(PREFIX))  # noqa: T201  help is what was asked for
            return None
        if set(HELP) & set(words[1:]):
            print(call.parser_of(words[0], prefix=PREFIX).format_help())  # noqa: T201  help is what was asked for
            return None
        return self._carry_out(words[0], words[1:], names)

    def _carry_out(self, verb: str, rest: list[str], names: dict[str, Any]) -> Any:
        """The record of a verb; of ``load`` the live module, which only a kernel can hold."""
        call.kind_of(verb, prefix=PREFIX)
        from jupyter_mlprod.core.requests.load import Load
        from jupyter_mlprod.fronts.live import Live

        workspace = self.workspace()
        workspace.cells = executed_cells(self.shell)
        live = Live(names, workspace, cells=self.cells, contract=self.contract)
        try:
            request = call.parse(verb, rest, prefix=PREFIX, resolve=lambda values: live.capture(verb, values))
            if isinstance(request, Load):
                return workspace.module(request)
            record = workspace.run(request)
        except MlprodError as error:
            raise live.located(error) from None
        finally:
            live.forget()
        self._stop_on_verdict(record, request, workspace)
        self._offer(record, request, [verb, *rest])
        return record

    def _offer(self, record: "Record", request: Request, words: list[str]) -> None:
        """Keep what a panel needs to accept suggestions: nothing for the contract of a bundle, which never changes."""
        from jupyter_mlprod.core.portrait import CELL, Portrait
        from jupyter_mlprod.core.requests.contract import Contract

        if isinstance(record, Portrait) and isinstance(request, Contract):
            file = "" if record.about == CELL else request.subject
            editable = record.about == CELL or file.endswith(".toml")
            self.offered = Offer(portrait=record, accept=partial(self._accept, words, file)) if editable else None

    def _accept(self, words: list[str], file: str, settings: Mapping[str, str]) -> "Portrait":
        """Write settings into the file, or the kept cell, and show the same contract and data anew, as they are now."""
        from jupyter_mlprod.core.requests.contract import Contract

        assert self.shell is not None
        with call.naming_the_disk():
            if file:
                self.workspace().run(Contract(action="edit", subject=file, set=dict(settings)))
            else:
                self._keep_contract(edited_cell(self.contract, settings, self.workspace()))
            portrait: Portrait = self._carry_out(words[0], words[1:], dict(self.shell.user_ns))
        return portrait

    def _stop_on_verdict(self, record: "Record", request: Request, workspace: "Workspace") -> None:
        """Inside a gate run a verdict that is not pass fails the notebook, after it has been shown."""
        from jupyter_mlprod.core.requests.gate import Gate
        from jupyter_mlprod.core.verdict import Verdict
        from jupyter_mlprod.fronts import display

        if workspace.run_folder and isinstance(request, Gate) and isinstance(record, Verdict) and record.outcome != "pass":
            print(display.as_text(record))  # noqa: T201  the cell ends in an error, so nothing else would show it
            raise UsageError(f"the verdict is {record.outcome}, so the notebook stops here")

    def workspace(self) -> "Workspace":
        """The workspace around the notebook's folder, opened anew each time: the kernel may have moved, mlprod.toml may have changed."""
        from jupyter_mlprod.workspace import open_workspace

        session = self.opened.session if self.opened else {}
        self.opened = open_workspace(taken_by="notebook", progress=_bar, tell=_tell)
        self.opened.session.update(session)
        return self.opened


def edited_cell(text: str, settings: "Mapping[str, str]", workspace: "Workspace") -> str:
    """The text of a contract cell with settings in it, as ``contract edit`` writes them."""
    from jupyter_mlprod.core.private import LIVE, private_folder
    from jupyter_mlprod.core.requests.contract import Contract

    path = private_folder(workspace.scratch / LIVE) / f"{uuid.uuid4().hex}.toml"
    workspace.write_text(path, text)
    try:
        workspace.run(Contract(action="edit", subject=str(path), set=dict(settings)))
        return path.read_text("utf-8")
    finally:
        path.unlink()


def executed_cells(shell: "InteractiveShell | None") -> tuple[str, ...]:
    """sha256 of each cell as it was typed, in the order of execution, this one included; what was run without history is not there."""
    from jupyter_mlprod.core.record import digest_bytes

    history = getattr(getattr(shell, "history_manager", None), "input_hist_raw", [])
    return tuple(digest_bytes(source.encode("utf-8", "surrogatepass")) for source in history[1:] if source)


def _tell(line: str) -> None:
    """What is told beside a record, above it in the cell's output; a name in it may be hostile."""
    from jupyter_mlprod.core.plain import clean

    print(clean(line))  # noqa: T201


def _bar(what: str, items: Sequence[Any]) -> Iterator[Any]:
    """A bar under the cell for work over two seconds; none inside a gate run, whose notebook is a record."""
    from tqdm import tqdm

    yield from tqdm(items, desc=what, delay=2, leave=False, disable="MLPROD_RUN" in os.environ)


def one_line(error: MlprodError) -> str:
    """A refusal as UsageError shows it; a name in it may be hostile."""
    from jupyter_mlprod.core.plain import clean

    return "\n".join(map(clean, str(error).splitlines()))


def show_records(shell: "InteractiveShell", magics: MlprodMagics) -> None:
    """Teach the shell to show every record as text and HTML; imported modules are read when the first record is shown.

    A portrait whose contract can be edited has a panel below it, where there is a kernel that can hear it.
    """
    assert shell.display_formatter is not None
    shell.display_formatter.ipython_display_formatter.for_type_by_name(*PORTRAIT, partial(_with_panel, shell, magics))
    for kind, render in (("text/html", _html), ("text/plain", _text)):
        for noun in NOUNS:
            module, name = noun.split(".")
            shell.display_formatter.formatters[kind].for_type_by_name(f"jupyter_mlprod.core.{module}", name, render)


def forget_records(shell: "InteractiveShell") -> None:
    """Undo `show_records`."""
    assert shell.display_formatter is not None
    shell.display_formatter.ipython_display_formatter.pop(".".join(PORTRAIT), None)
    for kind in ("text/html", "text/plain"):
        for noun in NOUNS:
            shell.display_formatter.formatters[kind].pop(f"jupyter_mlprod.core.{noun}", None)


def _with_panel(shell: "InteractiveShell", magics: MlprodMagics, portrait: "Portrait") -> None:
    """The portrait that was shown last, and its panel in a display of its own.

    Raises
    ------
    NotImplementedError : to be shown as any record: in a gate run, whose notebook is a record, or where no kernel listens.
    """
    offer = magics.offered
    listens = getattr(shell, "kernel", None) is not None and "MLPROD_RUN" not in os.environ
    if offer is None or offer.portrait is not portrait or not listens or importlib.util.find_spec("anywidget") is None:
        raise NotImplementedError
    from IPython.display import display

    from jupyter_mlprod.fronts.panel import WIDGET, Panel

    shown = display(_static(portrait), raw=True, display_id=True)  # type: ignore[no-untyped-call]
    panel = Panel(portrait, target=portrait.about, accept=offer.accept, drawn=lambda other: shown.update(_static(other), raw=True))
    found: Any = panel._repr_mimebundle_()
    data = found[0] if isinstance(found, tuple) else found
    display({WIDGET: data[WIDGET], "text/plain": NO_KERNEL}, raw=True)  # type: ignore[no-untyped-call]


def _static(portrait: "Portrait") -> dict[str, str]:
    from jupyter_mlprod.fronts import display

    return {"text/html": display.as_html(portrait), "text/plain": display.as_text(portrait)}


def _html(record: "Record") -> str:
    from jupyter_mlprod.fronts import display

    return display.as_html(record)


def _text(record: "Record", printer: Any, cycle: bool) -> None:  # noqa: ARG001  IPython's signature
    from jupyter_mlprod.fronts import display

    printer.text(display.as_text(record))
