"""Promotion, rollback, history, verification and gc: what moves an alias, what must not, and what is kept."""

import json
import os
import sqlite3
import subprocess
import sys

import msgspec
import pytest

from jupyter_mlprod.core.errors import Code
from jupyter_mlprod.core.evidence import Evidence
from jupyter_mlprod.core.listing import Listing
from jupyter_mlprod.core.release import Release
from jupyter_mlprod.core.requests import Evaluate, Gate, Gc, History, Predict, Promote, Rollback, Scan, Verify
from jupyter_mlprod.core.verdict import Verdict, exit_status
from tests.verbs.tiny import FIRST, Desk, cells, measure_of

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow.*", "ignore::DeprecationWarning:sqlalchemy.*")


def test_promotion_needs_a_release_verdict_for_exactly_this_digest(desk: Desk) -> None:
    made = desk.package(0.02)
    before = desk.champion()
    assert desk.refused(Promote(subject=made)).code is Code.NOT_PROVEN
    verdict = desk.run(Gate(subjects=(made,)), Verdict, taken_by="notebook")
    assert verdict.scope == "notebook"
    assert desk.refused(Promote(subject=made)).code is Code.NOT_PROVEN
    assert desk.champion() == before


def test_a_changed_policy_voids_a_verdict(desk: Desk) -> None:
    made = desk.proven(0.02)
    settings = desk.folder / "mlprod.toml"
    settings.write_text(settings.read_text().replace("at_least = 0.8", "at_least = 0.7"))
    refusal = desk.refused(Promote(subject=made))
    assert refusal.code is Code.NOT_PROVEN
    assert "policy has changed" in refusal.message


def test_of_two_bundles_judged_against_one_champion_only_the_first_is_promoted(desk: Desk) -> None:
    one, two = desk.proven(0.02), desk.proven(0.03)
    desk.run(Promote(subject=one), Release)
    refusal = desk.refused(Promote(subject=two))
    assert refusal.code is Code.NOT_PROVEN
    assert "today's champion" in refusal.message
    assert desk.champion() == one


def test_rollbacks_go_further_back_and_never_to_and_fro(desk: Desk) -> None:
    second = desk.champion()
    third = desk.release(0.02)
    assert desk.run(Rollback(name="tiny", why="drill"), Release).bundle == second
    first = desk.run(Rollback(name="tiny", why="drill again"), Release).bundle
    assert first not in (second, third)
    assert desk.champion() == first
    assert desk.refused(Rollback(name="tiny", why="and again")).code is Code.NOTHING_BEFORE
    assert cells(desk.run(History(name="tiny"), Listing), "action") == ["promote", "promote", "promote", "rollback", "rollback"]


def test_a_rollback_needs_a_reason(desk: Desk) -> None:
    assert desk.refused(Rollback(name="tiny", why="  ")).code is Code.BAD_REQUEST


def test_verify_sees_an_alias_that_was_moved_behind_our_back(desk: Desk) -> None:
    assert exit_status(desk.run(Verify(subject="tiny@champion"), Verdict)) == 0
    desk.workspace().registry.set_alias("tiny", "champion", 1)
    verdict = desk.run(Verify(subject="tiny@champion"), Verdict)
    assert [finding.rule.measure for finding in verdict.findings if finding.outcome == "fail"] == ["alias_mismatches"]
    desk.run(Promote(subject="tiny@champion"), Release)
    assert exit_status(desk.run(Verify(subject="tiny@champion"), Verdict)) == 0, "promoting the holder again sets the alias right"


def test_verify_sees_an_edited_history(desk: Desk) -> None:
    with sqlite3.connect(desk.folder / ".mlprod" / "ledger.db") as database:
        for (trigger,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f'DROP TRIGGER "{trigger}"')
        database.execute("UPDATE ledger SET record = replace(CAST(record AS TEXT), 'shift', 'shaft')")
    database.close()
    verdict = desk.run(Verify(subject="tiny@champion"), Verdict)
    assert "ledger_breaks" in [finding.rule.measure for finding in verdict.findings if finding.outcome == "fail"]


