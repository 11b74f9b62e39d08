"""The panel of a portrait: its suggestions as a list that can be ticked and accepted.

It is a display of its own, below the portrait's static HTML, and no verb: in one display with it a page that was made of the notebook
would take the panel for the better form, and show nothing where it cannot load it.
What is accepted goes through the same request as ``contract edit --set``; this file decides nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from jupyter_mlprod.core.errors import MlprodError
from jupyter_mlprod.core.plain import clean
from jupyter_mlprod.core.portrait import Portrait
from jupyter_mlprod.fronts.view_portrait import merged

HERE = Path(__file__).parent
WIDGET = "application/vnd.jupyter.widget-view+json"

Accept = Callable[[Mapping[str, str]], Portrait]
"""What writes settings into the contract, and takes the portrait anew."""


class Panel(anywidget.AnyWidget):
    """A portrait whose suggestions can be accepted.

    Parameters
    ----------
    target : what is written to, for a person
    drawn : what shows another portrait in the place of the first
    """

    _esm = HERE / "panel.js"
    _css = HERE / "panel.css"
    suggestions = traitlets.List(traitlets.Dict()).tag(sync=True)
    ticked = traitlets.List(traitlets.Unicode()).tag(sync=True)
    target = traitlets.Unicode().tag(sync=True)
    toml = traitlets.Unicode().tag(sync=True)
    message = traitlets.Unicode().tag(sync=True)
    failed = traitlets.Bool(default_value=False).tag(sync=True)
    busy = traitlets.Bool(default_value=False).tag(sync=True)

    def __init__(self, portrait: Portrait, *, target: str, accept: Accept, drawn: Callable[[Portrait], None]) -> None:
        super().__init__(target=clean(target))
        self.accept, self.drawn = accept, drawn
        self.show(portrait)
        self.observe(self._ticked, "ticked")
        self.on_msg(self._told)

    def show(self, portrait: Portrait) -> None:
        """Take on another portrait; what is no longer suggested is no longer ticked."""
        self.portrait = portrait
        able = [one for one in portrait.suggestions if one.toml]
        self.ticked = [name for name in self.ticked if name in {one.id for one in able}]
        self.suggestions = [{"id": clean(one.id), "sentence": clean(one.sentence)} for one in able]

    def _ticked(self, _change: Any) -> None:
        self.toml = merged(one.toml for one in self._chosen(self.ticked))

    def _chosen(self, names: Sequence[object]) -> list[Any]:
        return [one for one in self.portrait.suggestions if one.toml and clean(one.id) in names]

    def _told(self, _widget: Any, content: Any, _buffers: Any) -> None:
        """Accept what the page names, as far as it was suggested."""
        names = content.get("accept", []) if isinstance(content, dict) else []
        chosen = self._chosen(names if isinstance(names, list) else ())
        if not chosen:
            self._say("nothing is ticked", failed=True)
            return
        self.busy = True
        try:
            portrait = self.accept({key: value for one in chosen for key, value in one.settings.items()})
            self.drawn(portrait)
            self.show(portrait)
            self._say(f"declared in {self.target}: {', '.join(clean(one.id) for one in chosen)}", failed=False)
        except MlprodError as error:
            self._say(" ".join(map(clean, str(error).splitlines())), failed=True)
        finally:
            self.busy = False

    def _say(self, message: str, *, failed: bool) -> None:
        self.failed = failed
        self.message = ""
        self.message = message
