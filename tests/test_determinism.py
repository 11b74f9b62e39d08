"""The same model packaged in another kernel, from another folder, in another cell, after other cells, is the same bundle."""

from pathlib import Path
from typing import Any

from jupyter_client.manager import start_new_kernel

MODEL = """
import numpy as np
import torch
from torch import nn
SCALE = 16.0
torch.manual_seed(0)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
    def forward(self, image):
        return self.body(image)

def prepare(batch):
    return (batch / SCALE).astype(np.float32)[:, None]

net = Net()
X = np.random.default_rng(0).integers(0, 17, size=(8, 8, 8)).astype(float)
"""
PACKAGE = "made = %mlprod package net --name small --example X --preprocess prepare --labels a,b,c --data X"
SAY = "from jupyter_mlprod.core.record import digest\nprint(digest(made))"


def packaged(folder: Path, cells: list[str]) -> str:
    """What a kernel in a folder printed last."""
    folder.mkdir(parents=True)
    (folder / "mlprod.toml").touch()
    manager, client = start_new_kernel(cwd=str(folder))
    printed: list[str] = []

    def heard(message: dict[str, Any]) -> None:
        printed.append(message["content"].get("text", ""))

    try:
        for cell in ["%load_ext jupyter_mlprod", *cells]:
            reply = client.execute_interactive(cell, timeout=120, output_hook=heard)
            assert reply["content"]["status"] == "ok", reply["content"]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    return "".join(printed).strip().splitlines()[-1]


def test_packaging_twice_in_one_kernel_and_again_elsewhere_gives_one_digest(tmp_path: Path) -> None:
    here = packaged(tmp_path / "here", [MODEL, PACKAGE, SAY])
    again = [MODEL, PACKAGE, "unrelated = [2, 3]", "import json\n" + MODEL, f"# another cell\n{PACKAGE}", SAY]
    assert packaged(tmp_path / "far" / "away", again) == here
    assert here.startswith("sha256:")
