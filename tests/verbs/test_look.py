"""Show, list, compare, history, check, gate and doctor: what they tell, and how they answer a name that they do not know."""

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jupyter_mlprod.core.bundle import Bundle
from jupyter_mlprod.core.errors import Code
from jupyter_mlprod.core.evidence import Evidence
from jupyter_mlprod.core.listing import Listing
from jupyter_mlprod.core.record import digest
from jupyter_mlprod.core.requests import (
    Check,
    Compare,
    Doctor,
    Evaluate,
    Gate,
    Gc,
    History,
    List,
    Predict,
    Profile,
    Promote,
    Request,
    Rollback,
    Scan,
    Show,
    Verify,
)
from jupyter_mlprod.core.verdict import Verdict, exit_status
from tests.verbs.tiny import Desk, cells, measure_of

UNKNOWN: list[Request] = [
    Show(subject="tinny"), Scan(subject="tinny"), Verify(subject="tinny"), Check(subject="tinny", data="x.npy"),
    Predict(subject="tinny", data="x.npy"), Evaluate(subject="tinny", data="x.npy", target="y.npy"), Profile(subject="tinny"),
    Gate(subjects=("tinny",)), Promote(subject="tinny"), Rollback(name="tinny", why="drill"), List(name="tinny"), History(name="tinny"),
    Compare(first="tiny", second="tinny"),
]  # fmt: skip


@pytest.mark.parametrize("request_", UNKNOWN, ids=lambda request: str(type(request).__name__))
def test_every_verb_answers_an_unknown_name_with_the_nearest_known(desk: Desk, request_: Request) -> None:
    refusal = desk.refused(request_)
    assert refusal.code is Code.UNKNOWN_SUBJECT
    assert refusal.code.status == 2
    assert refusal.message == "nothing is known as 'tinny' (did you mean 'tiny'?)"


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        ("quite-another", "(known: tiny)"),
        ("tiny@champ", "tiny has no alias 'champ' (did you mean 'champion'?)"),
        ("tiny@prod", "tiny has no alias 'prod' (known: champion)"),
        ("tiny:9", "tiny has no version 9"),
        ("sha256:00000000", "no bundle sha256:00000000 in this workspace"),
    ],
)
def test_what_is_known_is_told(desk: Desk, subject: str, said: str) -> None:
    refusal = desk.refused(Check(subject=subject, data="x.npy"))
    assert refusal.code is Code.UNKNOWN_SUBJECT
    assert said in refusal.message


def test_an_empty_workspace_says_that_it_is_empty(bare_desk: Desk) -> None:
    assert "no bundle yet" in bare_desk.refused(Show(subject="tiny")).message
    listing = bare_desk.run(List(), Listing)
    assert listing.rows == ()
    assert "nothing packaged yet" in listing.note


def test_asking_creates_nothing(bare_desk: Desk) -> None:
    before = {path.name for path in bare_desk.folder.iterdir()}
    for words in (["list"], ["gc"], ["show", "tiny"], ["history", "tiny"], ["verify", "tiny"], ["rollback", "tiny", "--why", "x"]):
        bare_desk.command(*words)
    assert {path.name for path in bare_desk.folder.iterdir()} == before


def test_an_alias_that_a_model_never_had_is_no_empty_history(desk: Desk) -> None:
    assert "has never had the alias 'champ' (did you mean 'champion'?)" in desk.refused(History(name="tiny", alias="champ")).message


def test_a_policy_that_is_unknown_is_told_with_those_that_there_are(desk: Desk) -> None:
    refusal = desk.refused(Gate(subjects=("tiny",), policy="relaese"))
    assert refusal.code is Code.NO_POLICY
    assert "execution, release" in refusal.message


def test_a_bare_name_is_the_champion(desk: Desk) -> None:
    newest = desk.package(0.5)
    assert digest(desk.run(Show(subject="tiny"), Bundle)) == desk.champion() != newest


def test_a_bare_name_is_the_newest_bundle_before_there_is_a_champion(bare_desk: Desk) -> None:
    first, second = bare_desk.package(0.5), bare_desk.package(0.6)
    assert digest(bare_desk.run(Show(subject="tiny"), Bundle)) == second
    assert digest(bare_desk.run(Show(subject=first[:15]), Bundle)) == first


