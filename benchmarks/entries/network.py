"""The network that packaging and answering are timed on, and its preprocessing."""

from torch import nn

PREPARE = """import numpy as np


def prepare(batch):
    return (batch / 16.0).astype(np.float32)[:, np.newaxis]
"""
LABELS = ",".join(str(digit) for digit in range(10))
PARAMETERS = 89_930


def fresh_network() -> nn.Module:
    """A CNN for (batch, 1, 8, 8), as it comes out of its initialization."""
    network = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(64 * 2 * 2, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip
    assert sum(parameter.numel() for parameter in network.parameters()) == PARAMETERS
    return network.eval()
