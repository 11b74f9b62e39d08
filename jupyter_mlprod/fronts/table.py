"""What views are made of: a title, tables of cells as text, small pictures, notes; and how a moment is written."""

import datetime
from collections.abc import Sequence

import msgspec

from jupyter_mlprod.core.contract_text import number
from jupyter_mlprod.core.verdict import Finding, Outcome

EPOCH = datetime.datetime(1970, 1, 1)
MARKS = {"pass": "✓ pass", "fail": "✗ fail", "inconclusive": "? inconclusive", "missing": "– missing"}  # noqa: RUF001  a dash is meant


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Cells as text.

    Attributes
    ----------
    columns : headings; all empty when the first cell of each row is its heading
    numeric : the columns that hold numbers
    findings : what stands behind each row, or nothing
    lines : the columns whose cells hold several remarks, a line each
    pictures : of each row, what the column ``data`` shows beside its text
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[str] = frozenset()
    findings: tuple[Finding, ...] = ()
    lines: frozenset[str] = frozenset()
    pictures: tuple["Picture | None", ...] = ()


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """A small histogram.

    Attributes
    ----------
    bars : (n,) heights, and ``outside`` the part of each that breaks a rule
    band : from where to where the rule allows, in shares of the width; nothing where no limit is declared
    apart : bars that stand for names and not for stretches of a line have room between them
    """

    bars: tuple[int, ...]
    outside: tuple[int, ...]
    band: tuple[float, float] | None = None
    apart: bool = False


class Details(msgspec.Struct, frozen=True, kw_only=True):
    """A text to be copied, behind a summary; a page shows it, a terminal has it in the record."""

    summary: str
    text: str


class View(msgspec.Struct, kw_only=True):
    """What both renderings are made of."""

    title: str
    outcome: Outcome | None = None
    tables: list[Table] = []
    notes: list[str] = []
    details: list[Details] = []

    def table(
        self,
        columns: Sequence[str],
        rows: Sequence[tuple[str, ...]],
        *,
        numeric: Sequence[str] = (),
        findings: tuple[Finding, ...] = (),
        lines: Sequence[str] = (),
        pictures: tuple[Picture | None, ...] = (),
    ) -> None:
        """Add a table without the columns that are empty in every row."""
        used = [index for index in range(len(columns)) if any(row[index] for row in rows) or not rows]
        self.tables.append(
            Table(
                columns=tuple(columns[i] for i in used),
                rows=tuple(tuple(row[i] for i in used) for row in rows),
                numeric=frozenset(numeric),
                findings=findings,
                lines=frozenset(lines),
                pictures=pictures,
            )
        )


def moment_text(seconds: float) -> str:
    """Seconds since 1970 as a date and time; years beyond 9999, which no calendar here has, as the number."""
    try:
        return f"{EPOCH + datetime.timedelta(seconds=seconds):%Y-%m-%d %H:%M:%S}"
    except OverflowError:
        return number(seconds)
