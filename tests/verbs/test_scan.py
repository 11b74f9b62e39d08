"""Scan of bundles, files and notebooks: what is found, where, masked, and what the exit status says of it."""

import http.server
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jupyter_mlprod.core.bundle import CARD_WORDS
from jupyter_mlprod.core.errors import Code
from jupyter_mlprod.core.evidence import Evidence
from jupyter_mlprod.core.requests import Gate, Scan, Sign
from jupyter_mlprod.core.verdict import Verdict, exit_status
from tests.verbs.tiny import Desk, measure_of

TOKEN = "ghp_" + "a1B2" * 9
PASSWORD = "Tr0ub4dor&3-horse"
MAIL = "jane.doe@corp.io"


def notebook(*cells: dict[str, Any], **metadata: Any) -> str:
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells})


def code(source: str, *outputs: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {"cell_type": "code", "source": source.splitlines(keepends=True), "outputs": outputs, "metadata": metadata, "execution_count": 1}


def names(evidence: Evidence) -> set[str]:
    return {measure.name for measure in evidence.measures}


def test_a_notebook_is_looked_at_in_every_part(bare_desk: Desk) -> None:
    picture = {"output_type": "display_data", "data": {"image/png": "AAAA", "text/html": [f"<b>{MAIL}</b>\n", "x"]}, "metadata": {}}
    stream = {"output_type": "stream", "name": "stdout", "text": ["fine\n", f"\x1b[31mtoken {TOKEN}\x1b[0m\n"]}
    markdown = {"cell_type": "markdown", "source": "call +49 30 901820", "metadata": {}, "attachments": {"a.txt": {"text/plain": TOKEN}}}
    widgets = {"application/vnd.jupyter.widget-state+json": {"state": {"a": {"state": {"value": PASSWORD, "password": PASSWORD}}}}}
    cells = [code("x = 1"), code(f'!pip install x\npassword = "{PASSWORD}"', stream, picture), markdown]
    Path("n.ipynb").write_text(notebook(*cells, widgets=widgets, papermill={"parameters": {"api_key": PASSWORD}}))
    evidence = bare_desk.run(Scan(subject="n.ipynb"), Evidence)
    assert measure_of(evidence, "secrets").value == 5
    assert measure_of(evidence, "secrets", cell="2").note == "line 2: assigned secret Tr…se"
    assert measure_of(evidence, "secrets", cell="2 output 1").note == "line 2: GitHub token gh…B2"
    assert measure_of(evidence, "secrets", cell="3 metadata").value == 1
    assert measure_of(evidence, "secrets", cell="metadata").value == 2
    assert "1 picture was not looked into" in measure_of(evidence, "secrets").note
    assert measure_of(evidence, "personal_data", cell="2 output 2").note == "line 1: email address ja…io"
    assert measure_of(evidence, "personal_data", cell="3").value == 1
    assert measure_of(evidence, "code_findings", cell="2").note == "line 1: runs !pip, which acts on the system"
    assert exit_status(evidence) == 1
    assert not [secret for secret in (TOKEN, PASSWORD, MAIL) if secret in json.dumps([m.note for m in evidence.measures])]


def test_a_notebook_that_opens_processes_and_holds_personal_data_is_not_failed_for_it(bare_desk: Desk) -> None:
    Path("n.ipynb").write_text(notebook(code(f"import subprocess\n%cd x\n%%time\nprint('{MAIL}')\ny = !ls")))
    evidence = bare_desk.run(Scan(subject="n.ipynb"), Evidence)
    assert measure_of(evidence, "code_findings").value == 2
    assert measure_of(evidence, "personal_data").value == 1
    assert exit_status(evidence) == 0
    assert "hostile_code" not in names(evidence)


@pytest.mark.parametrize("text", ["", "{}", "[", "[" * 100_000, "null", '{"cells": 3}', "\x00"])
def test_a_notebook_that_is_none_is_refused(bare_desk: Desk, text: str) -> None:
    Path("n.ipynb").write_text(text)
    assert bare_desk.refused(Scan(subject="n.ipynb")).code is Code.BAD_NOTEBOOK


@pytest.mark.parametrize(
    "cells", [[None, 3, "x", []], [{"source": 3, "outputs": 3, "cell_type": []}], [{"outputs": [None, {"data": [1]}]}]]
)
def test_cells_of_no_form_are_survived(bare_desk: Desk, cells: list[Any]) -> None:
    Path("n.ipynb").write_text(json.dumps({"cells": cells}))
    assert bare_desk.command("scan", "n.ipynb") == 0


def test_a_file_is_a_subject_by_its_bytes_wherever_it_lies(bare_desk: Desk) -> None:
    Path("a.txt").write_text("nothing")
    Path("b.txt").write_text("nothing")
    first, second = (bare_desk.run(Scan(subject=name), Evidence) for name in ("a.txt", "./b.txt"))
    assert first.subject == second.subject
    assert first.context == {"scanned": "file", "file": "a.txt", "bytes": "7"}
    assert exit_status(first) == 0


def test_code_in_a_file_is_judged_with_its_lines(bare_desk: Desk) -> None:
    Path("train.py").write_text("import os as o\n\no.system('x')\n")
    evidence = bare_desk.run(Scan(subject="train.py"), Evidence)
    assert measure_of(evidence, "hostile_code").note == "line 3: uses os.system, which acts on the system"
    assert exit_status(evidence) == 1


def test_a_secret_in_a_table_is_told_by_its_line(bare_desk: Desk) -> None:
    Path("rows.csv").write_text(f"a,b\n1,{TOKEN}\n2,{MAIL}\n")
    evidence = bare_desk.run(Scan(subject="rows.csv"), Evidence)
    assert measure_of(evidence, "secrets").note == "line 2: GitHub token gh…B2"
    assert measure_of(evidence, "personal_data").note == "line 3: email address ja…io"


def test_strings_of_an_array_are_read(bare_desk: Desk) -> None:
    np.save("texts.npy", np.array(["fine", f"token {TOKEN}"]))
    np.savez("texts.npz", a=np.array([b"fine", MAIL.encode()]))
    assert measure_of(bare_desk.run(Scan(subject="texts.npy"), Evidence), "secrets").note == "line 2: GitHub token gh…B2"
    assert measure_of(bare_desk.run(Scan(subject="texts.npz"), Evidence), "personal_data").value == 1


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_rights_is_refused(bare_desk: Desk) -> None:
    Path("a.txt").write_text("x")
    Path("a.txt").chmod(0)
    assert bare_desk.refused(Scan(subject="a.txt")).code is Code.BAD_DATA


def test_a_file_that_nobody_can_open_is_refused(bare_desk: Desk) -> None:
    """As root too, who reads what has no rights."""
    Path("a.txt").symlink_to("a.txt")
    assert bare_desk.refused(Scan(subject="a.txt")).code.status == 2


@pytest.mark.parametrize("subject", ["absent.pt", "dir/absent.pt", "x" * 5000 + ".pt", "/dev/zero"])
def test_what_is_not_there_is_refused(bare_desk: Desk, subject: str) -> None:
    assert bare_desk.refused(Scan(subject=subject)).code.status == 2


def test_code_and_secrets_of_a_bundle_fail_its_scan_and_its_gate(bare_desk: Desk) -> None:
    code = f"import os\nimport numpy as np\n\nKEY = os.environ.get('HOME')\nTOKEN = '{TOKEN}'\n\n\ndef prepare(batch):\n    return np.float32(batch / 2.0)\n"
    Path("prepare.py").write_text(code)
    made = bare_desk.package(0.0)
    evidence = bare_desk.run(Scan(subject=made), Evidence)
    assert "reads the environment" in measure_of(evidence, "hostile_code", file="code/preprocess.py").note
    assert measure_of(evidence, "secrets").value == 1
    assert exit_status(evidence) == 1
    verdict = bare_desk.run(Gate(subjects=(made,)), Verdict)
    assert {finding.rule.measure for finding in verdict.findings if finding.outcome == "fail"} == {"hostile_code", "secrets"}


def test_the_license_of_the_data_is_what_the_card_says_of_it(bare_desk: Desk) -> None:
    made = bare_desk.package(0.0)
    license_of_data = measure_of(bare_desk.run(Scan(subject=made), Evidence), "licenses_unknown", of="data")
    assert (license_of_data.value, license_of_data.note) == (1, "the license of the training data is not provided")
    bare_desk.run(Sign(subject=made, card='data_license = "CC-BY-4.0"'), Evidence)
    license_of_data = measure_of(bare_desk.run(Scan(subject=made), Evidence), "licenses_unknown", of="data")
    assert (license_of_data.value, license_of_data.note) == (0, "CC-BY-4.0, as said for the card")
    (bare_desk.bundle_folder(made) / CARD_WORDS).write_bytes(b"\xff")
    license_of_data = measure_of(bare_desk.run(Scan(subject=made), Evidence), "licenses_unknown", of="data")
    assert license_of_data.value == 1, "words that cannot be read say nothing, and the scan goes on"
    assert "is not UTF-8" in license_of_data.note


# Advisories.


def osv(name: str, *events: dict[str, str], **more: Any) -> dict[str, Any]:
    ranges = [{"type": "ECOSYSTEM", "events": list(events)}]
    return {"id": f"TEST-{name}", "affected": [{"package": {"ecosystem": "PyPI", "name": name}, "ranges": ranges}], **more}


def scanned(desk: Desk, source: str) -> Evidence:
    return desk.run(Scan(subject="tiny", advisories=source), Evidence)


def test_without_a_source_nothing_is_scanned_and_nothing_is_claimed(desk: Desk) -> None:
    evidence = scanned(desk, "")
    unscanned = measure_of(evidence, "packages_unscanned")
    assert unscanned.value == unscanned.n >= 3
    assert "no advisory source was named" in unscanned.note
    assert "vulnerabilities" not in names(evidence)


def test_a_folder_of_advisories_is_matched_by_versions(desk: Desk) -> None:
    folder = Path("osv")
    folder.mkdir()
    records = [
        osv("NumPy", {"introduced": "0"}, {"fixed": "99"}), osv("scipy", {"introduced": "0"}, {"fixed": "0.1"}),
        osv("msgspec", {"introduced": "0"}, {"last_affected": "99"}), osv("packaging", {"introduced": "98"}),
        osv("onnxruntime", {"introduced": "0"}, withdrawn="2026-01-01T00:00:00Z"),
    ]  # fmt: skip
    for index, record in enumerate(records):
        (folder / f"{index}.json").write_text(json.dumps(record))
    evidence = scanned(desk, "osv")
    found = measure_of(evidence, "vulnerabilities")
    assert sorted(line.split()[0] for line in found.note.split("; ")) == ["msgspec", "numpy"]
    assert found.n + measure_of(evidence, "packages_unscanned").value == measure_of(evidence, "packages_unscanned").n
    assert measure_of(evidence, "packages_unscanned").value == 0
    assert exit_status(evidence) == 0, "a policy may ask for none; the scan itself judges what is hostile"


NPM = {"id": "TEST-1", "affected": [{"package": {"ecosystem": "npm", "name": "numpy"}, "versions": ["1"]}]}
LOOK_LIKE_A_SCAN = {
    "nothing": ([], "holds no advisory of PyPI"),
    "another ecosystem": ([json.dumps(NPM)], "holds no advisory of PyPI"),
    "a record cut off": (
        [json.dumps(osv("scipy", {"introduced": "99"})), json.dumps(osv("numpy", {"introduced": "0"}))[:-9]],
        "1 of 2 files",
    ),
    "no record": ([json.dumps(osv("scipy", {"introduced": "99"})), '{"numpy": "all"}'], "no OSV record"),
    "a record of no form": ([json.dumps(osv("scipy", {"introduced": "99"})), '{"id": "x", "affected": {}}'], "no OSV record"),
}


@pytest.mark.parametrize("name", LOOK_LIKE_A_SCAN)
def test_nothing_scanned_is_never_told_as_nothing_found(desk: Desk, name: str) -> None:
    files, reason = LOOK_LIKE_A_SCAN[name]
    Path("osv").mkdir()
    for index, text in enumerate(files):
        Path("osv", f"{index}.json").write_text(text)
    evidence = scanned(desk, "osv")
    unscanned = measure_of(evidence, "packages_unscanned")
    assert unscanned.value == unscanned.n
    assert reason in unscanned.note
    assert "vulnerabilities" not in names(evidence)


def test_what_was_found_is_told_whatever_could_not_be_read(desk: Desk) -> None:
    Path("osv").mkdir()
    Path("osv", "a.json").write_text(json.dumps(osv("numpy", {"introduced": "0"})))
    Path("osv", "b.json").write_text("{")
    evidence = scanned(desk, "osv")
    found, unscanned = measure_of(evidence, "vulnerabilities"), measure_of(evidence, "packages_unscanned")
    assert (found.value, found.n, unscanned.value) == (1, 1, unscanned.n - 1)


@pytest.mark.parametrize("event", [{"introduced": "of old"}, {"introduced": "0", "fixed": "soon"}, {}])
def test_an_advisory_whose_versions_are_none_leaves_its_package_unscanned(desk: Desk, event: dict[str, str]) -> None:
    Path("osv.json").write_text(json.dumps([osv("numpy", event), osv("scipy", {"introduced": "99"})]))
    evidence = scanned(desk, "osv.json")
    unscanned = measure_of(evidence, "packages_unscanned")
    assert unscanned.value == 1
    assert "TEST-numpy names no versions that can be compared" in unscanned.note
    assert measure_of(evidence, "vulnerabilities").n == unscanned.n - 1


def test_a_source_that_is_none_is_refused(desk: Desk) -> None:
    assert desk.refused(Scan(subject="tiny", advisories="absent")).code is Code.BAD_REQUEST


class Index(http.server.BaseHTTPRequestHandler):
    """An index that knows one vulnerability of numpy, and not of scipy."""

    def do_GET(self) -> None:
        name = self.path.split("/")[2]
        body = json.dumps({"info": {}, "vulnerabilities": [{"id": "TEST-1"}] if name == "numpy" else []}).encode()
        self.send_response(404 if name == "scipy" else 200)
        self.end_headers()
        self.wfile.write(b"" if name == "scipy" else body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  named by the base class
        pass


@pytest.fixture
def index() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Index)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/pypi"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_an_index_is_asked_for_every_package_and_what_it_does_not_know_is_unscanned(desk: Desk, index: str) -> None:
    evidence = scanned(desk, index)
    assert measure_of(evidence, "vulnerabilities").value == 1
    assert "TEST-1" in measure_of(evidence, "vulnerabilities").note
    assert measure_of(evidence, "packages_unscanned").value == 1


def test_an_index_that_is_away_leaves_everything_unscanned(desk: Desk) -> None:
    evidence = scanned(desk, "http://127.0.0.1:9/pypi")
    unscanned = measure_of(evidence, "packages_unscanned")
    assert unscanned.value == unscanned.n
    assert "127.0.0.1 did not answer" in unscanned.note
    assert "vulnerabilities" not in names(evidence)
