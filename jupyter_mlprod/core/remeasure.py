"""What can be measured of a bundle without its notebook: digests, pickle, parity with the golden samples, contract.

`package`, `check`, `scan` and `gate` take these measures by the same functions; who called decides whether they count as the
notebook's word or as the runner's.
"""

import ast
import io
import pickletools
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jupyter_mlprod.core.answer import class_probabilities
from jupyter_mlprod.core.bundle import Bundle
from jupyter_mlprod.core.conformance import Conformance, check_batch
from jupyter_mlprod.core.contract import Contract
from jupyter_mlprod.core.evidence import Measure
from jupyter_mlprod.core.ports import Outputs
from jupyter_mlprod.core.raw import Array, Raw, part, rows

PICKLE_HEADS = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))
NUMPY_HEAD = b"\x93NUMPY"
IMPORTED = re.compile(r"[A-Za-z_][\w.]* [A-Za-z_][\w.]*")
"""What an unpickler imports: module and name."""

MOST_UNPACKED = 1 << 30
PARITY_ATOL = 1e-4
MAX_NOTES = 5


def count(name: str, found: int, *, n: int, note: str = "", where: dict[str, str] | None = None) -> Measure:
    """A number of faults out of ``n`` checks."""
    return Measure(name=name, value=float(found), unit="count", n=n, note=note, where=where or {})


def joined(notes: list[str]) -> str:
    """The first few notes, and how many more there are."""
    more = f"; and {len(notes) - MAX_NOTES} more" if len(notes) > MAX_NOTES else ""
    return "; ".join(notes[:MAX_NOTES]) + more


def contract_measures(contract: Contract, raw: Raw) -> tuple[Measure, ...]:
    """How many demands of the contract the rows break. Zero rows count as zero checks, which never pass; a missing input fails."""
    result: Conformance = check_batch(contract, raw)
    astray = any(violation.check in ("present", "unknown") for violation in result.violations)  # of whatever rows there are, none is seen
    n = result.checks if result.rows or astray else 0
    broken = [violation.what for violation in result.violations]
    return (
        count("violations", len(broken), n=n, note=joined(broken)),
        count("rows", result.rows, n=result.rows, note=f"{result.checks} checks ran on {result.rows:,} rows"),
    )


def scan_measures(folder: Path, bundle: Bundle, faults: tuple[str, ...]) -> tuple[Measure, ...]:
    """Digests and pickles of a bundle's files; pickles also where the digest does not reach."""
    present = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
    held = [path.relative_to(folder).as_posix() for path in present if holds_pickle(path.read_bytes())]
    return (
        count("digest_mismatches", len(faults), n=len(bundle.files) + 1, note=joined(list(faults))),
        count("pickle_files", len(held), n=len(present), note=joined(held)),
    )


def holds_pickle(data: bytes) -> bool:
    """Whether bytes are a pickle, an array of pickled objects, or an archive that holds one. Nothing is ever unpickled."""
    if data.startswith(NUMPY_HEAD):
        return _array_holds_pickle(data)
    if data[:2] in PICKLE_HEADS:
        return True
    if zipfile.is_zipfile(io.BytesIO(data)):  # also behind other bytes, where zipfile and torch find it too
        return _archive_holds_pickle(data)
    return data.startswith(b"PK\x03\x04") or _is_pickle_program(data)


def _array_holds_pickle(data: bytes) -> bool:
    """Whether the type of an .npy file holds objects. The header is a literal; what cannot be read is not known to be free of pickle."""
    size, start = ("<H", 10) if data[6:7] == b"\x01" else ("<I", 12)
    try:
        (length,) = struct.unpack(size, data[8:start])
        header = ast.literal_eval(data[start : start + length].decode("latin-1").strip())
        return bool(np.dtype(header["descr"]).hasobject)
    except (struct.error, SyntaxError, ValueError, TypeError, KeyError, RecursionError, MemoryError):
        return True


