"""A model card as one HTML page: no script, nothing loaded, readable in a light and a dark theme and by a screen reader.

The page forbids itself everything but its own style (Content-Security-Policy), so that a name which slipped through would still not act.
"""

import html

from jupyter_mlprod.core.card import NOT_PROVIDED, Card, Section, Table
from jupyter_mlprod.core.plain import clean

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
STYLE = """
:root { color-scheme: light dark; --line: #c9ced6; --faint: #59636e; --head: #f3f5f8; }
@media (prefers-color-scheme: dark) { :root { --line: #3d444d; --faint: #9aa4af; --head: #20262d; } }
body { font: 16px/1.55 system-ui, sans-serif; margin: 0 auto; max-width: 64rem; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.8rem; line-height: 1.25; margin: 0 0 1rem; overflow-wrap: anywhere; }
h2 { border-top: 1px solid var(--line); font-size: 1.2rem; margin: 2.2rem 0 .6rem; padding-top: 1.1rem; }
div { overflow-x: auto; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; margin: .4rem 0 1.2rem; }
caption { color: var(--faint); padding: 0 0 .35rem; text-align: left; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem 1.2rem .3rem .2rem; text-align: left; vertical-align: top; }
td { overflow-wrap: break-word; }
.long { overflow-wrap: anywhere; min-width: 14rem; }
thead th { background: var(--head); white-space: nowrap; }
tbody th { font-weight: 500; min-width: 11rem; }
.number { text-align: right; white-space: nowrap; }
.absent { color: var(--faint); font-style: italic; }
"""
LONG = 60


def page(card: Card) -> str:
    """The document."""
    title = escaped(card.title)
    body = "\n".join(_section(section) for section in card.sections)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n{body}\n</main>\n</body>\n</html>\n"
    )


def escaped(text: str) -> str:
    """Text that HTML shows as it is, in an element or an attribute."""
    return html.escape(clean(text))


def _section(section: Section) -> str:
    parts = [f"<p>{escaped(paragraph)}</p>" for paragraph in section.paragraphs]
    parts += [_table(table) for table in section.tables if table.rows]
    content = "\n".join(parts) or f'<p class="absent">{NOT_PROVIDED}</p>'
    return f"<section>\n<h2>{escaped(section.title)}</h2>\n{content}\n</section>"


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col"{_kind(column, table)}>{escaped(column)}</th>' for column in table.columns)
    top = f"<thead><tr>{head}</tr></thead>\n" if head else ""
    rows = "\n".join(_row(table, row) for row in table.rows)
    return f"<div><table>\n<caption>{escaped(table.caption)}</caption>\n{top}<tbody>\n{rows}\n</tbody>\n</table></div>"


def _row(table: Table, row: tuple[str, ...]) -> str:
    if not table.columns:
        return f'<tr><th scope="row">{escaped(row[0])}</th><td{_kind("", table, row[1])}>{_or_absent(row[1])}</td></tr>'
    cells = "".join(f"<td{_kind(column, table, cell)}>{escaped(cell)}</td>" for column, cell in zip(table.columns, row, strict=True))
    return f"<tr>{cells}</tr>"


def _or_absent(text: str) -> str:
    return f'<span class="absent">{text}</span>' if text == NOT_PROVIDED else escaped(text)


def _kind(column: str, table: Table, cell: str = "") -> str:
    """How a cell is set; a long text may break anywhere, so that one hostile word does not push the table off the page."""
    if column in table.numeric:
        return ' class="number"'
    return ' class="long"' if len(cell) > LONG else ""
