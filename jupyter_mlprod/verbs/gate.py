"""``gate``: a notebook is re-run and what it made is judged; a bundle is judged on its stored evidence.

Whatever can be measured without the notebook is measured again here, after it has ended. In a kernel the same verb reaches a verdict of
scope ``notebook``, which fails the notebook when it is not pass and never allows a promotion.
"""

import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from jupyter_mlprod.core.bundle import GOLDEN_ANSWERS, GOLDEN_INPUTS, Bundle
from jupyter_mlprod.core.checked import count
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.evidence import Evidence, Kind, Measure
from jupyter_mlprod.core.notebook import Notebook, read_notebook, typed_parameters
from jupyter_mlprod.core.policy import EXECUTION, RELEASE_POLICY, Policy, parity_limit, self_reported
from jupyter_mlprod.core.ports import CellRun, NotebookRun, Ports
from jupyter_mlprod.core.promotion import check_comparison, move_alias, release_policy
from jupyter_mlprod.core.record import Record, digest, short
from jupyter_mlprod.core.release import CHAMPION, Release, holder
from jupyter_mlprod.core.remeasure import contract_measures, parity_measures
from jupyter_mlprod.core.requests.gate import Gate
from jupyter_mlprod.core.resolve import Found, check_trust, find_bundle, keep
from jupyter_mlprod.core.scan_measures import scan_measures
from jupyter_mlprod.core.subject import check_name
from jupyter_mlprod.core.verdict import WORSE, Verdict, combine, judge, worst

NOTEBOOK = ".ipynb"
CELLS = EXECUTION.rules[0].measure
MEASURED_AGAIN: tuple[Kind, ...] = ("scan", "integrity", "contract", "parity", "release")
"""Kinds that a gate measures itself; a stored record that claims to be the runner's is not needed for these, so it is not believed. Of the
contract that is what golden samples can show; what a check found on other rows is not measured again."""
GOLDEN = "golden samples"


def run(request: Gate, ports: Ports) -> Verdict:
    """Judge every subject; of several, the worst outcome stands."""
    policy = release_policy(ports, request.policy)
    if request.promote:
        check_name(request.promote, what="alias")
        if policy.name != RELEASE_POLICY:
            raise MlprodError(Code.BAD_REQUEST, f"--promote needs the policy {RELEASE_POLICY!r}, not {policy.name!r}")
    notebooks = [subject for subject in request.subjects if subject.endswith(NOTEBOOK)]
    if not request.subjects:
        raise MlprodError(Code.BAD_REQUEST, "gate needs a notebook or a bundle", hint="mlprod gate NOTEBOOK.ipynb")
    if request.output and len({Path(notebook).name for notebook in notebooks}) < len(notebooks):
        raise MlprodError(Code.BAD_REQUEST, "two notebooks of one name would overwrite each other in -o", hint="gate them one by one")
    if ports.run_folder and request.promote:
        raise MlprodError(Code.BAD_REQUEST, "--promote is for outside: inside a gate run, promote asks and the gate carries it out")
    if ports.run_folder and notebooks:
        raise MlprodError(Code.BAD_REQUEST, "a notebook inside a gate run cannot gate a notebook")
    if request.parameters and len(notebooks) != len(request.subjects):
        raise MlprodError(Code.BAD_REQUEST, "-p is for notebooks; a bundle has no parameters")
    if policy is EXECUTION and len(notebooks) != len(request.subjects):
        raise MlprodError(Code.BAD_REQUEST, "the policy 'execution' asks about cells, and a bundle has none")
    for path in notebooks:  # all of them are known to be good before the first one runs
        _read(Path(path), request)
    verdicts = [
        _notebook(subject, request, policy, ports) if subject in notebooks else _bundle(subject, request, policy, ports)
        for subject in request.subjects
    ]
    if len(verdicts) == 1:
        return verdicts[0]
    subjects = ",".join(sorted({verdict.subject for verdict in verdicts}))
    whole = combine(verdicts, subject=subjects, about=", ".join(verdict.about for verdict in verdicts), now=ports.now())
    ports.records.put(whole)
    return whole


def _bundle(subject: str, request: Gate, policy: Policy, ports: Ports) -> Verdict:
    """The verdict on one bundle; by a notebook about itself, only on what it measured in this run."""
    found = find_bundle(subject, ports)
    stored = ports.records.about(Evidence, found.digest)
    if ports.run_folder:
        listed = set(ports.records.journaled())
        stored = tuple(record for record in stored if digest(record) in listed)
    stored = tuple(record for record in stored if record.taken_by == "notebook" or record.kind not in MEASURED_AGAIN or _is_check(record))
    verdict = _judged(found, policy, stored, ports)
    run = _run_that_made(found.digest, ports)
    if run is not None and ports.taken_by == "runner":
        verdict = combine([verdict, run], subject=found.digest, about=verdict.about, now=ports.now())
    ports.records.put(verdict)
    if request.promote and verdict.outcome == "pass":
        keep(found, ports)
        _promote(found.bundle.name, request.promote, verdict, policy, ports, why="mlprod gate --promote")
    return verdict


