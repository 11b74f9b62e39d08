"""Values that are no text of a program but a file beside it: tokenizers, scalers, large arrays, vocabularies, and files themselves.

Each has a format that is data alone: JSON, .npy without pickle, or the bytes of the file. The expression that brings a value back says
where the file lies by ``{file}``; it lies beside the code in the notebook's capture and in the bundle alike.
"""

import inspect
import io
import json
from pathlib import Path, PurePath
from typing import Any

import msgspec
import numpy as np

from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.literal import CONTAINERS, has_exact_type, is_large
from jupyter_mlprod.core.scaler import FittedScaler, is_scaler, numbers_of

HERE = "pathlib.Path(__file__).with_name({name!r})"
JSON_TEXT = "json.loads({file}.read_text('utf-8'))"
RETYPED: dict[type, str] = {list: JSON_TEXT, tuple: f"tuple({JSON_TEXT})", set: f"set({JSON_TEXT})", frozenset: f"frozenset({JSON_TEXT})"}


class Asset(msgspec.Struct, frozen=True, kw_only=True):
    """A file, the expression that makes the value of it, and the modules and the helper that the expression needs."""

    name: str
    content: bytes
    restored: str
    imports: tuple[str, ...] = ("import pathlib",)
    helper: tuple[str, str] = ("", "")


def asset_of(value: Any, name: str, *, code: Code) -> Asset | None:
    """A value as a file, or None when it is of no kind that can be.

    Parameters
    ----------
    name : what the notebook calls it; the file is named after it

    Raises
    ------
    MlprodError : of the code, for a value of such a kind that cannot be written down as it is.
    """
    kind = f"{type(value).__module__}.{type(value).__name__}"
    if kind == "tokenizers.Tokenizer":
        return _tokenizer(value, name, code=code)
    if is_scaler(value):
        return Asset(
            name=f"{name}.json",
            content=numbers_of(value, name, code=code),
            restored="FittedScaler({file})",
            imports=("import json", "import numpy", "import pathlib"),
            helper=("FittedScaler", inspect.getsource(FittedScaler).rstrip()),
        )
    if type(value) is np.ndarray and has_exact_type(value):
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, value, allow_pickle=False)
        return Asset(
            name=f"{name}.npy", content=buffer.getvalue(), restored="numpy.load({file})", imports=("import numpy", "import pathlib")
        )
    if type(value) in CONTAINERS and is_large(value):
        return _json(value, name)
    return None


def file_asset(path: Path, *, as_text: bool, code: Code) -> Asset:
    """A file that a constant of the notebook names; the constant becomes its path beside the code."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise MlprodError(code, f"{path} cannot be read: {error.strerror or error}", hint="give the file to --assets") from None
    return Asset(name=path.name, content=content, restored="str({file})" if as_text else "{file}")


def names_a_file(value: Any, *, opened: bool) -> Path | None:
    """The existing file that a constant names: a path always, a string only where a reader of files is given it."""
    if isinstance(value, PurePath) or (type(value) is str and opened and 0 < len(value) < 4096 and "\0" not in value):
        path = Path(value)
        try:
            return path if path.is_file() else None
        except OSError:  # a part of it is longer than a name can be
            return None
    return None


def hint_for(value: Any) -> str:
    """What to do about a value that cannot be carried."""
    module, kind = type(value).__module__.split(".")[0], type(value).__name__
    if module == "transformers" or hasattr(type(value), "backend_tokenizer"):
        return "take its .backend_tokenizer, a tokenizers.Tokenizer, under a name of its own"
    if module == "tokenizers":
        return "make it tokenizers.Tokenizer.from_str(….to_str())"
    if module == "torch":
        return "turn it into an array by .numpy(), or move that part into the module"
    if module == "pandas":
        return "turn it into an array by .to_numpy(), or into a dict"
    if module == "sklearn":
        return f"only StandardScaler, MinMaxScaler, MaxAbsScaler and RobustScaler are carried; keep the numbers of the {kind} as arrays"
    return "turn it into numbers, strings, lists, dicts or a numpy array"


def _tokenizer(value: Any, name: str, *, code: Code) -> Asset:
    """With vocabulary, truncation and padding; parts that are written in Python have no text."""
    try:
        text = str(value.to_str())
    except Exception as error:  # noqa: BLE001  the library raises a plain Exception
        what = f"the tokenizer {name!r} cannot be written down: {' '.join(str(error).split())[:200]}"
        raise MlprodError(code, what, hint="do that part in the function instead") from None
    return Asset(
        name=f"{name}.json" if "tokenizer" in name.casefold() else f"{name}.tokenizer.json",
        content=text.encode(),
        restored="tokenizers.Tokenizer.from_file(str({file}))",
        imports=("import pathlib", "import tokenizers"),
    )


def _json(value: Any, name: str) -> Asset | None:
    """A large container as JSON, if that keeps every type; a dict whose keys are no strings as pairs."""
    kind = type(value)
    if kind is dict and all(type(key) is str for key in value):
        held, restored = value, JSON_TEXT
    elif kind is dict:
        held, restored = [[key, item] for key, item in value.items()], f"dict({JSON_TEXT})"
    else:
        held = list(value) if kind in (list, tuple) else sorted(value, key=lambda item: (type(item).__name__, repr(item)))
        restored = RETYPED[kind]
    try:
        content = json.dumps(held, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError):  # no JSON, a number that is none, or a container that holds itself
        return None
    if not _is_json(held) or (kind is dict and any(type(key) in CONTAINERS for key in value)):
        return None
    return Asset(name=f"{name}.json", content=content, restored=restored, imports=("import json", "import pathlib"))


def _is_json(value: Any) -> bool:
    """Whether JSON gives back the very same value; containers in it are lists, and dicts with strings as keys."""
    todo = [value]
    while todo:
        item = todo.pop()
        if type(item) is list:
            todo += item
        elif type(item) is dict and all(type(key) is str for key in item):
            todo += item.values()
        elif type(item) not in (str, int, float, bool, type(None)):
            return False
    return True
