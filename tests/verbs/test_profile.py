"""Latency: what too few calls leave unmeasured, and that a rule on it is then missing and not passed."""

from functools import cached_property
from pathlib import Path

import pytest

from jupyter_mlprod.core.errors import Code
from jupyter_mlprod.core.evidence import Evidence
from jupyter_mlprod.core.requests import Gate, Profile
from jupyter_mlprod.core.verdict import Verdict
from jupyter_mlprod.workspace import Workspace, open_workspace
from tests.project import SETTINGS
from tests.verbs.tiny import Desk, WarmRuntimes

P99 = """
[[policy.release]]
measure = "latency_p99"
at_most = 60000
unit = "ms"
where = { batch = "1", device = "cpu" }
"""


def profile(desk: Desk, **change: object) -> Evidence:
    workspace: Workspace = open_workspace(desk.folder, taken_by="runner")
    assert isinstance(type(workspace).__dict__["runtimes"], cached_property)
    workspace.__dict__["runtimes"] = WarmRuntimes()
    evidence = workspace.run(Profile(**{"subject": "tiny", "batches": (1,), "budget_s": 1e-6, **change}))  # type: ignore[arg-type]
    assert isinstance(evidence, Evidence)
    return evidence


def test_eleven_calls_tell_the_median_and_no_tail(desk: Desk) -> None:
    evidence = profile(desk)
    found = {measure.name: measure for measure in evidence.measures}
    assert set(found) == {"latency_p50", "graph_latency_p50", "cold_start"}
    median = found["latency_p50"]
    assert median.n == 11
    assert median.low is not None
    assert 0 < median.low <= median.value
    assert median.where == {"batch": "1", "device": "cpu"}


def test_a_rule_on_a_tail_that_was_not_observed_is_missing(desk: Desk) -> None:
    Path("mlprod.toml").write_text(SETTINGS + P99)
    profile(desk)
    verdict = desk.run(Gate(subjects=("tiny",)), Verdict)
    assert verdict.outcome == "missing"
    (finding,) = [finding for finding in verdict.findings if finding.outcome != "pass"]
    assert finding.reason == "latency_p99 was not measured"


def test_enough_calls_tell_the_tail_and_the_rule_passes(desk: Desk) -> None:
    Path("mlprod.toml").write_text(SETTINGS + P99)
    evidence = profile(desk, budget_s=30.0)
    assert {measure.n for measure in evidence.measures if measure.name == "latency_p99"} == {3000}
    assert "throughput" in {measure.name for measure in evidence.measures}
    assert desk.run(Gate(subjects=("tiny",)), Verdict).outcome == "pass"


def test_a_batch_size_is_measured_once_however_often_it_is_named(desk: Desk) -> None:
    evidence = profile(desk, batches=(4, 1, 4))
    assert [m.where["batch"] for m in evidence.measures if m.name == "latency_p50"] == ["1", "4"]


@pytest.mark.parametrize("batches", [(), (0,), (1, -3)])
def test_a_batch_of_nothing_is_refused(desk: Desk, batches: tuple[int, ...]) -> None:
    assert desk.refused(Profile(subject="tiny", batches=batches)).code is Code.BAD_REQUEST


@pytest.mark.parametrize("words", [["--budget-s", "0"], ["--budget-s", "nan"], ["--threads", "0"], ["--batches", "1,x"]])
def test_a_budget_or_thread_count_that_is_none_is_refused(desk: Desk, words: list[str]) -> None:
    assert desk.command("profile", "tiny", *words) == 2
