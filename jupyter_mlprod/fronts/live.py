"""What a magic takes from the kernel: each live word becomes a file, so that the request is the one that a command line would send.

A word that is an existing file stays a file; anything else is an expression of the notebook, and one that comes to the name of a file
means that file. Expressions see a copy of the notebook's names, so that none can change them.
"""

import ast
import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
import numpy as np

from jupyter_mlprod.core.answer import Ends
from jupyter_mlprod.core.bundle import Normalization
from jupyter_mlprod.core.combine import combine_of
from jupyter_mlprod.core.contract_data import framed
from jupyter_mlprod.core.contract_edit import ContractEdit
from jupyter_mlprod.core.contract_toml import located
from jupyter_mlprod.core.document import decode_toml, did_you_mean, written_toml
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.execute import load_function
from jupyter_mlprod.core.private import LIVE, private_files, private_folder
from jupyter_mlprod.core.raw import Array, Raw, raw_digest
from jupyter_mlprod.core.record import canonical, digest_bytes
from jupyter_mlprod.core.requests import REQUESTS
from jupyter_mlprod.core.snapshot import SUFFIX, redacted
from jupyter_mlprod.core.source import Carried, carry, carry_cell
from jupyter_mlprod.core.subject import MODEL_URI, names_file, names_folder
from jupyter_mlprod.fronts import call
from jupyter_mlprod.workspace import Workspace

CODES = {"preprocess": Code.PREPROCESS, "postprocess": Code.POSTPROCESS}
"""Options that take a function, each with the code of its refusals."""
CONTRACT = "contract"
"""The option that takes the text of a ``%%mlprod contract`` cell."""
CELL = "%%mlprod contract cell"
IMPORT_PATH = re.compile(r"[\w.]+:[\w.]+")
ORDER = ("text", "contract", "array", "code", "labels", "snapshot", "columns", "model")
"""In which what is live is captured, because some of it looks at other options: at the contract, the data, and the model at all of them."""
UNDECLARED = ("check", "contract")
"""Verbs of data that may be personal, which only a contract of a bundle says, or nobody yet: their rows are removed afterwards."""
EXPRESSIONS = (ast.Attribute, ast.Call, ast.List, ast.ListComp, ast.Subscript)
"""What labels are written as when they are not the words themselves."""


class CellCode(msgspec.Struct, frozen=True, kw_only=True):
    """A ``%%mlprod preprocess`` cell that ran: its text, and the function of the notebook that it defined."""

    name: str
    text: str
    function: Callable[[Any], Any]


