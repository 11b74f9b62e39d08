"""Torch modules that do one thing up to a size and another thing, or nothing, beyond it."""

import numpy as np
import torch
from torch import nn


class Truncates(nn.Module):
    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        kept = ids.float()
        if ids.shape[1] > 16:  # the line that is told
            kept = kept[:, :16]
        return kept.sum(1, keepdim=True)


class TruncatesTexts(nn.Module):
    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        total: torch.Tensor = Truncates()(input_ids * attention_mask)
        return total


class LargeBatch(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2 if x.shape[0] <= 100 else x * 3  # another factor


class Asserts(nn.Module):
    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        assert ids.shape[1] <= 16, "at most 16"
        return ids.float().mean(1, keepdim=True)


class Table(nn.Module):
    """Positions by a table of ten, as transformers have them."""

    def __init__(self) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.arange(10.0))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return ids.float() + self.positions[: ids.shape[1]]


class Convolution(nn.Module):
    """What a kernel of three needs is a bound of the operator's, which both keep."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv1d(1, 2, 3)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.layer(ids.float()[:, None]).mean(-1)
        return result


class Unseen(nn.Module):
    """A branch that tracing does not see: at ``size`` and beyond, in a dimension, the module alive adds one."""

    def __init__(self, axis: int, size: int) -> None:
        super().__init__()
        self.axis, self.size = axis, size

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        more = 0 if torch.compiler.is_exporting() else int(ids.shape[self.axis] >= self.size)
        return ids.float() + more


class Single(nn.Module):
    """Tracing takes it for granted that a size is not 1."""

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return ids.float() * 2 if ids.shape[1] > 1 else ids.float()


class Masked(nn.Module):
    """The last class is never answered."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.tensor([0.0, 0.0, -torch.inf])


class Root(nn.Module):
    """No number for any row of the example."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sqrt(x - 1e9)


class Histogram(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.histc(x[0], bins=4)[None].expand(x.shape[0], -1)


class Brain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2).bfloat16()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.layer(x.bfloat16())
        return result.float()


class Sine(nn.Module):
    """NumPy in the middle, of which torch has the same function."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(np.sin(x.numpy())) * 2
