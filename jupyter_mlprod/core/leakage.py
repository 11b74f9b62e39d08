"""Leakage: what a model could learn from that it will not have, or must not use: the label, an id, rows of the other split, the future.

Each finding is a reason to look and not a proof: a feature that separates the classes perfectly may be a very good feature. Near-duplicates
are not looked for. Fewer rows than `LEAST_ROWS`, and what shuffled labels would do by chance, prove nothing, so nothing is said of it. A
check counts only where values were compared, or where it is broken: what could not be found is not the same as sound.
"""

import math
import re
from collections.abc import Mapping, Sequence

import numpy as np

from jupyter_mlprod.core.arrays import plain_values
from jupyter_mlprod.core.checked import Checked, count, not_run
from jupyter_mlprod.core.column_values import NO_MOMENT, NULL, Hashes, Mask, hashes, moments, numbers, row_hashes
from jupyter_mlprod.core.conformance import MOST_EXAMPLES, Violation
from jupyter_mlprod.core.contract import Column, Input
from jupyter_mlprod.core.demands import Check
from jupyter_mlprod.core.raw import Array
from jupyter_mlprod.core.scores import Floats, Ints

LEAST_ROWS = 50
SEPARATES = 0.999
"""Area under the ROC curve."""
LEAST_CLASS = 10
"""Rows of the smaller class: that noise separates 10 of 50 has a probability of 1 in 5 billion."""
CHANCE = 1e-6
"""Probability that labels in another order would say the same of one of the features."""
FEW = 5
"""Rows for each value of a feature that tells the label by its values alone."""
CLASSES = 20
"""Rows for each value of the target: with fewer it is a number to be foretold, and no class."""
DENSE = 4
"""An id is drawn from few more numbers than there are rows; that 50 rows from four times as many numbers are all different by chance has
a probability of 1 in 1,000."""
WIDE = 2**32
HEAD = 2_000
"""Rows that are looked at first: most columns repeat a value there, and need not be sorted."""
ID_NAMES = re.compile(r"(?:.*[_\W])?(?:id|uid|uuid|guid|key|pk|index|idx|rowid|row_?number)|unnamed:?[ _]?\d*|.*[a-z]I[dD]", re.ASCII)
LABEL_PARTS = ("", "is", "has", "y", "target", "label", "class", "encoded", "enc", "code", "idx", "index", "id", "true", "actual")


def label_leaks(features: Sequence[Column], target: str, named: Mapping[str, Array], *, asked: bool = False) -> Checked:
    """Features that are the label, under its name or another.

    Parameters
    ----------
    features : the columns that a request has
    target : the label's column, which is in ``named``
    asked : whether somebody named the target, so that a comparison that cannot be made is a broken check
    """
    own = hashes(named[target])
    known = own != NULL
    few = int(known.sum()) < LEAST_ROWS
    compared = not few and len(np.unique(own[known])) > 1
    broken, checks = [], 0
    for column in features:
        why = "is the target itself" if column.name == target else _named_alike(column.name, target)
        looked = compared and column.name != target and column.name in named
        if looked:
            why = _tells(column, target, named, own, known, chance=CHANCE / len(features)) or why
        if why:
            broken.append(_broken(column.name, "label", int(known.sum()), f"feature {column.name!r} {why}"))
        checks += looked or bool(why)
    if asked and not compared:
        has = f"has a value in {int(known.sum()):,} rows, and {LEAST_ROWS} are needed" if few else "has the same value in all rows"
        broken.append(_broken("", "run", int(known.sum()), f"the target {target!r} {has} to look for it among the features"))
        checks += 1
    return Checked(kind="leakage", checks=checks, violations=tuple(broken))


def _named_alike(name: str, target: str) -> str:
    """Whether a name is the target's with something such as ``_encoded``."""
    words, own = _words(name), _words(target)
    at = next((i for i in range(len(words) - len(own) + 1) if words[i : i + len(own)] == own), None)
    if at is None or not own or any(word not in LABEL_PARTS for word in words[:at] + words[at + len(own) :]):
        return ""
    return f"is called after the target {target!r}"


def _words(name: str) -> list[str]:
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+|\d+", name)]


