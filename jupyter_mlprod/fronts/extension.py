"""Loading into IPython and out of it again, leaving nothing behind."""

from typing import TYPE_CHECKING

from jupyter_mlprod.fronts import complete
from jupyter_mlprod.fronts.magics import MlprodMagics, show_records

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def load(shell: "InteractiveShell") -> None:
    """Register the magic once, however often the extension is loaded."""
    if "mlprod" in shell.magics_manager.magics["line"]:
        return
    shell.register_magics(MlprodMagics(shell))
    show_records(shell)
    if shell.Completer is not None:
        shell.Completer.custom_matchers.append(complete.matcher_for(shell))


def unload(shell: "InteractiveShell") -> None:
    shell.magics_manager.magics["line"].pop("mlprod", None)
    if shell.Completer is not None:
        shell.Completer.custom_matchers[:] = [
            m for m in shell.Completer.custom_matchers if getattr(m, "__module__", "") != complete.__name__
        ]
