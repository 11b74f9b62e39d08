"""One request, three fronts, one record: Python, the command line as a child process, and the magic in a real kernel."""

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import start_new_kernel

from jupyter_mlprod.core.errors import MlprodError
from jupyter_mlprod.core.record import Record, with_digest
from jupyter_mlprod.core.requests import (
    REQUESTS,
    Check,
    Compare,
    Contract,
    Doctor,
    Evaluate,
    Export,
    Gate,
    Gc,
    History,
    Init,
    Keygen,
    List,
    Load,
    Package,
    Predict,
    Profile,
    Promote,
    Request,
    Rollback,
    Scan,
    Show,
    Sign,
    Verify,
)  # fmt: skip
from jupyter_mlprod.fronts import call
from jupyter_mlprod.workspace import open_workspace
from tests.project import PACKAGE, mlprod

DATA = ("--data", "x.npy")
CASES: dict[str, tuple[Request, tuple[str, ...]]] = {
    "init": (Init(use_case="sorting", quality=0.7), ("--use-case", "sorting", "--quality", "0.7")),
    "package": (
        Package(model="tiny_models:second", name="tiny", example="x.npy", preprocess="prepare.py:prepare", labels="left,right"),
        ("tiny_models:second", *PACKAGE),
    ),
    "load": (Load(subject="tiny"), ("tiny",)),
    "contract": (Contract(action="infer", subject="x.npy", out="contract.toml"), ("infer", "x.npy", "--out", "contract.toml")),
    "check": (
        Check(subject="tiny", data="x.npy", view="training", tolerance=1e-5),
        ("tiny", *DATA, "--view", "training", "--tolerance", "1e-5"),
    ),
    "profile": (Profile(subject="tiny", batches=(1, 4), budget_s=0.5), ("tiny", "--batches", "1,4", "--budget-s", "0.5")),
    "evaluate": (
        Evaluate(subject="tiny", data="x.npy", target="y.npy", slices="side.npy"),
        ("tiny", *DATA, "--target", "y.npy", "--slices", "side.npy"),
    ),
    "scan": (Scan(subject="tiny@champion"), ("tiny@champion",)),
    "gate": (Gate(subjects=("tiny",)), ("tiny",)),
    "promote": (Promote(subject="tiny", to="canary", why="a try"), ("tiny", "--to", "canary", "--why", "a try")),
    "rollback": (Rollback(name="tiny", why="a drill"), ("tiny", "--why", "a drill")),
    "predict": (Predict(subject="tiny", data="x.npy", out="answers.csv"), ("tiny", *DATA, "--out", "answers.csv")),
    "export": (Export(subject="tiny", to="triton", out="repository"), ("tiny", "--to", "triton", "--out", "repository")),
    "show": (Show(subject="tiny:1"), ("tiny:1",)),
    "list": (List(name="tiny"), ("tiny",)),
    "compare": (Compare(first="tiny:1", second="tiny@champion"), ("tiny:1", "tiny@champion")),
    "history": (History(name="tiny", alias="champion"), ("tiny", "--alias", "champion")),
    "keygen": (Keygen(), ()),
    "sign": (Sign(subject="tiny:1", why="adopted"), ("tiny:1", "--why", "adopted")),
    "verify": (Verify(subject="tiny"), ("tiny",)),
    "gc": (Gc(), ()),
    "doctor": (Doctor(), ()),
}

VOLATILE = {"taken_at", "decided_at", "at", "digest", "evidence", "parts", "chain", "reason"} | {"taken_by", "scope", "policy_digest"}
"""Times and what follows from them; and who measured, which is what the fronts differ in by design (a notebook judges itself by the
self-reported form of the policy)."""

AFTER_MAGIC = {"load": "assert not r.training\nr = %mlprod show tiny\n"}
"""In a kernel ``load`` gives the live module instead of the record that the other fronts give."""

