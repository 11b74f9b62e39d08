"""A model card as Markdown (GitHub's tables). Whatever a name or a sentence holds is shown as written and never acts as markup."""

import re

from jupyter_mlprod.core.card import NOT_PROVIDED, Card, Section, Table
from jupyter_mlprod.core.plain import clean

ACTIVE = re.compile(r"([\\`*_{}\[\]#!|~$@])")
"""ASCII punctuation that is markup anywhere in a line; a backslash before it makes it text (CommonMark 2.4)."""

ORDERED = re.compile(r"^(\d{1,9})([.)])(?=\s|$)")
BULLET = re.compile(r"^([-+=])(?=[\s=-]|$)")
"""What begins a list, or is a rule or an underline, at the start of a line."""


def markdown(card: Card) -> str:
    """The document."""
    parts = [f"# {escaped(card.title)}"]
    for section in card.sections:
        parts += [f"## {escaped(section.title)}", *_content(section)]
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """Text on one line that Markdown shows as it is.

    Examples
    --------
    >>> escaped("a|b <script>")
    'a\\\\|b &lt;script&gt;'
    """
    plain = clean(text).strip().replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    shown = ACTIVE.sub(r"\\\1", plain)
    return BULLET.sub(r"\\\1", ORDERED.sub(r"\1\\\2", shown))


def _content(section: Section) -> list[str]:
    parts = [escaped(paragraph) for paragraph in section.paragraphs]
    parts += [part for table in section.tables if table.rows for part in (f"{escaped(table.caption)}:", _table(table))]
    return parts or [NOT_PROVIDED]


def _table(table: Table) -> str:
    columns = table.columns or ("", "")
    rules = ["---:" if column in table.numeric else "---" for column in columns]
    lines = [columns, tuple(rules), *(tuple(map(escaped, row)) for row in table.rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
