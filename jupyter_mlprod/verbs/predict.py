"""``predict``: raw rows in, answers out. Rows that break the contract are refused before anything is computed."""

from pathlib import Path

import numpy as np

from jupyter_mlprod.core.batch import demand
from jupyter_mlprod.core.listing import Cell, Listing
from jupyter_mlprod.core.ports import Ports
from jupyter_mlprod.core.raw import Array, part, rows
from jupyter_mlprod.core.record import short
from jupyter_mlprod.core.requests.predict import Predict
from jupyter_mlprod.core.resolve import check_trust, find_bundle

CHUNK = 256
SHOWN = 20


def run(request: Predict, ports: Ports) -> Listing:
    """Answer every row; the first rows are shown, all of them go to ``out``."""
    found = find_bundle(request.subject, ports)
    check_trust(found, ports, trust=request.trust)
    raw = ports.data.read(request.data)
    demand(found.bundle.contract, raw, name=found.bundle.name)
    runtime = ports.runtimes.open(found.folder, found.bundle, threads=request.threads)
    pieces = [runtime.answer(part(raw, start, start + CHUNK)) for start in ports.progress("predict", range(0, rows(raw), CHUNK))]
    answers = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
    if request.out:
        ports.data.write(answers, Path(request.out))
    n = rows(answers)
    return Listing(
        title=f"answers of {found.bundle.name} {short(found.digest)}",
        columns=("row", *answers),
        rows=tuple((row, *(_cell(answers[name][row]) for name in answers)) for row in range(min(n, SHOWN))),
        total=n,
        note=f"all in {request.out}" if request.out else "",
    )


def _cell(value: Array) -> Cell:
    """One value as it is, or several as text."""
    if np.ndim(value) == 0 or np.size(value) == 1:
        plain = np.asarray(value).reshape(-1)[0].item()
        return plain if isinstance(plain, str | int | float | bool) else str(plain)
    flat = np.asarray(value).reshape(-1)
    text = " ".join(f"{x:.4g}" for x in flat[:10].tolist())
    return text + (" …" if len(flat) > 10 else "")
