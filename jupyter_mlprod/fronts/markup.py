"""A view as static HTML: no script, no style sheet, so that a saved notebook shows it for ever.

The theme's own color writes everything but the marks, whose colors keep a contrast of 4 to 1 on white and on JupyterLab's dark ground.
A rule's small picture shows its interval and the side of the limit that is allowed; it is hidden from a screen reader, for which the
numbers beside it say the same.
"""

import html
import re

from jupyter_mlprod.core.plain import clean
from jupyter_mlprod.core.verdict import Finding
from jupyter_mlprod.fronts.view import MARKS, Table, View

COLORS = {"pass": "#1f8a3b", "fail": "#dc3c42", "inconclusive": "#a3720a", "missing": "#757d86"}
LEFT, RIGHT = "text-align:left", "text-align:right;white-space:nowrap"
TABLE = "margin:.5em 0 .4em;font-variant-numeric:tabular-nums"
NOTE = "margin:0;font-size:.9em;opacity:.8"
INTERVAL, FAINT = re.compile(r"\[.*\]"), r'<span style="opacity:.7">\g<0></span>'
LONG = 60
"""A longer text may break anywhere, so that one hostile word does not push the table off the page."""
LONGEST = 400
MOST_PICTURES = 20
"""A saved notebook should stay small: a table of more rows shows no pictures."""
WIDE, HIGH, MARGIN = 90, 14, 6


def page(view: View) -> str:
    """One ``<div>``."""
    edge = f"border-left:3px solid {COLORS[view.outcome]};padding-left:.8em;" if view.outcome else ""
    title = f"<b>{_mark(view.outcome)}</b>&ensp;{_escaped(view.title)}" if view.outcome else f"<b>{_escaped(view.title)}</b>"
    parts = [f'<div class="mlprod" style="{edge}margin:.3em 0;overflow-x:auto"><p style="margin:0">{title}</p>']
    parts += [_table(table) for table in view.tables if table.rows]
    parts += [f'<p style="{NOTE}">{_escaped(note)}</p>' for note in view.notes]
    return "".join(parts) + "</div>"


def _mark(outcome: str) -> str:
    sign, _, word = MARKS[outcome].partition(" ")
    return f'<span style="white-space:nowrap"><b style="color:{COLORS[outcome]}">{sign}</b> {word}</span>'


def _table(table: Table) -> str:
    headed = any(map(str.strip, table.columns))
    head = "".join(_heading(_escaped(column), numeric=column in table.numeric) for column in table.columns)
    findings = table.findings or (None,) * len(table.rows)
    pictured = len(table.rows) <= MOST_PICTURES
    rows = [_row(table, row, finding, pictured=pictured) for row, finding in zip(table.rows, findings, strict=True)]
    top = f"<thead><tr>{head}</tr></thead>" if headed else ""
    return f'<table style="{TABLE}">{top}<tbody>{"".join(rows)}</tbody></table>'


def _heading(shown: str, *, numeric: bool) -> str:
    return f'<th scope="col" style="{RIGHT if numeric else LEFT}">{shown}</th>'


def _row(table: Table, row: tuple[str, ...], finding: Finding | None, *, pictured: bool) -> str:
    cells = []
    for column, text in zip(table.columns, row, strict=True):
        shown = INTERVAL.sub(FAINT, _escaped(text)) if column in table.numeric else _escaped(text)
        if finding is not None and column == "outcome":
            shown = _mark(finding.outcome)
        if finding is not None and column == "measured" and pictured:
            shown += _picture(finding)
        if not column:
            cells.append(f'<th scope="row" style="{LEFT}">{shown}</th>')
        else:
            long = ";overflow-wrap:anywhere;min-width:16em" if len(text) > LONG else ""
            cells.append(f'<td style="{RIGHT if column in table.numeric else LEFT}{long}">{shown}</td>')
    return f"<tr>{''.join(cells)}</tr>"


def _picture(finding: Finding) -> str:
    """The allowed side shaded up to the limit, the interval as a line, the value as a dot; empty when nothing was measured."""
    frame = f'<svg aria-hidden="true" width="{WIDE}" height="{HIGH}" style="vertical-align:middle;margin-left:.7em">'
    measured, rule = finding.measured, finding.rule
    if measured is None:
        return f"{frame}</svg>"
    low = measured.value if measured.low is None else measured.low
    high = measured.value if measured.high is None else measured.high
    least, most = min(low, rule.limit), max(high, rule.limit)

    def x(value: float) -> float:
        return round(MARGIN + (WIDE - 2 * MARGIN) * ((value - least) / (most - least) if most > least else 0.5), 1)

    limit, color = x(rule.limit), COLORS[finding.outcome]
    begin, end = (limit, WIDE) if rule.at_least is not None else (0, limit)
    return (
        f'{frame}<path d="M{begin} 0H{end}V{HIGH}H{begin}z" fill="currentColor" opacity=".1"/>'
        f'<path d="M{limit} 0V{HIGH}" stroke="currentColor" opacity=".7"/>'
        f'<path d="M{x(low)} 7H{x(high)}" stroke="{color}" stroke-width="2"/>'
        f'<circle cx="{x(measured.value)}" cy="7" r="3" fill="{color}"/></svg>'
    )


def _escaped(text: str) -> str:
    short = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
    return html.escape(clean(short))
