"""What a bundle is made of besides the model: every option of ``package``, read and checked before any work."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from jupyter_mlprod.core import bundle as layout
from jupyter_mlprod.core.answer import Ends
from jupyter_mlprod.core.bundle import CODE, Normalization, OperatingPoint
from jupyter_mlprod.core.contract_edit import ContractEdit, data_faults
from jupyter_mlprod.core.document import decode_toml, toml_text
from jupyter_mlprod.core.dossier import read_words
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.execute import load_function
from jupyter_mlprod.core.manifest import path_fault
from jupyter_mlprod.core.ports import Ports
from jupyter_mlprod.core.raw import Raw, rows
from jupyter_mlprod.core.requests.package import Package
from jupyter_mlprod.core.scan_code import note_code
from jupyter_mlprod.core.scan_look import Notes
from jupyter_mlprod.core.snapshot import Snapshot
from jupyter_mlprod.core.source import check_imports
from jupyter_mlprod.core.subject import names_file

T = TypeVar("T")
MOST_ACTS_TOLD = 3


class Function(msgspec.Struct, frozen=True, kw_only=True):
    """``FILE.py:NAME``, read; both empty when there is none."""

    name: str = ""
    text: str = ""


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What a bundle is made of besides the model, read and checked."""

    example: Raw
    labels: tuple[str, ...]
    preprocess: Function
    postprocess: Function
    assets: tuple[Path, ...]
    ends: Ends
    edit: ContractEdit
    point: OperatingPoint | None
    words: str
    snapshot: Snapshot | None


def read_parts(request: Package, ports: Ports) -> Parts:
    """Read what the options name.

    Raises
    ------
    MlprodError : ``bad-request``, ``bad-data``, ``bad-contract``, ``preprocess`` or ``postprocess``, for what cannot be meant.
    """
    example = ports.data.read(request.example)
    if rows(example) < 2:
        raise MlprodError(Code.BAD_DATA, f"the example has {rows(example)} rows; two or more are needed to let the batch size vary")
    preprocess, before = _function(request.preprocess, Code.PREPROCESS)
    postprocess, behind = _function(request.postprocess, Code.POSTPROCESS)
    labels = _labels(request.labels)
    normalization = _document(request.normalize, dict[str, Normalization], name="normalize")
    edit = _document(request.contract, ContractEdit, name="contract", code=Code.BAD_CONTRACT)
    snapshot = ports.snapshots.of_file(request.data) if request.data else None
    faults = data_faults(
        edit, inputs=example if isinstance(example, Mapping) else (), columns=(one.name for one in snapshot.columns) if snapshot else ()
    )
    if faults:
        raise MlprodError(Code.BAD_CONTRACT, "\n".join(faults))
    return Parts(
        example=example,
        labels=labels,
        preprocess=preprocess,
        postprocess=postprocess,
        assets=_assets(request.assets),
        ends=Ends(preprocess=before, postprocess=behind, normalization=_normalization(normalization)),
        edit=edit,
        point=_operating_point(request.operating_point, labels),
        words=_words(request.card),
        snapshot=snapshot,
    )


def _read_text(path: str) -> str:
    try:
        return Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise MlprodError(Code.BAD_REQUEST, f"{path} cannot be read: {reason}") from None


def _document(value: str, kind: type[T], *, name: str, code: Code = Code.BAD_REQUEST) -> T:
    """A TOML text, or the file that it names, as ``kind``."""
    return decode_toml(toml_text(value, name=name, code=code), kind, name=name, code=code)


def _words(value: str) -> str:
    """What a person says for the model card, known to be readable."""
    text = toml_text(value, name="card", code=Code.BAD_REQUEST)
    read_words(text)
    return text


def _labels(spec: str) -> tuple[str, ...]:
    """Class names, separated by commas or, in a file, by lines too."""
    if not spec:
        return ()
    labels = tuple(label.strip() for label in (_read_text(spec) if names_file(spec) else spec).strip().replace("\n", ",").split(","))
    odd = sorted({label for label in labels if not label or labels.count(label) > 1})
    if odd:
        raise MlprodError(Code.BAD_REQUEST, f"labels must differ from one another and not be empty: {', '.join(map(repr, odd[:5]))}")
    return labels