def _run_that_made(bundle: str, ports: Ports) -> Verdict | None:
    """What the newest gate run that made a bundle says of its cells, if they did not all run: evidence of half a notebook is half."""
    runs = [verdict for verdict in ports.records.about(Verdict, bundle) if any(f.rule.measure == CELLS for f in verdict.findings)]
    newest = max(runs, key=lambda verdict: verdict.decided_at, default=None)
    if newest is None:
        return None
    cells = tuple(finding for finding in newest.findings if finding.rule.measure == CELLS and finding.outcome != "pass")
    whole = msgspec.structs.replace(
        newest, policy=EXECUTION.name, findings=cells, outcome=worst(f.outcome for f in cells), evidence=(), parts=()
    )
    return whole if cells else None


def _is_check(record: Evidence) -> bool:
    """Whether it is about rows that somebody gave; sound images of a folder say nothing of the whole."""
    whole = any(measure.name == "violations" and not measure.where for measure in record.measures)
    return record.kind == "contract" and record.context.get("data") != GOLDEN and whole


def _broken(record: Evidence) -> bool:
    """Whether a check found violations."""
    return record.kind == "contract" and any(measure.name == "violations" and measure.value > 0 for measure in record.measures)


def _judged(found: Found, policy: Policy, stored: Sequence[Evidence], ports: Ports) -> Verdict:
    checks = [record for record in stored if _is_check(record)]
    newest = max(checks, key=lambda record: record.taken_at, default=None)
    again = _measured_again(found, ports)
    if newest is not None and _broken(newest):  # rows that broke the contract are not made good by golden samples that keep it
        again = [record for record in again if record.kind != "contract"]
    evidence = [*stored, *again]
    if ports.taken_by == "runner":
        return msgspec.structs.replace(judge(policy, evidence, subject=found.digest, now=ports.now()), about=found.bundle.name)
    own = judge(self_reported(policy), evidence, subject=found.digest, now=ports.now())
    return msgspec.structs.replace(own, about=found.bundle.name, scope="notebook")


def _measured_again(found: Found, ports: Ports) -> list[Evidence]:
    """What this process measures for itself: digests and pickle, contract and parity of the golden samples, whether there is a champion."""
    check_trust(found, ports, trust="")
    fault = ports.signer.signature_fault(found.folder, found.bundle.name, found.digest)
    inputs = ports.data.read(str(found.folder / GOLDEN_INPUTS))
    answers = ports.data.read(str(found.folder / GOLDEN_ANSWERS))
    assert isinstance(answers, Mapping)
    runtime = ports.runtimes.open(found.folder, found.bundle, threads=1)
    champion = holder(ports.ledger.entries(found.bundle.name), CHAMPION)
    taken: list[tuple[Kind, tuple[Measure, ...]]] = [
        ("scan", scan_measures(found.folder, found.bundle, ports.bundles.faults(found.folder)[1], ports)),
        ("integrity", (count("signature_faults", int(bool(fault)), n=1, note=fault),)),
        ("contract", contract_measures(found.bundle.contract, inputs)),
        ("parity", parity_measures(found.bundle, runtime, inputs, answers, per_batch=False, limit=parity_limit(ports.policies))),
        ("release", (count("champions", int(champion is not None), n=1),)),
    ]
    context = {**ports.runtimes.context(), "data": GOLDEN, "champion": champion.bundle if champion else ""}
    evidence = [
        Evidence(kind=kind, subject=found.digest, taken_at=ports.now(), taken_by=ports.taken_by, measures=measures, context=context)
        for kind, measures in taken
    ]
    for record in evidence:
        ports.records.put(record)
    return evidence


def _read(file: Path, request: Gate) -> tuple[Notebook, dict[str, Any]]:
    """A notebook and its typed parameters."""
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise MlprodError(Code.BAD_NOTEBOOK, f"{file} cannot be read: {reason}") from None
    notebook = read_notebook(text, name=file.name)
    return notebook, typed_parameters(notebook, request.parameters)


def _notebook(path: str, request: Gate, policy: Policy, ports: Ports) -> Verdict:
    """Re-run, collect, measure again, judge, and only then carry out the promotions that were asked for."""
    file = Path(path)
    notebook, parameters = _read(file, request)
    started = ports.now()
    run_folder = ports.root / ".mlprod" / "runs" / f"{started:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
    output = (Path(request.output) if request.output else run_folder) / file.name
    if output.exists() and output.resolve() == file.resolve():
        raise MlprodError(Code.BAD_REQUEST, f"the executed notebook would overwrite {path}", hint="give another folder to -o")
    try:
        run_folder.mkdir(parents=True)
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MlprodError(Code.DISK, f"{error.filename} could not be made: {error.strerror}") from error
    subject = ports.records.put(notebook)
    done = ports.runner.run(
        file.resolve(),
        parameters=parameters,
        output=output.resolve(),
        run_folder=run_folder.resolve(),
        cell_timeout_s=request.cell_timeout,
    )
    ports.tell(f"executed notebook: {output}")
    made = _Made(done, ports)
    execution = msgspec.structs.replace(
        _execution(
            done, None if policy is EXECUTION else made.stopped_on_verdict(), subject=subject, parameters=request.parameters, ports=ports
        ),
        about=file.name,
    )
    return _verdict_on_run(made, execution, policy, request, subject=subject, ports=ports)


