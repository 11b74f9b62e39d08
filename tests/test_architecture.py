"""The layers of the design, held by import-linter and by what a fresh interpreter really imports."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "jupyter_mlprod"
HEAVY = ("torch", "mlflow", "onnx", "onnxruntime", "pandas", "papermill", "sklearn", "scipy", "numpy", "cryptography", "tqdm", "nbformat")


def imported_by(code: str) -> set[str]:
    """Which heavy modules a fresh interpreter holds after some code."""
    probe = f"{code}\nimport sys\nprint('HEAVY:' + ','.join(m for m in {HEAVY!r} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=60, check=True, cwd=ROOT)
    return set(filter(None, done.stdout.split("HEAVY:")[1].strip().split(",")))


def test_import_linter_finds_the_layers_kept() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports"], capture_output=True, text=True, timeout=120, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout
    assert "broken" in done.stdout  # "Contracts: n kept, 0 broken."


@pytest.mark.parametrize(
    "code",
    [
        "import jupyter_mlprod",
        "import jupyter_mlprod.core.requests",
        "from jupyter_mlprod import Package, Gate",
        "from jupyter_mlprod.fronts import cli; cli.main(['--help'])",
        "from jupyter_mlprod.fronts import cli; cli.main(['package', '--help'])",
        "from IPython.core.interactiveshell import InteractiveShell as S; s = S.instance(); s.run_line_magic('load_ext', 'jupyter_mlprod')",
    ],
)
def test_nothing_heavy_is_imported_by(code: str) -> None:
    assert imported_by(code) == set()


def test_reading_records_imports_neither_torch_nor_mlflow_nor_onnxruntime(made_workspace: Path) -> None:
    for words in (["list"], ["show", "tiny"], ["history", "tiny"], ["compare", "tiny:1", "tiny:2"], ["gc"]):
        code = f"import os; os.chdir({str(made_workspace)!r})\nfrom jupyter_mlprod.fronts import cli; assert cli.main({words!r}) == 0"
        assert not imported_by(code) & {"torch", "mlflow", "onnx", "onnxruntime", "pandas"}, words


def test_answering_imports_neither_torch_nor_mlflow_nor_scipy(made_workspace: Path) -> None:
    code = (
        f"import os; os.chdir({str(made_workspace)!r})\nimport numpy as np\nfrom jupyter_mlprod import load\n"
        "assert set(load('tiny').answer(np.load('x.npy'))['label']) == {'left', 'right'}"
    )
    assert not imported_by(code) & {"torch", "mlflow", "onnx", "pandas", "papermill", "scipy"}


def test_only_the_composition_root_builds_adapters() -> None:
    for path in PACKAGE.rglob("*.py"):
        if "adapters" not in path.relative_to(PACKAGE).parts and path.name not in ("workspace.py", "captures.py"):
            assert "jupyter_mlprod.adapters" not in path.read_text("utf-8"), path


def test_every_verb_is_one_file_and_every_file_a_verb() -> None:
    from jupyter_mlprod.core.requests import REQUESTS

    verbs = {path.stem for path in (PACKAGE / "verbs").glob("*.py")} - {"__init__"}
    assert verbs == set(REQUESTS)
    assert {path.stem for path in (PACKAGE / "core" / "requests").glob("*.py")} - {"__init__", "base"} == set(REQUESTS)


def test_no_file_names_pickle_loading_or_a_path_of_a_machine() -> None:
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text("utf-8")
        assert "pickle.load" not in text, path
        assert "allow_pickle=True" not in text, path
