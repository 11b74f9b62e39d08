"""What a bundle came to in an environment that was made from its lock: which packages are there, and whether it answers as it did.

The comparison is made here and not in that environment, so that a package in it cannot vouch for itself.
"""

from collections.abc import Mapping

import msgspec
import numpy as np

from jupyter_mlprod.core.answer import decide
from jupyter_mlprod.core.bundle import Bundle
from jupyter_mlprod.core.checked import count, joined
from jupyter_mlprod.core.difference import row_gaps, units_of
from jupyter_mlprod.core.evidence import Measure
from jupyter_mlprod.core.lock import Lock, normalized
from jupyter_mlprod.core.raw import Array, rows

LABEL = "label"
HEAVY = ("torch", "mlflow")
"""Modules that what answers requests has only when they are pinned."""


class Rebuilt(msgspec.Struct, frozen=True, kw_only=True):
    """A fresh environment after the replay.

    Attributes
    ----------
    installed : package → version of everything in it
    importable : of torch and mlflow, what can be imported there
    answers : output name → (n, ...) for the n golden rows; None when there was no answer
    refusal : why the installer did not take the lock, in its own words
    fault : why the bundle did not answer
    """

    installed: dict[str, str]
    importable: tuple[str, ...] = ()
    answers: Mapping[str, Array] | None = None
    refusal: str = ""
    fault: str = ""


def rebuild_measures(bundle: Bundle, lock: Lock, rebuilt: Rebuilt, golden: Mapping[str, Array], *, limit: float) -> tuple[Measure, ...]:
    """``packages_differing`` and ``unhashed_packages`` of the pins; ``rebuild_mismatches`` of the golden rows, after a replay."""
    unhashed = [f"{package.pin}{f' ({why})' if (why := package.tool.mlprod.source) else ''}" for package in lock.unhashed]
    differing = _differing(lock, rebuilt)
    checks = len(lock.packages) + len(HEAVY)
    measures = [
        count("packages_differing", max(len(differing), int(bool(rebuilt.refusal))), n=checks, note=rebuilt.refusal or joined(differing)),
        count("unhashed_packages", len(unhashed), n=len(lock.packages), note=joined(unhashed)),
    ]
    if not rebuilt.refusal:
        measures.append(_mismatches(bundle, rebuilt, golden, limit))
    return tuple(measures)


def _differing(lock: Lock, rebuilt: Rebuilt) -> list[str]:
    installed = {normalized(name): version for name, version in rebuilt.installed.items()}
    pinned = {package.name: package.version for package in lock.packages}
    return [
        *(
            f"{name} is {installed.get(name) or 'absent'}, pinned is {version}"
            for name, version in pinned.items()
            if installed.get(name) != version
        ),
        *(f"{name} {version} is there and not pinned" for name, version in sorted(installed.items()) if name not in pinned),
        *(f"{name} can be imported and is not pinned" for name in rebuilt.importable if name not in pinned),
    ]


def _mismatches(bundle: Bundle, rebuilt: Rebuilt, golden: Mapping[str, Array], limit: float) -> Measure:
    """Golden rows with another label, or off by more than the limit of parity."""
    n = rows(golden)
    answers = rebuilt.answers
    if answers is None:
        return count("rebuild_mismatches", n, n=n, note=rebuilt.fault)
    odd = [name for name, wanted in golden.items() if name not in answers or _form(answers[name]) != _form(wanted)]
    if odd or n == 0:
        note = f"{', '.join(odd)} came back in another shape or type" if odd else "there is no golden row"
        return count("rebuild_mismatches", n, n=n, note=note)
    gaps = np.zeros(n)
    for name, wanted in golden.items():
        gaps = np.maximum(gaps, row_gaps(answers[name], wanted, units_of([wanted])))
    differ = gaps > limit
    labels = 0
    if bundle.labels:
        renamed = decide(bundle, answers)[LABEL] != decide(bundle, golden)[LABEL]
        labels = int(renamed.sum())
        differ |= renamed
    note = f"largest difference {gaps.max():.3g}, {labels} other labels" if differ.any() else f"largest difference {gaps.max():.3g}"
    return count("rebuild_mismatches", int(differ.sum()), n=n, note=note)


def _form(array: Array) -> tuple[object, ...]:
    return array.dtype, array.shape