def test_any_record_is_shown_by_the_beginning_of_its_digest(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    verdict = desk.workspace().ledger.entries("tiny")[0].verdict
    assert desk.command("show", verdict[:19], "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["schema"], shown["digest"]) == ("verdict/1", verdict)


def test_a_stored_record_that_was_edited_is_no_record(desk: Desk) -> None:
    verdict = desk.workspace().ledger.entries("tiny")[0].verdict
    (file,) = (desk.folder / ".mlprod" / "records").rglob(f"{verdict.removeprefix('sha256:')}.json")
    file.write_text(file.read_text().replace('"pass"', '"fail"', 1))
    assert desk.refused(Show(subject=verdict)).code is Code.BAD_RECORD
    assert desk.command("list") == 2


def test_the_list_tells_version_alias_verdict_and_who_newest_first(desk: Desk) -> None:
    loose = desk.package(0.5)
    listing = desk.run(List(name="tiny"), Listing)
    assert cells(listing, "digest")[0] == loose[:19]
    assert cells(listing, "version") == [None, 2, 1]
    assert cells(listing, "alias") == ["", "champion", ""]
    assert cells(listing, "verdict") == ["", "pass", "pass"]
    assert set(cells(listing, "by")) == {"tester"}


def test_the_history_tells_every_move_with_reason_and_verdict_oldest_first(desk: Desk) -> None:
    desk.command("rollback", "tiny", "--why", "too slow on site 3")
    history = desk.run(History(name="tiny"), Listing)
    assert cells(history, "action") == ["promote", "promote", "rollback"]
    assert cells(history, "version") == [1, 2, 1]
    assert cells(history, "why") == ["shift 0.0", "shift 0.01", "too slow on site 3"]
    bundles, before = cells(history, "bundle"), cells(history, "before")
    assert before == ["", bundles[0], bundles[1]]
    verdicts = cells(history, "verdict")
    assert verdicts[2] == verdicts[0] != verdicts[1]


def test_a_comparison_shows_both_intervals_and_subtracts_nothing(desk: Desk) -> None:
    listing = desk.run(Compare(first="tiny:1", second="tiny:2"), Listing)
    place = listing.rows[cells(listing, "measure").index("accuracy")]
    values = dict(zip(listing.columns, place, strict=True))
    assert values["first"] == 1.0
    assert 0.95 < float(values["second"] or 0) < 1.0
    assert float(values["low "] or 0) < float(values["second"] or 0) < float(values["high "] or 0)
    assert "it is the same bundle" in desk.run(Compare(first="tiny", second="tiny:2"), Listing).title


def test_bundles_without_evidence_are_compared_by_saying_what_to_measure(bare_desk: Desk) -> None:
    one, two = bare_desk.package(0.5), bare_desk.package(0.6)
    for file in (bare_desk.folder / ".mlprod" / "records").rglob("*.json"):
        file.unlink()
    assert "evaluate or profile them" in bare_desk.run(Compare(first=one, second=two), Listing).note


def test_a_check_counts_each_demand_and_names_field_limit_and_rows_and_no_personal_value(
    bare_desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    bare_desk.package(0.0, contract="[inputs.point]\nlow = -10\nhigh = 10\nunit = 'cm'\npii = 'whereabouts'")
    data = np.load("x.npy")
    data[3], data[7, 1] = 31337.125, np.nan
    np.save("far.npy", data)
    assert bare_desk.command("check", "tiny", "--data", "far.npy") == 1
    printed = capsys.readouterr().out
    assert "31337" not in printed
    note = measure_of(bare_desk.run(Check(subject="tiny", data="far.npy"), Evidence), "violations").note
    assert note.split("; ") == [
        "input 'point' holds NaN or infinity in 1 of 400 rows, first at row 7",
        "input 'point' is above 10 cm in 1 of 400 rows, first at row 3",
    ]
    assert bare_desk.command("check", "tiny", "--data", "x.npy") == 0


def test_a_gate_of_many_bundles_at_once_is_kept_as_one_verdict(desk: Desk) -> None:
    subjects = tuple(desk.package(shift) for shift in (0.02, 0.03, 0.04, 0.05))
    verdict = desk.run(Gate(subjects=(*subjects, "tiny")), Verdict)
    assert len(verdict.parts) == 5
    assert verdict.outcome == "missing", "four were not evaluated; the worst counts"
    assert desk.workspace().records.about(Verdict, verdict.subject) == (verdict,)
    assert digest(desk.run(Show(subject=digest(verdict)), Verdict)) == digest(verdict)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"subjects": ()}, "needs a notebook or a bundle"),
        ({"parameters": {"a": "1"}}, "a bundle has no parameters"),
        ({"policy": "execution"}, "a bundle has none"),
        ({"promote": "a b"}, "alias 'a b'"),
        ({"promote": "champion", "policy": "execution"}, "needs the policy 'release'"),
    ],
)
def test_a_gate_that_makes_no_sense_is_refused_before_anything_is_judged(desk: Desk, change: dict[str, Any], said: str) -> None:
    before = desk.files()
    refusal = desk.refused(Gate(**{"subjects": ("tiny",), **change}))
    assert refusal.code.status == 2
    assert said in refusal.message
    assert desk.files() == before


