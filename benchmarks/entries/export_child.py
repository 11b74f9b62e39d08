"""The child of the entries ``export-…``: both sides in one process, warm, with fresh weights for every run.

Ours ends in a bundle whose answers were held against the module's at every batch; the peer exports with the same options and stops there.
A parity that fails is a fault, and misses the bar at any speed.
"""

import contextlib
import io
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from torch import nn

from benchmarks.harness import Sample, Side, interleaved, timed
from jupyter_mlprod import Package, open_workspace
from jupyter_mlprod.core.answer import Ends
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.evidence import Evidence
from jupyter_mlprod.core.record import digest

TRIALS = {"residual": {"1", "3", "8"}, "encoder": {"1", "3", "8", "3, sequence 32"}}
SHAPES: dict[str, dict[str, tuple[int | str, ...]]] = {"residual": {}, "encoder": {"tokens": ("batch", "sequence")}}
CONTRACTS = {"residual": "", "encoder": '[inputs.tokens]\nshape = ["batch", "sequence"]\n'}


class Block(nn.Module):
    """Two convolutions around which the input is passed; the first may halve the picture."""

    def __init__(self, before: int, behind: int, *, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(before, behind, 3, stride, 1, bias=False), nn.BatchNorm2d(behind), nn.ReLU(),
            nn.Conv2d(behind, behind, 3, 1, 1, bias=False), nn.BatchNorm2d(behind),
        )  # fmt: skip
        self.past = (
            nn.Identity()
            if stride == 1 and before == behind
            else nn.Sequential(nn.Conv2d(before, behind, 1, stride, bias=False), nn.BatchNorm2d(behind))
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.relu(self.body(x) + self.past(x))


def residual() -> nn.Module:
    """ResNet-18 (He et al. 2015, table 1): 11.7 M parameters; statistics of its batch norms as after a step of training."""
    widths = ((64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2))
    blocks = [
        block for before, behind, stride in widths for block in (Block(before, behind, stride=stride), Block(behind, behind, stride=1))
    ]
    network = nn.Sequential(
        nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
        *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000),
    )  # fmt: skip
    with torch.no_grad():
        network(torch.randn(4, 3, 64, 64))
    return network.eval()


class Encoder(nn.Module):
    """Six layers of width 256 over tokens, and ten classes."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(8000, 256)
        layer = nn.TransformerEncoderLayer(256, 8, 1024, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 6, enable_nested_tensor=False)
        self.head = nn.Linear(256, 10)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.head(self.encoder(self.embedding(tokens)).mean(1))
        return result


def example_of(network: str) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(7)
    if network == "residual":
        return rng.normal(size=(8, 3, 224, 224)).astype(np.float32)
    return rng.integers(0, 8000, size=(8, 64))


class Own:
    """Our side, and the largest difference that its proofs have found."""

    def __init__(self, folder: Path, network: str) -> None:
        folder.mkdir()
        (folder / "mlprod.toml").touch()
        self.network = network
        self.raw = example_of(network)
        self.workspace = open_workspace(folder)
        self.example = self.workspace.data.write(self.raw, folder / "example.npy")
        self.largest = 0.0

    def take(self, fresh: Callable[[], nn.Module]) -> Sample:
        module = fresh()
        try:
            sample = timed(lambda: self._package(module))
        except MlprodError as error:
            if error.code is not Code.PARITY:
                raise
            return Sample(wall_s=0.0, cpu_s=0.0, faults=(error.message,))
        evidence = self.workspace.records.about(Evidence, self.made)[0]
        self.largest = max(self.largest, *(m.value for m in evidence.measures if m.name == "parity_max_abs_diff"))
        lacking = TRIALS[self.network] - {measure.where["batch"] for measure in evidence.measures}
        return msgspec.structs.replace(sample, faults=tuple(f"not proven at batch {place}" for place in sorted(lacking)))

    def _package(self, module: nn.Module) -> None:
        capture = self.workspace.models.capture(module, self.raw, Ends(), shapes=SHAPES[self.network])
        request = Package(model=str(capture), name=self.network, example=str(self.example), contract=CONTRACTS[self.network])
        self.made = digest(self.workspace.run(request))


def exported(network: str, fresh: Callable[[], nn.Module]) -> Sample:
    """The peer, as quiet as ours."""
    module = fresh()
    axes: dict[int, str] = {0: "batch"} if network == "residual" else {0: "batch", 1: "sequence"}
    example = torch.from_numpy(example_of(network))

    def export() -> None:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            torch.onnx.export(module, (example,), dynamo=True, dynamic_shapes=(axes,), verbose=False)

    return timed(export)


def main(folder: Path, network: str, counted: int) -> None:
    """Measure, and leave the series in ``series.json``."""
    torch.manual_seed(7)
    fresh = residual if network == "residual" else lambda: Encoder().eval()
    own = Own(folder / "own", network)
    sides = (
        Side(name="capture, package and prove", take=lambda: own.take(fresh)),
        Side(name="torch.onnx.export", take=lambda: exported(network, fresh), peer=True),
    )
    mine, peer = interleaved(sides, counted=counted)
    named = msgspec.structs.replace(mine, name=f"{mine.name} (largest difference {own.largest:.1e})")
    (folder / "series.json").write_bytes(msgspec.json.encode((named, peer)))


main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
