"""Tracking: what a store of training runs tells of one of them, asked with limited patience.

A store that fails or is silent costs what it would have told, and no more: a package is not held up by a server that is down.
"""

import queue
import threading
from collections.abc import Callable
from typing import Any

from jupyter_mlprod.core.bundle import Training

STORE_WAIT_S = 5.0


def told_of(run: str, ask: Callable[[], Any]) -> Training | None:
    """The run's id, its parameters and its last finite metrics; None when the store does not tell in time.

    Parameters
    ----------
    ask : gives MLflow's ``RunData`` of the run
    """
    answers: queue.Queue[Any] = queue.Queue()
    threading.Thread(target=_answer, args=(ask, answers), daemon=True).start()
    try:
        data = answers.get(timeout=STORE_WAIT_S)
    except queue.Empty:
        data = None
    if data is None:
        return None
    finite = {key: float(value) for key, value in data.metrics.items() if abs(value) < float("inf")}
    return Training(mlflow_run=run, parameters=dict(data.params), metrics=finite)


def _answer(ask: Callable[[], Any], answers: "queue.Queue[Any]") -> None:
    try:
        answers.put(ask())
    except Exception:  # noqa: BLE001  stores raise what their libraries raise, and none of it may stop a package
        answers.put(None)
