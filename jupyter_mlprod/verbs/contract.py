"""``contract``: infer one from data, show or export it, compare two, edit ``contract.toml``.

Data propose and a person confirms: what is read off data is in force only as far as types and nulls go, and is listed as inferred; all
else stands in the file as comments.
"""

import json
import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from jupyter_mlprod.core import contract as noun
from jupyter_mlprod.core.contract_change import accepted, changes, confirmations, key_path, value_of
from jupyter_mlprod.core.contract_data import contract_of_data, framed
from jupyter_mlprod.core.contract_diff import contract_diff
from jupyter_mlprod.core.contract_edit import ContractEdit
from jupyter_mlprod.core.contract_named import is_model, named_contract, names_toml, toml_file
from jupyter_mlprod.core.contract_toml import Read, check_text, contract_toml, is_whole, read_edit
from jupyter_mlprod.core.demands import types_read
from jupyter_mlprod.core.document import did_you_mean
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.form_json_schema import json_schema
from jupyter_mlprod.core.form_mlflow import mlflow_signature
from jupyter_mlprod.core.form_pandera import pandera_source
from jupyter_mlprod.core.held import source_of, view_of
from jupyter_mlprod.core.listing import Listing
from jupyter_mlprod.core.portrait import CELL, Portrait
from jupyter_mlprod.core.portray import portray
from jupyter_mlprod.core.ports import Ports
from jupyter_mlprod.core.raw import raw_digest, rows
from jupyter_mlprod.core.record import Record, digest, short, with_digest
from jupyter_mlprod.core.requests.contract import Contract
from jupyter_mlprod.core.suggest import as_comment, suggestions

OPTIONS = {
    "infer": {"target", "out"}, "show": {"data", "to", "out"}, "diff": {"other"}, "edit": {"set", "accept", "confirm"},
}  # fmt: skip
"""What each action takes besides its subject."""
FRAMES = (".parquet", ".csv")
"""Files that hold a frame; what another holds, the live value has said."""
WANTED = {
    "infer": "data to infer from, or an MLflow model",
    "show": "a bundle, a contract.toml or an MLflow model",
    "diff": "two contracts, each a bundle, a contract.toml or an MLflow model",
    "edit": "a contract.toml",
}


def run(request: Contract, ports: Ports) -> Record:
    """The contract, or for ``diff`` and ``edit`` a table of what differs."""
    _check_options(request)
    match request.action:
        case "infer":
            return _infer(request, ports)
        case "show":
            return _show(request, ports)
        case "diff":
            return _diff(request, ports)
        case "edit":
            return _edit(request, ports)


def _check_options(request: Contract) -> None:
    """An option of another action would be passed over in silence."""
    defaults = {"to": "record"}
    given = {name for names in OPTIONS.values() for name in names if getattr(request, name) not in (defaults.get(name, ""), (), {}, "")}
    wrong = sorted(given - OPTIONS[request.action])
    if wrong:
        words = ", ".join("a second subject" if name == "other" else f"--{name}" for name in wrong)
        raise MlprodError(Code.BAD_REQUEST, f"contract {request.action} takes no {words}", hint="mlprod contract --help")
    if not request.subject or (request.action == "diff" and not request.other):
        raise MlprodError(Code.BAD_REQUEST, f"contract {request.action} needs {WANTED[request.action]}", hint="mlprod contract --help")


def _infer(request: Contract, ports: Ports) -> noun.Contract:
    _check_out(request.out)
    if is_model(request.subject):
        if request.target:
            raise MlprodError(Code.BAD_REQUEST, "--target is of data, and a signature has none")
        read = named_contract(request.subject, ports)
        head = [f"Inferred from the signature of {request.subject}, {ports.now():%Y-%m-%d}.", *_explained(0)]
        return _proposed(request, read, head=head, proposals={}, ports=ports)
    raw = ports.data.read(request.subject)
    if Path(request.subject).suffix in FRAMES:
        raw = framed(raw, target=request.target)
    read = contract_of_data(raw, target=request.target)
    proposals: dict[tuple[str, ...], list[str]] = {}
    for one in suggestions(read.contract, raw):
        proposals.setdefault(one.section, []).extend(as_comment(one))
    path = Path(request.subject)
    name = "live data" if path.resolve().is_relative_to(ports.scratch.resolve()) else path.name
    head = [f"Inferred from {name}, {rows(raw):,} rows, {short(raw_digest(raw))}, {ports.now():%Y-%m-%d}.", *_explained(len(proposals))]
    return _proposed(request, read, head=head, proposals=proposals, ports=ports)


def _explained(sections: int) -> Iterable[str]:
    yield "What `inferred` lists was read off the data; once you have looked at it: mlprod contract edit FILE --confirm NAMES, or all."
    if sections:
        yield "A suggestion is in force once the mark before its keys is gone: mlprod contract edit FILE --accept NAMES, or all."


def _proposed(
    request: Contract, read: Read, *, head: list[str], proposals: dict[tuple[str, ...], list[str]], ports: Ports
) -> noun.Contract:
    text = contract_toml(read.contract, head=[*head, *read.left_out], proposals=proposals)
    _told(read.left_out, ports)
    _given(text, request.out, ports)
    if request.out and proposals:
        found = sum(line.startswith("# suggestion ") for lines in proposals.values() for line in lines)
        ports.tell(f"{found} suggestions stand in it as comments: mlprod contract edit {request.out} --accept NAMES, or all")
    return read.contract


