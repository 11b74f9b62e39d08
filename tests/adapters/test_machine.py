"""What a bundle needs, and what a process has imported, as pins of what is installed."""

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from jupyter_mlprod.adapters.machine import Machine, closure
from jupyter_mlprod.core.errors import Code, MlprodError

IMPORTED = """
import sys
sys.path[:0] = sys.argv[1:]
import alpha, group.one
from jupyter_mlprod.adapters.machine import imported_requirements, training_requirements
print(*imported_requirements(), sep="\\n")
print(*training_requirements(), sep="\\n", file=sys.stderr)
"""


def install(site: Path, name: str, *, requires: tuple[str, ...] = (), files: tuple[str, ...] = (), direct_url: str = "") -> None:
    """What an installer would leave of version 1.0 of a package."""
    info = f"{name.replace('-', '_')}-1.0.dist-info"
    (site / info).mkdir(parents=True)
    lines = [f"Requires-Dist: {text}" for text in requires]
    (site / info / "METADATA").write_text("\n".join(["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.0", *lines, ""]))
    (site / info / "RECORD").write_text("".join(f"{path},,\n" for path in (*files, f"{info}/METADATA")))
    for path in files:
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).touch()
    if direct_url:
        (site / info / "direct_url.json").write_text(json.dumps({"url": direct_url, "dir_info": {"editable": True}}))


def test_the_closure_follows_extras_and_leaves_out_what_is_for_other_machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "Top.Level", requires=("middle[fast,odd]>=1", "elsewhere; sys_platform == 'plan9'", "not-installed"))
    install(
        tmp_path,
        "middle",
        requires=("plain", "quick; extra == 'fast'", "slow; extra == 'slow'", "top_level", "old; extra == 'fast' and python_version < '3'"),
    )
    for name in ("plain", "quick", "slow", "elsewhere", "old"):
        install(tmp_path, name)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert closure(["top-level"]) == ("middle==1.0", "plain==1.0", "quick==1.0", "top-level==1.0")


def test_an_extra_that_is_asked_for_later_is_followed_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "aaa", requires=("shared",))
    install(tmp_path, "zzz", requires=("shared[more]",))
    install(tmp_path, "shared", requires=("extra-part; extra == 'more'",))
    install(tmp_path, "extra_part")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "extra-part==1.0" in closure(["aaa", "zzz"])
    assert "extra-part==1.0" in closure(["zzz", "aaa"])


def test_answering_needs_neither_torch_nor_mlflow_nor_anything_of_the_notebook(tmp_path: Path) -> None:
    names = {pin.split("==")[0] for pin in Machine(tmp_path, actor="tester").requirements(())}
    assert {"jupyter-mlprod", "numpy", "onnxruntime"} <= names
    assert not names & {"torch", "mlflow", "papermill", "pandas", "ipython", "jupyterlab", "onnx"}


@pytest.mark.parametrize(
    ("module", "files", "direct_url"),
    [
        ("alpha", ("alpha/__init__.py",), ""),
        ("alpha", ("alpha.py",), ""),
        ("alpha", ("alpha.cpython-311-x86_64-linux-gnu.so",), ""),
        ("alpha", (), "source"),
    ],
)
def test_a_module_is_found_by_the_files_of_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, files: tuple[str, ...], direct_url: str
) -> None:
    install(tmp_path / "site", "other-dist", files=("alphabet/__init__.py", "alpha-1.py", "x/alpha.py"))
    install(tmp_path / "site", "alpha-dist", files=files, direct_url=(tmp_path / direct_url).as_uri() if direct_url else "")
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "alpha.py").touch()
    for folder in ("site", "source"):
        monkeypatch.syspath_prepend(str(tmp_path / folder))
    pins = Machine(tmp_path, actor="tester").requirements((module,))
    assert {pin for pin in pins if pin.endswith("==1.0")} == {"alpha-dist==1.0"}


def test_what_no_package_brings_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(MlprodError) as refusal:
        Machine(tmp_path, actor="tester").requirements(("no_such_module",))
    assert refusal.value.code is Code.PREPROCESS
    assert "no_such_module" in refusal.value.message


def test_a_process_records_what_it_has_imported_and_nothing_else(tmp_path: Path) -> None:
    site, source = tmp_path / "site", tmp_path / "a source"
    install(site, "alpha-dist", files=("alpha/__init__.py",), requires=("loaded-by-alpha", "slow; extra == 'slow'"))
    for name in ("loaded-by-alpha", "slow"):
        install(site, name)
    install(site, "beta-dist", files=("beta/__init__.py",))
    install(site, "group-one", files=("group/one.py",))
    install(site, "group-two", files=("group/two.py",))
    install(site, "edited", direct_url=(source.as_uri()))
    install(site, "edited-too", direct_url=f"{source.as_uri()}-elsewhere")
    (source / "gamma.py").parent.mkdir()
    (source / "gamma.py").touch()
    script = IMPORTED.replace("import alpha,", "import gamma, alpha,")
    done = subprocess.run([sys.executable, "-c", script, str(site), str(source)], capture_output=True, text=True, check=True)
    pins = done.stdout.split()
    assert {pin for pin in pins if pin.endswith("==1.0")} == {"alpha-dist==1.0", "group-one==1.0", "edited==1.0"}
    assert {f"msgspec=={version('msgspec')}", f"jupyter-mlprod=={version('jupyter-mlprod')}"} <= set(pins)
    assert not [pin for pin in pins if pin.startswith(("torch==", "mlflow==", "numpy=="))]
    trained = done.stderr.split()
    assert set(pins) | {"loaded-by-alpha==1.0", f"numpy=={version('numpy')}"} <= set(trained), "what those require is part of the training"
    assert "slow==1.0" not in trained
    assert trained == sorted(trained)
