"""Loading into IPython and out of it again, leaving nothing behind."""

from typing import TYPE_CHECKING

from jupyter_mlprod.fronts import complete
from jupyter_mlprod.fronts.magics import MlprodMagics, forget_records, show_records

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def load(shell: "InteractiveShell") -> None:
    """Register magic, help, completion and display once, however often the extension is loaded."""
    if MlprodMagics.__name__ in shell.magics_manager.registry:
        return
    magics = MlprodMagics(shell)
    shell.register_magics(magics)
    shell.input_transformer_manager.token_transformers.append(complete.VerbHelp)
    show_records(shell, magics)
    if shell.Completer is not None:
        shell.Completer.custom_matchers.append(complete.matcher_for(shell))


def unload(shell: "InteractiveShell") -> None:
    """Take back what `load` registered; nothing happens when it is not loaded."""
    magics = shell.magics_manager.registry.pop(MlprodMagics.__name__, None)
    if magics is None:
        return
    shell.configurables.remove(magics)
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("mlprod", None)
    shell.input_transformer_manager.token_transformers.remove(complete.VerbHelp)
    forget_records(shell)
    if shell.Completer is not None:
        matchers = shell.Completer.custom_matchers
        matchers[:] = [matcher for matcher in matchers if getattr(matcher, "matcher_identifier", "") != complete.IDENTIFIER]
