"""``evaluate``: quality on labelled rows, and the paired difference to the champion.

The champion answers the very same rows here, so that a rule relative to it reads one measured difference and nothing is subtracted later.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jupyter_mlprod.core.admission import Admission, chunk_of
from jupyter_mlprod.core.answer import class_probabilities, decided, scores_of
from jupyter_mlprod.core.bundle import Bundle
from jupyter_mlprod.core.demands import types_read
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.evidence import Evidence, Measure
from jupyter_mlprod.core.ports import Ports
from jupyter_mlprod.core.quality import classification, measure, regression, reliability
from jupyter_mlprod.core.raw import Array, Raw, raw_digest, rows
from jupyter_mlprod.core.release import CHAMPION, holder
from jupyter_mlprod.core.requests.evaluate import Evaluate
from jupyter_mlprod.core.resolve import Found, check_trust, find_bundle, snapshot_of
from jupyter_mlprod.core.scores import Floats, Ints
from jupyter_mlprod.core.subject import names_file
from jupyter_mlprod.core.uncertainty import paired_delta

MOST_GROUPS = 50


def run(request: Evaluate, ports: Ports) -> Evidence:
    """Answer every row, compare with the target, and put intervals on what comes out."""
    found = find_bundle(request.subject, ports)
    check_trust(found, ports, trust=request.trust)
    raw = ports.data.read(request.data, types=types_read(found.bundle.contract))
    target = _values(request.target, raw, ports)
    if len(target) != rows(raw) or not len(target):
        raise MlprodError(Code.BAD_DATA, f"{rows(raw)} rows of data and {len(target)} of target")
    groups = _groups(request.slices, raw, ports)
    _refuse_personal(groups, raw, found)
    scores = _scores(found, raw, ports, threads=request.threads)
    context = {**ports.runtimes.context(), "data": raw_digest(raw), "target": raw_digest(target)}
    measures: tuple[Measure, ...]
    if found.bundle.labels:
        truth = _classes(target, found.bundle)
        answer = decided(found.bundle, scores)
        measures = classification(scores, answer, truth, labels=found.bundle.labels, groups=groups) + reliability(scores, truth)
        measures += _against_champion(found, answer, truth, raw, ports, context)
    else:
        if target.dtype.kind not in "fiu" or len(target) < 2:
            raise MlprodError(
                Code.BAD_DATA,
                f"the target has dtype {target.dtype} and {len(target)} rows; a bundle without labels needs two or more numbers",
            )
        if scores.shape[1] != 1:
            raise MlprodError(Code.BAD_REQUEST, f"{found.bundle.name} gives {scores.shape[1]} values a row, and a target is one")
        measures = regression(scores[:, 0], target.astype(np.float64), groups=groups)
    evidence = Evidence(
        kind="quality", subject=found.digest, taken_at=ports.now(), taken_by=ports.taken_by, measures=measures, context=context
    )
    ports.records.put(evidence)
    return evidence


def _scores(found: Found, raw: Raw, ports: Ports, *, threads: int) -> Floats:
    """(n, classes) probabilities, or (n, values) for a bundle without labels."""
    admitted = Admission(found.bundle.contract).admit_data(raw, name=found.bundle.name)
    runtime = ports.runtimes.open(found.folder, found.bundle, threads=threads)
    pieces = []
    for chunk in ports.progress("evaluate", list(admitted.chunks(chunk_of(found.bundle.contract)))):
        answers = runtime.answer(chunk)
        own = class_probabilities(found.bundle, answers) if found.bundle.labels else scores_of(found.bundle, answers).astype(np.float64)
        pieces.append(own.reshape(len(own), -1))
    scores = np.concatenate(pieces)
    if not np.isfinite(scores).all():
        bad = int((~np.isfinite(scores)).any(axis=1).sum())
        raise MlprodError(
            Code.NO_ANSWER, f"{bad} of {len(scores)} answers of {found.bundle.name} are not finite, so its quality cannot be stated"
        )
    return scores


def _against_champion(found: Found, answer: Ints, truth: Ints, raw: Raw, ports: Ports, context: dict[str, str]) -> tuple[Measure, ...]:
    """``accuracy_delta``: this bundle less the champion, paired on the rows; nothing when there is no champion to ask."""
    held = holder(ports.ledger.entries(found.bundle.name), CHAMPION)
    if held is None:
        return ()
    context["champion"] = held.bundle
    right = answer == truth
    if held.bundle == found.digest:
        own = Measure(name="accuracy_delta", value=0.0, unit="1", n=len(right), method="identity", note="this bundle is the champion")
        return (own,)
    champion = find_bundle(held.bundle, ports)
    check_trust(champion, ports, trust="")
    try:
        theirs = _scores(champion, raw, ports, threads=1)
    except MlprodError as error:
        if error.code not in (Code.CONTRACT, Code.MORE_NEEDED, Code.NO_ANSWER):
            raise
        context["champion_refused"] = error.message
        return ()
    if not champion.bundle.labels:
        context["champion_refused"] = "it has no labels"
        return ()
    names = np.array([*champion.bundle.labels, ""])  # the last one is that of an index of -1
    champion_right = names[decided(champion.bundle, theirs)] == np.array(found.bundle.labels)[truth]
    return (measure("accuracy_delta", paired_delta(right, champion_right), n=len(right), method="bonett-price"),)


def _values(spec: str, raw: Raw, ports: Ports) -> Array:
    """One value a row: a column of the data, or a file with a single array."""
    if isinstance(raw, Mapping) and spec in raw:
        return raw[spec]
    if not names_file(spec):
        columns = f"; the data has {', '.join(list(raw)[:10])}" if isinstance(raw, Mapping) else ""
        raise MlprodError(Code.BAD_DATA, f"{spec!r} is neither a file nor a column of the data{columns}")
    values = ports.data.read(spec)
    if isinstance(values, Mapping):
        if len(values) != 1:
            raise MlprodError(Code.BAD_DATA, f"{spec} holds {len(values)} arrays, one is needed")
        values = next(iter(values.values()))
    if values.ndim != 1:
        raise MlprodError(Code.BAD_DATA, f"{spec} has shape {values.shape}, one value a row is needed")
    return values


def _classes(target: Array, bundle: Bundle) -> Ints:
    """Class indexes of a target given as labels or, where its numbers are not all labels, as indexes.

    Raises
    ------
    MlprodError : ``bad-data`` when some value is no class of the bundle.
    """
    position = {label: index for index, label in enumerate(bundle.labels)}
    indexes = np.array([position.get(str(value), -1) for value in target.tolist()], dtype=np.int64)
    bad = indexes < 0
    if bad.any() and target.dtype.kind in "iub":
        indexes = target.astype(np.int64)
        bad = (indexes < 0) | (indexes >= len(bundle.labels))
    if bad.any():
        what = f"{int(bad.sum())} of {len(bad)} target values are no class of {bundle.name}, first at row {int(np.flatnonzero(bad)[0])}"
        raise MlprodError(Code.BAD_DATA, what, hint=f"give an index below {len(bundle.labels)} or one of {', '.join(bundle.labels[:10])}")
    return indexes


def _groups(spec: str, raw: Raw, ports: Ports) -> dict[str, NDArray[np.str_]]:
    """Slice columns as text: a file of columns, or names of the data's columns."""
    if not spec:
        return {}
    if names_file(spec):
        read = ports.data.read(spec)
        columns = dict(read) if isinstance(read, Mapping) else {Path(spec).stem: read}
    else:
        columns = {name.strip(): _values(name.strip(), raw, ports) for name in spec.split(",")}
    for name, values in columns.items():
        if values.ndim != 1 or values.dtype.kind not in "biufUOT":
            raise MlprodError(
                Code.BAD_DATA, f"slice column {name!r} has shape {values.shape} and dtype {values.dtype}, one value a row is needed"
            )
        if len(values) != rows(raw):
            raise MlprodError(Code.BAD_DATA, f"slice column {name!r} has {len(values)} rows, the data has {rows(raw)}")
        if len(np.unique(values.astype("U"))) > MOST_GROUPS:
            raise MlprodError(Code.BAD_DATA, f"slice column {name!r} has more than {MOST_GROUPS} values", hint="cut it into ranges first")
    return {name: values.astype("U") for name, values in columns.items()}


def _refuse_personal(groups: Mapping[str, NDArray[np.str_]], raw: Raw, found: Found) -> None:
    """No slice by what the bundle calls personal, under whatever name: its values would stand in evidence, card and SBOM."""
    contract, snapshot = found.bundle.contract, snapshot_of(found)
    personal = {*contract.personal, *(column.name for column in (snapshot.columns if snapshot else ()) if column.withheld)}
    given = raw if isinstance(raw, Mapping) else {contract.inputs[0].name: raw}
    held = [array for name, array in given.items() if name in personal]
    for name, values in groups.items():
        if name in personal or any(all(str(own) == value for own, value in zip(array, values, strict=True)) for array in held):
            what = f"slice column {name!r} is personal data for {found.bundle.name}, and its values would stand in evidence and model card"
            hint = "slice by a column that is not personal, or by groups made of it in the notebook, such as ranges of age"
            raise MlprodError(Code.BAD_REQUEST, what, hint=hint)
