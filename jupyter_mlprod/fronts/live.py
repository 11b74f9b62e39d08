"""What a magic takes from the kernel: each live word becomes a file, so that the request is the one that a command line would send.

A word that is an existing file stays a file; anything else is an expression of the notebook.
"""

import hashlib
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.raw import Array, Raw, raw_digest
from jupyter_mlprod.core.requests import REQUESTS
from jupyter_mlprod.core.source import load_function, standalone
from jupyter_mlprod.fronts import call
from jupyter_mlprod.workspace import Workspace


class Live:
    """The kernel's names, and the workspace that captures are written to."""

    def __init__(self, names: Mapping[str, Any], workspace: Workspace) -> None:
        self.names = names
        self.workspace = workspace
        self.folder = workspace.scratch / "live"

    def capture(self, verb: str, values: dict[str, Any]) -> None:
        """Replace every live word of ``values`` by the file that it became."""
        options = [option for option in call.options_of(REQUESTS[verb]) if option.live and values.get(option.name)]
        module = None
        for option in options:
            word = str(values[option.name])
            if option.live == "model":
                module = (option.name, word)
            elif option.live == "columns":
                values[option.name] = self._columns(word, values)
            elif not self._is_file(word, option.live):
                values[option.name] = {"array": self._array, "code": self._code, "labels": self._labels, "text": self._text}[option.live](
                    word
                )
        if module is not None:
            values[module[0]] = self._model(module[1], values)

    def _is_file(self, word: str, live: str) -> bool:
        return Path(word.rpartition(":")[0] if live == "code" else word).is_file()

    def value(self, word: str) -> Any:
        """What an expression of the notebook comes to.

        Raises
        ------
        MlprodError : ``bad-request`` with Python's reason.
        """
        try:
            return eval(word, dict(self.names))  # noqa: S307  the user's own expression, in the user's own kernel
        except Exception as error:  # noqa: BLE001  whatever the expression raises is reported
            reason = f"{type(error).__name__}: {error}"
            raise MlprodError(Code.BAD_REQUEST, f"{word!r} is neither a file nor an expression of this notebook ({reason})") from None

    def _array(self, word: str) -> str:
        return self._written(self.workspace.data.from_live(self.value(word)))

    def _written(self, raw: Raw) -> str:
        """A batch as a file named by its content, written once."""
        suffix = ".npz" if isinstance(raw, Mapping) else ".npy"
        name = raw_digest(raw).removeprefix("sha256:")[:24]
        path = self.folder / f"{name}{suffix}"
        if not path.exists():
            self.workspace.data.write(raw, path)
        return str(path)

    def _columns(self, word: str, values: Mapping[str, Any]) -> str:
        """Columns of the data stay names; other words are arrays of the notebook, gathered into one file."""
        if Path(word).is_file():
            return word
        data = self.workspace.data.read(values["data"]) if Path(str(values.get("data", ""))).is_file() else {}
        words = [part.strip() for part in word.split(",")] if "(" not in word and "[" not in word else [word]
        if isinstance(data, Mapping) and all(part in data for part in words):
            return word
        arrays: dict[str, Array] = {}
        for part in words:
            known = isinstance(data, Mapping) and part in data
            found = data[part] if known and isinstance(data, Mapping) else self.workspace.data.from_live(self.value(part))
            arrays.update({str(k): v for k, v in found.items()} if isinstance(found, Mapping) else {part: np.asarray(found)})
        return self._written(arrays)

    def _code(self, word: str) -> str:
        function = self.value(word)
        source = standalone(function)
        path = self._text_file(source, ".py")
        return f"{path}:{function.__name__}"

    def _labels(self, word: str) -> str:
        """A list of the notebook, else the comma-separated words themselves."""
        if word in self.names or not all(part.strip().isidentifier() or part.strip().isdecimal() for part in word.split(",")):
            value = self.value(word)
            return ",".join(str(label) for label in (value.tolist() if hasattr(value, "tolist") else value))
        return word

    def _text(self, word: str) -> str:
        value = self.value(word)
        if not isinstance(value, str):
            raise MlprodError(Code.BAD_REQUEST, f"{word!r} is a {type(value).__name__}; a string of TOML or a file is wanted")
        return self._text_file(value, ".toml")

    def _text_file(self, text: str, suffix: str) -> str:
        path = self.folder / (hashlib.sha256(text.encode()).hexdigest()[:24] + suffix)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f".{uuid.uuid4().hex[:8]}")
            temporary.write_text(text, "utf-8")
            temporary.replace(path)
        return str(path)

    def _model(self, word: str, values: Mapping[str, Any]) -> str:
        """A live module becomes a capture; the original answers with the notebook's own function, not with the text made of it."""
        if Path(word).exists() or (":" in word and word not in self.names):
            return word
        model = self.value(word)
        example = self.workspace.data.read(values["example"])
        file, _, name = str(values.get("preprocess", "")).rpartition(":")
        if not file:
            function = None
        elif name in self.names and callable(self.names[name]):
            function = self.names[name]
        else:
            function = load_function(Path(file).read_text("utf-8"), name)
        return str(self.workspace.models.capture(model, example, function))
