"""The model card: what is known of a bundle, in the sections of Model Cards (Mitchell et al. 2019).

Every number is that of a record and every sentence that of a person; what nobody provided is said to be missing. A card is data here, so
that Markdown (`card_markdown.py`) and HTML (`card_html.py`) say the same.
"""

from collections.abc import Sequence

import msgspec

from jupyter_mlprod.core.bundle import Bundle
from jupyter_mlprod.core.contract import Input, Tensor, Text
from jupyter_mlprod.core.contract_text import also, contract_rules, range_text
from jupyter_mlprod.core.dossier import Dossier
from jupyter_mlprod.core.evidence import Evidence, Kind, Measure
from jupyter_mlprod.core.lineage import environment, provenance
from jupyter_mlprod.core.sbom import field_text
from jupyter_mlprod.core.verdict import Finding, Verdict

NOT_PROVIDED = "not provided"
POINTS = {"bin_accuracy"}
"""Measures that are points of a plot and not figures of a table."""

OUTCOMES = {"pass": "passes", "fail": "fails", "missing": "is missing evidence", "inconclusive": "is inconclusive"}


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Cells as text; without columns, the first cell of each row is its heading. ``numeric`` names columns of numbers."""

    caption: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[str, ...] = ()


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """A heading, paragraphs and tables; with neither, nothing was provided."""

    title: str
    paragraphs: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """A title and sections."""

    title: str
    sections: tuple[Section, ...]


def card_of(dossier: Dossier) -> Card:
    """The card."""
    words, evidence = dossier.words, dossier.evidence
    return Card(
        title=f"Model card: {dossier.bundle.name}",
        sections=(
            _details(dossier),
            _words("Intended use", words.intended_use),
            _words("Out of scope", words.out_of_scope),
            _words("Factors", words.factors),
            _ends(dossier.bundle),
            _measured("Quality", "quality", evidence),
            _verdict(dossier.verdict),
            _measured("Latency", "latency", evidence),
            _measured("Parity", "parity", evidence),
            _measured("Scan", "scan", evidence),
            _data(dossier),
            _environment(dossier),
            _words("Ethical considerations", words.ethics),
            _words("Limitations", words.limitations),
        ),
    )


def number(value: float) -> str:
    """Six significant digits; the evidence and the SBOM hold all of them.

    Examples
    --------
    >>> number(0.97777777)
    '0.977778'
    """
    return f"{int(value)}" if value == int(value) and abs(value) < 1e15 else f"{value:.6g}"


def _words(title: str, text: str) -> Section:
    paragraphs = (" ".join(part.split()) for part in text.replace("\r\n", "\n").split("\n\n"))
    return Section(title=title, paragraphs=tuple(part for part in paragraphs if part))


def _facts(caption: str, facts: Sequence[tuple[str, str]]) -> Table:
    """Facts as a table; those that are not known are left out."""
    return Table(caption=caption, rows=tuple(fact for fact in facts if fact[1]))


def _table(caption: str, columns: Sequence[str], rows: Sequence[tuple[str, ...]], *, numeric: tuple[str, ...] = ()) -> Table:
    """A table without the columns that are empty in every row."""
    used = [index for index in range(len(columns)) if any(row[index] for row in rows)]
    kept = tuple(tuple(row[index] for index in used) for row in rows)
    return Table(caption=caption, columns=tuple(columns[index] for index in used), rows=kept, numeric=numeric)


def _details(dossier: Dossier) -> Section:
    origin = dossier.origin
    facts = [("name", dossier.bundle.name), ("digest", dossier.digest)]
    if origin is not None:
        facts += provenance(origin)
    for entry in dossier.releases:
        facts.append((f"became {entry.alias}", f"version {entry.version}, {entry.at:%Y-%m-%d %H:%M} UTC, by {entry.actor}: {entry.why}"))
    facts += [("license", dossier.words.license or NOT_PROVIDED), ("contact", dossier.words.contact or NOT_PROVIDED)]
    return Section(title="Model details", tables=(_facts("About this model", facts),))


def _ends(bundle: Bundle) -> Section:
    fields = [("input", field) for field in bundle.contract.inputs] + [("output", field) for field in bundle.contract.outputs]
    columns = ("side", "field", "limits", "unit", "personal data")
    table = _table("The contract", columns, [_field(side, field) for side, field in fields])
    point = bundle.operating_point
    facts = [
        ("labels", ", ".join(bundle.labels)),
        ("the first output holds", bundle.scores),
        ("preprocessing", f"{bundle.preprocess}()" if bundle.preprocess else ""),
        ("postprocessing", f"{bundle.postprocess}()" if bundle.postprocess else ""),
        *[
            (f"normalization of {name}", f"mean {_numbers(by.mean)}, standard deviation {_numbers(by.std)}")
            for name, by in (bundle.normalization or {}).items()
        ],
        ("ensemble", f"{bundle.ensemble.combine} of {len(bundle.ensemble.weights)} members" if bundle.ensemble else ""),
    ]
    if point:
        facts += [("temperature", number(point.temperature))]
        facts += [(f"threshold of {label}", number(limit)) for label, limit in point.thresholds.items()]
        facts += [("answer below every threshold", point.otherwise)]
    rules = contract_rules(bundle.contract)
    more = (_facts("What the contract demands of rows", rules),) if rules else ()
    return Section(title="Inputs and outputs", tables=(table, *more, _facts("From input to answer", facts)))


def _field(side: str, field: Input) -> tuple[str, ...]:
    if isinstance(field, Text):
        return (side, field_text(field), range_text(field), "", field.pii or "")
    low = "" if field.low is None else f"from {number(field.low)}"
    high = "" if field.high is None else f"to {number(field.high)}"
    limits = [" ".join(part for part in (low, high) if part)] if low or high else []
    if not isinstance(field, Tensor):
        limits += [f"one of {', '.join(field.categories)}"] if field.categories else []
        limits += ["may be null"] if field.nullable else []
    limits += also(field)
    return (side, field_text(field), "; ".join(limits), field.unit, field.pii or "")


def _numbers(values: Sequence[float]) -> str:
    return " ".join(map(number, values))


def _measured(title: str, kind: Kind, evidence: dict[Kind, Evidence]) -> Section:
    """The newest evidence of a kind: each measure with its interval and n."""
    record = evidence.get(kind)
    if record is None:
        return Section(title=title)
    shown = [measure for measure in record.measures if measure.name not in POINTS]
    rows = [(m.name, _where(m.where), *_value(m), f"{m.n:,}", m.note) for m in shown]
    columns = ("measure", "where", "value", "95 % interval", "n", "remark")
    caption = f"Taken by the {record.taken_by}, {record.taken_at:%Y-%m-%d %H:%M} UTC"
    tables = [_table(caption, columns, rows, numeric=("value", "95 % interval", "n"))]
    if record.context:
        tables.append(_facts("Measured on", sorted(record.context.items())))
    return Section(title=title, tables=tuple(tables))


def _where(where: dict[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(where.items()))


def _value(measure: Measure) -> tuple[str, str]:
    unit = "" if measure.unit in ("1", "count") else f" {measure.unit}"
    if measure.low is None or measure.high is None:
        return number(measure.value) + unit, ""
    return number(measure.value) + unit, f"{number(measure.low)} to {number(measure.high)}"


def _verdict(verdict: Verdict | None) -> Section:
    title = "Verdict"
    if verdict is None:
        return Section(title=title)
    said = f"It {OUTCOMES[verdict.outcome]}: policy {verdict.policy}, decided {verdict.decided_at:%Y-%m-%d %H:%M} UTC."
    rows = [_finding(finding) for finding in verdict.findings]
    columns = ("outcome", "rule", "limit", "measured", "by")
    return Section(title=title, paragraphs=(said,), tables=(_table("Its rules", columns, rows, numeric=("limit", "measured")),))


def _finding(finding: Finding) -> tuple[str, ...]:
    rule, measured = finding.rule, finding.measured
    place = _where(measured.where if measured else rule.where)
    limit = f"at {'least' if rule.at_least is not None else 'most'} {number(rule.limit)}"
    return (
        finding.outcome,
        rule.reads + (f" [{place}]" if place else ""),
        limit + ("" if rule.unit in ("1", "count") else f" {rule.unit}"),
        _value(measured)[0] if measured else "",
        finding.taken_by or "",
    )


def _data(dossier: Dossier) -> Section:
    facts = [
        ("digest", dossier.bundle.snapshot),
        ("rows", "" if dossier.snapshot_rows is None else str(dossier.snapshot_rows)),
        ("license", dossier.words.data_license),
    ]
    table = _facts("The data that was named at packaging", facts)
    return Section(title="Training data", tables=(table,) if table.rows else ())


def _environment(dossier: Dossier) -> Section:
    origin = dossier.origin
    facts = [("needed to answer", ", ".join(dossier.requirements)), ("locked packages", str(len(dossier.locked) or ""))]
    if origin is not None:
        facts += environment(origin)
    table = _facts("Software", facts)
    return Section(title="Environment", tables=(table,) if table.rows else ())
