"""A view as static HTML: no script, no style sheet, so that a saved notebook shows it for ever.

The theme's own color writes everything but the marks, whose colors keep a contrast of 4 to 1 on white and on JupyterLab's dark ground.
A rule's small picture shows its interval and the side of the limit that is allowed; it is hidden from a screen reader, for which the
numbers beside it say the same.
"""

import html
import re

import msgspec

from jupyter_mlprod.core.plain import clean
from jupyter_mlprod.core.verdict import Finding
from jupyter_mlprod.fronts.table import MARKS, Picture, Table, View

COLORS = {"pass": "#1f8a3b", "fail": "#dc3c42", "inconclusive": "#a3720a", "missing": "#757d86"}
LEFT, RIGHT = "text-align:left", "text-align:right;white-space:nowrap"
TABLE = "margin:.5em 0 .4em;font-variant-numeric:tabular-nums"
NOTE = "margin:0;font-size:.9em;opacity:.8"
INTERVAL, FAINT = re.compile(r"\[.*\]"), r'<span style="opacity:.7">\g<0></span>'
UNDER = {"found": "rules"}
"""A column whose remarks a page shows below those of another, where a table has both: beside them they would lie off a narrow page."""
LONG = 60
"""A longer text may break anywhere, so that one hostile word does not push the table off the page."""
LONGEST = 400
MOST_PICTURES = 20
"""A saved notebook should stay small: a table of more rows shows no pictures."""
WIDE, HIGH, MARGIN = 90, 14, 6
PICTURED, TALL, LEAST = 96, 22, 1.5
"""Width and height of a histogram, and the height of the lowest bar that is not nothing."""
PRE = "margin:.4em 0;padding:.5em .7em;border:1px solid;border-color:color-mix(in srgb,currentColor 25%,transparent);overflow-x:auto"


def page(view: View) -> str:
    """One ``<div>``."""
    edge = f"border-left:3px solid {COLORS[view.outcome]};padding-left:.8em;" if view.outcome else ""
    title = f"<b>{_mark(view.outcome)}</b>&ensp;{_escaped(view.title)}" if view.outcome else f"<b>{_escaped(view.title)}</b>"
    parts = [f'<div class="mlprod" style="{edge}margin:.3em 0;overflow-x:auto"><p style="margin:0">{title}</p>']
    parts += [_table(table) for table in view.tables if table.rows]
    parts += [f'<p style="{NOTE}">{_escaped(note)}</p>' for note in view.notes]
    parts += [
        f'<details style="margin-top:.4em"><summary>{_escaped(one.summary)}</summary><pre style="{PRE}">{_block(one.text)}</pre></details>'
        for one in view.details
    ]
    return "".join(parts) + "</div>"


def _mark(outcome: str) -> str:
    sign, _, word = MARKS[outcome].partition(" ")
    return f'<span style="white-space:nowrap"><b style="color:{COLORS[outcome]}">{sign}</b> {word}</span>'


def _table(table: Table) -> str:
    table = _folded(table)
    headed = any(map(str.strip, table.columns))
    head = "".join(_heading(_escaped(column), numeric=column in table.numeric) for column in table.columns)
    findings = table.findings or (None,) * len(table.rows)
    pictured = len(table.rows) <= MOST_PICTURES
    pictures = table.pictures or (None,) * len(table.rows)
    rows = [
        _row(table, row, finding, picture, pictured=pictured) for row, finding, picture in zip(table.rows, findings, pictures, strict=True)
    ]
    top = f"<thead><tr>{head}</tr></thead>" if headed else ""
    return f'<table style="{TABLE}">{top}<tbody>{"".join(rows)}</tbody></table>'


def _folded(table: Table) -> Table:
    """The table without the columns whose remarks stand below those of another."""
    columns, rows = table.columns, table.rows
    for under, over in UNDER.items():
        if under not in columns or over not in columns:
            continue
        i, j = columns.index(under), columns.index(over)
        joined = (tuple("\n".join(filter(None, (cell, row[i]))) if k == j else cell for k, cell in enumerate(row)) for row in rows)
        rows = tuple(row[:i] + row[i + 1 :] for row in joined)
        columns = columns[:i] + columns[i + 1 :]
    return msgspec.structs.replace(table, columns=columns, rows=rows)


