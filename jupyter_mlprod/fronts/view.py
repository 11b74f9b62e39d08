"""What of a record people see: a title, tables and notes. Text and HTML are both made of it, so that neither says more than the other.

A view is a function of the record alone; it decides nothing and looks nothing up.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import UNSET

from jupyter_mlprod.core.bundle import STRUCTURE, Bundle
from jupyter_mlprod.core.conformance import shape_of
from jupyter_mlprod.core.contract import Contract, Input
from jupyter_mlprod.core.contract_text import LIMITING, contract_rules, field_cells, number
from jupyter_mlprod.core.evidence import Evidence, Measure
from jupyter_mlprod.core.listing import Cell, Listing
from jupyter_mlprod.core.notebook import Notebook
from jupyter_mlprod.core.policy import Policy, Rule
from jupyter_mlprod.core.portrait import Portrait
from jupyter_mlprod.core.record import Record, digest, short
from jupyter_mlprod.core.release import Release
from jupyter_mlprod.core.snapshot import PROBABILITIES, ColumnFacts, Numbers, Snapshot
from jupyter_mlprod.core.verdict import Finding, Verdict
from jupyter_mlprod.fronts.table import MARKS, Table, View, moment_text
from jupyter_mlprod.fronts.view_portrait import portrait_view

__all__ = ["MARKS", "VIEWS", "Table", "View", "limit_text", "number", "value_text", "view_of", "where_text"]

HIDDEN = {"bin_accuracy", "broken"}
"""Measures that stand elsewhere than in the table: points of a plot in the JSON alone, broken checks as lines of their own."""
OFTEN_ZERO = {"null_ratio", "nonfinite_ratio", "outlier_ratio", "skew_ratio"}
"""Measures of every column: where they are 0, the table says in how many places."""

SHOWN_COLUMNS = 100
EXAMPLE = re.compile(r"row [0-9,]+: '([^']*)'")
MASKED = 'strings are told as their shape; of a column that holds nothing personal, pii = "none" in the contract tells the values'
ABOUT_RUNS = {"cells_not_ok"}


def view_of(record: Record) -> View:
    """The view of any record."""
    return VIEWS[type(record)](record)


def _verdict(verdict: Verdict) -> View:
    scope = "" if verdict.scope == "release" else "  (the notebook's own word; only a gate run allows a promotion)"
    view = View(title=f"{verdict.about} {_subject(verdict.subject)}, policy {verdict.policy}{scope}".lstrip(), outcome=verdict.outcome)
    bundles = {finding.subject for finding in verdict.findings if finding.rule.measure not in ABOUT_RUNS}
    rows = [(*_finding_row(finding), short(finding.subject) if len(bundles) > 1 else "") for finding in verdict.findings]
    columns = ("outcome", "rule", "limit", "measured", "n", "by", "remark", "about")
    view.table(columns, rows, numeric=("limit", "measured", "n"), findings=verdict.findings)
    passed = sum(finding.outcome == "pass" for finding in verdict.findings)
    view.notes.append(
        f"{passed} of {len(verdict.findings)} rules pass; verdict {short(digest(verdict))}, {verdict.decided_at:%Y-%m-%d %H:%M:%S} UTC"
    )
    return view


def _subject(subject: str) -> str:
    return ", ".join(short(part) for part in subject.split(","))


def _finding_row(finding: Finding) -> tuple[str, ...]:
    rule, measured = finding.rule, finding.measured
    return (
        finding.outcome,
        _rule_name(rule, measured.where if measured is not None else rule.where),
        limit_text(rule),
        value_text(measured) if measured else "",
        f"{measured.n:,}" if measured else "",
        finding.taken_by or "",
        finding.reason,
    )


def _rule_name(rule: Rule, place: dict[str, str]) -> str:
    return rule.reads + (f" [{where_text(place)}]" if place else "")


def limit_text(rule: Rule) -> str:
    """The limit as a person writes it, such as ``≥ 0.95``."""
    sign = "≥" if rule.at_least is not None else "≤"
    return f"{sign} {number(rule.limit)}{_unit(rule.unit)}"


def value_text(measure: Measure) -> str:
    """``0.972 [0.950, 0.985] ms``."""
    interval = f" [{number(measure.low)}, {number(measure.high)}]" if measure.low is not None and measure.high is not None else ""
    return f"{number(measure.value)}{interval}{_unit(measure.unit)}"


def where_text(where: dict[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(where.items()))


def _unit(unit: str) -> str:
    return "" if unit in ("1", "count") else f" {unit}"


def _evidence(evidence: Evidence) -> View:
    taken = f"taken by the {evidence.taken_by}, {evidence.taken_at:%Y-%m-%d %H:%M:%S} UTC"
    view = View(title=f"{evidence.kind} of {_subject(evidence.subject)}, {taken}")
    idle = [measure for measure in evidence.measures if measure.name in OFTEN_ZERO and not measure.value]
    shown = [measure for measure in evidence.measures if measure.name not in HIDDEN and measure not in idle]
    rows = [(m.name, where_text(m.where), value_text(m), f"{m.n:,}", m.note) for m in shown]
    view.table(("measure", "where", "value", "n", "remark"), rows, numeric=("value", "n"))
    view.notes += [f"✗ {m.where['kind']}: {m.note}" for m in evidence.measures if m.name == "broken"]
    if any(m.name == "broken" and m.where["check"] == "category" and _is_masked(m.note) for m in evidence.measures):
        view.notes.append(MASKED)
    if idle:
        places = Counter(measure.name for measure in idle)
        view.notes.append(f"0 and left out: {', '.join(f'{name} of {n:,}' for name, n in sorted(places.items()))}")
    methods = sorted({m.method for m in shown if m.low is not None})
    if methods:
        view.notes.append(f"intervals are 95 %: {', '.join(methods)}")
    if evidence.context:
        view.notes.append(
            "; ".join(f"{key} {short(value) if value.startswith('sha256:') else value}" for key, value in sorted(evidence.context.items()))
        )
    return view


def _is_masked(note: str) -> bool:
    """Whether an example in it is a string's shape."""
    return any(shape_of(text) == text for text in EXAMPLE.findall(note))