def _tells(column: Column, target: str, named: Mapping[str, Array], own: Hashes, known: Mask, *, chance: float) -> str:
    """How a feature tells the target in the rows that have one, or nothing; where it is null may tell it as well as its values."""
    feature = hashes(named[column.name])
    there = known & (feature != NULL)
    _, label = np.unique(own[known], return_inverse=True)
    if int(label.max()) == 1 and (area := _separates(np.asarray(feature[known] == NULL, np.float64), label == 1)):
        return f"tells the target {target!r} by where it is null (area under the ROC curve {area:.4f})"
    if there.sum() < LEAST_ROWS:
        return ""
    rows = "all rows" if there.sum() == known.sum() else f"all {int(there.sum()):,} rows that have it"
    _, codes = np.unique(feature[there], return_inverse=True)
    _, label = np.unique(own[there], return_inverse=True)
    values, labels = int(codes.max()) + 1, int(label.max()) + 1
    if (feature[there] == own[there]).all() and _log_chance(label, 1, 1) < math.log(chance):
        return f"equals the target {target!r} in {rows}"
    pure = values <= len(codes) // FEW and len(np.unique(codes * labels + label)) == values
    if pure and _log_chance(label, labels, values) < math.log(chance):
        return f"tells the target {target!r}: each of its {values:,} values goes with one label alone"
    if values > 2 and column.type in ("string", "bool"):
        return ""
    ordered = np.asarray(codes, np.float64) if values == 2 else _ordered(column, named[column.name])[there]
    return _orders(ordered, named[target][there], label, target, chance=chance)


def _log_chance(label: Ints, base: int, power: int) -> float:
    """Logarithm of the most of the orders of the labels that say the same, which are ``base ** power``, as a part of all orders."""
    orders = math.lgamma(len(label) + 1) - sum(math.lgamma(many + 1) for many in np.bincount(label).tolist())
    return power * math.log(base) - orders


def _separates(values: Floats, positive: Mask) -> float:
    """Area under the ROC curve, of either direction, where it is too large to be of use or of chance; else 0."""
    if min(int(positive.sum()), int((~positive).sum())) < LEAST_CLASS:
        return 0.0
    area = _area(values, positive)
    best = max(area, 1 - area)
    return best if best >= SEPARATES else 0.0


def _ordered(column: Column, array: Array) -> Floats:
    """(rows,) as numbers that have an order."""
    return moments(array).astype(np.float64) if column.type in ("time", "time_utc") else numbers(array)


def _orders(values: Floats, target: Array, label: Ints, target_name: str, *, chance: float) -> str:
    """Whether the order of a feature is that of a number to be foretold, or parts the classes."""
    labels = int(label.max()) + 1
    if np.isnan(values).any() or labels < 2:
        return ""
    if labels == 2:
        area = _separates(values, label == 1)
        return f"separates the target {target_name!r} (area under the ROC curve {area:.4f})" if area else ""
    if labels > len(label) // CLASSES:
        goal = numbers(target)
        same = not np.isnan(goal).any() and any((_ranks(values) == _ranks(sign * goal)).all() for sign in (1, -1))
        return f"is in the very order of the target {target_name!r}" if same and _log_chance(label, 2, 1) < math.log(chance) else ""
    order = np.argsort(values, kind="stable")
    parts = int((np.diff(label[order]) != 0).sum()) == labels - 1
    spans = [(values[label == one].min(), values[label == one].max()) for one in range(labels)] if parts else []
    apart = parts and all(a[1] < b[0] for a, b in zip(sorted(spans), sorted(spans)[1:], strict=False))
    likely = _log_chance(label, labels, labels)  # no more orders of whole classes than that
    return f"separates the {labels} classes of the target {target_name!r}" if apart and likely < math.log(chance) else ""


def _ranks(values: Floats) -> Ints:
    return np.asarray(np.unique(values, return_inverse=True)[1])


def _area(values: Floats, positive: Mask) -> float:
    """Area under the ROC curve, ties counted half (Mann and Whitney 1947)."""
    _, place, many = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(many) - (many - 1) / 2)[place]
    yes = int(positive.sum())
    no = len(values) - yes
    return float((ranks[positive].sum() - yes * (yes + 1) / 2) / (yes * no))


