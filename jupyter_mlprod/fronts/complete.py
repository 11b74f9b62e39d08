"""Tab completion and ``?`` of ``%mlprod``, in IPython's own terms.

IPython completes a magic's name and nothing after it, so a context matcher of our own reads the line; it also works after ``x = %mlprod``
and over lines continued by a backslash. And IPython reads ``%mlprod package?`` as a question about a variable ``package``, so a token
transformer of our own comes before it.
"""

import re
import tokenize
import types
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher
from IPython.core.inputtransformer2 import TokenTransformBase
from msgspec import inspect

from jupyter_mlprod.core.errors import MlprodError
from jupyter_mlprod.core.requests import REQUESTS
from jupyter_mlprod.fronts import call

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from jupyter_mlprod.workspace import Workspace

Matcher = Callable[[CompletionContext], SimpleMatcherResult]

IDENTIFIER = "jupyter_mlprod"
LINE = re.compile(r"^\s*(?:[\w(*\[][^%#=(]*=\s*)?%mlprod\s+(?P<rest>.*)$", re.DOTALL)
CELL = re.compile(r"^%%mlprod\s+(?P<rest>\S*)$")
CELL_KINDS = ("contract", "postprocess", "preprocess")
CONTINUED = "\\"
DATA = (".npy", ".npz", ".csv", ".parquet")
SUFFIXES = {
    "array": DATA,
    "contract": (*DATA, ".toml"),
    "columns": DATA,
    "snapshot": DATA,
    "code": (".py",),
    "model": (".onnx",),
    "text": (".toml",),
}
ANY_FILE = (*DATA, ".ipynb", ".mlprod")


def matcher_for(shell: "InteractiveShell") -> Matcher:
    """A matcher over one shell's names."""

    @context_matcher(identifier=IDENTIFIER)  # type: ignore[untyped-decorator]
    def matcher(context: CompletionContext) -> SimpleMatcherResult:
        line = LINE.match(_written(context))
        if line is None:
            return _cell_kinds(_written(context))
        names = {name: value for name, value in shell.user_ns.items() if name not in shell.user_ns_hidden and not name.startswith("_")}
        fragment, words = candidates(line.group("rest"), names)
        found = [SimpleCompletion(text=word, type="mlprod") for word in words if word.startswith(fragment)]
        return SimpleMatcherResult(completions=found, suppress=bool(found), ordered=True, matched_fragment=fragment)

    result: Matcher = matcher
    return result


def _cell_kinds(written: str) -> SimpleMatcherResult:
    """What may stand after ``%%mlprod``; nothing on any other line."""
    cell = CELL.match(written)
    if cell is None:
        return SimpleMatcherResult(completions=[])
    fragment = cell.group("rest")
    found = [SimpleCompletion(text=kind, type="mlprod") for kind in CELL_KINDS if kind.startswith(fragment)]
    return SimpleMatcherResult(completions=found, suppress=bool(found), ordered=True, matched_fragment=fragment)


def _written(context: CompletionContext) -> str:
    """The line up to the cursor, led by those that a backslash continues into it."""
    before = context.full_text.split("\n")[: context.cursor_line]
    written = context.line_with_cursor[: context.cursor_position]
    while before and before[-1].endswith(CONTINUED):
        written = f"{before.pop().removesuffix(CONTINUED)} {written}"
    return written


def candidates(rest: str, names: Mapping[str, Any]) -> tuple[str, list[str]]:
    """What is being written, and everything that may stand there, given the text between ``%mlprod`` and the cursor."""
    before = rest.split()
    fragment = "" if not rest or rest[-1].isspace() else before.pop()
    if not before:
        return fragment, [*REQUESTS]
    if before[0] not in REQUESTS:
        return fragment, []
    options = call.options_of(REQUESTS[before[0]])
    flag, equals, value = fragment.partition("=")
    if equals and flag.startswith("-"):
        before, fragment = [*before, flag], value
    waiting, free = _standing(options, before[1:])
    if waiting is not None:
        fragment = fragment.rpartition(",")[2] if waiting.live == "columns" else fragment
        return fragment, _values(waiting, names, fragment)
    written = {word.partition("=")[0] for word in before}
    unused = [option.written for option in options if not option.positional and not written & {option.written, option.flag}]
    return fragment, [*(_values(free[0], names, fragment) if free else ()), *unused, "--help"]