def test_gc_frees_old_leftovers_and_young_ones_stay(desk: Desk) -> None:
    scratch = desk.folder / ".mlprod" / "scratch"
    old = time.time() - 10 * 86400
    for name in ("captures/a", "staging-b", "fetched/c"):
        (scratch / name).mkdir(parents=True)
        (scratch / name / "file").write_bytes(bytes(2_000_000))
        os.utime(scratch / name, (old, old))
    (scratch / "live").mkdir()
    (scratch / "live" / "d.npy").write_bytes(bytes(2_000_000))
    os.utime(scratch / "live" / "d.npy", (old, old))
    (scratch / "captures" / "young").mkdir()
    listing = desk.run(Gc(), Listing)
    assert set(cells(listing, "what")) == {"a", "staging-b", "c", "d.npy"}
    assert listing.note == "8.0 MB would be freed; --delete frees it"
    assert desk.run(Gc(delete=True), Listing).note == "8.0 MB freed"
    assert sorted(path.name for path in scratch.rglob("*")) == ["captures", "fetched", "live", "young"]
    assert desk.run(Gc(delete=True), Listing).note == "nothing to free"


def test_doctor_finds_a_registry_that_is_away_and_says_how_to_mend_it(desk: Desk) -> None:
    (desk.folder / "mlprod.toml").write_text('[settings]\ntracking_uri = "postgresql+nodriver://nobody@127.0.0.1:1/none"\n')
    evidence = desk.run(Doctor(), Evidence)
    registry = measure_of(evidence, "problems", check="registry")
    assert registry.value == 1
    assert "mend:" in registry.note
    assert exit_status(evidence) == 1
    assert desk.command("verify", "tiny") in (2, 4)


def test_doctor_shows_the_public_key_that_others_trust(desk: Desk) -> None:
    evidence = desk.run(Doctor(), Evidence)
    key = desk.workspace().signer.key().public
    assert key in measure_of(evidence, "problems", check="key").note
    assert measure_of(evidence, "problems", check="registry").value == 0


def test_a_bundle_signed_elsewhere_runs_once_its_key_is_trusted(desk: Desk, tmp_path: Path) -> None:
    sender = desk.workspace().signer.key().public
    sent = str(desk.bundle_folder(desk.champion()))
    there = Desk(tmp_path / "there")
    there.folder.mkdir()
    refusal = there.refused(Predict(subject=sent, data="x.npy"))
    assert refusal.code is Code.NOT_TRUSTED
    assert "trusted_keys" in refusal.hint
    (there.folder / "mlprod.toml").write_text(f'[settings]\ntrusted_keys = ["{sender}"]\n')
    assert there.run(Predict(subject=sent, data="x.npy"), Listing).total == 400


def test_the_lineage_of_a_bundle_is_what_its_files_say_of_it(bare_desk: Desk) -> None:
    packaged = bare_desk.package(0.0, data="x.npy")
    shown = bare_desk.run(Show(subject="tiny", lineage=True), Listing)
    facts = dict(zip(cells(shown, "what"), cells(shown, "is"), strict=True))
    bundle = bare_desk.run(Show(subject=packaged), Bundle)
    rows = len(np.load("x.npy"))
    origin = json.loads((bare_desk.bundle_folder(packaged) / "attached" / "origin.json").read_text())
    assert facts["training data"] == bundle.snapshot != ""
    assert (facts["form of the data"], facts["rows of the data"]) == ("array", str(rows))
    assert (facts["packaged"], facts["packaged by"]) == (origin["created_at"], origin["actor"])
    assert not {fact for fact in facts if "training" in fact} - {"training data"}, "nobody here has seen where an .onnx comes from"
    assert "an .onnx file holds a graph" in facts["trainable module"]
    assert "" not in facts.values()
    assert "outside the digest" in shown.note
    (bare_desk.bundle_folder(packaged) / "attached" / "origin.json").unlink()
    assert "nothing is attached" in bare_desk.run(Show(subject="tiny", lineage=True), Listing).note
