"""Records as people and programs read them: plain text, HTML, JSON.

Every name and note in a record may be hostile, so text is stripped of control characters and HTML is escaped, always.
"""

import json
import unicodedata

import msgspec

from jupyter_mlprod.core.contract_text import number
from jupyter_mlprod.core.plain import clean
from jupyter_mlprod.core.record import Record, with_digest
from jupyter_mlprod.fronts import markup
from jupyter_mlprod.fronts.view import MARKS, Table, limit_text, value_text, view_of, where_text

__all__ = ["MARKS", "as_html", "as_json", "as_text", "clean", "limit_text", "number", "value_text", "where_text"]

COLORS = {"pass": "32", "fail": "31", "inconclusive": "33", "missing": "33"}
WIDEST = 90


def as_json(record: Record) -> str:
    """Exactly one JSON record, on one line of ASCII, as the digest reads it: what is no number is null."""
    plain = msgspec.json.decode(msgspec.json.encode(with_digest(record)))
    return json.dumps(plain, allow_nan=False)


def as_html(record: Record) -> str:
    """Static HTML, readable in a light and a dark theme."""
    return markup.page(view_of(record))


def as_text(record: Record, *, color: bool = False) -> str:
    """A table that a person reads."""
    view = view_of(record)
    title = clean(f"{MARKS[view.outcome]}  {view.title}" if view.outcome else view.title)
    parts = [_colored(title, view.outcome or "", color=color)]
    parts += [_text_table(table, color=color) for table in view.tables if table.rows]
    parts += [clean(note) for note in view.notes]
    return "\n".join(parts)


def _text_table(table: Table, *, color: bool) -> str:
    outcomes: list[str] = [finding.outcome for finding in table.findings] or [""] * len(table.rows)
    rows = [(MARKS[outcome], *row[1:]) if outcome else row for outcome, row in zip(outcomes, table.rows, strict=True)]
    cells = [[_cut(clean(cell)) for cell in row] for row in rows]
    heads = [clean(column) for column in table.columns]
    widths = [max(map(_width, column)) for column in zip(heads, *cells, strict=True)]
    lines = [_line(heads, widths)] if any(map(str.strip, heads)) else []
    lines += [_colored(_line(row, widths), outcome, color=color) for outcome, row in zip(outcomes, cells, strict=True)]
    return "\n".join(lines)


def _line(cells: list[str], widths: list[int]) -> str:
    return "  ".join(cell + " " * (width - _width(cell)) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _width(text: str) -> int:
    """Columns of a terminal: a wide East Asian character takes two, a combining mark none."""
    return sum(0 if unicodedata.combining(character) else 1 + (unicodedata.east_asian_width(character) in ("W", "F")) for character in text)


def _cut(cell: str) -> str:
    return cell if len(cell) <= WIDEST else cell[: WIDEST - 1] + "…"


def _colored(text: str, outcome: str, *, color: bool) -> str:
    return f"\x1b[{COLORS[outcome]}m{text}\x1b[0m" if color and outcome else text
