"""``check``: data against a bundle's contract, and its quality, parity, skew and leakage.

Schema, freshness and quality of rows always run, and so does the search for ids among the features; the rest runs when it is asked for
by its option. What was asked for and could not run is a broken check. Of a folder of images only the quality is checked, which proves
nothing of the contract. No code of the bundle runs without ``--prepared``.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jupyter_mlprod.core.answer import prepared_inputs
from jupyter_mlprod.core.batch import LENGTHS, named_inputs, readied
from jupyter_mlprod.core.checked import Checked, by_kind, measures_of, not_run
from jupyter_mlprod.core.conformance import Conformance
from jupyter_mlprod.core.contract import Column, ColumnType, Input, Tensor, fields_of, is_personal
from jupyter_mlprod.core.data_quality import holds_images, image_quality, table_quality, tensor_quality
from jupyter_mlprod.core.demands import types_read
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.evidence import Evidence
from jupyter_mlprod.core.held import source_of
from jupyter_mlprod.core.image_folder import files_in
from jupyter_mlprod.core.leak_search import leak_search, same_length
from jupyter_mlprod.core.policy import SCANNED
from jupyter_mlprod.core.ports import Ports
from jupyter_mlprod.core.preprocess_parity import preprocess_parity
from jupyter_mlprod.core.raw import Array, Raw, part, raw_digest, rows
from jupyter_mlprod.core.record import digest_bytes, digest_of_file
from jupyter_mlprod.core.requests.check import Check
from jupyter_mlprod.core.resolve import Found, check_trust, find_bundle, snapshot_of
from jupyter_mlprod.core.skew import skew
from jupyter_mlprod.core.subject import names_folder

CHUNK = 256


def run(request: Check, ports: Ports) -> Evidence:
    """Count what is broken, and measure what a policy may judge."""
    found = find_bundle(request.subject, ports)
    _refuse_halves(request, found)
    if names_folder(request.data):
        parts, n, context = _folder(request, found, ports)
    else:
        parts, n, context = _rows(request, found, ports)
    evidence = Evidence(
        kind="contract",
        subject=found.digest,
        taken_at=ports.now(),
        taken_by=ports.taken_by,
        measures=measures_of(parts, rows=n),
        context=context,
    )
    ports.records.put(evidence)
    return evidence


Checks = tuple[list[Checked], int, dict[str, str]]
"""What every kind came to, how many rows there are, and the context."""


def _refuse_halves(request: Check, found: Found) -> None:
    """Refuse a question of which a part is missing, or that cannot be asked of this bundle."""
    if bool(request.online) != bool(request.key):
        raise MlprodError(Code.BAD_REQUEST, "skew needs both --online and --key", hint="name the column that joins the logged rows")
    for option, given in (("--online", request.online), ("--target", request.target)):
        if given and not found.bundle.contract.is_table:
            raise MlprodError(Code.BAD_REQUEST, f"{option} is about columns of a table, and {found.bundle.name} takes none")
    if names_folder(request.data) and not any(isinstance(one, Tensor) and len(one.shape) > 2 for one in found.bundle.contract.inputs):
        what = f"{request.data[:200]} is a folder of images, and {found.bundle.name} takes none"
        raise MlprodError(Code.BAD_REQUEST, what, hint="give the rows as an array or table of the notebook, or a file")
    if names_folder(request.data) and (request.prepared or request.online or request.validation or request.target):
        what = f"{request.data[:200]} is a folder of images, of which only the quality is checked"
        raise MlprodError(Code.BAD_REQUEST, what, hint="for parity and leakage give the images as the array that the notebook made of them")


def _folder(request: Check, found: Found, ports: Ports) -> Checks:
    """The images of a folder; files that are none by their names are told, since one of them may be an image that was misnamed."""
    pictures = ports.images.of_folder(Path(request.data))
    others = sum(1 for _ in files_in(Path(request.data))) - len(pictures)
    told = not found.bundle.contract.personal
    content = b"".join(one.name.encode("utf-8", "surrogateescape") + b"\0" + one.hash for one in pictures)
    context = {SCANNED: "folder", "data": digest_bytes(content)}
    if others:
        context["files that are no images by their names"] = f"{others:,}"
    return [image_quality(pictures, told=told)], len(pictures), context


def _rows(request: Check, found: Found, ports: Ports) -> Checks:
    contract, file = found.bundle.contract, Path(request.data)
    row_by_row = request.prepared or request.online or request.validation
    types = types_read(contract)
    raw, n = _whole(request.data, ports, types) if row_by_row else ports.data.sample(request.data, types=types)
    now = ports.now() if request.view == "serving" else None  # training data is of the past, and was fresh when it was used
    result = ports.frames.check(contract, source_of(contract, request.data, raw), view=request.view, now=now)
    parts = list(by_kind(result, readied(contract, request.view, clock=now is not None)))
    named = named_inputs(contract, raw)
    context = {"data": raw_digest(raw) if rows(raw) == n else digest_of_file(file), "view": request.view}
    if rows(raw) != n:
        context["quality and leakage of"] = f"a sample of {rows(raw):,} rows"
    if not result.rows or any(one.field == LENGTHS for one in result.violations):
        why = "the data have no rows" if not result.rows else "the inputs differ in rows"
        asked = {"parity": request.prepared, "skew": request.online, "leakage": request.validation or request.target}
        parts += [not_run(kind, why) for kind, given in asked.items() if given]  # type: ignore[arg-type]
        return parts, result.rows, context
    parts += _quality(request, found, named, ports)
    if request.prepared:
        parts.append(_parity(request, found, raw, result, ports, context))
    if request.online:
        parts.append(_skew(request, found, named, ports, context))
    parts += _leakage(request, found, named, ports, context)
    return parts, result.rows, context


def _whole(path: str, ports: Ports, types: Mapping[str, ColumnType]) -> tuple[Raw, int]:
    """All rows, and how many."""
    raw = ports.data.read(path, types=types)
    return raw, rows(raw)


def _quality(request: Check, found: Found, named: Mapping[str, Array], ports: Ports) -> list[Checked]:
    fields = fields_of(found.bundle.contract, request.view)
    hidden = _hidden(found)
    parts = [tensor_quality(fields, named)]
    if not parts[0].measures:
        parts = [table_quality(fields, named, snapshot_of(found), hidden=hidden)]
    for name, array in named.items():
        if values := holds_images(array):
            parts.append(image_quality(ports.images.of_bytes(values), column=name, told=name not in hidden))
    return parts


def _hidden(found: Found) -> frozenset[str]:
    """Columns of whose values nothing may be told: those that the contract calls personal, or that were withheld from the snapshot."""
    contract, snapshot = found.bundle.contract, snapshot_of(found)
    declared = [field.name for field in (*contract.inputs, *contract.training_only) if is_personal(field)]
    return frozenset((*declared, *(column.name for column in (snapshot.columns if snapshot else ()) if column.withheld)))


def _parity(request: Check, found: Found, raw: Raw, result: Conformance, ports: Ports, context: dict[str, str]) -> Checked:
    check_trust(found, ports, trust=request.trust)
    wanted = ports.data.read(request.prepared)
    context["prepared"] = raw_digest(wanted)
    context["tolerance"] = f"{request.tolerance:g}"
    inputs = {field.name for field in found.bundle.contract.inputs}
    if any(one.kind == "schema" and (one.field in inputs or one.check == "unknown") for one in result.violations):
        return not_run("parity", "the rows break the contract, so that the bundle does not prepare them", rows=result.rows)
    lengths = {np.shape(array)[:1] for array in (wanted.values() if isinstance(wanted, Mapping) else (wanted,))}
    if lengths != {(result.rows,)}:
        given = ", ".join(sorted(str(length[0]) if length else "no" for length in lengths)) or "no"
        return not_run("parity", f"the notebook prepared {given} rows, the data have {result.rows:,}", rows=result.rows)
    try:
        ours, theirs = _both(found, raw, wanted, ports)
    except MlprodError as error:
        if error.code is not Code.PREPROCESS:
            raise
        return not_run("parity", f"the rows cannot be prepared: {error.message}", rows=result.rows)
    features = tuple(wanted) if isinstance(wanted, Mapping) and len(ours) == 1 and set(ours) != set(wanted) else ()
    return preprocess_parity(
        ours, theirs, rows=result.rows, tolerance=request.tolerance, tell=not _hidden(found) & inputs, features=features
    )


def _both(found: Found, raw: Raw, wanted: Raw, ports: Ports) -> tuple[dict[str, Array], dict[str, Array]]:
    """What the bundle and what the notebook prepared; in pieces as when it answers, or at once where its shapes depend on the batch."""
    runtime = ports.runtimes.open(found.folder, found.bundle, threads=1)
    n = rows(raw)
    pieces = [runtime.prepare(part(raw, start, start + CHUNK)) for start in ports.progress("prepare", range(0, n, CHUNK))]
    shapes = [{name: array.shape[1:] for name, array in piece.items()} for piece in pieces]
    if all(shape == shapes[0] for shape in shapes):
        ours = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
    else:
        ours = runtime.prepare(raw)
    if isinstance(wanted, Mapping) and len(ours) > 1:
        return ours, dict(wanted)
    return ours, prepared_inputs(wanted, list(ours))


def _skew(request: Check, found: Found, named: Mapping[str, Array], ports: Ports, context: dict[str, str]) -> Checked:
    online = ports.data.read(request.online, types=types_read(found.bundle.contract))
    context["online"] = raw_digest(online)
    context["tolerance"] = f"{request.tolerance:g}"
    logged, names = _table(online, "--online"), [name.strip() for name in request.key.split(",")]
    for side, given in (("the data", named), ("--online", logged)):
        missing = [name for name in names if name not in given]
        if missing:
            have = ", ".join(list(given)[:10])
            raise MlprodError(Code.BAD_DATA, f"the key {missing[0][:80]!r} is no column of {side}, which has {have}")
    known = {field.name: field for field in fields_of(found.bundle.contract, "training")}
    known |= {field.name: field for field in found.bundle.contract.inputs}
    hidden = _hidden(found)
    keys: list[Input | str] = [
        Column(name=name, type="string", pii="withheld") if name in hidden else known.get(name, name) for name in names
    ]
    features = [field for field in found.bundle.contract.inputs if isinstance(field, Column)]
    return skew(features, _table(named, "the data"), logged, keys=keys, tolerance=request.tolerance)


def _leakage(request: Check, found: Found, named: Mapping[str, Array], ports: Ports, context: dict[str, str]) -> list[Checked]:
    other: Mapping[str, Array] | None = None
    if request.validation:
        raw = ports.data.read(request.validation, types=types_read(found.bundle.contract))
        context["validation"] = raw_digest(raw)
        other = named_inputs(found.bundle.contract, raw)
    return leak_search(found.bundle.contract, named, target=request.target, other=other)


def _table(raw: Raw, what: str) -> Mapping[str, Array]:
    """Columns of one length.

    Raises
    ------
    MlprodError : ``bad-data``.
    """
    if not isinstance(raw, Mapping):
        raise MlprodError(Code.BAD_DATA, f"{what} is one array without names of columns", hint="give a table, or a mapping of columns")
    odd = next((name for name, array in raw.items() if array.ndim != 1), None)
    if odd is not None:
        raise MlprodError(Code.BAD_DATA, f"column {odd[:80]!r} of {what} has shape {raw[odd].shape}, one value a row is needed")
    same_length(raw, what)
    return raw