def _bundle(bundle: Bundle) -> View:
    view = View(title=f"bundle {bundle.name} {short(digest(bundle))}")
    size = sum(entry.bytes for entry in bundle.files)
    facts = [
        ("scores", bundle.scores),
        ("labels", ", ".join(bundle.labels)),
        ("preprocess", f"{bundle.preprocess}()" if bundle.preprocess else ""),
        ("normalization", _normalization(bundle)),
        ("ensemble", _ensemble(bundle)),
        ("postprocess", f"{bundle.postprocess}()" if bundle.postprocess else ""),
        ("operating point", _operating_point(bundle)),
        ("trainable", "yes: load brings the module back" if bundle.holds(STRUCTURE) else ""),
        ("snapshot", short(bundle.snapshot)),
        ("real data in it", _real_data(bundle)),
        ("files", f"{len(bundle.files)}, {size / 1e6:.2f} MB"),
    ]
    view.table(("", " "), [fact for fact in facts if fact[1]])
    _fields(view, bundle.contract)
    return view


def _real_data(bundle: Bundle) -> str:
    """What of the training data stands in the snapshot, and what of the example lies in the bundle as golden samples."""
    personal = bundle.contract.personal
    real = [field.name for field in bundle.contract.inputs if field.name not in personal]
    listed = ", ".join(real[:8]) + (f" and {len(real) - 8} more" if len(real) > 8 else "")
    made_up = f"{', '.join(personal)} made up, being personal" if personal else ""
    rows = f"the rows of the example: {listed}" if real else ""
    training = _of_training(bundle)
    return "; ".join(part for part in (made_up, training, rows, "" if training or rows else "no real values") if part)


def _of_training(bundle: Bundle) -> str:
    if not bundle.snapshot or bundle.snapshot_values == 0:
        return ""
    if bundle.snapshot_values is UNSET:
        return "uncounted values of the training data"
    return f"{number(bundle.snapshot_values)} values of the training data"


def _normalization(bundle: Bundle) -> str:
    given = bundle.normalization or {}
    return "; ".join(f"{name}: mean {_numbers(by.mean)}, std {_numbers(by.std)}" for name, by in given.items())


def _numbers(values: Sequence[float]) -> str:
    return " ".join(map(number, values))


def _ensemble(bundle: Bundle) -> str:
    if not bundle.ensemble:
        return ""
    weights = f", weights {_numbers(bundle.ensemble.weights)}" if bundle.ensemble.combine == "weighted" else ""
    return f"{bundle.ensemble.combine} of {len(bundle.ensemble.weights)}{weights}"


def _operating_point(bundle: Bundle) -> str:
    point = bundle.operating_point
    if not point:
        return ""
    facts = [f"temperature {number(point.temperature)}"] if point.temperature != 1 else []
    facts += [f"{label} from {number(limit)}" for label, limit in point.thresholds.items()]
    facts += [f"otherwise {point.otherwise}"] if point.otherwise else []
    return ", ".join(facts)


def _contract(contract: Contract) -> View:
    view = View(title=f"contract {short(digest(contract))}")
    _fields(view, contract)
    return view


FIELD_COLUMNS = ("side", "name", "type", "shape", "range", "also", "unit", "nulls", "otherwise", "personal data", "inferred")


def _fields(view: View, contract: Contract) -> None:
    """A row a field; rules, rows, freshness and what happens to a request as a second table."""
    sides = [("in", field) for field in contract.inputs] + [("out", field) for field in contract.outputs]
    sides += [("target" if column is contract.target else "training", column) for column in contract.training_only]
    tells = any(field.declared for _, field in sides)
    rows = [(side, *field_cells(field), _inferred(field) if tells else "") for side, field in sides]
    view.table(FIELD_COLUMNS, rows)
    rules = contract_rules(contract)
    if rules:
        view.table(("", " "), rules)


