"""Records as people read them: plain text, HTML, JSON. A renderer is a function of the record; it decides nothing and looks nothing up.

Every name and note in a record may be hostile, so text is stripped of control characters and HTML is escaped, always.
"""

import html
import json
import unicodedata
from collections.abc import Callable, Sequence

from jupyter_mlprod.core.bundle import Bundle
from jupyter_mlprod.core.contract import Column, Tensor
from jupyter_mlprod.core.evidence import Evidence, Measure
from jupyter_mlprod.core.listing import Cell, Listing
from jupyter_mlprod.core.policy import Rule
from jupyter_mlprod.core.record import Record, digest, short, with_digest
from jupyter_mlprod.core.release import Release
from jupyter_mlprod.core.verdict import Finding, Verdict

COLORS = {"pass": "32", "fail": "31", "inconclusive": "33", "missing": "33"}
MARKS = {"pass": "✓ pass", "fail": "✗ fail", "inconclusive": "? inconclusive", "missing": "– missing"}
HTML_COLORS = {"pass": "#1a7f37", "fail": "#cf222e", "inconclusive": "#9a6700", "missing": "#9a6700"}
WIDEST = 90
HIDDEN = {"bin_accuracy"}
"""Measures that are points of a plot: in the record and in its JSON, left out of the table."""

ABOUT_RUNS = {"cells_not_ok"}


class View:
    """What both renderings are made of: a heading, tables, and closing lines. ``outcomes`` colors the rows of the first table."""

    def __init__(self, title: str, *, outcome: str = "") -> None:
        self.title = title
        self.outcome = outcome
        self.tables: list[tuple[tuple[str, ...], list[tuple[str, ...]]]] = []
        self.notes: list[str] = []

    def table(self, columns: Sequence[str], rows: list[tuple[str, ...]]) -> None:
        used = [index for index in range(len(columns)) if any(row[index] for row in rows) or not rows]
        self.tables.append((tuple(columns[i] for i in used), [tuple(row[i] for i in used) for row in rows]))


def as_json(record: Record) -> str:
    """Exactly one JSON record, on one line."""
    return json.dumps(with_digest(record), ensure_ascii=False, allow_nan=False)


def as_text(record: Record, *, color: bool = False) -> str:
    """A table that a person reads."""
    view = view_of(record)
    parts = [_colored(clean(view.title), view.outcome, color=color)]
    parts += [_text_table(columns, rows, color=color) for columns, rows in view.tables]
    parts += [clean(note) for note in view.notes]
    return "\n".join(part for part in parts if part)


def as_html(record: Record) -> str:
    """The same as static HTML: no script, no style sheet, readable in a light and a dark theme."""
    view = view_of(record)
    tint = f' style="color:{HTML_COLORS[view.outcome]}"' if view.outcome else ""
    parts = [f'<div class="mlprod"><p{tint}><b>{_escaped(view.title)}</b></p>']
    for columns, rows in view.tables:
        head = "".join(f'<th scope="col" style="text-align:left">{_escaped(column)}</th>' for column in columns)
        body = "".join("<tr>" + "".join(_html_cell(cell) for cell in row) + "</tr>" for row in rows)
        parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")
    parts += [f"<p>{_escaped(note)}</p>" for note in view.notes]
    return "".join(parts) + "</div>"


def view_of(record: Record) -> View:
    """The view of any record; one without a renderer of its own is shown field by field."""
    renderer: Callable[..., View] = RENDERERS.get(type(record), _fields)
    return renderer(record)


def _verdict(verdict: Verdict) -> View:
    scope = "" if verdict.scope == "release" else "  (the notebook's own word; only a gate run allows a promotion)"
    view = View(
        f"{MARKS[verdict.outcome]}  {verdict.about} {_subject(verdict.subject)}, policy {verdict.policy}{scope}", outcome=verdict.outcome
    )
    bundles = {finding.subject for finding in verdict.findings if finding.rule.measure not in ABOUT_RUNS}
    rows = [(*_finding_row(finding), short(finding.subject) if len(bundles) > 1 else "") for finding in verdict.findings]
    view.table(("outcome", "rule", "limit", "measured", "n", "by", "remark", "about"), rows)
    passed = sum(finding.outcome == "pass" for finding in verdict.findings)
    view.notes.append(
        f"{passed} of {len(verdict.findings)} rules pass; verdict {short(digest(verdict))}, {verdict.decided_at:%Y-%m-%d %H:%M:%S} UTC"
    )
    return view


def _subject(subject: str) -> str:
    return ", ".join(short(part) for part in subject.split(","))


def _finding_row(finding: Finding) -> tuple[str, ...]:
    rule, measured = finding.rule, finding.measured
    place = measured.where if measured is not None else rule.where
    name = rule.reads + (f" [{where_text(place)}]" if place else "")
    number = str(measured.n) if measured else ""
    return (
        MARKS[finding.outcome],
        name,
        limit_text(rule),
        value_text(measured) if measured else "",
        number,
        finding.taken_by or "",
        finding.reason,
    )


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


def number(value: float) -> str:
    """Four significant digits, whole numbers without a point, no exponent where people expect none."""
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"


def _unit(unit: str) -> str:
    return "" if unit in ("1", "count") else f" {unit}"


