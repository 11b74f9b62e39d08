"""The training notebook as the release desk.

``%load_ext jupyter_mlprod`` in a notebook, ``mlprod`` on the command line, `open_workspace` and the requests from Python: one grammar,
one door, one verdict. Importing this package imports nothing heavy; each name below is imported when it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_HOMES = {
    "jupyter_mlprod.model": ("load", "load_module"),
    "jupyter_mlprod.workspace": ("open_workspace",),
    "jupyter_mlprod.core.errors": ("MlprodError",),
    "jupyter_mlprod.core.requests": (
        "Check", "Compare", "Contract", "Doctor", "Evaluate", "Export", "Gate", "Gc", "History", "Init", "Keygen", "List", "Load",
        "Package", "Predict", "Profile", "Promote", "Rollback", "Scan", "Show", "Sign", "Verify",
    ),
}  # fmt: skip
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [*_HOME_OF]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'jupyter_mlprod' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "load_ipython_extension", "unload_ipython_extension"]


def load_ipython_extension(shell: "InteractiveShell") -> None:
    """``%load_ext jupyter_mlprod``: the magic, its completion, and how records are shown."""
    extension = importlib.import_module("jupyter_mlprod.fronts.extension")
    extension.load(shell)


def unload_ipython_extension(shell: "InteractiveShell") -> None:
    """``%unload_ext jupyter_mlprod``."""
    extension = importlib.import_module("jupyter_mlprod.fronts.extension")
    extension.unload(shell)
