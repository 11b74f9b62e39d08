"""A document of two readings is refused wherever one is read: a key twice, NaN, a number too large, nesting without end."""

import json
from pathlib import Path

import pytest

from jupyter_mlprod.adapters.snapshots import Snapshots
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.manifest import parse_manifest
from jupyter_mlprod.core.notebook import read_notebook
from jupyter_mlprod.core.record import canonical
from jupyter_mlprod.core.requests import Scan
from jupyter_mlprod.core.snapshot import Snapshot
from jupyter_mlprod.core.strict_json import DEEPEST, strict_json
from tests.verbs.tiny import Desk

TOKEN = "ghp_" + "a1B2" * 9
CELL = '{"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": null, "source": "x = 1"}'
NOTEBOOK = f'{{"nbformat": 4, "nbformat_minor": 5, "metadata": {{}}, "cells": [{CELL}]}}'
AMBIGUOUS = {
    "a key twice": NOTEBOOK.replace('"source"', f'"source": "{TOKEN}", "source"'),
    "NaN": NOTEBOOK.replace('"metadata": {}', '"metadata": {"loss": NaN}', 1),
    "infinity": NOTEBOOK.replace('"metadata": {}', '"metadata": {"loss": -Infinity}', 1),
    "a number too large": NOTEBOOK.replace('"metadata": {}', '"metadata": {"loss": 1e999}', 1),
    "deep": NOTEBOOK.replace('"metadata": {}', '"metadata": {"a": ' + "[" * 250 + "]" * 250 + "}", 1),
    "deeper": NOTEBOOK.replace('"metadata": {}', '"metadata": {"a": ' + "[" * 100_000 + "]" * 100_000 + "}", 1),
}


@pytest.mark.parametrize("kind", AMBIGUOUS)
def test_a_notebook_of_two_readings_is_neither_scanned_nor_run(bare_desk: Desk, kind: str) -> None:
    Path("n.ipynb").write_text(AMBIGUOUS[kind])
    refusal = bare_desk.refused(Scan(subject="n.ipynb"))
    assert refusal.code is Code.BAD_NOTEBOOK
    assert refusal.code.status == 2
    with pytest.raises(MlprodError, match="is not JSON"):
        read_notebook(AMBIGUOUS[kind], name="n.ipynb")


def test_the_same_notebook_with_one_reading_is_taken(bare_desk: Desk) -> None:
    Path("n.ipynb").write_text(NOTEBOOK)
    assert bare_desk.command("scan", "n.ipynb") == 0
    assert len(read_notebook(NOTEBOOK, name="n.ipynb").cells) == 1


@pytest.mark.parametrize("edit", [('"rows":', '"rows":7,"rows":'), ('"sampled":', '"sampled":NaN,"sampled":')])
def test_a_stored_snapshot_of_two_readings_is_refused(tmp_path: Path, edit: tuple[str, str]) -> None:
    text = canonical(Snapshot(kind="table", rows=3, sampled=3, columns=())).decode()
    file = tmp_path / "x.snapshot.json"
    snapshots = Snapshots(lambda _path: {}, lambda _what, items: iter(items))
    file.write_text(text)
    assert snapshots.of_file(str(file)).rows == 3
    file.write_text(text.replace(*edit))
    with pytest.raises(MlprodError, match="is no snapshot"):
        snapshots.of_file(str(file))


def test_a_manifest_of_two_readings_is_not_read() -> None:
    bundle, faults = parse_manifest(b'{"schema":"bundle/1","name":"x","name":"y"}')
    assert bundle is None
    assert faults == ["bundle.json cannot be read: the key 'name' is there twice in one object"]


def test_nesting_ends_where_it_is_said_to() -> None:
    assert strict_json("[" * DEEPEST + "]" * DEEPEST)
    with pytest.raises(ValueError, match="deep"):
        strict_json("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1))
    assert strict_json(json.dumps({"a": [1, 2.5, None, True]})) == {"a": [1, 2.5, None, True]}