@pytest.mark.parametrize("harm", ["flip", "add", "remove", "link"])
def test_a_bundle_that_was_tampered_with_is_found_by_scan_and_refused_by_the_rest(desk: Desk, harm: str) -> None:
    folder = desk.bundle_folder(desk.champion())
    graph = folder / "model.onnx"
    match harm:
        case "flip":
            data = bytearray(graph.read_bytes())
            data[len(data) // 2] ^= 1
            graph.write_bytes(data)
        case "add":
            (folder / ".hidden").write_text("x")
        case "remove":
            (folder / "requirements.txt").unlink()
        case "link":
            graph.rename(desk.folder / "elsewhere.onnx")
            graph.symlink_to(desk.folder / "elsewhere.onnx")
    evidence = desk.run(Scan(subject="tiny@champion"), Evidence)
    assert measure_of(evidence, "digest_mismatches").value >= 1
    assert exit_status(evidence) == 1
    for request in (
        Predict(subject="tiny", data="x.npy"),
        Gate(subjects=("tiny",)),
        Evaluate(subject="tiny", data="x.npy", target="y.npy"),
    ):
        assert desk.refused(request).code is Code.BUNDLE_BROKEN


def test_code_of_an_unsigned_bundle_runs_only_for_a_reason_that_is_recorded(desk: Desk) -> None:
    champion = desk.champion()
    (desk.bundle_folder(champion) / "attached" / "statement.dsse.json").unlink()
    assert desk.refused(Predict(subject="tiny", data="x.npy")).code is Code.NOT_TRUSTED
    desk.run(Predict(subject="tiny", data="x.npy", trust="read it"), Listing)
    kept = desk.workspace().records.about(Evidence, champion)
    assert "read it" in [record.context.get("trust") for record in kept]


def test_gc_keeps_what_is_needed_and_frees_the_rest_only_when_told(desk: Desk) -> None:
    loose = desk.package(0.5)
    judged = desk.proven(0.03)
    newest = desk.package(0.04)
    shown = cells(desk.run(Gc(), Listing), "what")
    assert len([what for what in shown if what in loose]) == 1
    assert desk.bundle_folder(loose).is_dir()
    desk.run(Gc(delete=True), Listing)
    left = {name for name, _, _ in desk.workspace().bundles.all()}
    assert loose not in left
    assert {judged, newest, desk.champion()} <= left
    assert desk.run(Rollback(name="tiny", why="still possible"), Release).version == 1


def test_mlflow_answers_as_the_bundle_does(desk: Desk) -> None:
    code = (
        "import json, warnings; warnings.simplefilter('ignore')\n"
        "import mlflow, numpy as np\n"
        f"mlflow.set_tracking_uri('sqlite:///{desk.folder}/.mlprod/mlflow.db')\n"
        "x = np.load('x.npy')\n"
        "theirs = mlflow.pyfunc.load_model('models:/tiny@champion').predict(x)\n"
        "from jupyter_mlprod import load\n"
        "ours = load('tiny@champion').answer(x)\n"
        "print(json.dumps({k: bool(np.array_equal(ours[k], theirs[k])) for k in ours}))\n"
    )
    # A workspace's embedded registry holds absolute places, so the copy of the desk registers anew.
    desk.release(0.06)
    done = subprocess.run([sys.executable, "-c", code], cwd=desk.folder, capture_output=True, text=True, timeout=120, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == {"label": True, "confidence": True, "scores": True}


def test_two_processes_promoting_at_once_leave_one_whole_history(desk: Desk) -> None:
    settings = desk.folder / "mlprod.toml"
    settings.write_text(settings.read_text().split('[[policy.release]]\nmeasure = "accuracy"\nrelative')[0])
    made = [desk.proven(0.02), desk.proven(0.03)]
    command = [sys.executable, "-m", "jupyter_mlprod", "promote"]
    environ = {key: value for key, value in os.environ.items() if not key.startswith("MLPROD_")}
    children = [subprocess.Popen([*command, digest], cwd=desk.folder, env=environ, stdout=-1, stderr=-1, text=True) for digest in made]
    outcomes = [(child.wait(timeout=120), child.communicate()[1]) for child in children]
    assert any(status == 0 for status, _ in outcomes), outcomes
    assert all(status == 0 or "ledger-moved" in text for status, text in outcomes), outcomes
    assert exit_status(desk.run(Verify(subject="tiny@champion"), Verdict)) in (0, 1)
    desk.run(Promote(subject="tiny@champion"), Release)
    assert exit_status(desk.run(Verify(subject="tiny@champion"), Verdict)) == 0


def test_a_paired_difference_has_the_sign_of_the_better_model(desk: Desk) -> None:
    worse = desk.package(100.0)
    delta = measure_of(desk.run(Evaluate(subject=worse, data="x.npy", target="y.npy"), Evidence), "accuracy_delta")
    assert delta.high is not None
    assert delta.high < 0
    again = desk.package(FIRST)
    own = measure_of(desk.run(Evaluate(subject=again, data="x.npy", target="y.npy"), Evidence), "accuracy_delta")
    assert own.low is not None
    assert own.low <= own.value <= (own.high or 0)
    assert msgspec.to_builtins(own)["n"] == 400


def test_what_was_measured_again_since_its_verdict_must_be_judged_again(desk: Desk) -> None:
    made = desk.proven(0.02)
    desk.run(Evaluate(subject=made, data="x.npy", target="y.npy"), Evidence)
    assert desk.refused(Promote(subject=made)).code is Code.NOT_PROVEN
    desk.run(Gate(subjects=(made,)), Verdict)
    desk.run(Promote(subject=made), Release)


def test_a_rollback_that_broke_off_is_finished_and_not_repeated(desk: Desk) -> None:
    desk.release(0.02)
    before = desk.run(Rollback(name="tiny", why="drill"), Release)
    desk.workspace().registry.set_alias("tiny", "champion", 3)
    again = desk.run(Rollback(name="tiny", why="drill"), Release)
    assert again.bundle == before.bundle == desk.champion()
