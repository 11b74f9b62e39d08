"""Why two columns of numbers differ, where it is for a plain reason: another unit, a shift, another zone of time.

Only what explains nine of ten rows is said, and only of values that vary: of a constant, every factor and every shift is as good.
"""

import numpy as np

from jupyter_mlprod.core.column_values import Mask
from jupyter_mlprod.core.scores import Floats, Ints

LEAST_ROWS = 5
LEAST_SHARE = 0.9
NEAR = 1e-4
"""Relative: a unit's factor is often written with five digits."""
LEAST_CHANGE = 1e-3
"""Relative: what is less is noise, and no unit."""

FACTORS = {
    1000.0: "", 100.0: "a share and percent", 60.0: "minutes and seconds, or hours and minutes", 3600.0: "hours and seconds",
    24.0: "days and hours", 86400.0: "days and seconds", 1e6: "", 0.3048: "feet and meters", 2.54: "inches and centimeters",
    25.4: "inches and millimeters",
    0.45359237: "pounds and kilograms", 1.609344: "miles and kilometers", 3.6: "m/s and km/h", 18.0182: "mmol/l and mg/dl of glucose",
    57.29577951308232: "radians and degrees", -1.0: "the sign", 255.0: "0 to 1 and 0 to 255",
}  # fmt: skip
AFFINE = {(1.8, 32.0): "Celsius and Fahrenheit", (1 / 1.8, -32 / 1.8): "Fahrenheit and Celsius"}
SHIFTS = {273.15: "Celsius and kelvin", 1900.0: "years", 1.0: "", 32.0: ""}
MICROSECONDS = {86_400_000_000: "day", 3_600_000_000: "hour", 60_000_000: "minute", 1_000_000: "second"}


def number_mixup(offline: Floats, online: Floats) -> str:
    """The reason as a sentence about ``online``, or nothing; (n,) finite numbers of the rows that differ."""
    if len(offline) < LEAST_ROWS or len(np.unique(offline)) < LEAST_ROWS:
        return ""
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        return _number_mixup(offline, online)


def _number_mixup(offline: Floats, online: Floats) -> str:
    for (factor, shift), units in AFFINE.items():
        if said := _share(online, factor * offline + shift):
            return f"online is {factor:.4g} × offline {'+' if shift > 0 else '-'} {abs(shift):.4g} in {said} ({units})"
    there = offline != 0
    factor = float(np.median(online[there] / offline[there])) if there.any() else 1.0
    if abs(factor - 1) > LEAST_CHANGE and np.isfinite(factor) and (said := _share(online, factor * offline)):
        return _scaled(factor, said)
    shift = float(np.median(online - offline))
    close = np.abs(online - offline - shift) <= NEAR * abs(shift)
    if abs(shift) > LEAST_CHANGE * float(np.median(np.abs(offline))) and close.mean() >= LEAST_SHARE:
        known = next((units for at, units in SHIFTS.items() if abs(abs(shift) - at) <= NEAR * at), "")
        sign = "+" if shift > 0 else "-"
        return f"online is offline {sign} {abs(shift):.6g} in {percent(close)}{f' ({known})' if known else ''}"
    return ""


def time_mixup(offline: Ints, online: Ints) -> str:
    """The same of moments in microseconds."""
    if len(offline) < LEAST_ROWS or len(np.unique(offline)) < LEAST_ROWS:
        return ""
    shift = int(np.median(online - offline))
    close = online - offline == shift
    if not shift or close.mean() < LEAST_SHARE:
        return ""
    for length, unit in MICROSECONDS.items():
        if abs(shift) % length == 0:
            many = abs(shift) // length
            span = f"{many:,} {unit}{'s' if many > 1 else ''}"
            return f"online is {span} {'later' if shift > 0 else 'earlier'} than offline in {percent(close)}"
    return f"online is {abs(shift) / 1e6:g} seconds {'later' if shift > 0 else 'earlier'} than offline in {percent(close)}"


def _scaled(factor: float, said: str) -> str:
    for known, units in FACTORS.items():
        for value, text in ((known, f"{known:,.10g} × offline"), (1 / known, f"offline / {known:,.10g}")):
            if abs(factor - value) <= NEAR * abs(value):
                text = "offline with the other sign" if known == -1 else text
                return f"online is {text} in {said}{f' ({units})' if units and known != -1 else ''}"
    return f"online is {factor:.6g} × offline in {said}"


def _share(online: Floats, expected: Floats) -> str:
    close = np.abs(online - expected) <= NEAR * np.maximum(np.abs(expected), np.abs(online))
    return percent(close) if close.mean() >= LEAST_SHARE else ""


def percent(found: Mask) -> str:
    """The share that is found, in words; what is not all is never called 100 %."""
    share = float(found.mean())
    return "all of them" if share == 1 else f"{min(99, round(100 * share))} % of them"
