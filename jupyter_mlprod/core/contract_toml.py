"""A contract as ``contract.toml``, and a ``contract.toml`` as a contract by itself, without an example that it is laid over.

What is written is read back as the same contract, with what a person declared and what was only read off data told apart: the names of the
latter stand in ``inferred``.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import UNSET

from jupyter_mlprod.core.contract import Column, Contract, Expected, Input, Tensor, Text
from jupyter_mlprod.core.contract_edit import ContractEdit, DataEdit, FieldEdit, OutputEdit, edited
from jupyter_mlprod.core.document import decode_toml, did_you_mean, line_numbers, line_of
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.toml_line import comment, inline, key_text, section_text

Section = tuple[str, ...]
ALWAYS = {"type", "dtype", "shape", "nullable"}
"""Keys that are written whatever they say, so that a person sees what is in force."""
OF_A_TEXT = {"longest", "pii", "on_violation", "inferred"}
LONGEST_BYTES = 8_000_000
HINT = "docs/contract.md lists every key"


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """A contract that was read, and what of the document it does not hold."""

    contract: Contract
    left_out: tuple[str, ...] = ()


def contract_toml(contract: Contract, *, head: Iterable[str] = (), proposals: Mapping[Section, Iterable[str]] | None = None) -> str:
    """The document.

    Parameters
    ----------
    head : lines of the comment that it begins with
    proposals : section → commented lines that stand at its end
    """
    given = proposals or {}
    blocks = ["\n".join(comment(line) for line in head)]
    blocks.append(f"on_violation = {inline(contract.on_violation)}" if contract.on_violation else "")
    for section, keys in _tables(contract):
        lines = [f"{key_text(key)} = {inline(value)}" for key, value in keys.items()]
        blocks.append("\n".join([section_text(section), *lines, *given.get(section, ())]))
    return "\n\n".join(block for block in blocks if block) + "\n"


def _tables(contract: Contract) -> Iterator[tuple[Section, dict[str, Any]]]:
    for field in contract.inputs:
        yield ("inputs", field.name), _keys(field, FieldEdit)
    for output in contract.outputs:
        yield ("outputs", output.name), _keys(output, OutputEdit)
    if contract.target is not None:
        yield ("target",), {"name": contract.target.name, **_keys(contract.target, DataEdit)}
    for column in contract.training or ():
        yield ("data", column.name), _keys(column, DataEdit)
    if contract.rules:
        yield ("rules",), dict(contract.rules)
    for name, struct in (("rows", contract.rows), ("freshness", contract.freshness)):
        if struct:
            said = msgspec.to_builtins(struct)
            yield (name,), {key: value for key, value in said.items() if value not in (None, "")}


def _keys(field: Input, edit: type[FieldEdit | OutputEdit | DataEdit]) -> dict[str, Any]:
    """What a field says, in the order of its members, and which of it was inferred."""
    declared = set(field.declared or ())
    said: dict[str, Any] = {}
    for member in msgspec.structs.fields(type(field)):
        value = getattr(field, member.name)
        if member.name in ("name", "declared") or member.name not in edit.__struct_fields__ or value is None or value is UNSET:
            continue
        if member.name in ALWAYS or member.name in declared or value != member.default:
            said[member.name] = _expected(value) if isinstance(value, Expected) else value
    inferred = [name for name in said if name not in declared]
    return {**said, "inferred": inferred} if inferred else said


def _expected(expected: Expected) -> dict[str, Any]:
    said = {"values": list(expected.values), "edges": list(expected.edges), "shares": list(expected.shares)}
    kept: dict[str, Any] = {key: value for key, value in said.items() if value or key == "shares"}
    return kept if expected.at_most == Expected(shares=()).at_most else {**kept, "at_most": expected.at_most}


def read_contract(text: str, *, name: str) -> Read:
    """The contract that a document holds by itself.

    Raises
    ------
    MlprodError : ``bad-contract`` with every fault and its line; a document whose fields say no type is one to be laid over an example.
    """
    edit = read_edit(text, name=name)
    read, faults = contract_of(edit)
    if faults:
        raise MlprodError(Code.BAD_CONTRACT, located(faults, text, name=name), hint=HINT)
    return read


def read_edit(text: str, *, name: str) -> ContractEdit:
    """What a document declares, to be laid over an example or standing by itself.

    Raises
    ------
    MlprodError : ``bad-contract`` with every fault and its line, among them names in ``inferred`` that its section does not say.
    """
    if len(text) > LONGEST_BYTES:
        raise MlprodError(Code.BAD_CONTRACT, f"{name} is longer than {LONGEST_BYTES:,} characters")
    edit = decode_toml(text, ContractEdit, name=name, code=Code.BAD_CONTRACT)
    faults: list[str] = []
    for path, field in _edits(edit):
        said = [key for key in field.__struct_fields__ if key != "inferred" and getattr(field, key) is not None]
        lost = [word for word in field.inferred if word not in said]
        faults += [f"[{'.'.join(path)}] inferred names {word[:80]!r}, which is not said there{did_you_mean(word, said)}" for word in lost]
    if faults:
        raise MlprodError(Code.BAD_CONTRACT, located(faults, text, name=name), hint=HINT)
    return edit


def check_text(text: str, *, name: str) -> ContractEdit:
    """A document that is read and, where it is a contract by itself, held against itself.

    Raises
    ------
    MlprodError : ``bad-contract`` with every fault and its line.
    """
    edit = read_edit(text, name=name)
    faults = contract_of(edit)[1] if is_whole(edit) else ()
    if faults:
        raise MlprodError(Code.BAD_CONTRACT, located(faults, text, name=name), hint=HINT)
    return edit


def _edits(edit: ContractEdit) -> Iterator[tuple[Section, FieldEdit | OutputEdit | DataEdit]]:
    yield from ((("inputs", name), field) for name, field in edit.inputs.items())
    yield from ((("outputs", name), output) for name, output in edit.outputs.items())
    yield from ((("data", name), data) for name, data in edit.data.items())
    if edit.target is not None:
        yield ("target",), edit.target


def is_whole(edit: ContractEdit) -> bool:
    """Whether every input says what it is, so that the document is a contract by itself."""
    return bool(edit.inputs) and all(not isinstance(_bare(name, field, len(edit.inputs)), str) for name, field in edit.inputs.items())


def contract_of(edit: ContractEdit) -> tuple[Read, tuple[str, ...]]:
    """The contract, and the faults found on the way; with faults it is not to be used."""
    bare = [_bare(name, field, len(edit.inputs)) for name, field in edit.inputs.items()]
    faults = [fault for fault in bare if isinstance(fault, str)]
    if not bare:
        faults.append("there is no [inputs.NAME]: a contract has inputs")
    if faults:
        return Read(contract=Contract(inputs=(Text(name="none"),), outputs=())), tuple(faults)
    known = {name: one for name, one in edit.outputs.items() if one.dtype is not None and one.shape is not None}
    outputs = tuple(Tensor(name=name, dtype=str(one.dtype), shape=one.shape or ()) for name, one in known.items())
    left = [f"[outputs.{name}] says no dtype and shape, which a model shows" for name in edit.outputs if name not in known]
    left += [f"[data.{name}] says no type, so it is only withheld" for name, one in edit.data.items() if one.type is None]
    base = Contract(inputs=tuple(field for field in bare if not isinstance(field, str)), outputs=outputs)
    contract, found = edited(base, msgspec.structs.replace(edit, outputs=known))
    return Read(contract=contract, left_out=tuple(left)), found


def _bare(name: str, field: FieldEdit, inputs: int) -> Input | str:
    """The field that a section speaks of, or why that is not known."""
    if field.type is not None:
        return Column(name=name, type=field.type)
    if field.dtype is not None and field.shape is not None:
        return Tensor(name=name, dtype=field.dtype, shape=field.shape)
    said = {key for key in field.__struct_fields__ if getattr(field, key) not in (None, ())}
    if inputs == 1 and said <= OF_A_TEXT:
        return Text(name=name)
    return f"[inputs.{name}] says neither the type of a column nor dtype and shape of a tensor"


FIRST_WORD = re.compile(r"\w+")


def located(faults: Iterable[str], text: str, *, name: str) -> str:
    """One line a fault, each with the line of the document that it speaks of."""
    lines = line_numbers(text)
    return "\n".join(f"{name}:{_line(fault, lines)}: {fault}" for fault in faults)


def _line(fault: str, lines: Mapping[tuple[str | int, ...], int]) -> int:
    """The line of the key that stands after the section in brackets, else that of the section, else the first."""
    sections = [path for path in lines if path and fault.startswith(f"[{'.'.join(map(str, path))}] ")]
    if not sections:
        return line_of((), dict(lines))
    path = max(sections, key=len)
    rest = fault[len(".".join(map(str, path))) + 3 :]
    keys = [(*path, key) for key in (rest.partition(":")[0], *FIRST_WORD.findall(rest)[:1])]
    return next((lines[key] for key in keys if key in lines), lines[path])