class Live:
    """The kernel's names, the workspace that captures are written to, by option the cells whose text travels, and the contract of one."""

    def __init__(
        self,
        names: Mapping[str, Any],
        workspace: Workspace,
        *,
        cells: Mapping[str, CellCode] = MappingProxyType({}),
        contract: str = "",
    ) -> None:
        self.names = names
        self.contract = contract
        self.workspace = workspace
        self.cells = cells
        self.folder = workspace.scratch / LIVE
        self.functions: dict[str, Callable[[Any], Any]] = {}
        self.passing: list[Path] = []
        self.undeclared = False
        self.took_cell = False

    def capture(self, verb: str, values: dict[str, Any]) -> None:
        """Replace every live word of ``values`` by the file that it became; the model last, since it answers on the others.

        A function or contract that is not given is that of the latest cell kept for it; an option that is given as empty text is none.
        """
        options = call.options_of(REQUESTS[verb])
        self.undeclared = verb in UNDECLARED
        for option in options:
            if option.live == "code" and option.name in self.cells and option.name not in values:
                values[option.name] = self._kept_cell(option.name, self.cells[option.name], values)
            if option.live == "text" and option.name == CONTRACT and self.contract and CONTRACT not in values:
                values[CONTRACT] = self._text_file(self.contract, ".toml")
                self.took_cell = True
                self.workspace.tell('contract: that of the %%mlprod contract cell; --contract "" takes none')
        self._stand_in(options, values)
        kinds = {option.name: option.live for option in options if option.live and values.get(option.name)}
        for name, live in sorted(kinds.items(), key=lambda item: ORDER.index(item[1])):
            word = str(values[name])
            if live == "code":
                values[name] = self._code(word, name, values)
            elif not names_file(word):
                values[name] = self._captured(word, live, values)

    def _stand_in(self, options: Iterable[call.Option], values: dict[str, Any]) -> None:
        """The kept contract in the place of the last subject that ``contract show`` and ``contract diff`` want and were not given."""
        wanted = {"show": 1, "diff": 2}.get(str(values.get("action", "")), 0)
        places = [option.name for option in options if option.live == "contract"][:wanted]
        missing = [name for name in places if not values.get(name)]
        if self.contract and len(missing) == 1:
            values[missing[0]] = self._text_file(self.contract, ".toml")

    def located(self, error: MlprodError) -> MlprodError:
        """A fault of a contract that was taken from the cell, with the cell and its line; any other as it is."""
        if not self.took_cell or error.code is not Code.BAD_CONTRACT:
            return error
        lines = [re.sub("^contract:", f"{CELL}:", line) for line in error.message.splitlines()]
        told = (line if line.startswith(CELL) else located([line], self.contract, name=CELL) for line in lines)
        return MlprodError(error.code, "\n".join(told), hint=error.hint)

    def forget(self) -> None:
        """Remove what was made for one request alone: the capture of the model, and rows with what the contract calls personal."""
        self.workspace.live_data.clear()
        while self.passing:
            path = self.passing.pop()
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def _captured(self, word: str, live: str, values: Mapping[str, Any]) -> str:
        match live:
            case "array":
                return self._array(word, values)
            case "contract":
                return self._data_or_subject(word, values)
            case "columns":
                return self._columns(word, values)
            case "labels":
                return self._labels(word)
            case "snapshot":
                return self._snapshot(word, values)
            case "text":
                return self._text(word)
            case _:
                return self._model(word, values)

    def value(self, word: str) -> Any:
        """What an expression of the notebook comes to.

        Raises
        ------
        MlprodError : ``bad-request`` with Python's reason.
        """
        try:
            return eval(word, dict(self.names))  # noqa: S307  the user's own expression, in the user's own kernel
        except Exception as error:  # noqa: BLE001  whatever the expression raises is reported
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            if isinstance(error, NameError) and error.name:
                reason += did_you_mean(error.name, [name for name in self.names if not name.startswith("_")])
            raise MlprodError(Code.BAD_REQUEST, f"{word[:200]!r} is neither a file nor an expression of this notebook ({reason})") from None

    def _array(self, word: str, values: Mapping[str, Any]) -> str:
        """A batch as a file; a folder of images stays one. Where no contract option says what is personal, all of it may be."""
        if names_folder(word) and word not in self.names:
            return word
        value, undeclared = self.value(word), self.undeclared
        if isinstance(value, str | os.PathLike) and names_folder(str(value)):
            return str(value)
        personal = undeclared or bool(_edit(values).personal)
        return _named_file(value, word) or self._written(self.workspace.data.from_live(value), personal=personal)

    def _data_or_subject(self, word: str, values: Mapping[str, Any]) -> str:
        """Data that a contract is inferred from may be personal, which nobody has said yet, so they are removed afterwards."""
        if values.get("action") != "infer" or word.startswith(MODEL_URI) or (Path(word).is_dir() and word not in self.names):
            return word
        value = self.value(word)
        if file := _named_file(value, word):
            return file
        raw = self.workspace.data.from_live(value)
        is_frame = hasattr(value, "columns") or hasattr(value, "column_names")  # of pandas and polars; of Arrow
        return self._written(framed(raw, target=str(values.get("target", ""))) if is_frame else raw, personal=True)

    def _snapshot(self, word: str, values: Mapping[str, Any]) -> str:
        """Live data is described here, without what the contract calls personal, never written out; the verb holds it where it is."""
        if Path(word).is_dir() and word not in self.names:
            return word
        value = self.value(word)
        if isinstance(value, str | os.PathLike):
            return str(value) if Path(value).is_dir() else _named_file(value, word)
        data = canonical(redacted(self.workspace.snapshots.of_live(value), _edit(values).personal))
        write = partial(self.workspace.write_bytes, data=data)
        path = str(self._kept(f"{digest_bytes(data).removeprefix('sha256:')[:24]}{SUFFIX}", write))
        self.workspace.live_data[path] = value
        return path

    def _written(self, raw: Raw, *, personal: bool = False) -> str:
        """A batch as a file named by its content, written once; a personal one is nobody else's, since it is removed afterwards."""
        suffix = ".npz" if isinstance(raw, Mapping) or raw.dtype.kind in "OTU" else ".npy"
        name = uuid.uuid4().hex if personal else raw_digest(raw).removeprefix("sha256:")[:24]
        if personal:
            self.passing.append(self.folder / (name + suffix))
        return str(self._kept(name + suffix, partial(self.workspace.data.write, raw)))

    def _kept(self, name: str, write: Callable[[Path], object]) -> Path:
        """A file for its owner alone; what is named by its content is written once."""
        path = self.folder / name
        private_folder(self.workspace.scratch)
        if not path.exists():
            write(path)
            private_files(path)
        return path

    def _columns(self, word: str, values: Mapping[str, Any]) -> str:
        """Columns of the data stay names; other words are arrays of the notebook, gathered into one file."""
        file = str(values.get("data", ""))
        data = self.workspace.data.read(file) if names_file(file) else None
        columns: Mapping[str, Array] = data if isinstance(data, Mapping) else {}
        words = [part.strip() for part in word.split(",")] if "(" not in word and "[" not in word else [word]
        if all(part in columns for part in words):
            return word
        arrays: dict[str, Array] = {}
        for part in words:
            value = columns[part] if part in columns else self._column(part, columns)
            if file := _named_file(value, part):
                return file
            found = self.workspace.data.from_live(value)
            arrays.update({str(k): v for k, v in found.items()} if isinstance(found, Mapping) else {part: np.asarray(found)})
        return self._written(arrays)

    def _column(self, word: str, columns: Mapping[str, Array]) -> Any:
        """An array of the notebook; a name that is neither this nor a column is told with both."""
        if word.isidentifier() and word not in self.names and columns:
            what = f"{word!r} is no column of the data and no variable of this notebook{did_you_mean(word, [*columns, *self.names])}"
            raise MlprodError(Code.BAD_REQUEST, what, hint=f"columns are {', '.join(list(columns)[:10])}")
        return self.value(word)

    def _code(self, word: str, option: str, values: dict[str, Any]) -> str:
        """A function as a file, its assets beside it and among the values; a cell's function as the text of the cell."""
        file, _, name = word.rpartition(":")
        if word in self.functions or (names_file(file) and name.isidentifier()):
            return word
        function = self.value(word)
        cell = next((cell for cell in self.cells.values() if cell.function is function), None)
        if cell is not None:
            return self._kept_cell(option, cell, values)
        return self._code_file(carry(function, name=word, code=CODES[option]), function, values)

    def _kept_cell(self, option: str, cell: CellCode, values: dict[str, Any]) -> str:
        carried = carry_cell(cell.text, cell.name, self.names, code=CODES[option])
        return self._code_file(carried, cell.function, values)

    def _code_file(self, carried: Carried, function: Callable[[Any], Any], values: dict[str, Any]) -> str:
        """``FILE.py:FUNCTION`` in a folder named by its content; files that the functions share are named once."""
        content = b"".join([carried.text.encode(), *(name.encode() + data for name, data in sorted(carried.assets.items()))])
        folder = self.folder / hashlib.sha256(content).hexdigest()[:24]
        path = folder / f"{carried.name}.py"
        given = values.get("assets", [])
        assets = [word.strip() for word in given.split(",") if word.strip()] if isinstance(given, str) else list(given)
        for name, data in {path.name: carried.text.encode(), **carried.assets}.items():
            self._kept(f"{folder.name}/{name}", partial(self.workspace.write_bytes, data=data))
            shared = any(Path(other).name == name and names_file(other) and Path(other).read_bytes() == data for other in assets)
            if name != path.name and not shared:
                assets.append(str(folder / name))
        if assets:
            values["assets"] = assets
        spec = f"{path}:{carried.name}"
        self.functions[spec] = function
        return spec

    def _labels(self, word: str) -> str:
        """The comma-separated words themselves, unless they are a variable or an expression of the notebook."""
        if word not in self.names and not _is_expression(word):
            return word
        value = self.value(word)
        if isinstance(value, str):
            return value
        if isinstance(value, Mapping) or not isinstance(value, Iterable):
            what = f"{word!r} is a {type(value).__name__}; class names are a list, in the order of the scores"
            raise MlprodError(Code.BAD_REQUEST, what)
        labels = [str(label) for label in (value.tolist() if hasattr(value, "tolist") else value)]
        bad = next((label for label in labels if {",", "\n"} & set(label) or label != label.strip() or not label), None)
        if bad is not None:
            raise MlprodError(Code.BAD_REQUEST, f"the label {bad[:80]!r} is empty, holds a comma or a line's end, or has blanks around it")
        return ",".join(labels)

    def _text(self, word: str) -> str:
        """TOML: of a dict, of a string that is it, or in the file that the string names."""
        value = self.value(word)
        if isinstance(value, Mapping):
            try:
                return self._text_file(written_toml(value), ".toml")
            except TypeError as error:
                raise MlprodError(Code.BAD_REQUEST, f"{word!r} holds a {error}, which TOML cannot") from None
        if not isinstance(value, str | os.PathLike):
            raise MlprodError(Code.BAD_REQUEST, f"{word!r} is a {type(value).__name__}; a dict, a string of TOML or a file is wanted")
        return str(value) if names_file(str(value)) else self._text_file(str(value), ".toml")

    def _text_file(self, text: str, suffix: str) -> str:
        name = hashlib.sha256(text.encode()).hexdigest()[:24] + suffix
        return str(self._kept(name, partial(self.workspace.write_text, text=text)))

    def _model(self, word: str, values: Mapping[str, Any]) -> str:
        """A live module, or a list of them, becomes a capture; the original answers with the notebook's own function, not with its text."""
        if word not in self.names and (IMPORT_PATH.fullmatch(word) or word.startswith(MODEL_URI) or Path(word).is_dir()):
            return word
        model = self.value(word)
        if isinstance(model, str | os.PathLike):
            return str(model)
        example = self.workspace.data.read(values["example"])
        ends = Ends(
            preprocess=self._callable(str(values.get("preprocess", ""))),
            postprocess=self._callable(str(values.get("postprocess", ""))),
            normalization=decode_toml(_text_of(values, "normalize"), dict[str, Normalization], name="normalize", code=Code.BAD_REQUEST),
        )
        shapes = {name: field.shape for name, field in _edit(values).inputs.items() if field.shape is not None}
        combine = combine_of(
            how=str(values.get("combine", "mean")),
            weights=[word for word in str(values.get("weights", "")).split(",") if word.strip()],
            scores=str(values.get("scores", "auto")),
            labelled=bool(values.get("labels")),
        )
        made = self.workspace.models.capture(model, example, ends, shapes=shapes, combine=combine)
        self.passing.append(made)
        return str(made)

    def _callable(self, spec: str) -> Callable[[Any], Any] | None:
        """The notebook's own function behind a spec, or the file's."""
        file, _, name = spec.rpartition(":")
        return self.functions.get(spec) or (load_function(Path(file), name) if file else None)


def _edit(values: Mapping[str, Any]) -> ContractEdit:
    """What the contract option declares."""
    return decode_toml(_text_of(values, "contract"), ContractEdit, name="contract", code=Code.BAD_CONTRACT)


def _text_of(values: Mapping[str, Any], name: str) -> str:
    """A text option's text; by now it is a file, or the text itself."""
    word = str(values.get(name, ""))
    return Path(word).read_text("utf-8") if names_file(word) else word


def _named_file(value: Any, word: str) -> str:
    """The file that a value of the notebook names, such as ``DATA / "x.npy"``; empty when the value is no name."""
    if not isinstance(value, str | os.PathLike):
        return ""
    if not names_file(str(value)):
        raise MlprodError(Code.BAD_REQUEST, f"{word[:200]!r} is {str(value)[:200]!r}, and no such file exists")
    return str(value)


def _is_expression(word: str) -> bool:
    try:
        return isinstance(ast.parse(word, mode="eval").body, EXPRESSIONS)
    except (SyntaxError, ValueError):
        return False
