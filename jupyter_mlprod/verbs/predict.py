"""``predict``: raw rows in, answers out. Rows that break the contract are refused before anything is computed, or treated as it says.

All rows are judged at once and beforehand: a refusal comes before any answer and tells the row of the file, and what is about rows taken
together (``mostly``, *unique*) is about all of them. Only then are they computed on in chunks, none larger than a request may be.
"""

from pathlib import Path

import numpy as np

from jupyter_mlprod.core.admission import IMPUTED, PASSED, Admission, chunk_of
from jupyter_mlprod.core.demands import types_read
from jupyter_mlprod.core.listing import Cell, Listing
from jupyter_mlprod.core.ports import Ports
from jupyter_mlprod.core.raw import Array
from jupyter_mlprod.core.record import short
from jupyter_mlprod.core.requests.predict import Predict
from jupyter_mlprod.core.resolve import check_trust, find_bundle

SHOWN = 20


def run(request: Predict, ports: Ports) -> Listing:
    """Answer every row; the first rows are shown, all of them go to ``out``."""
    found = find_bundle(request.subject, ports)
    check_trust(found, ports, trust=request.trust)
    raw = ports.data.read(request.data, types=types_read(found.bundle.contract))
    admission = Admission(found.bundle.contract)
    admitted = admission.admit_data(raw, name=found.bundle.name, now=ports.now())
    runtime = ports.runtimes.open(found.folder, found.bundle, threads=request.threads)
    chunks = list(admitted.chunks(chunk_of(found.bundle.contract)))
    pieces = [runtime.answer(chunk) for chunk in ports.progress("predict", chunks)]
    answers = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
    if request.out:
        ports.data.write(answers, Path(request.out))
    notes = [f"all in {request.out}"] if request.out else []
    notes += [_marked(answers[name], name) for name in (IMPUTED, PASSED) if admission.marking and (answers[name] != "").any()]
    return Listing(
        title=f"answers of {found.bundle.name} {short(found.digest)}",
        columns=("row", *answers),
        rows=tuple((row, *(_cell(answers[name][row]) for name in answers)) for row in range(min(admitted.rows, SHOWN))),
        total=admitted.rows,
        note="; ".join(notes),
    )


def _marked(marks: Array, what: str) -> str:
    """How many rows are marked, and in which fields: ``3 of 400 rows imputed (age, bmi)``."""
    fields = sorted({field for mark in marks.tolist() if mark for field in mark.split(",")})
    return f"{int((marks != '').sum()):,} of {len(marks):,} rows {what} ({', '.join(fields)})"


def _cell(value: Array) -> Cell:
    """One value as it is, or several as text."""
    if np.ndim(value) == 0 or np.size(value) == 1:
        plain = np.asarray(value).reshape(-1)[0].item()
        return plain if isinstance(plain, str | int | float | bool) else str(plain)
    flat = np.asarray(value).reshape(-1)
    text = " ".join(f"{x:.4g}" for x in flat[:10].tolist())
    return text + (" …" if len(flat) > 10 else "")