def _show(request: Contract, ports: Ports) -> noun.Contract | Portrait:
    _check_out(request.out)
    read = named_contract(request.subject, ports)
    _told(read.left_out, ports)
    contract = read.contract
    if request.data:
        if request.out or request.to != "record":
            raise MlprodError(Code.BAD_REQUEST, "contract show --data takes no --to and no --out", hint="mlprod contract --help")
        return _beside(request, contract, ports)
    unsaid: tuple[str, ...] = ()
    match request.to:
        case "record":
            text = json.dumps(with_digest(contract), indent=1) + "\n" if request.out else ""
        case "toml":
            text = contract_toml(contract)
        case "json-schema":
            schema, unsaid = json_schema(contract)
            text = json.dumps(schema, indent=1, ensure_ascii=False) + "\n"
        case "mlflow":
            signature, unsaid = mlflow_signature(contract)
            text = json.dumps(signature, indent=1, ensure_ascii=False) + "\n"
        case "pandera":
            text, unsaid = pandera_source(contract, digest=digest(contract))
    _given(text, request.out, ports)
    _told((f"not in it: {line}" for line in unsaid), ports)
    return contract


def _beside(request: Contract, contract: noun.Contract, ports: Ports) -> Portrait:
    """The contract beside data, held against it as ``check`` does."""
    raw = ports.data.read(request.data, types=types_read(contract))
    view = view_of(contract, raw if isinstance(raw, Mapping) else ())
    now = ports.now() if view == "serving" else None
    held = ports.frames.check(contract, source_of(contract, request.data, raw), view=view, now=now)
    return portray(contract, raw, about=_about(request.subject, ports), held=held, view=view)


def _about(subject: str, ports: Ports) -> str:
    """A subject as it was written; a file of the magic's own holds a cell of the notebook."""
    return CELL if names_toml(subject) and Path(subject).resolve().is_relative_to(ports.scratch.resolve()) else subject


def _diff(request: Contract, ports: Ports) -> Listing:
    first, second = named_contract(request.subject, ports), named_contract(request.other, ports)
    for word, read in ((request.subject, first), (request.other, second)):
        _told((f"{word}: {line}" for line in read.left_out), ports)
    found = contract_diff(first.contract, second.contract)
    rows = tuple((one.field, one.what, one.first, one.second, one.breaks) for one in found)
    broken = sum(one.breaks == "yes" for one in found)
    maybe = sum(one.breaks == "maybe" for one in found)
    note = f"callers of the first: {broken} certainly break, {maybe} may" if rows else "both demand the same"
    return Listing(
        title=f"contracts of {request.subject} and {request.other}",
        columns=("field", "what", "first", "second", "breaks callers"),
        rows=rows,
        total=len(rows),
        note=note,
    )


def _edit(request: Contract, ports: Ports) -> Listing:
    if not names_toml(request.subject):
        hint = f"mlprod contract show {request.subject[:80]} --to toml --out contract.toml"
        raise MlprodError(Code.BAD_REQUEST, f"contract edit needs a contract.toml, and {request.subject[:80]!r} is none", hint=hint)
    if not (request.set or request.accept or request.confirm):
        raise MlprodError(Code.BAD_REQUEST, "contract edit needs --set, --accept or --confirm", hint="mlprod contract --help")
    name = Path(request.subject).name
    before = toml_file(request.subject)
    was = read_edit(before, name=name)
    text = accepted(before, request.accept) if request.accept else before
    values = {key_path(key): value_of(value) for key, value in request.set.items()}
    text = ports.toml.changed(text, values) if values else text
    edit = read_edit(text, name=name)
    confirmed = confirmations(tomllib.loads(text), request.confirm, set_now=tuple(values))
    if confirmed:
        text = ports.toml.changed(text, confirmed)
        edit = read_edit(text, name=name)
    _demand_known(was, edit)
    check_text(text, name=f"{name} (as edited)")
    rows = changes(tomllib.loads(before), tomllib.loads(text))
    if text != before:
        ports.write_text(Path(request.subject).resolve(), text)  # what a link names, and not the link
    note = "" if is_whole(edit) else "not every input says its type, so limits are held against it when a model is packaged"
    return Listing(
        title=f"{name} edited", columns=("key", "before", "now"), rows=rows, total=len(rows), note=note if rows else "nothing changed"
    )


def _demand_known(was: ContractEdit, now: ContractEdit) -> None:
    """Refuse a new input that says no type in a document whose inputs all said theirs: it is a misspelt one."""
    new = [name for name in now.inputs if name not in was.inputs]
    if is_whole(was) and not is_whole(now) and new:
        what = f"there is no input {new[0][:80]!r}{did_you_mean(new[0], list(was.inputs)[:20])}"
        raise MlprodError(Code.BAD_CONTRACT, what, hint=f"for a new one, say its type too: --set inputs.{new[0][:80]}.type float")


def _told(lines: Iterable[str], ports: Ports) -> None:
    for line in lines:
        ports.tell(line)


def _check_out(out: str) -> None:
    """Nothing may be there, and the folder around it must be; asked before any work."""
    if not out:
        return
    path = Path(out)
    if not out.isprintable() or not path.name:
        raise MlprodError(Code.BAD_REQUEST, f"{out[:120]!r} is no path to write to")
    if os.path.lexists(path):
        raise MlprodError(
            Code.BAD_REQUEST, f"{out} is there already, and is not overwritten", hint="contract edit changes it; or say --out FILE"
        )
    if not os.path.isdir(path.parent):  # noqa: PTH112  Path.is_dir raises on a name that is too long
        raise MlprodError(Code.BAD_REQUEST, f"there is no folder {str(path.parent)[:200]!r} to write to")


def _given(text: str, out: str, ports: Ports) -> None:
    """A text written where it is wanted, else told."""
    if out:
        ports.write_text(Path(out), text)
        ports.tell(f"wrote {out}")
        return
    _told(text.removesuffix("\n").split("\n") if text else (), ports)
