"""What a contract demands, in the words of a table: a field's cells, and the lines about rules, rows and freshness.

One place for display and model card, so that a person reads the same of a contract wherever it is shown.
"""

import math

from msgspec import UNSET

from jupyter_mlprod.core.contract import Column, Contract, Expected, Input, Tensor, Text

LIMITING = (
    "low", "high", "finite", "categories", "unit", "pii", "pattern", "shortest", "longest", "unique", "mostly", "max_age", "event_time",
    "view", "on_violation", "unknown_category", "default", "expected", "layout", "channels", "sum_to", "labels",
)  # fmt: skip
"""Members of fields that limit or explain them, in the order in which they are told."""
MOST_CATEGORIES = 12

Cells = tuple[str, str, str, str, str, str, str, str, str]


def field_cells(field: Input) -> Cells:
    """Name, type, shape, range, what else, unit, nulls, what otherwise happens, personal data."""
    return (
        field.name,
        kind_text(field),
        f"({', '.join(map(str, field.shape))})" if isinstance(field, Tensor) else "",
        range_text(field),
        "; ".join(also(field)),
        "" if isinstance(field, Text) else field.unit,
        ("allowed" if field.nullable else "no") if isinstance(field, Column) else "no" if isinstance(field, Text) else "",
        otherwise(field),
        field.pii or "",
    )


def kind_text(field: Input) -> str:
    """``string: left, right``, ``float32``, ``text``."""
    if isinstance(field, Text):
        return "text"
    if isinstance(field, Tensor):
        return field.dtype
    if not field.categories:
        return field.type
    named = ", ".join(field.categories[:MOST_CATEGORIES])
    more = f" and {len(field.categories) - MOST_CATEGORIES:,} more" if len(field.categories) > MOST_CATEGORIES else ""
    return f"{field.type}: {named}{more}"


def range_text(field: Input) -> str:
    """``0 … 16``, or of a text how many characters."""
    if isinstance(field, Text):
        return "" if field.longest is None else f"at most {field.longest:,} characters"
    low = "" if field.low is None else number(field.low)
    high = "" if field.high is None else number(field.high)
    return f"{low} … {high}" if low or high else ""


def also(field: Input) -> list[str]:
    """The demands that have no cell of their own."""
    if isinstance(field, Text):
        return []
    if isinstance(field, Tensor):
        said = [f"layout {field.layout}" if field.layout else "", f"channels {field.channels}" if field.channels else ""]
        said += [f"sums to {number(field.sum_to)}" if field.sum_to is not UNSET else ""]
        said += [f"labels {', '.join(field.labels)}" if field.labels else "", "" if field.finite else "NaN and infinity allowed"]
        return [one for one in said if one]
    lengths = [f"{word} {n:,}" for word, n in (("at least", field.shortest), ("at most", field.longest)) if n is not UNSET]
    said = [
        f"matches {field.pattern}" if field.pattern else "",
        f"{' and '.join(lengths)} characters" if lengths else "",
        "unique" if field.unique else "",
        f"in {percent(field.mostly)} of the rows" if field.mostly is not UNSET and field.mostly < 1 else "",
        f"at most {field.max_age} old" + (f" by {field.event_time}" if field.event_time else "") if field.max_age else "",
        expected_text(field.expected) if field.expected else "",
        "serving only" if field.view else "",
    ]
    return [one for one in said if one]


def expected_text(expected: Expected) -> str:
    """That a distribution is expected, and how far from it is too far."""
    return f"distribution in {len(expected.shares)} parts within {number(expected.at_most)}"


def otherwise(field: Input) -> str:
    """What happens to a request that breaks it, where the field says so itself."""
    said: list[str] = [field.on_violation or ""]
    if isinstance(field, Column):
        said += [f"unknown category: {field.unknown_category}" if field.unknown_category else ""]
        said += [f"default {field.default}" if field.default is not UNSET else ""]
    return ", ".join(one for one in said if one)


def contract_rules(contract: Contract) -> list[tuple[str, str]]:
    """What is said of the rows as a whole: each a heading and a line."""
    lines = [(f"rule {name}", text.strip()) for name, text in (contract.rules or {}).items()]
    if contract.rows:
        rows = contract.rows
        said = [
            f"{word} {n:,}"
            for word, n in (("at least", rows.at_least), ("at most", rows.at_most), ("in one request at most", rows.per_request))
            if n is not None
        ]
        lines += [("rows", ", ".join(said))]
    if contract.freshness:
        used = f", used at {contract.freshness.as_of}" if contract.freshness.as_of else ", used now"
        lines += [("freshness", f"measured at {contract.freshness.event_time}{used}")]
    return lines + ([("a request that breaks it", contract.on_violation)] if contract.on_violation else [])


def number(value: float) -> str:
    """Four significant digits, whole numbers without a point, no exponent where people expect none; ``nan`` and ``inf`` by name."""
    if not math.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:.4g}"


def percent(share: float) -> str:
    """``99.5 %``."""
    return f"{share * 100:.6g} %"
