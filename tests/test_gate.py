"""The gate on real notebooks in real kernels: what passes, what blocks, with which exit status, and that the champion stays."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.project import mlprod

TRAIN = """
import numpy as np, torch
from tiny_models import linear
from prepare import prepare
x, y, side = np.load("x.npy")[:rows], np.load("y.npy")[:rows], np.load("side.npy")[:rows]
net = linear(shift)
"""
PACKAGE = "%mlprod package net --name tiny --example x[:8] --preprocess prepare --labels left,right"
EVALUATE = "%mlprod evaluate tiny --data x --target y"
GATE = "%mlprod gate tiny"
PROMOTE = '%mlprod promote tiny --to champion --why "a test"'
LOAD = "%load_ext jupyter_mlprod"
WHOLE = (LOAD, TRAIN, PACKAGE, "%mlprod check tiny --data x", EVALUATE, "%mlprod scan tiny", GATE, PROMOTE)

SWALLOW = """
try:
    get_ipython().run_line_magic("mlprod", "gate tiny")
except Exception as error:
    print(error)
"""
LIMITED = 'limits = "[inputs.input]\\nhigh = 100"\n' + PACKAGE + " --contract limits"
FORGE = """
import datetime
from jupyter_mlprod import open_workspace
from jupyter_mlprod.core.evidence import Evidence, Measure
ws = open_workspace()
digest = get_ipython().magics_manager.registry["MlprodMagics"].opened.session["tiny"]
forged = Measure(name="accuracy", value=1.0, low=0.99, high=1.0, unit="1", n=1000)
ws.records.put(Evidence(kind="quality", subject=digest, taken_at=ws.now(), taken_by="runner", measures=(forged,)))
"""


def write_notebook(folder: Path, cells: tuple[str, ...], *, name: str = "release.ipynb", kernel: str = "python3") -> Path:
    """A notebook with a parameters cell and these code cells."""
    sources = ["shift: float = 0.0\nrows: int = 400", *cells]
    document: dict[str, Any] = {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": {"name": kernel, "display_name": kernel}}}
    document["cells"] = [
        {
            "cell_type": "code", "id": f"c{i}", "metadata": {"tags": ["parameters"]} if i == 0 else {},
            "execution_count": None, "outputs": [], "source": source.strip(),
        }
        for i, source in enumerate(sources)
    ]  # fmt: skip
    path = folder / name
    path.write_text(json.dumps(document))
    return path


def champion(folder: Path) -> str:
    rows = json.loads(mlprod("history", "tiny", "--json", cwd=folder).stdout)["rows"]
    return str(rows[-1][4])


def findings(verdict: dict[str, Any], outcome: str) -> dict[str, dict[str, Any]]:
    """Findings of one outcome by the measure that they read."""
    names = [f["rule"]["measure"] + ("_delta" if f["rule"]["relative"] else "") for f in verdict["findings"]]
    return {name: f for name, f in zip(names, verdict["findings"], strict=True) if f["outcome"] == outcome}


@pytest.fixture
def project(workspace_copy: Callable[[str], Path]) -> Path:
    """The made workspace: ``tiny`` has a champion."""
    return workspace_copy("project")


def test_a_good_notebook_passes_and_only_then_promotes(project: Path) -> None:
    before = champion(project)
    notebook = write_notebook(project, WHOLE)
    text = notebook.read_text()
    done = mlprod("gate", notebook.name, "-p", "shift", "0.02", "-o", "out", "--json", cwd=project)
    verdict = json.loads(done.stdout)
    assert verdict["outcome"] == "pass"
    assert verdict["scope"] == "release"
    assert champion(project) != before
    row = json.loads(mlprod("history", "tiny", "--json", cwd=project).stdout)["rows"][-1]
    assert row[6:8] == ["tester", "a test"]
    assert row[8].startswith("sha256:")
    executed = json.loads((project / "out" / "release.ipynb").read_text())
    assert {cell["metadata"]["papermill"]["status"] for cell in executed["cells"]} == {"completed"}
    assert notebook.read_text() == text, "the researcher's notebook is not touched"
    assert mlprod("verify", "tiny@champion", cwd=project).returncode == 0


def test_a_worse_model_blocks_and_names_rule_value_interval_and_limit(project: Path) -> None:
    before = champion(project)
    write_notebook(project, WHOLE)
    done = mlprod("gate", "release.ipynb", "-p", "shift", "100", cwd=project, check=1)
    line = next(line for line in done.stdout.splitlines() if line.startswith("✗ fail   accuracy "))
    assert "≥ 0.8" in line
    assert "[0." in line
    assert champion(project) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-p", "shfit", "1"], "did you mean 'shift'?"),
        (["-p", "rows", "many"], "parameter 'rows' is int"),
        (["-p", "shift", "NaN"], "parameter 'shift' is float"),
        (["--policy", "loose"], "has no policy 'loose'"),
        (["--promote", "a b"], "alias 'a b' may hold"),
        (["-o", "."], "would overwrite"),
    ],
)
def test_a_bad_request_is_2_before_anything_runs(project: Path, words: list[str], said: str) -> None:
    write_notebook(project, ("open('ran', 'w')",))
    done = mlprod("gate", "release.ipynb", *words, cwd=project, check=2)
    assert said in done.stderr
    assert done.stdout == ""
    assert not (project / "ran").exists()


@pytest.mark.parametrize(
    ("cells", "status", "said"),
    [
        ((*WHOLE[:-1], "import sys; sys.exit(0)", PROMOTE), 1, "SystemExit"),
        ((*WHOLE, "1/0"), 1, "ZeroDivisionError"),
        (("x = 1",), 3, "was not measured"),
        ((LOAD, TRAIN, PACKAGE), 3, "accuracy was not measured"),
        ((LOAD, TRAIN, PACKAGE, FORGE), 3, "accuracy was not measured"),
        ((LOAD, TRAIN, PACKAGE, EVALUATE, SWALLOW, PROMOTE), 1, "policy release"),
        ((LOAD, "%mlprod promote tiny:1 --to champion"), 1, "was not made in this gate run"),
        ((LOAD, TRAIN, LIMITED, EVALUATE, "%mlprod check tiny --data x*100", GATE, PROMOTE), 1, "is above 100"),
        ((*WHOLE[:-1], "!mlprod gate tiny --promote champion"), 1, "CalledProcessError"),
        ((LOAD, TRAIN, LIMITED, EVALUATE, "%mlprod check tiny --data x*100"), 1, "is above 100"),
    ],
    ids=[
        "early exit",
        "error after promotion",
        "no bundle",
        "no evaluation",
        "forged evidence",
        "swallowed verdict",
        "another's promotion",
        "broken contract, then gate",
        "promotion by shell",
        "broken contract",
    ],
)
def test_what_is_not_proven_blocks_and_the_champion_stays(project: Path, cells: tuple[str, ...], status: int, said: str) -> None:
    before = champion(project)
    write_notebook(project, cells)
    done = mlprod("gate", "release.ipynb", "-p", "shift", "100" if SWALLOW in cells else "0.03", cwd=project, check=status)
    assert said in done.stdout
    assert champion(project) == before


def test_too_few_rows_are_inconclusive_and_say_how_many_would_do(project: Path) -> None:
    before = champion(project)
    write_notebook(project, WHOLE)
    done = mlprod("gate", "release.ipynb", "-p", "rows", "12", "--json", cwd=project, check=3)
    found = findings(json.loads(done.stdout), "inconclusive")["accuracy"]
    assert found["measured"]["low"] < 0.8 < found["measured"]["value"]
    assert found["settle_n"] > 12
    assert champion(project) == before


def test_evidence_of_an_earlier_run_does_not_count(project: Path) -> None:
    write_notebook(project, (LOAD, TRAIN, PACKAGE, EVALUATE), name="first.ipynb")
    write_notebook(project, (LOAD, TRAIN, PACKAGE, GATE), name="second.ipynb")
    first = json.loads(mlprod("gate", "first.ipynb", "-p", "shift", "0.04", "--json", cwd=project).stdout)
    second = json.loads(mlprod("gate", "second.ipynb", "-p", "shift", "0.04", "--json", cwd=project, check=3).stdout)
    assert findings(first, "pass")["accuracy"]["subject"] == findings(second, "missing")["accuracy"]["subject"], "it is the same bundle"


def test_the_execution_policy_asks_only_that_every_cell_ran(project: Path) -> None:
    write_notebook(project, ("x = 1", "assert x"))
    assert json.loads(mlprod("gate", "release.ipynb", "--policy", "execution", "--json", cwd=project).stdout)["outcome"] == "pass"
    write_notebook(project, ("x = 0", "assert x", "y = 2"))
    verdict = json.loads(mlprod("gate", "release.ipynb", "--policy", "execution", "--json", cwd=project, check=1).stdout)
    found = findings(verdict, "fail")["cells_not_ok"]
    assert found["measured"]["value"] == 2
    assert "cell 2: AssertionError" in found["reason"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ('{"nbformat": 3}', "version 4"),
        ('{"nbformat": 4, "cells": []}', "no code cell"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_a_broken_notebook_is_one_line_and_2(project: Path, text: str, said: str) -> None:
    (project / "broken.ipynb").write_text(text)
    done = mlprod("gate", "broken.ipynb", cwd=project, check=2)
    assert said in done.stderr.splitlines()[0]
    assert "Traceback" not in done.stderr


def test_a_kernel_that_never_starts_is_4(project: Path) -> None:
    write_notebook(project, ("x = 1",), kernel="no-such-kernel")
    done = mlprod("gate", "release.ipynb", cwd=project, check=4)
    assert done.stderr.splitlines()[-2].startswith("kernel-not-started:")


def test_several_subjects_take_the_worst_outcome(project: Path) -> None:
    write_notebook(project, ("x = 1",), name="good.ipynb")
    write_notebook(project, ("1/0",), name="bad.ipynb")
    verdict = json.loads(mlprod("gate", "good.ipynb", "bad.ipynb", "--policy", "execution", "--json", cwd=project, check=1).stdout)
    assert len(verdict["parts"]) == 2


def test_a_run_of_a_notebook_elsewhere_uses_the_runners_workspace(project: Path) -> None:
    (project / "deep" / ".mlprod").mkdir(parents=True)
    write_notebook(project / "deep", ("import os; os.chdir('..')", *WHOLE[:-2]), name="far.ipynb")
    write_notebook(project, ("x = 1",), name="near.ipynb")
    verdict = json.loads(mlprod("gate", "near.ipynb", "deep/far.ipynb", "--json", "-p", "shift", "0.05", cwd=project, check=3).stdout)
    assert findings(verdict, "pass")["accuracy"]["taken_by"] == "notebook"


def test_two_notebooks_of_one_name_do_not_overwrite_each_other(project: Path) -> None:
    (project / "other").mkdir()
    for folder in (project, project / "other"):
        write_notebook(folder, ("x = 1",))
    done = mlprod("gate", "release.ipynb", "other/release.ipynb", "-o", "out", cwd=project, check=2)
    assert "would overwrite each other" in done.stderr


def test_a_run_variable_that_names_no_run_is_refused(project: Path) -> None:
    done = mlprod("list", cwd=project, check=2, environ={"MLPROD_RUN": "x"})
    assert done.stderr.startswith("no-workspace:")


def test_a_bundle_of_a_run_that_broke_off_is_not_released_on_the_evidence_it_left(project: Path) -> None:
    before = champion(project)
    write_notebook(project, (LOAD, TRAIN, PACKAGE, EVALUATE, "1/0"))
    words = ("-p", "shift", "0.06")
    broken = json.loads(mlprod("gate", "release.ipynb", *words, "--json", cwd=project, check=1).stdout)
    bundle = findings(broken, "pass")["accuracy"]["subject"]
    done = mlprod("gate", bundle, "--promote", "champion", cwd=project, check=1)
    assert "ZeroDivisionError" in done.stdout
    assert champion(project) == before
    write_notebook(project, (LOAD, TRAIN, PACKAGE, EVALUATE))
    mlprod("gate", "release.ipynb", *words, cwd=project)
    mlprod("promote", bundle, cwd=project)
    assert champion(project) != before


def test_the_execution_policy_does_not_forgive_a_cell_that_its_verdict_stopped(project: Path) -> None:
    write_notebook(project, (*WHOLE[:-1], "1/0"))
    mlprod("gate", "release.ipynb", "-p", "shift", "100", "--policy", "execution", cwd=project, check=1)


def test_no_notebook_runs_when_another_cannot_be_read(project: Path) -> None:
    write_notebook(project, ("open('ran', 'w')",))
    mlprod("gate", "release.ipynb", "absent.ipynb", "--policy", "execution", cwd=project, check=2)
    assert not (project / "ran").exists()


def test_a_notebook_may_bring_a_packaged_model_back_instead_of_training(project: Path) -> None:
    before = champion(project)
    bring = 'bundle = "tiny@champion"\nimport numpy as np\nfrom prepare import prepare\nx, y = np.load("x.npy"), np.load("y.npy")'
    weights = "import torch\nassert net.weight[0, 0] == 1 and not net.training"
    cells = (LOAD, bring, "net = %mlprod load {bundle}", weights, PACKAGE, "%mlprod check tiny --data x", EVALUATE, GATE, PROMOTE)
    mlprod("gate", str(write_notebook(project, cells)), cwd=project)
    bundle = json.loads(mlprod("show", "tiny@champion", "--json", cwd=project).stdout)
    assert champion(project) != before
    former = json.loads(mlprod("show", before, "--json", cwd=project).stdout)
    assert [entry for entry in bundle["files"] if "module/" in entry["path"]] == [e for e in former["files"] if "module/" in e["path"]]