SAY = "import json\nfrom jupyter_mlprod.core.record import with_digest\nprint('RECORD' + json.dumps(with_digest(r)))"
REFUSE = """
from IPython.core.error import UsageError
try:
    get_ipython().run_line_magic('mlprod', 'check tiny')
except UsageError as e:
    print(type(e) is UsageError, e)
"""
MEASURED = {"latency", "graph_latency", "throughput", "cold_start"}


@pytest.fixture(scope="module")
def kernel() -> Iterator[Callable[[Path, str], str]]:
    """A real IPython kernel with the extension loaded; runs code in a folder and gives back what it printed."""
    manager, client = start_new_kernel()

    def run(folder: Path, code: str) -> str:
        printed: list[str] = []
        reply = client.execute_interactive(
            f"%cd -q {folder}\n{code}", timeout=300, output_hook=lambda m: printed.append(m["content"].get("text", ""))
        )
        assert reply["content"]["status"] == "ok", reply["content"]
        return "".join(printed)

    run(Path.cwd(), "%load_ext jupyter_mlprod")
    try:
        yield run
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def quoted(words: tuple[str, ...]) -> str:
    return " ".join(f'"{word}"' if " " in word else word for word in words)


def comparable(value: Any, *, folder: Path) -> Any:
    """A record without what must differ between three runs in three folders."""
    if isinstance(value, dict):
        kept = {key: comparable(item, folder=folder) for key, item in value.items() if key not in VOLATILE}
        if str(kept.get("name", "")).rsplit("_p", 1)[0] in MEASURED:
            kept = {key: kept[key] for key in ("name", "unit", "where", "method")}
        if "cpu_over_wall" in kept:
            del kept["cpu_over_wall"]
        if any(word in str(kept.get("note", "")) for word in ("free at", "signs with")):
            del kept["note"]
        return kept
    if isinstance(value, list):
        return [comparable(item, folder=folder) for item in value]
    if isinstance(value, float) and not math.isnan(value):
        return round(value, 5)
    return value.replace(str(folder), "FOLDER") if isinstance(value, str) else value


def test_every_verb_has_a_parity_case() -> None:
    assert set(CASES) == set(REQUESTS)


@pytest.mark.parametrize("verb", CASES)
def test_words_and_struct_are_the_same_request(verb: str) -> None:
    request, words = CASES[verb]
    assert call.parse(verb, words) == request
    assert call.parse(verb, words, prefix="%mlprod") == request


@pytest.mark.parametrize("verb", CASES)
def test_three_fronts_give_the_same_record(verb: str, workspace_copy: Callable[[str], Path], kernel: Callable[[Path, str], str]) -> None:
    request, words = CASES[verb]
    folders = {front: workspace_copy(front) for front in ("python", "cli", "magic")}
    if verb == "init":
        for folder in folders.values():
            (folder / "mlprod.toml").unlink()

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folders["python"])
        patch.syspath_prepend(folders["python"])
        by_python: Record = open_workspace().run(request)
    by_cli = json.loads(mlprod(verb, *words, "--json", cwd=folders["cli"]).stdout)
    by_magic = json.loads(
        kernel(folders["magic"], f"r = %mlprod {verb} {quoted(words)}\n{AFTER_MAGIC.get(verb, '')}{SAY}").split("RECORD")[1]
    )

    records = {"python": json.loads(json.dumps(with_digest(by_python))), "cli": by_cli, "magic": by_magic}
    seen = {front: comparable(record, folder=folders[front]) for front, record in records.items()}
    assert seen["python"] == seen["cli"]
    assert seen["magic"] == seen["cli"]
    assert list(by_cli)[:2] == ["schema", "digest"]


def test_a_bad_request_is_refused_alike_on_every_front(made_workspace: Path, kernel: Callable[[Path, str], str]) -> None:
    with pytest.raises(MlprodError) as refused:
        call.parse("check", ["tiny"])
    by_cli = mlprod("check", "tiny", cwd=made_workspace, check=2)
    by_magic = kernel(made_workspace, REFUSE)
    assert refused.value.message == "mlprod check needs --data"
    assert by_cli.stderr.splitlines()[0] == "bad-request: mlprod check needs --data"
    assert by_magic.startswith("True bad-request: %mlprod check needs --data")