def _standing(options: Iterable[call.Option], before: Iterable[str]) -> tuple[call.Option | None, list[call.Option]]:
    """The option whose value comes next, and the positionals that have none yet."""
    by_flag = {flag: option for option in options for flag in (option.written, option.flag) if flag}
    free = [option for option in options if option.positional]
    waiting, owed = None, 0
    for word in before:
        option = by_flag.get(word.partition("=")[0])
        if owed:
            owed -= 1
        elif option is not None:
            owed = 0 if option.is_switch or "=" in word else 2 if isinstance(option.type, inspect.DictType) else 1
            waiting = option
            free = [other for other in free if other is not option]
        elif free and not isinstance(free[0].type, inspect.VarTupleType):
            free.pop(0)
    return (waiting if owed else None), free


def _values(option: call.Option, names: Mapping[str, Any], fragment: str) -> list[str]:
    found = [*option.choices, *(name for name in sorted(names) if option.live and _fits(option.live, names[name]))]
    try:
        if option.names == "subject":
            found += _subjects(_workspace())
        if option.names == "policy":
            found += sorted(_workspace().policies)
        if option.names in ("file", "subject") or option.live in SUFFIXES:
            found += _files(fragment, SUFFIXES.get(option.live, ANY_FILE))
    except (MlprodError, OSError, ValueError):
        pass  # a workspace or folder that cannot be read or named offers nothing; the verb will say why
    return found


def _fits(live: str, value: Any) -> bool:
    """Whether a variable could be meant; its type is asked and none of its own code runs."""
    kind = type(value)
    if issubclass(kind, types.ModuleType | type):
        return False
    if live == "code":
        return kind is types.FunctionType
    if live == "text":
        return issubclass(kind, str)
    if live == "model":
        return callable(value) and kind is not types.FunctionType
    return hasattr(kind, "__len__") or issubclass(kind, Path)


def _workspace() -> "Workspace":
    from jupyter_mlprod.workspace import open_workspace

    return open_workspace()


def _subjects(workspace: "Workspace") -> list[str]:
    """Names and aliases of this workspace; the manifests are read, nothing heavy is imported."""
    bundled = {bundle.name for _, bundle, _ in workspace.bundles.all()}
    return sorted(bundled | {f"{entry.name}@{entry.alias}" for entry in workspace.ledger.entries()})


def _files(fragment: str, suffixes: tuple[str, ...]) -> list[str]:
    """Files of the kinds that are wanted, and folders, where the fragment stands."""
    folder = fragment.rpartition("/")[0] + "/" if "/" in fragment else ""
    entries = sorted(path for path in Path(folder or ".").iterdir() if not path.name.startswith("."))
    return [f"{folder}{path.name}{'/' if path.is_dir() else ''}" for path in entries if path.suffix in suffixes or path.is_dir()]


class VerbHelp(TokenTransformBase):
    """``%mlprod package?`` and ``%mlprod?`` become ``%mlprod package --help`` and ``%mlprod --help``."""

    priority = 4  # IPython's own reading of a question mark has 5

    def __init__(self, start: tuple[int, int], end: tuple[int, int], verb: str) -> None:
        super().__init__(start)  # type: ignore[no-untyped-call]
        self.end_line = end[0] - 1
        self.verb = verb

    @classmethod
    def find(cls, tokens_by_line: list[list[Any]]) -> "VerbHelp | None":
        """The first question in the cell."""
        for line in tokens_by_line:
            tokens = [token for token in line if token.type not in (tokenize.INDENT, tokenize.DEDENT, tokenize.NEWLINE)]
            words = [token.string for token in tokens]
            if words[:2] == ["%", "mlprod"] and words[-1] == "?":
                return cls(tokens[0].start, tokens[-1].start, words[2].strip("?"))
        return None

    def transform(self, lines: list[str]) -> list[str]:
        asked = f"get_ipython().run_line_magic('mlprod', {self.verb + ' --help'!r})\n"
        return [*lines[: self.start_line], lines[self.start_line][: self.start_col] + asked, *lines[self.end_line + 1 :]]