def id_leaks(features: Sequence[Column], named: Mapping[str, Array]) -> Checked:
    """Features that say which row it is and not what it is like; one that is declared not to be ``unique`` is none."""
    broken, checks = [], 0
    for column in features:
        if column.type not in ("int", "float", "string") or column.name not in named or column.unique is False:
            continue
        why = "is declared unique" if column.unique is True else _is_id(column, named[column.name])
        checks += bool(why) or len(named[column.name]) >= LEAST_ROWS
        if why:
            mend = "leave it out of the inputs" + ("" if column.unique else ", or declare unique = false where it is none")
            what = f"feature {column.name!r} {why}: it names the row, and a model that learns it knows nothing of others; {mend}"
            broken.append(_broken(column.name, "id", len(named[column.name]), what))
    return Checked(kind="leakage", checks=checks, violations=tuple(broken))


def _is_id(column: Column, array: Array) -> str:
    own = hashes(array)
    if len(own) < LEAST_ROWS:
        return ""
    if ID_NAMES.fullmatch(column.name.lower()) or ID_NAMES.fullmatch(column.name):
        return _called_id(column, array, own[own != NULL])
    if column.type == "float" or (own == NULL).any() or any(len(np.unique(part)) < len(part) for part in (own[:HEAD], own)):
        return ""
    every = f"is different in each of {len(own):,} rows"
    if column.type == "string":
        words = all(isinstance(value, str) and not any(map(str.isspace, value.strip())) for value in plain_values(array))
        return f"{every}, in one word" if words else ""
    values = numbers(array)
    if np.isnan(values).any():
        return ""
    if (np.diff(values) > 0).all():
        return f"grows from each of {len(own):,} rows to the next"
    span = float(values.max() - values.min())
    return every if span < DENSE * len(values) or span > WIDE else ""


def _called_id(column: Column, array: Array, own: Hashes) -> str:
    """A column that is called an id is one unless half of its values, or more, are repeated; numbers are whole."""
    different = len(np.unique(own))
    values = numbers(array) if column.type == "float" else np.zeros(1)
    if len(own) < LEAST_ROWS or different <= len(own) / 2 or (values[np.isfinite(values)] % 1 != 0).any():
        return ""
    many = f"each of {len(own):,} rows" if different == len(own) else f"{different:,} of {len(own):,} rows"
    return f"is different in {many} and called an id"


def shared_rows(features: Sequence[Input], named: Mapping[str, Array], other: Mapping[str, Array]) -> Checked:
    """Rows of the validation that are among the data, by the values of all features; those that both sides have."""
    names = [field.name for field in features if field.name in named and field.name in other]
    rows, others = row_hashes(named, names), row_hashes(other, names)
    if not len(others):
        return not_run("leakage", "the validation has no rows")
    found = np.flatnonzero(np.isin(others, rows))
    measures = (count("shared_rows", len(found), n=len(others)),)
    if not len(found):
        return Checked(kind="leakage", checks=1, measures=measures)
    order = np.argsort(rows, kind="stable")
    first = order[np.searchsorted(rows[order], others[found[:MOST_EXAMPLES]])]
    examples = tuple(f"row {row:,} is row {at:,} of the data" for row, at in zip(found.tolist(), first.tolist(), strict=False))
    what = f"{len(found):,} of {len(others):,} rows of the validation are among the data"
    violation = Violation(field="", check="shared", rows=len(found), what=what, kind="leakage", examples=examples)
    return Checked(kind="leakage", checks=1, violations=(violation,), measures=measures)


def time_overlap(event_time: str, named: Mapping[str, Array], other: Mapping[str, Array]) -> Checked:
    """Rows of the validation from before the latest row of the data: a model that was trained on the data knows their future."""
    past, later = moments(named[event_time]), moments(other[event_time])
    there = later != NO_MOMENT
    if not (past != NO_MOMENT).any() or not there.any():
        return not_run("leakage", f"column {event_time!r} has no times on one side, so the order of the splits is not known")
    early = there & (later < past.max())
    rows = np.flatnonzero(early)
    measures = (count("time_overlap_rows", len(rows), n=int(there.sum())),)
    if not len(rows):
        return Checked(kind="leakage", checks=1, measures=measures)
    what = f"{len(rows):,} of {int(there.sum()):,} rows of the validation lie before the latest row of the data by {event_time!r}"
    found = _broken(event_time, "overlap", len(rows), f"{what}, first at row {rows[0]:,}")
    return Checked(kind="leakage", checks=1, violations=(found,), measures=measures)


def _broken(field: str, check: Check, rows: int, what: str) -> Violation:
    return Violation(field=field, check=check, rows=rows, what=what, kind="leakage")
