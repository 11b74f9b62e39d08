"""``init``: a commented mlprod.toml from a few answers, and the release cells of a notebook.

Nothing that exists is changed: a project that has settings keeps them, and a notebook only gains cells.
"""

import json
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.listing import Listing
from jupyter_mlprod.core.notebook import read_notebook, source_of, tags_of
from jupyter_mlprod.core.ports import Ports
from jupyter_mlprod.core.requests.init import Init
from jupyter_mlprod.core.settings import read_document

SETTINGS_FILE = "mlprod.toml"
LONGEST_NAME = 100

HEAD = """\
# What this project is about, and the rules that a release of it must satisfy.
#
# use case: {use_case}
# consumer of the prediction: {consumer}
#
# A rule names a measure and one limit, at_least or at_most, inclusive. The measure must be fresh, in the rule's unit, and its whole
# 95 % interval must lie on the right side: an interval that holds the limit is inconclusive, and so is not a pass.
# Digests, no pickle, no code that acts, no secret, contract and parity are always demanded besides, measured by mlprod itself.

[settings]
# tracking_uri = "http://127.0.0.1:5000"   # an MLflow server; without it the store is .mlprod/mlflow.db
# actor = "team-vision"                    # who the history names; without it login@host

# Quality, on the rows that the notebook evaluates on.
[[policy.release]]
measure = "accuracy"
at_least = {quality}

# Not clearly worse than the champion, paired on the same rows; the first release is judged by the rule above alone.
[[policy.release]]
measure = "accuracy"
relative = true
at_least = -0.02

# Every slice of `%mlprod evaluate --slices`, and the worst one counts.
# [[policy.release]]
# measure = "accuracy"
# at_least = {quality}
# where = {{ slice = "*" }}
"""

LATENCY = """
# One answer, raw input to label, measured by `%mlprod profile` on the machine that runs the gate.
[[policy.release]]
measure = "latency_p99"
at_most = {latency}
unit = "ms"
where = {{ batch = "1", device = "cpu" }}
max_age = "30d"
"""

THROUGHPUT = """
# Rows per second on one core: below this it costs more than it is worth.
[[policy.release]]
measure = "throughput"
at_least = {cost}
unit = "rows/s"
where = {{ batch = "32", device = "cpu" }}
"""

SIGNED = """
# The bundle carries the signature of this workspace's key or of one in trusted_keys.
[[policy.release]]
measure = "signature_faults"
at_most = 0
unit = "count"
taken_by = "runner"
"""

PARAMETERS = "# `mlprod gate NOTEBOOK -p NAME VALUE` replaces these; a name that is not here is refused.\nseed: int = 0"
GATE_CELLS: tuple[tuple[str, str], ...] = (
    (
        "markdown",
        "## Release\n\nPackage, measure, judge, ask for the promotion. `mlprod gate` re-runs this notebook in a fresh kernel and decides.",
    ),
    ("code", "%load_ext jupyter_mlprod"),
    (
        "code",
        "# net: the torch module; X_val, y_val: validation rows and their classes; class_names: in the order of the scores.\n"
        "# Rename them to yours. A function from raw rows to what net takes goes into --preprocess.\n"
        "%mlprod package net --name {name} --example X_val[:8] --labels class_names",
    ),
    ("code", "%mlprod check {name} --data X_val"),
    ("code", "%mlprod evaluate {name} --data X_val --target y_val"),
    ("code", "%mlprod profile {name}"),
    ("code", "%mlprod scan {name}"),
    ("code", "%mlprod gate {name}"),
    ("code", "%mlprod promote {name} --to champion"),
)


def run(request: Init, ports: Ports) -> Listing:
    """Write what is not there yet, and say what was written and what was left alone."""
    rows = []
    edited = _edited(Path(request.notebook)) if request.notebook else None
    target = ports.root / SETTINGS_FILE
    if target.exists():
        rows.append((SETTINGS_FILE, "left alone", "it exists"))
    else:
        text = settings_text(request)
        read_document(text, name=SETTINGS_FILE, environ={})
        ports.write_text(target, text)
        rows.append((SETTINGS_FILE, "written", str(target)))
    if edited is not None:
        text, added = edited
        if added:
            ports.write_text(Path(request.notebook), text)
        rows.append(
            (Path(request.notebook).name, "cells added" if added else "left alone", ", ".join(added) or "it has parameters and a gate")
        )
    name = Path(request.notebook).name or "NOTEBOOK.ipynb"
    return Listing(
        title="init",
        columns=("file", "what", "detail"),
        rows=tuple(rows),
        total=len(rows),
        note=f"next: edit the rules, then mlprod gate {name}",
    )


