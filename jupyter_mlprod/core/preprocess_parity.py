"""Parity of preprocessing: what the notebook made of raw rows against what the bundle makes of the same ones, row by row.

A shape or a name that differs is a finding like any other, since it is the commonest way for the two to differ. NaN on both sides is the
same; a number is told only where no input of the contract is personal, because what was prepared was made of it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jupyter_mlprod.core.checked import Checked
from jupyter_mlprod.core.column_values import Mask
from jupyter_mlprod.core.conformance import MOST_EXAMPLES, Violation
from jupyter_mlprod.core.difference import row_gaps, units_of
from jupyter_mlprod.core.evidence import Measure
from jupyter_mlprod.core.raw import Array
from jupyter_mlprod.core.scores import Floats


def preprocess_parity(
    ours: Mapping[str, Array], wanted: Mapping[str, Array], *, rows: int, tolerance: float, tell: bool, features: Sequence[str] = ()
) -> Checked:
    """Compare what the graph would take.

    Parameters
    ----------
    ours : input of the graph → (rows, ...), by the bundle
    wanted : the same by the notebook
    tolerance : in the units of `core.difference`
    tell : whether numbers may be told, the largest difference among them
    features : names of the columns of a single input, where they are known
    """
    checks, broken, measures = 1, [], []
    if set(ours) != set(wanted):
        what = f"the notebook prepared {_listed(wanted)}, the bundle prepares {_listed(ours)}"
        broken.append(Violation(field="", check="prepared", rows=rows, what=what, kind="parity"))
    for name in ours.keys() & wanted.keys():
        one, two = ours[name], wanted[name]
        checks += 1
        if one.shape != two.shape:
            what = f"{name!r} is prepared with shape {two.shape} by the notebook, and {one.shape} by the bundle"
            broken.append(Violation(field=name, check="shape", rows=rows, what=what, kind="parity"))
            continue
        checks += 1
        gaps = _gaps(one, two)
        finite = gaps[np.isfinite(gaps)]
        if tell and len(finite):
            largest = Measure(name="preprocess_max_abs_diff", value=float(finite.max()), unit="1", n=len(gaps), where={"input": name})
            measures.append(largest)
        apart = gaps > tolerance
        if apart.any():
            broken.append(_differing(name, one, two, apart, tell=tell, features=features))
    return Checked(kind="parity", checks=checks, violations=tuple(broken), measures=tuple(measures))


def _gaps(one: Array, two: Array) -> Floats:
    """(n,) greatest difference of each row; of what are no numbers 0 or infinite."""
    if one.dtype.kind not in "fiub" or two.dtype.kind not in "fiub":
        same = (one == two).reshape(len(one), -1).all(axis=1)
        return np.where(same, 0.0, np.inf)
    first, second = one.astype(np.float64), two.astype(np.float64)
    both = np.isnan(first) & np.isnan(second)
    first[both], second[both] = 0.0, 0.0
    return row_gaps(first, second, units_of([second]))


def _differing(name: str, one: Array, two: Array, apart: Mask, *, tell: bool, features: Sequence[str]) -> Violation:
    rows = np.flatnonzero(apart)
    what = f"{name!r} is prepared differently in {len(rows):,} of {len(apart):,} rows, first at row {rows[0]:,}"
    examples = tuple(_example(row, one[row], two[row], tell=tell, features=features) for row in rows[:MOST_EXAMPLES].tolist())
    return Violation(field=name, check="prepared", rows=len(rows), what=what, kind="parity", examples=examples)


def _example(row: int, one: Any, two: Any, *, tell: bool, features: Sequence[str]) -> str:
    """The place in a row where the two are farthest apart."""
    ours, theirs = np.atleast_1d(one), np.atleast_1d(two)
    numeric = ours.dtype.kind in "fiub" and theirs.dtype.kind in "fiub"
    if numeric:
        with np.errstate(invalid="ignore"):
            gap = np.abs(ours.astype(np.float64) - theirs.astype(np.float64))
        gap[np.isnan(gap) & (np.isnan(ours.astype(float)) != np.isnan(theirs.astype(float)))] = np.inf
    else:
        gap = (ours != theirs).astype(np.float64)
    index = tuple(map(int, np.unravel_index(int(np.nan_to_num(gap, nan=-1.0, posinf=np.inf).argmax()), gap.shape)))
    place = f"row {row:,}"
    if len(index) == 1 and index[0] < len(features):
        place += f", {features[index[0]]!r}"
    elif ours.size > 1:
        place += f" at {index if len(index) > 1 else index[0]}"
    if not tell or not numeric:
        return place if tell else f"{place}: withheld, made of personal data"
    return f"{place}: {ours[index].item():.6g} by the bundle, {theirs[index].item():.6g} by the notebook"


def _listed(named: Mapping[str, Array]) -> str:
    names = [repr(name[:80]) for name in named]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "") or "nothing"
