"""Suggestions: what data would let a person declare, each with the share of rows that keep it. Nothing here is in force by itself.

A suggestion never holds a value of a column that looks personal, and of strings it names only categories that many rows share: the same
screen through which a snapshot names values (`reference.py`). Limits of numbers are of all rows; what needs a look at single strings or
objects is of a sample that depends on the number of rows alone, and the sentence says so.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import UNSET

from jupyter_mlprod.core.batch import named_inputs
from jupyter_mlprod.core.contract import Column, Contract, Input, Tensor
from jupyter_mlprod.core.raw import Array, Raw
from jupyter_mlprod.core.suggest_columns import of_column
from jupyter_mlprod.core.suggest_tensors import of_input_tensor, of_output_tensor, of_text
from jupyter_mlprod.core.suggestion import Suggestion
from jupyter_mlprod.core.toml_line import comment, dotted, inline, key_text, section_text

__all__ = ["Suggestion", "as_comment", "as_toml", "suggestions"]

MARK = "suggestion"
"""The word by which `contract edit --accept` finds a suggestion among the comments of a file."""


def suggestions(contract: Contract, raw: Raw) -> tuple[Suggestion, ...]:
    """What the data would let a person declare that the contract does not say yet.

    Parameters
    ----------
    raw : (rows, ...) array, or a mapping of name to (rows, ...) array; columns of the training view and outputs may be among them
    """
    named = named_inputs(contract, raw)
    found: list[Suggestion] = []
    for section, field in _sections(contract):
        if field.name in named:
            found += _of_field(section, field, named[field.name], contract, named)
    return tuple(found)


def as_toml(suggestion: Suggestion) -> str:
    """The suggestion as TOML that can be pasted into ``contract.toml``: its section, the sentence as a comment, and the keys.

    >>> print(as_toml(Suggestion(id="inputs.age.low", section=("inputs", "age"), values={"low": 0}, sentence="no row is below 0", share=1)))
    [inputs.age]
    # no row is below 0
    low = 0
    """
    lines = [section_text(suggestion.section), comment(suggestion.sentence)]
    return "\n".join([*lines, *(f"{key_text(key)} = {inline(value)}" for key, value in suggestion.values.items())])


def as_comment(suggestion: Suggestion) -> list[str]:
    """The same as commented lines of its section; the first names the keys, each of which counts once the ``# `` before it is gone."""
    keys = f" ({', '.join(suggestion.values)})" if suggestion.values else ""
    head = comment(f"{MARK} {suggestion.id}{keys}: {suggestion.sentence}")
    return [head, *(f"# {key_text(key)} = {inline(value)}" for key, value in suggestion.values.items())]


def _sections(contract: Contract) -> Iterator[tuple[tuple[str, ...], Input]]:
    yield from ((("inputs", field.name), field) for field in contract.inputs)
    yield from ((("target",) if field is contract.target else ("data", field.name), field) for field in contract.training_only)
    yield from ((("outputs", field.name), field) for field in contract.outputs)


def _of_field(section: tuple[str, ...], field: Input, array: Array, contract: Contract, named: Mapping[str, Array]) -> Iterator[Suggestion]:
    if isinstance(field, Column):
        proposals = of_column(field, array, contract, named)
    elif isinstance(field, Tensor):
        proposals = of_output_tensor(array) if section[0] == "outputs" else of_input_tensor(field, array)
    else:
        proposals = of_text(field, array)
    used: set[str] = set()
    for proposal in proposals:
        keys = set(proposal.values)
        if any(_is_said(field, key) for key in keys) or keys & used:
            continue
        used |= keys
        yield Suggestion(
            id=dotted((*section, proposal.what)).replace(",", "\\u002c"),  # several ids are told apart by commas
            section=section,
            values=proposal.values,
            sentence=proposal.sentence,
            share=proposal.share,
        )


def _is_said(field: Input, key: str) -> bool:
    """Whether a person declared it, or it stands in the contract already; that nulls may be there was only read off an example."""
    if key in (field.declared or ()):
        return True
    default: Any = next(info.default for info in msgspec.structs.fields(type(field)) if info.name == key)
    value = getattr(field, key)
    return key != "nullable" and value not in (UNSET, None, (), "") and value != default
