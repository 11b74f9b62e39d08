"""``gc``: what may go. Kept are bundles that an alias, a rollback or a verdict needs, and the newest of each name."""

import shutil
import time
from pathlib import Path

from jupyter_mlprod.core.listing import Cell, Listing
from jupyter_mlprod.core.ports import Ports
from jupyter_mlprod.core.private import CAPTURES, LIVE
from jupyter_mlprod.core.record import short
from jupyter_mlprod.core.requests.gc import Gc
from jupyter_mlprod.core.verdict import Verdict
from jupyter_mlprod.core.walk import walked

YOUNG_S = 86_400
"""Captures and runs younger than a day may be in use: a cell can train for hours."""


def run(request: Gc, ports: Ports) -> Listing:
    """List what would be freed, or free it."""
    rows: list[tuple[Cell, ...]] = []
    for name in _loose_bundles(ports):
        folder = ports.bundles.path(name)
        rows.append(("bundle", short(name), _megabytes(folder)))
        if request.delete:
            ports.bundles.remove(name)
    for what, path in _old_leftovers(ports):
        rows.append((what, path.name, _megabytes(path)))
        if request.delete and path.is_dir():
            shutil.rmtree(path)
        elif request.delete:
            path.unlink()
    did = "freed" if request.delete else "would be freed; --delete frees it"
    total = sum(row[2] for row in rows if isinstance(row[2], float))
    return Listing(
        title="gc",
        columns=("kind", "what", "MB"),
        rows=tuple(rows),
        total=len(rows),
        note=f"{total:.1f} MB {did}" if rows else "nothing to free",
    )


def _loose_bundles(ports: Ports) -> list[str]:
    """Bundles that nothing needs: never released, never judged, and not the newest of their name."""
    everything = ports.bundles.all()
    released = {digest for entry in ports.ledger.entries() for digest in (entry.bundle, entry.previous)}
    newest = {bundle.name: name for name, bundle, _ in everything}
    kept = released | set(newest.values()) | set(ports.session.values())
    return [name for name, _, _ in everything if name not in kept and not _judged(name, ports)]


def _judged(name: str, ports: Ports) -> bool:
    return any(verdict.scope == "release" for verdict in ports.records.about(Verdict, name))


def _old_leftovers(ports: Ports) -> list[tuple[str, Path]]:
    """What captures, fetches and runs have left, once it is old enough that nobody can be using it."""
    places = [("capture", ports.scratch / CAPTURES), ("data", ports.scratch / LIVE), ("fetched", ports.scratch / "fetched")]
    places += [("unpacked", ports.scratch / "unpacked"), ("run", ports.root / ".mlprod" / "runs")]
    paths = [(what, path) for what, place in places for path in sorted(place.glob("*"))]
    paths += [("staging", path) for path in sorted(ports.scratch.glob("staging-*"))]
    return [(what, path) for what, path in paths if time.time() - path.stat().st_mtime > YOUNG_S]


def _megabytes(path: Path) -> float:
    files = [path] if path.is_file() else [file for file in walked(path) if file.is_file()]
    return round(sum(file.stat().st_size for file in files) / 1e6, 3)