class _Made:
    """The records that a run's cells wrote, by type. Evidence of a cell that claims to be the runner's is not looked at."""

    def __init__(self, done: NotebookRun, ports: Ports) -> None:
        self.by_cell: list[tuple[CellRun, tuple[Record, ...]]] = [
            (cell, tuple(map(ports.records.get, cell.records))) for cell in done.cells
        ]
        records = [record for _, made in self.by_cell for record in made]
        self.bundles = {digest(record): record for record in records if isinstance(record, Bundle)}
        self.evidence = [record for record in records if isinstance(record, Evidence) and record.taken_by == "notebook"]
        self.verdicts = [record for record in records if isinstance(record, Verdict)]
        self.asked = [record for record in records if isinstance(record, Release) and record.state == "asked"]

    def stopped_on_verdict(self) -> int | None:
        """Index of the failed cell that ended on its own verdict, if the first failed cell did."""
        for cell, records in self.by_cell:
            if cell.status == "failed":
                refused = any(isinstance(record, Verdict) and record.outcome != "pass" for record in records)
                return cell.index if refused else None
        return None


def _execution(done: NotebookRun, stop: int | None, *, subject: str, parameters: Mapping[str, str], ports: Ports) -> Verdict:
    """Whether every cell ran to its end. A cell that a verdict stopped, and those after it, are that verdict's business."""
    bad = [cell for cell in done.cells if cell.status != "completed" and (stop is None or cell.index < stop)]
    failed = [f"cell {cell.index}: {cell.error or cell.status}" for cell in bad if cell.status == "failed"]
    unrun = len(bad) - len(failed)
    never = [f"{unrun} cell{'s' if unrun > 1 else ''} never ran"] if unrun else []
    stopped = [f"cell {stop} stopped on its own verdict"] if stop is not None else []
    note = "; ".join([*failed[:3], *never, *stopped])
    measures = (count("cells_not_ok", len(bad), n=len(done.cells), note=note), count("cells", len(done.cells), n=len(done.cells)))
    context = {**ports.machine.context(), **{f"parameter {name}": value for name, value in parameters.items()}}
    evidence = Evidence(
        kind="execution", subject=subject, taken_at=ports.now(), taken_by=ports.taken_by, measures=measures, context=context
    )
    ports.records.put(evidence)
    policy = EXECUTION if ports.taken_by == "runner" else self_reported(EXECUTION)
    return judge(policy, [evidence], subject=subject, now=ports.now())


def _verdict_on_run(made: _Made, execution: Verdict, policy: Policy, request: Gate, *, subject: str, ports: Ports) -> Verdict:
    if policy is EXECUTION:
        ports.records.put(execution)
        return execution
    verdicts = {name: _judged(find_bundle(name, ports), policy, made.evidence, ports) for name in made.bundles}
    parts = [execution, *verdicts.values()] if verdicts else [execution, judge(policy, [], subject=subject, now=ports.now())]
    refused = [verdict for verdict in made.verdicts if WORSE.index(verdict.outcome) > WORSE.index(worst(part.outcome for part in parts))]
    whole = combine(parts + refused[:1], subject=subject, about=execution.about, now=ports.now())
    proven = {
        name: combine([execution, verdict, *refused[:1]], subject=name, about=verdict.about, now=ports.now())
        for name, verdict in verdicts.items()
    }
    for verdict in (*proven.values(), whole, *parts[1:]):
        ports.records.put(verdict)
    if whole.outcome == "pass":
        for name, verdict in proven.items():
            _promotions(made, name, verdict, policy, request, ports)
    return whole


def _promotions(made: _Made, name: str, verdict: Verdict, policy: Policy, request: Gate, ports: Ports) -> None:
    """What the notebook or the command asked for, on one bundle of a run that has passed."""
    bundle = made.bundles[name]
    asked = {release.alias: release.why for release in made.asked if release.bundle == name}
    if request.promote:
        asked.setdefault(request.promote, "mlprod gate --promote")
    for alias, why in asked.items():
        if policy.name != RELEASE_POLICY:
            ports.tell(f"{bundle.name} is not promoted to {alias}: that needs the policy {RELEASE_POLICY!r}, not {policy.name!r}")
        else:
            _promote(bundle.name, alias, verdict, policy, ports, why=why)


def _promote(name: str, alias: str, verdict: Verdict, policy: Policy, ports: Ports, *, why: str) -> None:
    if ports.taken_by != "runner":
        raise MlprodError(
            Code.NOT_PROVEN, "a notebook's own verdict promotes nothing", hint=f"mlprod gate {short(verdict.subject)} --promote {alias}"
        )
    entries = check_comparison(verdict, policy, ports, name=name, bundle=verdict.subject)
    release = move_alias(entries, alias, verdict.subject, ports, name=name, action="promote", verdict=digest(verdict), why=why)
    ports.tell(f"{name}@{alias} is now version {release.version} ({short(release.bundle)})")
