"""The setup of the entry ``first-answer``: the CNN as a bundle, and the same graph as MLflow saves it."""

import sys
from pathlib import Path

import mlflow.onnx
import numpy as np
import onnx
import torch

from benchmarks.entries.network import LABELS, PREPARE, fresh_network
from jupyter_mlprod import Package, open_workspace
from jupyter_mlprod.core.answer import Ends
from jupyter_mlprod.core.bundle import GRAPH
from jupyter_mlprod.core.execute import load_function
from jupyter_mlprod.core.record import digest


def main(folder: Path) -> None:
    """Furnish the folder."""
    torch.manual_seed(7)
    raw = np.random.default_rng(7).integers(0, 17, size=(8, 8, 8)).astype(np.float64)
    (folder / "mlprod.toml").touch()
    code = folder / "prepare.py"
    code.write_text(PREPARE, "utf-8")
    prepare = load_function(code, "prepare")
    np.save(folder / "example.npy", raw)
    np.save(folder / "row.npy", raw[:1])
    np.save(folder / "prepared.npy", prepare(raw[:1]))
    workspace = open_workspace(folder)
    capture = workspace.models.capture(fresh_network(), raw, Ends(preprocess=prepare), shapes={})
    request = Package(model=str(capture), name="digits", example=str(folder / "example.npy"), preprocess=f"{code}:prepare", labels=LABELS)
    bundle = workspace.bundles.path(digest(workspace.run(request)))
    mlflow.onnx.save_model(onnx.load(str(bundle / GRAPH)), str(folder / "onnx"), pip_requirements=["onnxruntime"])


main(Path(sys.argv[1]))