def settings_text(request: Init) -> str:
    """mlprod.toml for these answers."""
    latency = LATENCY if request.consumer != "batch" else ""
    signed = SIGNED if request.security == "signed" else ""
    comment = (
        " ".join("".join(character if character.isprintable() else " " for character in request.use_case).split())
        or "(say it in one sentence)"
    )
    parts = HEAD + latency + THROUGHPUT + signed
    return parts.format(use_case=comment, consumer=request.consumer, quality=request.quality, latency=request.latency, cost=request.cost)


def _edited(path: Path) -> tuple[str, list[str]]:
    """The notebook's text with the cells that it lacks, and what was added."""
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise MlprodError(
            Code.BAD_NOTEBOOK,
            f"{path} cannot be read: {reason}",
            hint="save your training notebook first; mlprod init alone writes mlprod.toml",
        ) from None
    read_notebook(text, name=path.name)
    document = json.loads(text)
    cells: list[dict[str, Any]] = document["cells"]
    with_ids = document.get("nbformat_minor", 0) >= 5
    new: list[tuple[int, dict[str, Any]]] = []
    added = []
    if not any("parameters" in tags_of(cell) for cell in cells):
        first = next(index for index, cell in enumerate(cells) if cell.get("cell_type") == "code")
        new.append((first, _cell("code", PARAMETERS, with_id=with_ids, tags=["parameters"])))
        added.append("parameters")
    if not any("%mlprod gate" in source_of(cell) for cell in cells):
        kept = "".join(character if character.isascii() and character.isalnum() else "-" for character in path.stem)
        name = kept.strip("-")[:LONGEST_NAME] or "model"
        new += [(len(cells), _cell(kind, source.replace("{name}", name), with_id=with_ids)) for kind, source in GATE_CELLS]
        added.append("gate")
    return _inserted(text, new), added


def _inserted(text: str, new: Sequence[tuple[int, dict[str, Any]]]) -> str:
    """The text with new cells, each before the cell of its index or after the last; no other byte changes."""
    spans = _cell_spans(text)
    line = text[text.rfind("\n", 0, spans[0][0]) + 1 : spans[0][0]]
    lead = line if line and not line.strip() else ""
    end = ("\r\n" if "\r\n" in text else "\n") + lead if lead else ""
    for index, cell in reversed(new):
        shown = json.dumps(cell, indent=lead[: len(lead) // 2] or None, sort_keys=True).replace("\n", end)
        if index < len(spans):
            text = text[: spans[index][0]] + shown + "," + end + text[spans[index][0] :]
        else:
            text = text[: spans[-1][1]] + "," + end + shown + text[spans[-1][1] :]
    return text


def _cell_spans(text: str) -> list[tuple[int, int]]:
    """Where each cell begins and ends in the text of a notebook that is known to be JSON."""
    scan, spans = json.JSONDecoder(), list[tuple[int, int]]()
    place = _next(text, 0)
    while text[place] != "}":  # at the opening brace, or at the comma before a member
        place = _next(text, place + 1)
        key, place = scan.raw_decode(text, place)
        place = _next(text, _next(text, place) + 1)
        if key != "cells":
            place = _next(text, scan.raw_decode(text, place)[1])
            continue
        spans = []
        while text[place] != "]":
            begin = _next(text, place + 1)
            spans.append((begin, scan.raw_decode(text, begin)[1]))
            place = _next(text, spans[-1][1])
        place = _next(text, place + 1)
    return spans


def _next(text: str, place: int) -> int:
    """The first character from a place on that is no white space."""
    while text[place] in " \t\r\n":
        place += 1
    return place


def _cell(kind: str, source: str, *, with_id: bool, tags: list[str] | None = None) -> dict[str, Any]:
    cell: dict[str, Any] = {"cell_type": kind, "metadata": {"tags": tags} if tags else {}, "source": source.splitlines(keepends=True)}
    if kind == "code":
        cell |= {"execution_count": None, "outputs": []}
    if with_id:
        cell["id"] = uuid.uuid4().hex[:8]
    return cell