def _inferred(field: Input) -> str:
    """What is said of a field and was read off data rather than declared."""
    declared = set(field.declared or ())
    said = [key for key in ("type", "dtype", "shape", "nullable", *LIMITING) if _is_said(field, key) and key not in declared]
    return ", ".join(said)


def _is_said(field: Input, key: str) -> bool:
    value = getattr(field, key, None)
    return value is not False and value not in (None, UNSET, "", ())


def _notebook(notebook: Notebook) -> View:
    view = View(title=f"notebook {notebook.name} {short(digest(notebook))}, kernel {notebook.kernel}")
    rows = [(parameter.name, parameter.type, parameter.default) for parameter in notebook.parameters]
    if rows:
        view.table(("parameter", "type", "default"), rows)
    view.notes.append(f"{len(notebook.cells)} code cells, {len(rows)} parameters")
    return view


def _policy(policy: Policy) -> View:
    view = View(title=f"policy {policy.name} {short(digest(policy))}")
    rows = [(_rule_name(rule, rule.where), limit_text(rule), rule.taken_by, rule.max_age) for rule in policy.rules]
    view.table(("rule", "limit", "taken by", "at most old"), rows, numeric=("limit", "at most old"))
    view.notes.append(f"{len(rows)} rules")
    return view


def _release(release: Release) -> View:
    if release.state == "asked":
        view = View(title=f"asked: {release.name}@{release.alias} for {short(release.bundle)}")
        view.notes.append("carried out when the whole notebook has passed its gate")
        return view
    view = View(title=f"{release.name}@{release.alias} is version {release.version}, {short(release.bundle)}")
    before = f", before it {short(release.previous)}" if release.previous else ""
    view.notes.append(f"{release.action} by {release.actor}, {release.at:%Y-%m-%d %H:%M:%S} UTC{before}")
    view.notes += [f"why: {release.why}"] if release.why else []
    view.notes.append(f"verdict {short(release.verdict)}")
    return view


def _snapshot(snapshot: Snapshot) -> View:
    view = View(title=f"snapshot {short(digest(snapshot))}: {snapshot.kind}, {number(snapshot.rows)} rows")
    rows = [_column_row(column) for column in snapshot.columns[:SHOWN_COLUMNS]]
    view.table(
        ("column", "type", "nulls", "low", "median", "high", "values", "fingerprint"), rows, numeric=("nulls", "low", "median", "high")
    )
    if len(snapshot.columns) > SHOWN_COLUMNS:
        view.notes.append(f"{SHOWN_COLUMNS} of {len(snapshot.columns):,} columns")
    if snapshot.sampled < snapshot.rows:
        view.notes.append(f"median and values are of {number(snapshot.sampled)} rows")
    return view


def _column_row(column: ColumnFacts) -> tuple[str, ...]:
    kind = f"{column.dtype} ({', '.join(map(str, column.shape))})" if column.dtype else column.type
    if column.withheld:
        return (column.name, kind, number(column.nulls), "", "", "", "personal data, withheld", "")
    low, median, high = _extent(column.channels, moment_text if column.type in ("time", "time_utc") else number)
    found = column.categories
    values = "" if found is None else ", ".join([*list(found.counts)[:3], *([f"{found.distinct:,} in all"] if found.distinct > 3 else [])])
    return (column.name, kind, number(column.nulls), low, median, high, values, short(column.fingerprint))


def _extent(channels: Sequence[Numbers], written: Callable[[float], str]) -> tuple[str, str, str]:
    """Lowest and highest over all channels; a median only where there is one channel."""
    lows = [one.low for one in channels if one.low is not None]
    highs = [one.high for one in channels if one.high is not None]
    median = written(channels[0].quantiles[PROBABILITIES.index(0.5)]) if len(channels) == 1 and channels[0].quantiles else ""
    return (written(min(lows)) if lows else "", median, written(max(highs)) if highs else "")


def _listing(listing: Listing) -> View:
    view = View(title=listing.title)
    by_column = zip(listing.columns, zip(*listing.rows, strict=True), strict=True) if listing.rows else ()
    numeric = [name for name, cells in by_column if all(cell is None or type(cell) in (int, float) for cell in cells)]
    view.table(listing.columns, [tuple(_cell_text(cell) for cell in row) for row in listing.rows], numeric=numeric)
    if listing.total > len(listing.rows):
        view.notes.append(f"{len(listing.rows)} of {listing.total:,} rows")
    view.notes += [listing.note] if listing.note else []
    return view


def _cell_text(cell: Cell) -> str:
    if cell is None:
        return ""
    return number(cell) if isinstance(cell, float) else str(cell)


VIEWS: dict[type[Record], Callable[[Any], View]] = {
    Bundle: _bundle,
    Contract: _contract,
    Evidence: _evidence,
    Listing: _listing,
    Notebook: _notebook,
    Policy: _policy,
    Portrait: portrait_view,
    Release: _release,
    Snapshot: _snapshot,
    Verdict: _verdict,
}
