"""A bundle in the user's own process: `load` gives what answers, `load_module` what can be trained on."""

import datetime
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_mlprod.core.errors import MlprodError
from jupyter_mlprod.core.extras import naming_the_extra
from jupyter_mlprod.core.live_values import AS_ROWS
from jupyter_mlprod.core.records import as_records, raw_records
from jupyter_mlprod.core.requests import Load
from jupyter_mlprod.core.resolve import check_trust, find_bundle
from jupyter_mlprod.workspace import open_runtime, open_workspace, raw_of

if TYPE_CHECKING:
    from jupyter_mlprod.core.bundle import Bundle
    from jupyter_mlprod.core.ports import Runtime
    from jupyter_mlprod.core.raw import Array, Raw


WANTED = "give records (a dict, or a list of them), records as JSON, or a table"


class Model:
    """A bundle that answers live values."""

    def __init__(self, runtime: "Runtime", bundle: "Bundle") -> None:
        self.runtime = runtime
        self.bundle = bundle

    def answer(self, values: Any) -> "dict[str, Array]":
        """Rows to ``label``, ``confidence`` and the outputs, each (batch, ...); with ``imputed`` and ``passed`` where the contract says so.

        Parameters
        ----------
        values : an array, tensor, table, mapping of columns or list; of a text model a list or column of str, or a table of one column.
            Of a model of columns also records: a list of mappings, one mapping of single values, either as JSON, in bytes or a str,
            or a row of a frame, such as ``frame.iloc[0]``.

        Raises
        ------
        MlprodError : ``bad-data`` for what cannot be read as rows, ``contract-violation``, ``more-needed``, ``preprocess``,
            ``postprocess``, ``no-answer``.
        """
        now, contract = datetime.datetime.now(datetime.UTC), self.bundle.contract
        if isinstance(values, str) and contract.is_table:
            values = values.encode("utf-8", "surrogatepass")
        if isinstance(values, bytes):
            return self.runtime.answer(values, now=now)
        names = [field.name for field in contract.inputs]
        records = as_records(values, names) if contract.is_table or contract.is_text else None
        raw = _raw(values, hint=WANTED if contract.is_table else "") if records is None else raw_records(records, contract)
        if contract.is_text and isinstance(raw, Mapping) and len(raw) == 1:
            raw = next(iter(raw.values()))
        return self.runtime.answer(raw, now=now)


def _raw(values: Any, *, hint: str) -> "Raw":
    """Rows of what is no record; what cannot be read as such is told with all that can."""
    try:
        return raw_of(values)
    except MlprodError as error:
        raise MlprodError(error.code, error.message, hint=hint if hint and error.hint in ("", AS_ROWS) else error.hint) from None


def load_module(subject: str, *, trust: str = "") -> Any:
    """The trainable module of a bundle, on the CPU and in eval mode: ``load_module("digits@champion").train()``.

    Raises
    ------
    MlprodError : ``unknown-subject``, ``bundle-broken``, ``not-trusted``, ``bad-model`` when the bundle holds none, or ``parity``.
    """
    return open_workspace().module(Load(subject=subject, trust=trust))


def load(subject: str, *, trust: str = "") -> Model:
    """A bundle by subject, to answer in this process: ``load("digits@champion").answer(rows)``.

    Raises
    ------
    MlprodError : ``unknown-subject``, ``bundle-broken`` or ``not-trusted``.
    """
    workspace = open_workspace()
    try:
        found = find_bundle(subject, workspace)
        check_trust(found, workspace, trust=trust)
        with naming_the_extra("answering"):
            runtime = workspace.runtimes.open(found.folder, found.bundle, threads=1)
    except BaseException:
        workspace.arrivals.leave()
        raise
    weakref.finalize(runtime, workspace.arrivals.leave)  # its code may read its files whenever it answers
    return Model(runtime, found.bundle)


def open_model(folder: Path) -> Model:
    """A bundle folder as something that answers, its digests verified; whoever calls this has decided to trust its code.

    Raises
    ------
    MlprodError : ``bundle-broken``.
    """
    runtime = open_runtime(folder)
    return Model(runtime, runtime.bundle)
