"""Where a bundle comes from, in words: what its origin says, for the model card and for ``show --lineage``.

The origin is what the packaging process said of itself. It lies outside the digest, so that the same model has the same one.
"""

from collections.abc import Iterable

from jupyter_mlprod.core.bundle import TRAINING_LOCK, Bundle, Origin
from jupyter_mlprod.core.listing import Listing
from jupyter_mlprod.core.lock import Lock
from jupyter_mlprod.core.record import digest, short
from jupyter_mlprod.core.snapshot import Snapshot

Facts = list[tuple[str, str]]
CLAIM = "as the process that packaged it said of itself; outside the digest"


def provenance(origin: Origin) -> Facts:
    """Who packaged it, when, out of what; an empty text is what was not known."""
    training = origin.training
    return [
        ("packaged", origin.created_at),
        ("packaged by", origin.actor),
        ("notebook", origin.notebook),
        ("gate run", origin.run),
        ("git commit", origin.git_commit),
        ("uncommitted changes", origin.git_dirty),
        ("taken over from", training.adopted),
        ("MLflow run", training.mlflow_run),
        *((f"seed of {name}", str(seed)) for name, seed in sorted(training.seeds.items())),
        *((f"training parameter {name}", value) for name, value in sorted(training.parameters.items())),
    ]


def environment(origin: Origin) -> Facts:
    """On what it was packaged."""
    training = origin.training
    return [("packaged with Python", origin.python), ("packaged on", origin.platform), ("CUDA", training.cuda), ("driver", training.driver)]


def lineage(bundle: Bundle, origin: Origin | None, snapshot: Snapshot | None, *, lock: Lock | None) -> Listing:
    """All of it as a table, with the digests of notebook and data that the card leaves to the files; ``lock`` is the training's."""
    facts: Facts = [("training data", bundle.snapshot)]
    if snapshot is not None:
        facts += [
            ("form of the data", snapshot.kind),
            ("rows of the data", f"{snapshot.rows:,}"),
            ("columns of the data", ", ".join(column.name for column in snapshot.columns)),
        ]
    if origin is not None:
        training = origin.training
        facts += [
            *provenance(origin),
            *((f"training metric {name}", f"{value:.6g}") for name, value in sorted(training.metrics.items())),
            ("notebook's code as saved", origin.notebook_digest),
            *((f"executed cell {place}", cell) for place, cell in enumerate(training.cells, start=1)),
            *environment(origin),
            ("packages of the training", ", ".join(training.requirements)),
            ("packages of the training with hashes", _hashed(lock, of=len(training.requirements))),
            ("trainable module", training.untrainable and f"cannot be brought back: {training.untrainable}"),
        ]
    rows = tuple(_told(facts))
    note = CLAIM if origin else "nothing is attached that says who packaged it"
    return Listing(title=f"Lineage of {bundle.name} {short(digest(bundle))}", columns=("what", "is"), rows=rows, total=len(rows), note=note)


def _hashed(lock: Lock | None, *, of: int) -> str:
    """How many of how many; nothing for a bundle whose training was not locked."""
    return f"{len(lock.packages) - len(lock.unhashed):,} of {of:,} in {TRAINING_LOCK}" if lock else ""


def _told(facts: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    return (fact for fact in facts if fact[1])
