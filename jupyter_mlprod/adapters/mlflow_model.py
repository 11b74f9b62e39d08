"""An MLflow model folder that another tool logged: which file in it can be taken over, and which run it comes from.

Its ``MLmodel`` is YAML, so it is read by the safe loader, and an alias in it, which MLflow never writes and a bomb is made of, is refused.
MLflow itself is not asked: loading a flavor is what could run code.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.mlmodel import LOADER, MLMODEL

MAX_BYTES = 4_000_000
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,255}")
HINT = "log it as ONNX (mlflow.onnx), or a torch module with serialization_format='pt2'; or load it yourself and package the module"


class Logged(msgspec.Struct, frozen=True, kw_only=True):
    """The file that holds the model, and the MLflow run that logged it, where that is said."""

    file: Path
    run: str = ""


class _PlainLoader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML is not typed
    """YAML without aliases."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.YAMLError("it holds an alias")
        return super().compose_node(parent, index)


def read_logged(folder: Path, name: str) -> Logged:
    """The model in a folder.

    Parameters
    ----------
    name : how a message calls it

    Raises
    ------
    MlprodError : ``bad-model`` when the folder cannot be read, or only code or a pickle could bring its flavor back.
    """
    document = _document(folder / MLMODEL, name)
    flavors = document.get("flavors")
    if not isinstance(flavors, Mapping) or not all(isinstance(flavor, Mapping) for flavor in flavors.values()):
        raise MlprodError(Code.BAD_MODEL, f"{name}: {MLMODEL} names no flavors")
    if flavors.get("python_function", {}).get("loader_module") == LOADER:
        raise MlprodError(Code.BAD_MODEL, f"{name} is a bundle already", hint="mlprod show NAME:VERSION; every verb takes it as it is")
    run = document.get("run_id")
    return Logged(file=_model_file(folder, flavors, name), run=run if isinstance(run, str) and RUN_ID.fullmatch(run) else "")


class Signatures:
    """Port `Signatures`."""

    def signature(self, folder: Path) -> Any:
        """The part ``signature`` of a model's ``MLmodel``; None when it has none.

        Raises
        ------
        MlprodError : ``bad-model`` when the file cannot be read.
        """
        return _document(folder / MLMODEL, folder.name).get("signature")


def _document(file: Path, name: str) -> Mapping[str, Any]:
    try:
        if file.is_symlink() or file.stat().st_size > MAX_BYTES:
            raise ValueError(f"it is a link, or larger than {MAX_BYTES:,} bytes")
        document = yaml.load(file.read_text("utf-8"), Loader=_PlainLoader)  # noqa: S506  a subclass of the safe loader
        if not isinstance(document, Mapping):
            raise ValueError("it is no mapping")
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise MlprodError(Code.BAD_MODEL, f"{name}: {MLMODEL} cannot be read: {reason}") from None
    return document


def _model_file(folder: Path, flavors: Mapping[str, Any], name: str) -> Path:
    """The ``.onnx`` of the flavor onnx, or the ``.pt2`` of the flavor pytorch."""
    if "onnx" in flavors:
        found = _inside(folder, str(flavors["onnx"].get("data", "")))
        if found is not None and found.suffix == ".onnx":
            return found
    elif "pytorch" in flavors:
        found = _inside(folder, f"{flavors['pytorch'].get('model_data', '')}/model.pt2")
        if found is not None:
            return found
    listed = ", ".join(sorted(str(flavor)[:40] for flavor in flavors if flavor != "python_function")[:5]) or "python_function alone"
    raise MlprodError(Code.BAD_MODEL, f"{name} has the flavor {listed} and is brought back by a pickle or by code alone", hint=HINT)


def _inside(folder: Path, path: str) -> Path | None:
    """A plain file of the folder; None when the path leads to none, or out of it."""
    found = folder / path
    return found if found.is_file() and found.resolve() == folder.resolve() / path else None
