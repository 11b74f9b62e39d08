"""Tab completion of ``%mlprod``: verbs, options, choices, bundle names, variables, files.

IPython completes a magic's name and nothing after it, so a context matcher of our own reads the line; it also works after ``x = %mlprod``.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher

from jupyter_mlprod.core.requests import REQUESTS
from jupyter_mlprod.fronts import call

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

LINE = re.compile(r"^\s*(?:[\w, ]+=\s*)?%mlprod\s(?P<rest>.*)$", re.DOTALL)
FILES = (".ipynb", ".npy", ".npz", ".csv", ".parquet", ".onnx", ".toml", ".py")


def matcher_for(shell: "InteractiveShell") -> Callable[[CompletionContext], SimpleMatcherResult]:
    """A matcher over one shell's names."""

    @context_matcher()
    def mlprod_matcher(context: CompletionContext) -> SimpleMatcherResult:
        line = LINE.match(context.line_with_cursor[: context.cursor_position])
        if line is None:
            return {"completions": []}
        words = candidates(line.group("rest"), shell.user_ns)
        token = context.token
        found = [word for word in words if word.startswith(token)]
        if not found and not token:
            found = words
        return {"completions": [SimpleCompletion(text=word, type="mlprod") for word in found], "suppress": bool(found), "ordered": True}

    return mlprod_matcher


def candidates(rest: str, names: dict[str, Any]) -> list[str]:
    """Everything that may stand where the cursor is, given the text between ``%mlprod`` and the cursor."""
    words = rest.split()
    ended = not rest or rest[-1].isspace()
    before = words if ended else words[:-1]
    if not before:
        return [*REQUESTS]
    if before[0] not in REQUESTS:
        return []
    options = call.options_of(REQUESTS[before[0]])
    waiting = next((option for option in options if before[-1] in (option.written, option.flag) and not option.is_switch), None)
    if waiting is not None:
        return _values(waiting, names)
    unused = [option.written for option in options if option.written not in before]
    positionals = [word for option in options if option.positional for word in _values(option, names)]
    return [*unused, *positionals] if ended or words[-1].startswith("-") else [*positionals, *unused]


def _values(option: call.Option, names: dict[str, Any]) -> list[str]:
    found = list(option.choices)
    if option.live:
        found += sorted(
            name for name in names if not name.startswith("_") and name not in ("In", "Out", "exit", "quit", "get_ipython", "open")
        )
    if option.names == "subject":
        found += _subjects()
    if option.names in ("file", "subject"):
        found += sorted(path.name for path in Path().iterdir() if path.suffix in FILES)
    return found


def _subjects() -> list[str]:
    """Names and aliases of this workspace; the manifests are read, nothing heavy is imported."""
    from jupyter_mlprod.core.errors import MlprodError
    from jupyter_mlprod.workspace import open_workspace

    try:
        workspace = open_workspace()
        bundled = {bundle.name for _, bundle, _ in workspace.bundles.all()}
        aliased = {f"{entry.name}@{entry.alias}" for entry in workspace.ledger.entries()}
    except MlprodError:
        return []
    return sorted(bundled | aliased)
