"""What this process knows of the training that made a model: seeds, the active MLflow run, and the GPU.

Nothing is imported to find it out: a library that the notebook never loaded has no part in the training. NumPy's and Python's global
generators keep no seed that could be read back, so theirs are not told.
"""

import os
import shutil
import subprocess
import sys
from typing import Any

import msgspec

from jupyter_mlprod.core.bundle import Training
from jupyter_mlprod.core.tracking import told_of

SEEDS_IN_ENVIRONMENT = {"lightning": "PL_GLOBAL_SEED", "python hashes": "PYTHONHASHSEED"}


def training_here(cells: tuple[str, ...], *, requirements: tuple[str, ...]) -> Training:
    """The facts of this process; ``cells`` are the digests of the notebook's executed cells, ``requirements`` what it was trained with."""
    return msgspec.structs.replace(
        _mlflow_run(),
        requirements=requirements,
        cells=cells,
        seeds=_seeds(),
        cuda=str(_of_torch("version.cuda") or ""),
        driver=_driver(),
    )


def _seeds() -> dict[str, int]:
    """Seeds that can be read back; torch always has one, its own when the notebook gave none."""
    found = {name: int(os.environ[key]) for name, key in SEEDS_IN_ENVIRONMENT.items() if os.environ.get(key, "").isdecimal()}
    seed = _of_torch("initial_seed")
    return {**found, "torch": int(seed())} if seed is not None else found


def _of_torch(path: str) -> Any:
    value: Any = sys.modules.get("torch")
    for name in path.split("."):
        value = getattr(value, name, None)
    return value


def _driver() -> str:
    """The NVIDIA driver's version, or nothing."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    words = [program, "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        told = subprocess.run(words, capture_output=True, text=True, timeout=5, check=False)  # noqa: S603  a fixed program and words
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return told.stdout.split("\n")[0].strip() if told.returncode == 0 else ""


def _mlflow_run() -> Training:
    """The run that is active in this thread; its id alone when its store does not tell more of it."""
    mlflow = sys.modules.get("mlflow")
    active = getattr(mlflow, "active_run", None)
    run = active() if active is not None else None
    if mlflow is None or run is None:
        return Training()
    name = str(run.info.run_id)
    client = mlflow.MlflowClient()
    return told_of(name, lambda: client.get_run(name).data) or Training(mlflow_run=name)
