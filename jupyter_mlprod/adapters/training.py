"""What this process knows of the training that made a model: seeds, the active MLflow run, and the GPU.

Nothing is imported to find it out: a library that the notebook never loaded has no part in the training. NumPy's and Python's global
generators keep no seed that could be read back, so theirs are not told.
"""

import os
import queue
import shutil
import subprocess
import sys
import threading
from typing import Any

from jupyter_mlprod.core.bundle import Training

STORE_WAIT_S = 5.0
"""How long a tracking store may take; a package is not held up by a server that is down."""
SEEDS_IN_ENVIRONMENT = {"lightning": "PL_GLOBAL_SEED", "python hashes": "PYTHONHASHSEED"}


def training_here(cells: tuple[str, ...], *, requirements: tuple[str, ...]) -> Training:
    """The facts of this process; ``cells`` are the digests of the notebook's executed cells, ``requirements`` what it was trained with."""
    run, parameters, metrics = _mlflow_run()
    return Training(
        requirements=requirements,
        cells=cells,
        mlflow_run=run,
        parameters=parameters,
        metrics=metrics,
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


def _mlflow_run() -> tuple[str, dict[str, str], dict[str, float]]:
    """Id, parameters and last metrics of the run that is active in this thread; the id alone when its store does not answer in time."""
    mlflow = sys.modules.get("mlflow")
    active = getattr(mlflow, "active_run", None)
    run = active() if active is not None else None
    if mlflow is None or run is None:
        return "", {}, {}
    name = str(run.info.run_id)
    answers: queue.Queue[Any] = queue.Queue()
    client = mlflow.MlflowClient()
    threading.Thread(target=_ask, args=(client, name, answers), daemon=True).start()
    try:
        data = answers.get(timeout=STORE_WAIT_S)
    except queue.Empty:
        data = None
    if data is None:
        return name, {}, {}
    finite = {key: float(value) for key, value in data.metrics.items() if abs(value) < float("inf")}
    return name, dict(data.params), finite


def _ask(client: Any, name: str, answers: "queue.Queue[Any]") -> None:
    try:
        answers.put(client.get_run(name).data)
    except Exception:  # noqa: BLE001  stores raise what their libraries raise, and none of it may stop a package
        answers.put(None)
