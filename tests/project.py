"""A tiny project for the tests: two linear models, their preprocessing, settings and data; and the command line as a user runs it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

MODEL = '''
"""Two tiny models for the tests."""
import torch
from torch import nn


def linear(shift):
    torch.manual_seed(0)
    net = nn.Linear(3, 2)
    with torch.no_grad():
        net.weight[:] = torch.tensor([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]])
        net.bias[:] = torch.tensor([shift, 0.0])
    return net


first = linear(0.0)
second = linear(0.01)
worse = linear(100.0)
'''

PREPARE = """
import numpy as np


def prepare(batch):
    return (batch / 2.0).astype(np.float32)
"""

SETTINGS = """
[settings]
actor = "tester"

[[policy.release]]
measure = "accuracy"
at_least = 0.8

[[policy.release]]
measure = "accuracy"
relative = true
at_least = -0.1
"""

PACKAGE = ["--name", "tiny", "--example", "x.npy", "--preprocess", "prepare.py:prepare", "--labels", "left,right"]


def mlprod(*words: str, cwd: Path, check: int | None = 0, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """The command line as a user runs it."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("MLPROD_")}
    done = subprocess.run(
        [sys.executable, "-m", "jupyter_mlprod", *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        env={**clean, "MLPROD_LOCK": "pins", **(environ or {})},
    )
    if check is not None:
        assert done.returncode == check, f"mlprod {' '.join(words)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def make_files(folder: Path) -> None:
    """Models, preprocessing, settings and data of the tiny project."""
    (folder / "tiny_models.py").write_text(MODEL)
    (folder / "prepare.py").write_text(PREPARE)
    (folder / "mlprod.toml").write_text(SETTINGS)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3))
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", (x[:, 0] < 0).astype(np.int64))
    np.save(folder / "side.npy", np.where(x[:, 1] < 0, "low", "high"))
