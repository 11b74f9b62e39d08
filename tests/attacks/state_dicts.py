"""Real state dicts and checkpoints, as people save them: many kinds of modules, types of numbers, optimizers, both formats of torch.

torchvision is not among the packages of the tests, so its architectures are built here by their blocks. What is promised is that a scan
flags none of these.
"""

import io
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import nn


class Residual(nn.Module):
    """A block of ResNet; with ``expansion`` a bottleneck."""

    def __init__(self, width: int, *, expansion: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True),
            nn.Conv2d(width, width * expansion, 1, bias=False), nn.BatchNorm2d(width * expansion),
        )  # fmt: skip
        self.downsample = nn.Sequential(nn.Conv2d(width, width * expansion, 1, bias=False), nn.BatchNorm2d(width * expansion))


class Dense(nn.Module):
    """A block of DenseNet, whose children have names with numbers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        for index in range(3):
            self.add_module(f"denselayer{index + 1}", nn.Sequential(nn.BatchNorm2d(width), nn.Conv2d(width, 4, 3)))


class Patches(nn.Module):
    """A vision transformer: class token and positions are parameters of the module itself, windows an index buffer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.encoder = nn.ModuleDict({"layer": nn.TransformerEncoderLayer(width, 2, 16, batch_first=True)})
        self.register_buffer("relative_position_index", torch.arange(16).reshape(4, 4))


def squeeze(width: int) -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, 2, 1), nn.SiLU(), nn.Conv2d(2, width, 1), nn.Sigmoid())


MODULES: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Linear(3, 2),
    "alexnet": lambda: nn.Sequential(nn.Conv2d(3, 8, 11, 4), nn.ReLU(), nn.MaxPool2d(3), nn.Flatten(), nn.Dropout(), nn.Linear(8, 4)),
    "vgg": lambda: nn.Sequential(*[layer for _ in range(3) for layer in (nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.ReLU())]),
    "resnet": lambda: nn.Sequential(OrderedDict(conv1=nn.Conv2d(3, 4, 7), layer1=Residual(4), layer2=Residual(4), fc=nn.Linear(4, 2))),
    "bottleneck": lambda: nn.Sequential(Residual(4, expansion=4), Residual(16, expansion=4)),
    "densenet": lambda: nn.Sequential(Dense(4), Dense(8)),
    "mobilenet": lambda: nn.Sequential(nn.Conv2d(8, 8, 3, groups=8), nn.BatchNorm2d(8), nn.ReLU6(), nn.Conv2d(8, 4, 1)),
    "efficientnet": lambda: nn.ModuleList([squeeze(4), squeeze(8)]),
    "vision transformer": lambda: Patches(8),
    "unet": lambda: nn.ModuleDict({"down": nn.Conv2d(1, 4, 3), "up": nn.ConvTranspose2d(4, 1, 2, 2)}),
    "video": lambda: nn.Sequential(nn.Conv3d(3, 4, 3), nn.BatchNorm3d(4), nn.GroupNorm(2, 4), nn.InstanceNorm3d(4, affine=True)),
    "audio": lambda: nn.Sequential(nn.Conv1d(1, 4, 9), nn.BatchNorm1d(4), nn.PReLU(4), nn.ConvTranspose1d(4, 1, 9)),
    "lstm": lambda: nn.LSTM(4, 4, 2, bidirectional=True),
    "gru": lambda: nn.GRU(4, 4, 2),
    "transformer": lambda: nn.Transformer(8, 2, 1, 1, 16, batch_first=True),
    "attention": lambda: nn.MultiheadAttention(8, 2, kdim=4, vdim=4),
    "embedding": lambda: nn.ModuleList([nn.Embedding(10, 4), nn.EmbeddingBag(10, 4), nn.Bilinear(2, 3, 4), nn.LayerNorm(4)]),
    "weight norm": lambda: nn.utils.parametrizations.weight_norm(nn.Linear(3, 3)),
    "spectral norm": lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(3, 3)),
    "orthogonal": lambda: nn.utils.parametrizations.orthogonal(nn.Linear(3, 3)),
}
DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
OPTIMIZERS = ("SGD", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "Adagrad", "Adadelta", "RMSprop", "ASGD", "Rprop")


def trained(name: str) -> dict[str, Any]:
    """A checkpoint after one step: weights, optimizer, schedule, and what people keep beside them."""
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    momentum = {"momentum": 0.9} if name in ("SGD", "RMSprop") else {}
    optimizer = getattr(torch.optim, name)(net.parameters(), lr=0.01, **momentum)
    net(torch.zeros(2, 3)).sum().backward()
    optimizer.step()
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 4])
    return {
        "epoch": 3, "model": net.state_dict(), "optimizer": optimizer.state_dict(), "schedule": schedule.state_dict(),
        "best": np.float64(0.98), "loss": np.float32(0.1), "history": np.arange(4.0), "seen": {1, 2}, "args": {"lr": 0.1, "sizes": (1, 2)},
        "random": torch.get_rng_state(), "numpy": np.random.default_rng(0).bit_generator.state, "device": torch.device("cpu"),
        "dtype": torch.float16, "size": torch.Size([1, 2]), "torch": torch.__version__,
    }  # fmt: skip


def quantized(*, by_channel: bool) -> torch.Tensor:
    """A quantized tensor, which torch advises against and which lies in many files."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if by_channel:
            return torch.quantize_per_channel(torch.ones(2, 2), torch.ones(2), torch.zeros(2), 0, torch.quint8)
        return torch.quantize_per_tensor(torch.ones(4), 0.1, 0, torch.qint8)


ODD: dict[str, Callable[[], Any]] = {
    "parameter": lambda: nn.Parameter(torch.zeros(2)),
    "frozen": lambda: nn.Parameter(torch.zeros(2), requires_grad=False),
    "complex": lambda: torch.zeros(2, dtype=torch.complex64),
    "integers": lambda: [
        torch.zeros(2, dtype=kind) for kind in (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool)
    ],
    "eight bits": lambda: torch.zeros(4).to(torch.float8_e4m3fn),
    "quantized": lambda: quantized(by_channel=False),
    "quantized by channel": lambda: quantized(by_channel=True),
    "sparse": lambda: torch.eye(3).to_sparse(),
    "meta": lambda: torch.zeros(2, device="meta"),
    "views of one storage": lambda: {"a": (base := torch.arange(10.0)), "b": base[2:4], "c": base.reshape(2, 5).t()},
    "empty": lambda: torch.zeros(0, 3),
    "nothing": lambda: OrderedDict(),
}


def saved(value: Any, *, as_zip: bool) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=as_zip)
    return buffer.getvalue()


def state_dicts() -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Name and maker of each file; the numbers in them are random, as those of trained weights look."""
    torch.manual_seed(0)
    for as_zip in (True, False):
        form = "zip" if as_zip else "legacy"
        for name, module in MODULES.items():
            for dtype in DTYPES:
                yield f"{name}, {dtype}, {form}", lambda m=module, d=dtype, z=as_zip: saved(m().to(d).state_dict(), as_zip=z)  # type: ignore[misc]
        for name in OPTIMIZERS:
            yield f"{name}, {form}", lambda n=name, z=as_zip: saved(trained(n), as_zip=z)  # type: ignore[misc]
        for name, odd in ODD.items():
            if as_zip or name != "eight bits":
                yield f"{name}, {form}", lambda o=odd, z=as_zip: saved(o(), as_zip=z)  # type: ignore[misc]
