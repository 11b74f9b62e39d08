"""``init``: settings that work as they are, and a notebook that only gains cells."""

import json
import tomllib
from pathlib import Path
from typing import Any

import nbformat
import pytest

from jupyter_mlprod.core.errors import Code
from jupyter_mlprod.core.listing import Listing
from jupyter_mlprod.core.requests import Init, Profile
from jupyter_mlprod.core.verdict import Verdict
from tests.verbs.tiny import Desk, WarmRuntimes, cells

CELLS: list[dict[str, Any]] = [
    {"cell_type": "markdown", "id": "m0", "metadata": {}, "source": ["# Ärzte\n", "text"]},
    {
        "cell_type": "code", "id": "c0", "metadata": {"collapsed": False}, "execution_count": 1, "source": ["x = 1"],
        "outputs": [{"output_type": "execute_result", "execution_count": 1, "metadata": {}, "data": {"application/json": {"small": 1e-7}}}],
    },
]  # fmt: skip
NOTEBOOK: dict[str, Any] = {
    "cells": CELLS,
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}
STYLES: dict[str, str] = {
    "jupyter": json.dumps(NOTEBOOK, indent=1, ensure_ascii=False, sort_keys=True) + "\n",
    "javascript": json.dumps(NOTEBOOK, indent=2, ensure_ascii=False).replace("1e-07", "1e-7"),
    "tabs": json.dumps(NOTEBOOK, indent="\t"),
    "minified": json.dumps(NOTEBOOK, separators=(",", ":")),
    "carriage returns": json.dumps(NOTEBOOK, indent=1).replace("\n", "\r\n"),
    "metadata first": json.dumps({"nbformat": 4, "metadata": {"cells": []}, "nbformat_minor": 5, "cells": CELLS}, indent=4),
    "escaped": json.dumps({**NOTEBOOK, "metadata": {"odd": "\ud83d"}}, indent=1),
}


def only_inserted(before: str, after: str) -> bool:
    """Whether the one text became the other by what was put in at two places: at a cell, and at the end of the cells."""
    head = next(place for place, (old, new) in enumerate(zip(before, after, strict=False)) if old != new)
    tail = next(place for place, (old, new) in enumerate(zip(before[::-1], after[::-1], strict=False)) if old != new)
    return before[head : len(before) - tail] in after[head : len(after) - tail]


@pytest.mark.parametrize("style", STYLES)
def test_a_notebook_only_gains_cells_and_keeps_every_other_byte(bare_desk: Desk, style: str) -> None:
    path = Path("train.ipynb")
    before = STYLES[style]
    path.write_bytes(before.encode())
    listing = bare_desk.run(Init(notebook="train.ipynb"), Listing)
    assert cells(listing, "what") == ["left alone", "cells added"]
    after = path.read_bytes().decode()
    assert only_inserted(before, after)
    old, new = json.loads(before)["cells"], json.loads(after)["cells"]
    assert [cell for cell in new if cell in old] == old
    assert [cell["cell_type"] for cell in new] == ["markdown", "code", "code", "markdown", *["code"] * 8]
    assert new[1]["metadata"]["tags"] == ["parameters"]
    lines = after.splitlines(keepends=True)
    assert len({line.endswith("\r\n") for line in lines[:-1]}) <= 1
    indents = {line[: len(line) - len(line.lstrip())] for line in before.splitlines()}
    assert {line[: len(line) - len(line.lstrip())] for line in lines} <= indents, "the new cells are indented as the old ones"
    nbformat.validate(nbformat.reads(after, as_version=4))  # type: ignore[no-untyped-call]


def test_a_second_time_changes_nothing(bare_desk: Desk) -> None:
    Path("train.ipynb").write_text(STYLES["jupyter"])
    bare_desk.command("init", "train.ipynb")
    settings, notebook = Path("mlprod.toml").read_bytes(), Path("train.ipynb").read_bytes()
    assert cells(bare_desk.run(Init(notebook="train.ipynb", quality=0.5), Listing), "what") == ["left alone", "left alone"]
    assert (Path("mlprod.toml").read_bytes(), Path("train.ipynb").read_bytes()) == (settings, notebook)