def _evidence(evidence: Evidence) -> View:
    view = View(
        f"{evidence.kind} of {_subject(evidence.subject)}, taken by the {evidence.taken_by}, {evidence.taken_at:%Y-%m-%d %H:%M:%S} UTC"
    )
    shown = [measure for measure in evidence.measures if measure.name not in HIDDEN]
    rows = [(m.name, where_text(m.where), value_text(m), f"{m.n:,}", m.note) for m in shown]
    view.table(("measure", "where", "value", "n", "remark"), rows)
    methods = sorted({m.method for m in shown if m.low is not None})
    if methods:
        view.notes.append(f"intervals are 95 %: {', '.join(methods)}")
    if evidence.context:
        view.notes.append(
            "; ".join(f"{key} {short(value) if value.startswith('sha256:') else value}" for key, value in sorted(evidence.context.items()))
        )
    return view


def _bundle(bundle: Bundle) -> View:
    view = View(f"bundle {bundle.name} {short(digest(bundle))}")
    size = sum(entry.bytes for entry in bundle.files)
    facts = [
        ("scores", bundle.scores),
        ("labels", ", ".join(bundle.labels)),
        ("preprocess", f"{bundle.preprocess}()" if bundle.preprocess else ""),
        ("snapshot", short(bundle.snapshot)),
        ("files", f"{len(bundle.files)}, {size / 1e6:.2f} MB"),
    ]
    view.table(("", " "), [fact for fact in facts if fact[1]])
    inputs = [_field_row("in", field) for field in bundle.contract.inputs]
    outputs = [_field_row("out", field) for field in bundle.contract.outputs]
    view.table(("", "name", "type", "shape", "range", "unit", "nulls"), inputs + outputs)
    return view


def _field_row(side: str, field: Tensor | Column) -> tuple[str, ...]:
    low = "" if field.low is None else number(field.low)
    high = "" if field.high is None else number(field.high)
    limits = f"{low} … {high}" if low or high else ""
    if isinstance(field, Tensor):
        return (side, field.name, field.dtype, "(" + ", ".join(map(str, field.shape)) + ")", limits, field.unit, "")
    kind = f"{field.type}: {', '.join(field.categories)}" if field.categories else field.type
    return (side, field.name, kind, "", limits, field.unit, "allowed" if field.nullable else "no")


def _release(release: Release) -> View:
    if release.state == "asked":
        view = View(f"asked: {release.name}@{release.alias} for {short(release.bundle)}")
        view.notes.append("carried out when the whole notebook has passed its gate")
        return view
    view = View(f"{release.name}@{release.alias} is version {release.version}, {short(release.bundle)}")
    before = f", before it {short(release.previous)}" if release.previous else ""
    view.notes.append(f"{release.action} by {release.actor}, {release.at:%Y-%m-%d %H:%M:%S} UTC{before}")
    view.notes += [f"why: {release.why}"] if release.why else []
    view.notes.append(f"verdict {short(release.verdict)}")
    return view


def _listing(listing: Listing) -> View:
    view = View(listing.title)
    view.table(listing.columns, [tuple(_cell_text(cell) for cell in row) for row in listing.rows])
    if listing.total > len(listing.rows):
        view.notes.append(f"{len(listing.rows)} of {listing.total:,} rows")
    view.notes += [listing.note] if listing.note else []
    return view


def _cell_text(cell: Cell) -> str:
    if cell is None:
        return ""
    return number(cell) if isinstance(cell, float) else str(cell)


def _fields(record: Record) -> View:
    view = View(f"{record.__struct_config__.tag} {short(digest(record))}")
    view.table(("field", "value"), [(key, json.dumps(value, ensure_ascii=False)[:400]) for key, value in with_digest(record).items()])
    return view


RENDERERS: dict[type[Record], Callable[..., View]] = {
    Bundle: _bundle,
    Evidence: _evidence,
    Listing: _listing,
    Release: _release,
    Verdict: _verdict,
}


def clean(text: str) -> str:
    """Text without control and direction characters, which could redraw a terminal or turn a name around."""
    return "".join(" " if character in "\n\r\t" else character for character in text if _harmless(character))


def _harmless(character: str) -> bool:
    return character in "\n\r\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs")


def _text_table(columns: tuple[str, ...], rows: list[tuple[str, ...]], *, color: bool) -> str:
    if not rows:
        return ""
    cells = [[_cut(clean(cell)) for cell in row] for row in rows]
    widths = [max(len(columns[i]), *(len(row[i]) for row in cells)) for i in range(len(columns))]
    lines = (
        ["  ".join(column.ljust(width) for column, width in zip(columns, widths, strict=True)).rstrip()]
        if any(map(str.strip, columns))
        else []
    )
    for row in cells:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        outcome = next((name for name, mark in MARKS.items() if row[0] == mark), "")
        lines.append(_colored(line, outcome, color=color))
    return "\n".join(lines)


def _cut(cell: str) -> str:
    return cell if len(cell) <= WIDEST else cell[: WIDEST - 1] + "…"


def _colored(text: str, outcome: str, *, color: bool) -> str:
    return f"\x1b[{COLORS[outcome]}m{text}\x1b[0m" if color and outcome else text


def _escaped(text: str) -> str:
    return html.escape(clean(text))


def _html_cell(cell: str) -> str:
    outcome = next((name for name, mark in MARKS.items() if cell == mark), "")
    tint = f";color:{HTML_COLORS[outcome]};white-space:nowrap" if outcome else ""
    return f'<td style="text-align:left{tint}">{_escaped(cell)}</td>'
