"""What several tests need: a workspace with two tiny models that were packaged, gated and promoted, made once and copied for each use."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

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
        [sys.executable, "-m", "jupyter_mlprod", *words], cwd=cwd, capture_output=True, text=True, timeout=300, env={**clean, **(environ or {})}
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


@pytest.fixture(scope="session")
def made_workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``tiny`` packaged, gated and promoted twice: version 1 is the former champion, version 2 the champion."""
    folder = tmp_path_factory.mktemp("made")
    make_files(folder)
    for model in ("first", "second"):
        mlprod("package", f"tiny_models:{model}", *PACKAGE, cwd=folder)
        subject = json.loads(mlprod("list", "--json", cwd=folder).stdout)["rows"][0][1]
        mlprod("evaluate", subject, "--data", "x.npy", "--target", "y.npy", cwd=folder)
        mlprod("gate", subject, "--promote", "champion", cwd=folder)
    return folder


@pytest.fixture
def workspace_copy(made_workspace: Path, tmp_path: Path) -> Callable[[str], Path]:
    """A copy of the made workspace under a name."""

    def copy(name: str) -> Path:
        target = tmp_path / name
        shutil.copytree(made_workspace, target)
        return target

    return copy
