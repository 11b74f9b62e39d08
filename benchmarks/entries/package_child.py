"""The child of the entry ``package``: both sides in one process, warm, with fresh weights for every run.

Ours takes the live module through export, parity, signature, the record of what it depends on, and registration with its bytes read back;
MLflow's serializes it, records what it depends on, and logs it. Fresh weights, because a bundle that is known by its content is not made
a second time.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import mlflow.pytorch
import msgspec
import numpy as np
import torch
from torch import nn

from benchmarks.entries.network import LABELS, PREPARE, fresh_network
from benchmarks.harness import Sample, Side, interleaved, timed
from jupyter_mlprod import Package, open_workspace
from jupyter_mlprod.core.answer import Ends
from jupyter_mlprod.core.execute import load_function
from jupyter_mlprod.core.record import digest

TRAINING_ROWS = 1440


def own_side(folder: Path, raw: np.ndarray[Any, Any]) -> Side:
    """The live module to a version in the registry of a workspace of its own."""
    folder.mkdir()
    (folder / "mlprod.toml").touch()
    code, example, train = folder / "prepare.py", folder / "example.npy", folder / "train.npy"
    code.write_text(PREPARE, "utf-8")
    workspace = open_workspace(folder)
    workspace.data.write(raw, example)
    workspace.data.write(np.tile(raw, (TRAINING_ROWS // len(raw), 1, 1)), train)
    ends = Ends(preprocess=load_function(code, "prepare"))

    def release(network: nn.Module) -> None:
        capture = workspace.models.capture(network, raw, ends, shapes={})
        request = Package(
            model=str(capture), name="digits", example=str(example), preprocess=f"{code}:prepare", labels=LABELS, data=str(train)
        )
        bundle = workspace.run(request)
        name = digest(bundle)
        workspace.registry.register("digits", workspace.bundles.path(name), name)

    return Side(name="package and register", take=lambda: _with_fresh_weights(release))


def peer_side(folder: Path, raw: np.ndarray[Any, Any]) -> Side:
    """``log_model`` into a store of its own; its default format wants an example."""
    folder.mkdir()
    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    mlflow.set_experiment(experiment_id=mlflow.create_experiment("digits", artifact_location=(folder / "artifacts").as_uri()))
    code = folder / "prepare.py"
    code.write_text(PREPARE, "utf-8")
    example = load_function(code, "prepare")(raw)

    def log(network: nn.Module) -> None:
        mlflow.pytorch.log_model(network, name="digits", input_example=example)

    return Side(name="mlflow.pytorch.log_model", take=lambda: _with_fresh_weights(log), peer=True)


def _with_fresh_weights(release: Callable[[nn.Module], None]) -> Sample:
    network = fresh_network()
    return timed(lambda: release(network))


def main(folder: Path, counted: int) -> None:
    """Measure, and leave the series in ``series.json``."""
    torch.manual_seed(7)
    raw = np.random.default_rng(7).integers(0, 17, size=(8, 8, 8)).astype(np.float64)
    sides = (own_side(folder / "own", raw), peer_side(folder / "peer", raw))
    (folder / "series.json").write_bytes(msgspec.json.encode(interleaved(sides, counted=counted)))


main(Path(sys.argv[1]), int(sys.argv[2]))