def _normalization(given: dict[str, Normalization]) -> dict[str, Normalization]:
    for name, by in given.items():
        if len(by.mean) != len(by.std) or not by.mean:
            raise MlprodError(Code.BAD_REQUEST, f"normalize: {name!r} has {len(by.mean)} means and {len(by.std)} standard deviations")
        if not all(0 < std < float("inf") for std in by.std) or not all(abs(mean) < float("inf") for mean in by.mean):
            raise MlprodError(Code.BAD_REQUEST, f"normalize: {name!r} needs finite means and standard deviations above 0")
    return given


def _operating_point(value: str, labels: tuple[str, ...]) -> OperatingPoint | None:
    if not value:
        return None
    point = _document(value, OperatingPoint, name="operating-point")
    if not labels:
        raise MlprodError(Code.BAD_REQUEST, "operating-point: it decides between labels, and there are none", hint="--labels NAMES")
    unknown = sorted(set(point.thresholds) - set(labels))
    if unknown:
        raise MlprodError(Code.BAD_REQUEST, f"operating-point: there is no label {unknown[0]!r}; labels are {', '.join(labels)}")
    if not 0 < point.temperature < float("inf") or not all(0 < limit <= 1 for limit in point.thresholds.values()):
        raise MlprodError(Code.BAD_REQUEST, "operating-point: the temperature is above 0, and a threshold above 0 and at most 1")
    if point.otherwise in labels or (point.otherwise and set(point.thresholds) != set(labels)):
        what = "'otherwise' is no label, and needs a threshold for every label"
        raise MlprodError(Code.BAD_REQUEST, f"operating-point: {what}", hint="a label without a threshold is answered when no other is")
    return point


def acts_in(parts: Parts) -> list[str]:
    """What `scan` will hold against the functions, told while it is easy to mend."""
    lines = []
    for function, path in ((parts.preprocess, layout.PREPROCESS), (parts.postprocess, layout.POSTPROCESS)):
        notes = Notes()
        note_code(function.text.encode(), notes)
        told = [f"{path} line {spot.line}: {spot.what}" for spot in notes.spots if spot.kind == "code"]
        lines += [f"scan: {line}; a gate demands that there is none (hostile_code)" for line in told[:MOST_ACTS_TOLD]]
    return lines


def _function(spec: str, code: Code) -> tuple[Function, Callable[[Any], Any] | None]:
    """``FILE.py:FUNCTION`` as text and as something to call; nothing for an empty spec."""
    if not spec:
        return Function(), None
    file, colon, name = spec.rpartition(":")
    if not colon or not name.isidentifier() or not names_file(file):
        raise MlprodError(code, f"{spec!r} is no {code.label}ing function", hint="write FILE.py:FUNCTION, or a function of the notebook")
    text = _read_text(file)
    check_imports(text, name, code=code)
    return Function(name=name, text=text), load_function(Path(file), name, code=code)


def _assets(files: tuple[str, ...]) -> tuple[Path, ...]:
    """The files that lie beside the code in the bundle."""
    paths = tuple(Path(file) for file in files)
    missing = next((path for path in paths if not names_file(str(path))), None)
    if missing is not None:
        raise MlprodError(Code.BAD_REQUEST, f"there is no file {str(missing)!r} for --assets")
    odd = next(filter(None, (path_fault(path.name) for path in paths)), "")
    if odd:
        raise MlprodError(Code.BAD_REQUEST, f"--assets: {odd}, and a bundle's file has a name that every system takes", hint="rename it")
    names = [path.name.casefold() for path in paths]
    taken = next((name for name in names if names.count(name) > 1 or f"{CODE}/{name}" in (layout.PREPROCESS, layout.POSTPROCESS)), None)
    if taken:
        raise MlprodError(Code.BAD_REQUEST, f"two files would be {CODE}/{taken} in the bundle", hint="rename one of them")
    return paths