def _archive_holds_pickle(data: bytes) -> bool:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MOST_UNPACKED:
                return True
            return any(holds_pickle(archive.read(entry)) for entry in archive.infolist())
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError):
        return True  # an archive that cannot be looked into is not known to be free of pickle


def _is_pickle_program(data: bytes) -> bool:
    """Whether an unpickler would take bytes of the old, textual protocols, or would call something before it refuses them."""
    seen: set[str] = set()
    first = ""
    try:
        for operation, argument, _ in pickletools.genops(io.BytesIO(data)):
            first = first or operation.name
            if operation.name in ("GLOBAL", "INST") and not IMPORTED.fullmatch(str(argument)):
                raise ValueError("an unpickler ends here, at a module that cannot be")
            seen.add(operation.name)
        return len(seen) > 1 and first != "POP"
    except (ValueError, IndexError, OverflowError, MemoryError):
        return {"GLOBAL", "REDUCE"} <= seen or {"GLOBAL", "MARK", "OBJ"} <= seen or {"MARK", "INST"} <= seen


def batch_sizes(n: int) -> tuple[int, ...]:
    """The batches that parity is taken at: 1, 3 and all rows."""
    return tuple(sorted({1, min(3, n), n}))


def parity_measures(bundle: Bundle, runtime: Outputs, raw: Raw, reference: Mapping[str, Array], *, per_batch: bool) -> tuple[Measure, ...]:
    """Largest difference and differing arg-max between reference answers and the runtime's, at each batch size.

    Parameters
    ----------
    raw : (n, ...) rows
    reference : output name → (n, ...); with ``per_batch``, ``<batch>/<output>`` → (batch, ...), answers of the original at that batch
    """
    measures: list[Measure] = []
    n = rows(raw)
    for batch in batch_sizes(n):
        answered = _answers(runtime, raw, batch=batch, upto=batch if per_batch else n)
        wanted = {name: reference[f"{batch}/{name}"] if per_batch else reference[name] for name in answered}
        measures += _parity_at(bundle, answered, wanted, where={"batch": str(batch)})
    return tuple(measures)


def _parity_at(bundle: Bundle, answered: dict[str, Array], wanted: dict[str, Array], *, where: dict[str, str]) -> tuple[Measure, ...]:
    """Both measures at one batch size. A row that is not finite on either side counts as a differing answer, never as no answer.

    An output with values above 1 is measured in units of its greatest: float32 has seven digits, whatever the user's unit is.
    """
    n = len(next(iter(answered.values())))
    flat = [
        (np.asarray(answered[name], np.float64).reshape(n, -1), np.asarray(wanted[name], np.float64).reshape(n, -1)) for name in answered
    ]
    broken = np.zeros(n, dtype=bool)
    for ours, theirs in flat:
        broken |= ~(np.isfinite(ours) & np.isfinite(theirs)).all(axis=1)
    gaps = np.zeros(n)
    for ours, theirs in flat:
        unit = max(1.0, float(np.abs(theirs[~broken]).max(initial=0.0)))
        gaps[~broken] = np.maximum(gaps[~broken], np.abs(ours[~broken] - theirs[~broken]).max(axis=1, initial=0.0) / unit)
    differ = gaps > PARITY_ATOL
    if bundle.labels:
        differ = class_probabilities(bundle, answered).argmax(axis=1) != class_probabilities(bundle, wanted).argmax(axis=1)
    mismatches = count(
        "parity_argmax_mismatches", int((differ | broken).sum()), n=n, where=where, note="some are not finite" if broken.any() else ""
    )
    if broken.all():
        return (mismatches,)
    return (Measure(name="parity_max_abs_diff", value=float(gaps.max()), unit="1", n=n, where=where), mismatches)


def _answers(runtime: Outputs, raw: Raw, *, batch: int, upto: int) -> dict[str, Array]:
    pieces = [runtime.outputs(part(raw, start, start + batch)) for start in range(0, upto, batch)]
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
