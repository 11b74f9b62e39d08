"""Torch modules of every shape that a user's has: how they are called, what they return, and what cannot be exported."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from lightning import LightningModule
from torch import nn

Layer = Callable[..., torch.Tensor]
"""A module as it is called; torch does not say what its modules return."""


class Pair(NamedTuple):
    """Two outputs."""

    scores: torch.Tensor
    embedding: torch.Tensor


@dataclasses.dataclass
class Answered:
    """Outputs, one of which was not asked for."""

    logits: torch.Tensor
    loss: torch.Tensor | None = None


class Two(nn.Module):
    """A layer from three columns to two classes, and whatever a subclass makes of it."""

    def __init__(self) -> None:
        super().__init__()
        self.layer: Layer = nn.Linear(3, 2)


class AsTuple(Two):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.layer(x), x * 2


class AsNamedTuple(Two):
    def forward(self, x: torch.Tensor) -> Pair:
        return Pair(self.layer(x), x * 2)


class AsDataclass(Two):
    def forward(self, x: torch.Tensor) -> Answered:
        return Answered(self.layer(x))


class OneDict(Two):
    """Takes one dict; returns one that holds nothing, a name of the input, and more inside."""

    def forward(self, batch: Any) -> dict[str, Any]:
        scores = self.layer(batch["x"]) + batch["y"][:, :2]
        return {"scores": scores, "x": batch["x"] * 3, "loss": None, "deep": (batch["y"], {"sum": batch["y"].sum(1)})}


class Masked(Two):
    """An argument with a default, given or not."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        return self.layer(x if mask is None else x * mask)


class InPlace(Two):
    """Works on its input's own memory."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x.mul_(2))


class Light(LightningModule):
    """A Lightning module, as a tutorial writes it."""

    def __init__(self) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.layer: Layer = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)

    def training_step(self, batch: Any, _index: int) -> torch.Tensor:
        return nn.functional.cross_entropy(self(batch[0]), batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Encoder(nn.Module):
    """Tokens to three classes, by the mean over the tokens that are not 0."""

    def __init__(self, *, width: int = 16, layers: int = 1, heads: int = 2, words: int = 50) -> None:
        super().__init__()
        self.embedding: Layer = nn.Embedding(words, width)
        layer = nn.TransformerEncoderLayer(width, heads, 2 * width, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head: Layer = nn.Linear(width, 3)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        there = tokens > 0
        hidden = self.encoder(self.embedding(tokens), src_key_padding_mask=~there)
        weights = there.unsqueeze(-1).float()
        return self.head((hidden * weights).sum(1) / weights.sum(1))


class Tagger(nn.Module):
    """One answer a token, and one for every two."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding: Layer = nn.Embedding(50, 4, padding_idx=0)

    def forward(self, tokens: torch.Tensor) -> dict[str, torch.Tensor]:
        each = self.embedding(tokens)
        return {"each": each, "half": each[:, ::2], "all": each.sum(1)}


class Block(nn.Module):
    """A residual block."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body: Layer = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.relu(x + self.body(x))


def residual() -> nn.Sequential:
    """A small residual network whose batch norms have seen data."""
    torch.manual_seed(0)
    made = nn.Sequential(
        nn.Conv2d(3, 8, 7, stride=2, padding=3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1), Block(8), Block(8),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5),
    )  # fmt: skip
    made(torch.randn(16, 3, 16, 16))
    return made


class Branches(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.sum() > 0:  # the line that is told
            return x
        return -x


class Singular(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = torch.linalg.svd(x[:, None])[1]
        return result


class Bessel(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = torch.special.bessel_j0(x)
        return result


class Numpy(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tensor(np.asarray(x.numpy()).mean(axis=1).tolist())  # leaves torch


class Signed(torch.autograd.Function):
    """A gradient of one's own, over operators that ONNX has."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.sign()

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0]


class Looked(torch.autograd.Function):
    """One that looks at a value."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x if x.max() > 0 else -x  # looks at a value

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0]


class OwnGradient(nn.Module):
    def __init__(self, function: type[torch.autograd.Function]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.function.apply(x)  # type: ignore[no-untyped-call]
        return result


class Spectrum(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = torch.fft.fft(x)
        return result


class Fixed(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(8, 3) if len(x) == 8 else x


class Words(nn.Module):
    def forward(self, x: torch.Tensor) -> dict[str, Any]:
        return {"scores": x, "told": "words"}


class Nothing(nn.Module):
    def forward(self, x: torch.Tensor) -> None:
        return None