def _heading(shown: str, *, numeric: bool) -> str:
    return f'<th scope="col" style="{RIGHT if numeric else LEFT}">{shown}</th>'


def _row(table: Table, row: tuple[str, ...], finding: Finding | None, picture: Picture | None, *, pictured: bool) -> str:
    cells = []
    for column, text in zip(table.columns, row, strict=True):
        shown = INTERVAL.sub(FAINT, _escaped(text)) if column in table.numeric else _escaped(text)
        if column in table.lines:
            shown = "<br>".join(map(_line, text.split("\n")))
        if column == "data" and picture is not None:
            shown = f"{_histogram(picture)}<br>{shown}"
        if finding is not None and column == "outcome":
            shown = _mark(finding.outcome)
        if finding is not None and column == "measured" and pictured:
            shown += _picture(finding)
        if not column:
            cells.append(f'<th scope="row" style="{LEFT}">{shown}</th>')
        else:
            longest = max(map(len, text.split("\n")))
            long = ";overflow-wrap:anywhere;min-width:16em" if longest > LONG else ";white-space:nowrap" if column in table.lines else ""
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


def _line(text: str) -> str:
    """A remark of several in a cell; its mark has the color of what it says, and what stands in brackets is faint."""
    shown = INTERVAL.sub(FAINT, _escaped(text))
    return f'<b style="color:{COLORS["fail"]}">{shown[0]}</b>{shown[1:]}' if text.startswith("✗ ") else shown


def _histogram(picture: Picture) -> str:
    """The allowed stretch shaded, the bars upon it, and what lies outside of the rule in the color of a failure."""
    most, slot = max(picture.bars) or 1, PICTURED / len(picture.bars)
    gap = min(2.0, slot / 4) if picture.apart else 0.0
    bad = [max(LEAST, TALL * n / most) if n else 0.0 for n in picture.outside]
    good = [max(LEAST, TALL * (n - out) / most) if n > out else 0.0 for n, out in zip(picture.bars, picture.outside, strict=True)]
    inside = _bars_path(good, [0.0] * len(good), slot, gap) if picture.apart else _outline(good, slot)
    beyond = _bars_path(bad, good, slot, gap)
    return (
        f'<svg aria-hidden="true" width="{PICTURED}" height="{TALL}" style="vertical-align:middle">{_band(picture)}'
        + (f'<path d="{inside}" fill="currentColor" opacity=".55"/>' if any(good) else "")
        + (f'<path d="{beyond}" fill="{COLORS["fail"]}"/>' if beyond else "")
        + "</svg>"
    )


def _band(picture: Picture) -> str:
    if picture.band is None:
        return ""
    left, right = (round(PICTURED * end, 1) for end in picture.band)
    shade = f'<path d="M{left:g} 0H{right:g}V{TALL}H{left:g}z" fill="currentColor" opacity=".13"/>'
    limits = "".join(f"M{x:g} 0V{TALL}" for x, end in zip((left, right), picture.band, strict=True) if 0 < end < 1)
    return shade + (f'<path d="{limits}" stroke="currentColor" stroke-dasharray="2 2" opacity=".7"/>' if limits else "")


def _bars_path(heights: list[float], bases: list[float], slot: float, gap: float) -> str:
    return "".join(
        f"M{i * slot + gap / 2:.4g} {TALL - base:.3g}v-{height:.3g}h{slot - gap:.3g}v{height:.3g}z"
        for i, (height, base) in enumerate(zip(heights, bases, strict=True))
        if height
    )


def _outline(heights: list[float], slot: float) -> str:
    """Bars that touch, as one line around them, which takes less than half the room in a page."""
    return f"M0 {TALL}" + "".join(f"V{TALL - height:.3g}h{slot:.3g}" for height in heights) + f"V{TALL}z"


def _block(text: str) -> str:
    """Lines that keep their ends."""
    return "\n".join(html.escape(clean(line)[:LONGEST]) for line in text.split("\n"))


def _escaped(text: str) -> str:
    short = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
    return html.escape(clean(short))
