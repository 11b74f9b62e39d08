"""Contracts that a person could declare, for properties that hold for each of them."""

import string
from typing import Any

from hypothesis import strategies as st
from msgspec import UNSET

from jupyter_mlprod.core.contract import DTYPES, Column, Contract, Expected, Rows, Tensor, Text

NAMES = st.text(alphabet=string.ascii_letters + string.digits + " .-_\"'[]=#é\n\\", min_size=1, max_size=8)
WORDS = st.text(alphabet=string.printable + "éß漢", min_size=1, max_size=6)
LIMITS = st.floats(min_value=-1e6, max_value=1e6, allow_nan=False)


def _unset(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.just(UNSET), strategy)


@st.composite
def columns(draw: st.DrawFn, name: str, *, training: bool = False) -> Column:
    kind: Any = draw(st.sampled_from(["float", "int", "bool", "string", "time", "time_utc"]))
    said: dict[str, Any] = {"nullable": draw(st.booleans()), "unit": draw(st.sampled_from(["", "mm"]))}
    if kind in ("float", "int"):
        low, high = sorted((draw(LIMITS), draw(LIMITS)))
        high = max(high, low + 1) if kind == "int" else high  # an integer lies between them
        said |= {"low": draw(st.sampled_from([None, low])), "high": draw(st.sampled_from([None, high]))}
    if kind == "string":
        said |= {
            "categories": tuple(sorted(draw(st.sets(WORDS, max_size=3)))),
            "pattern": draw(st.sampled_from([UNSET, "^[A-Z]{2}-[0-9]+$", "x|y", '"\\\\'])) if draw(st.booleans()) else UNSET,
            "shortest": draw(_unset(st.integers(0, 3))),
            "longest": draw(_unset(st.integers(3, 9))),
        }
    said |= {"unique": draw(_unset(st.booleans())), "mostly": draw(_unset(st.sampled_from([0.5, 0.99, 1.0])))}
    said["pii"] = draw(_unset(st.sampled_from(["email", "none"])))
    if kind in ("float", "int") and draw(st.booleans()):
        said["expected"] = Expected(shares=(0.25, 0.75), edges=(1.5,), at_most=draw(st.sampled_from([0.1, 0.2])))
    if not training:
        said["on_violation"] = draw(_unset(st.sampled_from(["refuse", "ask", "pass"])))
        said["view"] = draw(_unset(st.just("serving")))
    keys = [key for key, value in said.items() if value not in (None, UNSET, (), "")]
    declared = tuple(sorted(draw(st.sets(st.sampled_from(["type", *keys])))))
    return Column(name=name, type=kind, declared=declared or UNSET, **said)


@st.composite
def tensors(draw: st.DrawFn, name: str, *, output: bool = False) -> Tensor:
    dtype = draw(st.sampled_from(DTYPES))
    shape = ("batch", *draw(st.lists(st.one_of(st.integers(1, 4), st.sampled_from(["n", "m"])), max_size=2)))
    said: dict[str, Any] = {"finite": draw(st.booleans()), "unit": draw(st.sampled_from(["", "mV"]))}
    said["low"] = draw(st.one_of(st.none(), LIMITS))
    if output:
        said["sum_to"] = draw(_unset(st.just(1.0)))
    else:
        said["pii"] = draw(_unset(st.just("face")))
    declared = ("low",) if said["low"] is not None and draw(st.booleans()) else ()
    return Tensor(name=name, dtype=dtype, shape=shape, declared=declared or UNSET, **said)


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    names = draw(st.lists(NAMES, min_size=2, max_size=5, unique=True))
    outputs = tuple(draw(tensors("scores", output=True)) for _ in range(draw(st.integers(0, 1))))
    kind = draw(st.sampled_from(["table", "tensors", "text"]))
    if kind == "text":
        longest = draw(st.one_of(st.none(), st.integers(1, 9)))
        return Contract(inputs=(Text(name=names[0], longest=longest, pii=draw(_unset(st.just("name")))),), outputs=outputs)
    if kind == "tensors":
        return Contract(inputs=tuple(draw(tensors(name)) for name in names), outputs=outputs)
    target = draw(columns(names[-1], training=True)) if draw(st.booleans()) else None
    inputs = tuple(draw(columns(name)) for name in names[:-1])
    rules = {"a rule": "1 < 2"} if draw(st.booleans()) else UNSET
    rows = Rows(at_least=2, per_request=64) if draw(st.booleans()) else UNSET
    training = (draw(columns("only in training", training=True)),) if draw(st.booleans()) else UNSET
    return Contract(inputs=inputs, outputs=outputs, target=target, training=training, rules=rules, rows=rows)
