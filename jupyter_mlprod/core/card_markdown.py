"""A model card as Markdown, GitHub's flavor. Whatever a name or a sentence holds is shown as written and never acts as markup.

That flavor makes links of bare addresses too, and of mail addresses even where a backslash stands in them. So an invisible word joiner
follows each ``@``: it is copied with the text, which is the price of a card in which no word of anybody can be clicked.
"""

import re

from jupyter_mlprod.core.card import NOT_PROVIDED, Card, Section, Table
from jupyter_mlprod.core.plain import clean

ACTIVE = re.compile(r"([\\`*_{}\[\]#!|~$])")
"""ASCII punctuation that is markup anywhere in a line; a backslash before it makes it text (CommonMark 2.4)."""

ADDRESS = re.compile(r"(:)(?=//)|(www)(?=\.)", re.IGNORECASE)
"""What makes a link of the word that it stands in; a backslash behind it parts the two (GFM 6.9)."""
AT = "@&#8288;"
"""A sign that is no address any more."""

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
    >>> escaped("ann@lab.org, https://lab.org")
    'ann@&#8288;lab.org, https:\\\\//lab.org'
    """
    plain = clean(text).strip().replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    shown = ADDRESS.sub(r"\g<0>\\", ACTIVE.sub(r"\\\1", plain)).replace("@", AT)
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