@pytest.mark.parametrize("stem", ["résumé — final (2)", "-.-", "x" * 180, "ünïcödé"])
def test_the_cells_name_the_model_by_a_name_that_packaging_takes(bare_desk: Desk, stem: str) -> None:
    Path(f"{stem}.ipynb").write_text(STYLES["jupyter"])
    bare_desk.run(Init(notebook=f"{stem}.ipynb"), Listing)
    source = "".join(json.loads(Path(f"{stem}.ipynb").read_text())["cells"][5]["source"])
    name = source.split("--name ")[1].split()[0]
    bare_desk.package(0.5, name=name)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"nbformat": 3, "worksheets": []}', '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}', "\ufeff{}"],
)
def test_what_is_no_notebook_is_refused_and_nothing_is_written(bare_desk: Desk, text: str) -> None:
    Path("mlprod.toml").unlink()
    Path("odd.ipynb").write_text(text)
    assert bare_desk.refused(Init(notebook="odd.ipynb")).code is Code.BAD_NOTEBOOK
    assert Path("odd.ipynb").read_text() == text
    assert not Path("mlprod.toml").exists()
    assert bare_desk.refused(Init(notebook="absent.ipynb")).message == "absent.ipynb cannot be read: No such file or directory"


def test_the_settings_that_it_writes_release_a_model_as_they_stand(bare_desk: Desk) -> None:
    Path("mlprod.toml").unlink()
    bare_desk.run(Init(use_case="sorting points", quality=0.8, latency=60_000, cost=0.001), Listing)
    made = bare_desk.package(0.0)
    workspace = bare_desk.workspace()
    workspace.__dict__["runtimes"] = WarmRuntimes()
    workspace.run(Profile(subject=made, budget_s=10.0))
    assert bare_desk.command("evaluate", made, "--data", "x.npy", "--target", "y.npy") == 0
    assert bare_desk.command("gate", made, "--promote", "champion") == 0
    assert bare_desk.champion() == made
    (verdict,) = bare_desk.workspace().records.about(Verdict, made)
    asked = {finding.rule.reads for finding in verdict.findings}
    assert {"accuracy", "accuracy_delta", "latency_p99", "throughput", "signature_faults", "parity_max_abs_diff"} <= asked


@pytest.mark.parametrize(
    ("answers", "measures"),
    [
        ({"consumer": "batch", "security": "open"}, {"accuracy", "throughput"}),
        ({"consumer": "person"}, {"accuracy", "latency_p99", "throughput", "signature_faults"}),
    ],
)
def test_the_answers_choose_the_rules(bare_desk: Desk, answers: dict[str, Any], measures: set[str]) -> None:
    Path("mlprod.toml").unlink()
    bare_desk.run(Init(**answers), Listing)
    document = tomllib.loads(Path("mlprod.toml").read_text())
    assert {rule["measure"] for rule in document["policy"]["release"]} == measures


@pytest.mark.parametrize(
    "text", ["two\nlines\n[policy.evil]", "{quality} {0}", "# \x00\x07\x1b[2J\x7f", "\u2028\u202e", 'quotes " and \\', "x" * 5000]
)
def test_a_use_case_is_a_comment_whatever_it_holds(bare_desk: Desk, text: str) -> None:
    Path("mlprod.toml").unlink()
    bare_desk.run(Init(use_case=text), Listing)
    assert set(bare_desk.workspace().policies) == {"release", "execution"}
    assert "\x1b" not in Path("mlprod.toml").read_text()


@pytest.mark.parametrize(
    "words",
    [["--quality", "1.5"], ["--quality", "nan"], ["--latency", "0"], ["--cost", "-1"], ["--consumer", "nobody"], ["--latency", "fast"]],
)
def test_an_answer_out_of_range_is_refused_and_nothing_is_written(bare_desk: Desk, words: list[str]) -> None:
    Path("mlprod.toml").unlink()
    assert bare_desk.command("init", *words) == 2
    assert not Path("mlprod.toml").exists()
