"""``scan``: what lies in a bundle, a file or a notebook, without running any of it.

A text that names a file is that file; a bare word such as ``digits`` is a bundle even when a file of that name lies here, and ``./digits``
is the file. A file's evidence is about the sha256 of the bytes that were looked at, so that it holds wherever the file goes and for
nothing else that lies there by then.
"""

from pathlib import Path

from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.evidence import Evidence, Measure
from jupyter_mlprod.core.policy import SCANNED, built_in
from jupyter_mlprod.core.ports import Ports
from jupyter_mlprod.core.record import digest
from jupyter_mlprod.core.requests.scan import Scan
from jupyter_mlprod.core.resolve import locate
from jupyter_mlprod.core.scan_file import NOTEBOOK
from jupyter_mlprod.core.scan_measures import file_measures, notebook_measures, scan_measures
from jupyter_mlprod.core.subject import names_file
from jupyter_mlprod.core.verdict import judge

BUNDLE = ".mlprod"


def run(request: Scan, ports: Ports) -> Evidence:
    """Look, count, and keep the evidence. A bundle that was tampered with is a finding here, not an error."""
    evidence = _file(Path(request.subject), request, ports) if _is_file(request.subject) else _bundle(request, ports)
    ports.records.put(evidence)
    _tell_the_worst(request.subject, evidence, ports)
    return evidence


def _is_file(subject: str) -> bool:
    written_as_one = Path(subject).suffix != "" or "/" in subject or "\\" in subject
    return written_as_one and not subject.endswith(BUNDLE) and names_file(subject)


def _bundle(request: Scan, ports: Ports) -> Evidence:
    try:
        folder = locate(request.subject, ports)
    except MlprodError as error:
        if error.code is not Code.UNKNOWN_SUBJECT or not Path(request.subject).suffix:
            raise
        raise MlprodError(error.code, f"there is no file {request.subject[:200]!r}, and {error.message}", hint=error.hint) from None
    if not folder.exists():
        raise MlprodError(Code.UNKNOWN_SUBJECT, f"there is no file or folder {request.subject[:200]!r}")
    bundle, faults = ports.bundles.faults(folder)
    if bundle is None:
        raise MlprodError(Code.BUNDLE_BROKEN, "; ".join(faults))
    measures = scan_measures(folder, bundle, faults, ports, advisories=request.advisories)
    return Evidence(kind="scan", subject=digest(bundle), taken_at=ports.now(), taken_by=ports.taken_by, measures=measures)


def _file(path: Path, request: Scan, ports: Ports) -> Evidence:
    """Of a file or a notebook; what cannot be read is refused, for nothing is known of it."""
    is_notebook = path.suffix == NOTEBOOK
    if request.advisories:
        raise MlprodError(Code.BAD_REQUEST, "--advisories is for bundles: a file names no packages")
    (look,) = ports.inspector.look([path])
    if look.unread:
        raise MlprodError(Code.BAD_NOTEBOOK if is_notebook else Code.BAD_DATA, f"{path} cannot be read: {look.unread}")
    if not look.digest:  # whoever looked ended before it knew the bytes, so that there is nothing to give evidence of
        raise MlprodError(Code.BAD_DATA, f"{path}: {'; '.join(map(str, look.spots))}")
    measures: tuple[Measure, ...] = notebook_measures(look) if is_notebook else file_measures(look)
    context = {SCANNED: "notebook" if is_notebook else "file", "file": path.name, "bytes": f"{look.size:,}"}
    return Evidence(
        kind="scan", subject=look.digest, taken_at=ports.now(), taken_by=ports.taken_by, measures=measures, context=context
    )  # fmt: skip


def _tell_the_worst(subject: str, evidence: Evidence, ports: Ports) -> None:
    """Each kind of finding that decides the exit status, in one line beside the table."""
    policy = built_in(evidence.kind, evidence.context)
    assert policy is not None
    for finding in judge(policy, [evidence], subject=evidence.subject, now=evidence.taken_at).findings:
        if finding.outcome != "pass":
            ports.tell(f"{subject[:200]}: {finding.rule.measure}: {finding.reason}")
