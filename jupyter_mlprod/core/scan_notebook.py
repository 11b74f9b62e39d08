"""A notebook's text, part by part: sources, outputs, metadata, attachments, the state of widgets.

Cells are code of the person who runs them, and notebooks start processes and open connections by right (``!pip``, a query), so what
their code does is told and not judged. Pictures are counted and passed over: nothing reads text out of them.
"""

import re
from collections.abc import Iterator
from typing import Any

from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.scan_code import note_code
from jupyter_mlprod.core.scan_look import Notes
from jupyter_mlprod.core.scan_text import in_pieces, note_text
from jupyter_mlprod.core.strict_json import strict_json

MAGIC = re.compile(r"^[ \t]*(?:[A-Za-z_][\w, ]*=[ \t]*)?([!%?].*)$", re.MULTILINE)
ANSI = re.compile(r"\x1b\[[0-9;]{0,20}[A-Za-z]")
PICTURE = ("image/", "application/pdf", "video/", "audio/")


def note_notebook(data: bytes, notes: Notes, *, place: str = "") -> None:
    """Note what a notebook's parts hold.

    Raises
    ------
    MlprodError : ``bad-notebook`` when it is no JSON of one reading, or no notebook.
    """
    try:
        document = strict_json(data)
    except ValueError as error:
        raise MlprodError(Code.BAD_NOTEBOOK, f"it is not JSON: {str(error)[:200]}", hint="open and save it in JupyterLab") from None
    cells = document.get("cells") if isinstance(document, dict) else None
    if not isinstance(cells, list):
        raise MlprodError(Code.BAD_NOTEBOOK, "it is not a version 4 notebook", hint="open and save it in JupyterLab")
    for index, cell in enumerate(cells, start=1):
        where = f"{place} cell {index}".strip()
        if isinstance(cell, dict):
            _cell(cell, notes, where)
        else:
            _anything(cell, notes, where)
    rest = {key: value for key, value in document.items() if key != "cells"}
    _anything(rest, notes, f"{place} metadata".strip())


def _cell(cell: dict[str, Any], notes: Notes, where: str) -> None:
    source = _joined(cell.get("source", ""))
    notes.parts += 1
    note_text(in_pieces(source), notes, place=where)
    if cell.get("cell_type") == "code" and source.strip():
        _code(source, notes, where)
    outputs = cell.get("outputs")
    for index, output in enumerate(outputs if isinstance(outputs, list) else [], start=1):
        _anything(output, notes, f"{where} output {index}")
    _anything({key: value for key, value in cell.items() if key not in ("source", "outputs")}, notes, f"{where} metadata")


def _code(source: str, notes: Notes, where: str) -> None:
    """A cell as plain Python: what is written for IPython is told, and blank to the parser."""
    if source.lstrip().startswith("%%") and not re.match(r"%%(?:time|timeit|capture|mlprod)\b", source.lstrip()):
        notes.add("code", f"runs {source.split()[0]}, whose text is not Python", place=where, line=1)
        return
    for match in MAGIC.finditer(source):
        if match[1].startswith(("!", "%pip", "%conda", "%run", "%load ", "%system", "%sx")):
            notes.add(
                "code", f"runs {match[1].split()[0]}, which acts on the system", place=where, line=source.count("\n", 0, match.start(1)) + 1
            )
    plain = MAGIC.sub(
        lambda match: (
            match[0].replace(match[1], "pass") if "=" not in match[0].split(match[1][0])[0] else match[0].replace(match[1], "None")
        ),
        source,
    )
    note_code(plain.encode("utf-8", "replace"), notes, place=where)


def _joined(value: Any) -> str:
    """Text as notebooks keep it: a string, or a list of lines."""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "".join(value)
    return value if isinstance(value, str) else ""


def _anything(value: Any, notes: Notes, where: str) -> None:
    """Every text of a piece of JSON, keys with their values, so that what is assigned to a name is seen as assigned."""
    notes.parts += 1
    for text in _texts(value, notes):
        note_text(in_pieces(ANSI.sub("", text)), notes, place=where)


def _texts(value: Any, notes: Notes) -> Iterator[str]:
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, list):
            joined = _joined(item)
            if joined:
                yield joined
            else:
                todo += item
        elif isinstance(item, dict):
            for key, inner in item.items():
                if str(key).startswith(PICTURE) and key != "image/svg+xml":
                    notes.images += 1
                elif isinstance(inner, str) and "\n" not in inner and len(inner) < 300:
                    yield f'{key}: "{inner}"'
                else:
                    yield str(key)
                    todo.append(inner)
