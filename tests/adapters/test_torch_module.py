"""A module that is written down comes back: the same classes, the same state, every bit of every weight, and what is tied stays tied."""

import dataclasses
import enum
import functools
import hashlib
import importlib
import linecache
import sys
import threading
import types
from pathlib import Path
from typing import Any, cast

import lightning
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from transformers import BertConfig, BertForSequenceClassification

from jupyter_mlprod.adapters.torch_capture import answered
from jupyter_mlprod.adapters.torch_module import DTYPES, TorchModules
from jupyter_mlprod.core.bundle import CLASSES, MODULE, STRUCTURE, WEIGHTS, Bundle, BundleFile
from jupyter_mlprod.core.contract import Contract, Tensor
from jupyter_mlprod.core.errors import MlprodError

MODULES = TorchModules(answered)
X = Tensor(name="x", dtype="float32", shape=("batch", 3))
CELL = """
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Optional, TypeVar, cast

import torch
import torch.nn.functional as F
from torch import nn

WIDTH = 4
T = TypeVar("T")
Layer = Callable[[torch.Tensor], torch.Tensor]
Number = int | float | None


class Pair(NamedTuple):
    first: Number
    second: Optional[int] = None


@dataclass
class Settings:
    width: int = WIDTH


def doubled(x):
    return 2 * F.relu(x)


class Base(nn.Module):
    def forward(self, x):
        return doubled(cast(Layer, self.layer)(x)) * math.pi * self.pair.first


class Net(Base):
    def __init__(self):
        super().__init__()
        self.settings = Settings()
        self.pair = Pair(1.0)
        self.layer = nn.Linear(3, self.settings.width)
"""


class Color(enum.Enum):
    RED = 1


@dataclasses.dataclass
class Options:
    sizes: list[int]
    shared: Any = None


class Holder(nn.Module):
    """A layer, and whatever a test wants it to hold."""

    def __init__(self, **held: Any) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)
        for name, value in held.items():
            setattr(self, name, value)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return cast("torch.Tensor", self.layer(x))


class Lit(lightning.LightningModule):
    def __init__(self, width: int = 2) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.layer = nn.Linear(3, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return cast("torch.Tensor", self.layer(x))

    def training_step(self, batch: list[torch.Tensor]) -> torch.Tensor:
        return cast("torch.Tensor", self(batch[0]).square().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def bundle_of(folder: Path) -> Bundle:
    files = (BundleFile(path=path.relative_to(folder).as_posix(), bytes=0, sha256="") for path in folder.rglob("*") if path.is_file())
    return Bundle(name="held", contract=Contract(inputs=(X,), outputs=(X,)), scores="values", files=tuple(files))


def written(module: nn.Module, folder: Path) -> Path:
    folder.mkdir()
    assert MODULES.describe(module, folder) == ""
    return folder


def back(module: nn.Module, folder: Path) -> Any:
    return MODULES.restore(written(module, folder), bundle_of(folder))


def bits(tensor: torch.Tensor) -> bytes:
    return tensor.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes() if tensor.numel() else b""


def same(first: nn.Module, second: nn.Module) -> bool:
    a, b = first.state_dict(), second.state_dict()
    return list(a) == list(b) and all(a[k].dtype == b[k].dtype and a[k].shape == b[k].shape and bits(a[k]) == bits(b[k]) for k in a)


def cell_module(text: str, name: str) -> types.ModuleType:
    """What a notebook holds after a cell: names without a file, the source where IPython leaves it."""
    module = types.ModuleType(name)
    file = f"<ipython-input-{name}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    sys.modules[name] = module
    exec(compile(text, file, "exec"), vars(module))
    return module


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.0), nn.ReLU()),
        lambda: nn.LSTM(3, 4, num_layers=2, bidirectional=True),
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, activation="gelu"), 2),
        lambda: nn.ModuleDict({"b": nn.Embedding(5, 3), "a": nn.ParameterList([torch.ones(2), torch.zeros(1)])}),
    ],
)
def test_modules_of_torch_come_back(make: Any, tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = make()
    found = back(module, tmp_path / "capture")
    assert type(found) is type(module)
    assert same(module, found)
    assert vars(found).keys() == vars(module).keys()
    assert not any(part.training for part in found.modules())


def test_every_dtype_shape_and_layout_comes_back_bit_for_bit(tmp_path: Path) -> None:
    module = nn.Module()
    for dtype in DTYPES:
        width = torch.tensor([], dtype=dtype).element_size()
        raw = torch.arange(6 * width, dtype=torch.uint8)
        values = (raw % 2).to(torch.bool)[:6] if dtype is torch.bool else raw.view(dtype)
        module.register_buffer("a_" + str(dtype).removeprefix("torch."), values.reshape(2, 3))
    module.register_buffer("nan", torch.tensor([0x7FC00001], dtype=torch.int32).view(torch.float32))
    module.register_buffer("scalar", torch.tensor(2.5, dtype=torch.float64))
    module.register_buffer("empty", torch.empty(0, 3))
    module.register_buffer("transposed", torch.arange(6.0).reshape(2, 3).T)
    module.register_buffer("expanded", torch.arange(3).expand(2, 3), persistent=False)
    module.register_buffer("none", None)
    module.register_parameter("slice", nn.Parameter(torch.arange(10.0)[2:5]))
    found = back(module, tmp_path / "capture")
    assert same(module, found)
    assert torch.equal(found.expanded, cast("torch.Tensor", module.expanded))
    assert "expanded" not in found.state_dict()
    assert (tmp_path / "capture" / WEIGHTS).stat().st_size < 5000, "of a view only what is seen of it is kept"


def test_plain_attributes_come_back_as_they_were(tmp_path: Path) -> None:
    shared = Options([3])
    held = {
        "numbers": (1, 2.0, 0.0, -0.0, 1 << 70, float("inf"), 1 + 2j, True, None), "empty": [], "text": "é\n", "data": b"\0",
        "nested": {"a": [{"b": (1,)}], 2: {3}}, "frozen": frozenset({1, 2}), "cut": slice(1, None), "color": Color.RED,
        "size": torch.Size([1, 2]), "dtype": torch.bfloat16, "act": nn.functional.relu, "gelu": nn.functional.gelu,
        "norm": functools.partial(nn.LayerNorm, eps=1e-6), "table": np.arange(6, dtype=np.int16).reshape(2, 3), "scalar": np.float32(0.1),
        "options": Options([1, 2], shared), "again": shared, "plain": torch.ones(2), "finfo": np.dtype("<f4"),
    }  # fmt: skip
    found = back(Holder(**held), tmp_path / "capture")
    for name in held.keys() - {"table", "plain", "options", "again", "color"}:
        assert getattr(found, name) == held[name] or name == "norm", name
        assert type(getattr(found, name)) is type(held[name])
    assert found.norm.func is nn.LayerNorm
    assert found.norm.keywords == {"eps": 1e-6}
    assert found.table.dtype == np.int16
    assert found.table.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found.options.sizes == [1, 2]
    assert found.options.shared is found.again, "what is shared stays shared"
    assert found.color.name == "RED"


def test_what_is_tied_stays_tied_and_what_is_frozen_stays_frozen(tmp_path: Path) -> None:
    class_of = Holder()
    class_of.decoder = nn.Linear(3, 2)
    class_of.decoder.weight = class_of.layer.weight
    class_of.same = class_of.layer
    class_of.layer.bias.requires_grad = False
    found = back(class_of, tmp_path / "capture")
    assert found.decoder.weight is found.layer.weight
    assert found.same is found.layer
    assert not found.layer.bias.requires_grad
    assert found.layer.weight.requires_grad
    assert len(list(found.parameters())) == len(list(class_of.parameters()))


def test_training_on_changes_neither_the_bundle_nor_the_original(tmp_path: Path) -> None:
    module = Holder()
    before, folder = bits(module.layer.weight), written(module, tmp_path / "capture")
    stored = hashlib.sha256((folder / WEIGHTS).read_bytes()).digest()
    found = MODULES.restore(folder, bundle_of(folder)).train()
    optimizer = torch.optim.SGD(found.parameters(), lr=1.0)
    found(torch.ones(4, 3)).sum().backward()
    optimizer.step()
    assert bits(found.layer.weight) != before
    assert bits(module.layer.weight) == before
    assert hashlib.sha256((folder / WEIGHTS).read_bytes()).digest() == stored
    again = MODULES.restore(folder, bundle_of(folder))
    assert bits(again.layer.weight) == before


def test_a_class_of_a_notebook_comes_back_from_its_text_alone(tmp_path: Path) -> None:
    torch.manual_seed(0)
    cell = cell_module(CELL, "cell_1")
    folder = written(cell.Net(), tmp_path / "capture")
    original = cell.Net()
    del sys.modules["cell_1"]
    found = MODULES.restore(folder, bundle_of(folder))
    assert type(found).__name__ == "Net"
    assert type(found) is not cell.Net
    assert found.settings.width == 4
    assert found.pair == (1.0, None)
    original.load_state_dict(found.state_dict())
    x = torch.randn(2, 3)
    assert torch.equal(found(x), original.eval()(x))


def test_the_files_depend_on_the_module_alone_also_when_it_has_come_back(tmp_path: Path) -> None:
    torch.manual_seed(0)
    first = cell_module(CELL, "cell_2").Net()
    folders = [written(first, tmp_path / "first"), written(first.train(), tmp_path / "again")]
    other = cell_module("# another cell, another day\n\n" + CELL, "cell_3").Net()
    other.load_state_dict(first.state_dict())
    folders.append(written(other, tmp_path / "other"))
    folders.append(written(MODULES.restore(folders[0], bundle_of(folders[0])), tmp_path / "back"))
    for path in (STRUCTURE, WEIGHTS, CLASSES):
        assert len({(folder / path).read_bytes() for folder in folders}) == 1, path


def test_weights_are_a_state_dict_that_others_can_read(tmp_path: Path) -> None:
    module = Holder()
    weights = load_file(written(module, tmp_path / "capture") / WEIGHTS)
    assert nn.Linear(3, 2).load_state_dict({key.removeprefix("layer."): tensor for key, tensor in weights.items()})


def test_a_hugging_face_model_comes_back(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = BertConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, vocab_size=100)
    module = BertForSequenceClassification(config)
    module.train(False)
    found = back(module, tmp_path / "capture")
    tokens = torch.randint(0, 100, (2, 7))
    assert torch.equal(found(tokens).logits, module(tokens).logits)
    assert found.config.to_dict() == config.to_dict()
    found.train()(tokens).logits.sum().backward()
    assert all(parameter.grad is not None for parameter in found.classifier.parameters())


@pytest.mark.filterwarnings("ignore")
def test_a_lightning_module_comes_back_without_its_trainer(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = Lit(width=2)
    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.randn(8, 3)), batch_size=4)
    quiet: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    lightning.Trainer(max_steps=2, accelerator="cpu", default_root_dir=tmp_path, **quiet).fit(module, data)
    found = back(module, tmp_path / "capture")
    assert same(module, found)
    assert found._trainer is None
    assert found.hparams == {"width": 2}
    lightning.Trainer(max_steps=1, accelerator="cpu", default_root_dir=tmp_path, **quiet).fit(found, data)


@pytest.mark.parametrize(
    ("held", "reason"),
    [
        ({"options": Options([1], shared=open)}, ""),
        ({"options": Options([1], shared={"deep": [object()]})}, "options.shared.deep[0] is a builtins.object"),
        ({"rule": lambda x: x}, "rule: "),
        ({"stream": types.SimpleNamespace(a=1, lock=threading.Lock())}, "stream.lock is a _thread.lock"),
        ({"generator": (i for i in range(3))}, "generator is a builtins.generator"),
        ({"method": [].append}, "method is list.append, which no module holds"),
        ({"sparse": torch.eye(2).to_sparse()}, "sparse is a Tensor of float32, torch.sparse_coo"),
        ({"hollow": torch.empty(2, device="meta")}, "hollow is a Tensor of float32, torch.strided, without values"),
        ({"words": np.array(["a"])}, "words is a numpy.ndarray"),
        ({"lazy": nn.LazyLinear(2)}, "lazy.weight has not been initialized"),
    ],
)  # fmt: skip
def test_what_cannot_be_written_down_is_named_and_nothing_is_written(held: dict[str, Any], reason: str, tmp_path: Path) -> None:
    found = MODULES.describe(Holder(**held), tmp_path)
    assert found.startswith(reason)
    assert bool(found) == bool(reason)
    assert (tmp_path / MODULE).exists() != bool(reason)


def test_hooks_that_compute_and_memory_that_is_shared_are_told(tmp_path: Path) -> None:
    hooked = Holder()
    hooked.layer.register_forward_hook(lambda module, args, output: output)
    assert "layer has the hook" in MODULES.describe(hooked, tmp_path)
    torn = Holder()
    torn.other = nn.Linear(3, 2)
    torn.other.weight.data = torn.layer.weight.data
    assert "other.weight shares its memory with layer.weight" in MODULES.describe(torn, tmp_path)
    snake: list[Any] = []
    snake.append(snake)
    assert "hold themselves" in MODULES.describe(Holder(snake=snake), tmp_path)
    assert MODULES.describe(len, tmp_path) == "the original is a builtin_function_or_method and no torch module"
    assert list(tmp_path.iterdir()) == []


def test_views_that_overlap_are_told_and_views_that_lie_apart_come_back(tmp_path: Path) -> None:
    table = torch.arange(12.0).reshape(4, 3)
    array = np.arange(6.0)
    for held in (
        {"a": table, "b": table[1:]},
        {"a": table[1:], "b": table},
        {"a": table[0], "b": table.T[:2]},
        {"a": table, "b": table.view(torch.int32)[2:]},
        {"a": array, "b": torch.from_numpy(array[3:])},
        {"a": array[::-1], "b": array[:2]},
    ):
        told = MODULES.describe(Holder(**held), tmp_path)
        assert told == "b shares its memory with a without being the same tensor, and would come apart"
    assert list(tmp_path.iterdir()) == []
    sine, cosine = torch.stack([table, table], dim=-1).unbind(-1)
    apart: dict[str, Any] = {
        "top": table[:2],
        "bottom": table[2:],
        "sine": sine,
        "cosine": cosine,
        "array": array,
        "again": array,
        "none": table[:0],
    }
    found = back(Holder(**apart), tmp_path / "capture")
    assert all(np.array_equal(getattr(found, name), apart[name]) for name in apart)
    assert np.shares_memory(found.array, found.again), "one array stays one"


def test_the_weights_of_an_lstm_that_lie_in_one_buffer_come_back(tmp_path: Path) -> None:
    module = nn.LSTM(3, 4)
    flat = torch.cat([parameter.detach().flatten() for parameter in module.parameters()])
    at = 0
    for parameter in module.parameters():
        parameter.data = flat[at : at + parameter.numel()].view_as(parameter)
        at += parameter.numel()
    assert same(module, back(module, tmp_path / "capture"))


CONTAINERS = """
import enum
import math

import torch
from torch import nn
from torch.nn import functional as F


class How(enum.Enum):
    HALF = 0.5


def twice(x):
    return x * CFG["two"][0]


class Scale(nn.Module):
    def forward(self, x):
        return x * WHICH.value


CFG = {"two": [2], "odd": (float("inf"), None, {3})}
WHICH = How.HALF
STEPS = {"act": torch.tanh, "gelu": F.gelu, "root": math.sqrt, "own": twice}
LAYERS = [nn.Linear, Scale]


class Net(nn.Module):
    sizes = list(CFG)

    def __init__(self):
        super().__init__()
        self.layer = LAYERS[0](3, 2)
        self.scale = LAYERS[1]()

    def forward(self, x):
        steps = [STEPS[name] for name in ("act", "gelu", "own")]
        for step in steps:
            x = step(x)
        return self.scale(self.layer(x)) * STEPS["root"](4) * len(REGISTRY) * len(self.sizes)


REGISTRY = {"net": Net}
"""


def test_lists_and_dicts_that_a_class_uses_come_back_with_what_they_hold(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = cell_module(CONTAINERS, "cell_5").Net()
    folder = written(module, tmp_path / "capture")
    del sys.modules["cell_5"]
    x = torch.randn(4, 3)
    assert torch.equal(MODULES.restore(folder, bundle_of(folder))(x), module(x))


def test_two_values_of_one_name_are_refused_though_two_files_hold_them(tmp_path: Path) -> None:
    head = "from torch import nn\nCFG = {{'by': {by}}}\nclass {name}(nn.Module):\n    def f(self): return CFG\n"
    for by, reason in ((1, ""), (2, "two things are named 'CFG'")):
        one = cell_module(head.format(by=1, name="One"), "cell_6").One()
        two = cell_module(head.format(by=by, name="Two"), "cell_7").Two()
        (tmp_path / str(by)).mkdir()
        assert reason in MODULES.describe(Holder(one=one, two=two), tmp_path / str(by))


@pytest.mark.parametrize("edited", ["# one\n# two\n# three\n{text}", "def forw(:", ""])
def test_a_file_that_was_edited_beyond_recognition_is_told_and_no_trace(
    edited: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "from torch import nn\ndef scaled(x):\n    return 2 * x\nclass Net(nn.Module):\n    def f(self, x):\n        return scaled(x)\n"
    (tmp_path / "edited_net.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    net = importlib.import_module("edited_net").Net()
    monkeypatch.setitem(sys.modules, "edited_net", sys.modules["edited_net"])
    (tmp_path / "edited_net.py").write_text(edited.format(text=text))
    (tmp_path / "capture").mkdir()
    assert "cannot be found" in MODULES.describe(net, tmp_path / "capture")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("from torch import nn\nBIG = [0] * 20_000\nclass Net(nn.Module):\n    def f(self): return BIG\n", "Net uses 'BIG', a list with more than 10,000 elements"),
        ("from torch import nn\nCFG = {'a': [object()]}\nclass Net(nn.Module):\n    def f(self): return CFG\n", "Net uses 'CFG', a object that"),
        ("from torch import nn\nCFG = {'f': lambda x: x}\nclass Net(nn.Module):\n    def f(self): return CFG\n", "Net uses 'CFG', a function that"),
        ("from torch import nn\nLOOP = []\nLOOP.append(LOOP)\nclass Net(nn.Module):\n    def f(self): return LOOP\n", "'LOOP', a list"),
        ("from torch import nn\ndef make():\n    class Net(nn.Module):\n        def f(self): pass\n    return Net\nNet = make()\n", "made inside a function"),
        ("from torch import nn\nclass Net(nn.Module):\n    def f(self): return missing\n", "Net uses 'missing', which is not defined"),
        ("from torch import nn\nlock = __import__('threading').Lock()\nclass Net(nn.Module):\n    def f(self): return lock\n", "Net uses 'lock', a lock"),
        ("from torch import nn\nNet = type('Net', (nn.Module,), {})\n", "the source of the class Net cannot be found"),
    ],
)  # fmt: skip
def test_a_class_whose_source_does_not_stand_alone_is_named(text: str, reason: str, tmp_path: Path) -> None:
    assert reason in MODULES.describe(cell_module(text, "cell_4").Net(), tmp_path)


def test_a_structure_that_does_not_fit_is_refused_in_one_line(tmp_path: Path) -> None:
    folder = written(Holder(), tmp_path / "capture")
    text = (folder / STRUCTURE).read_text()
    for old, new in (
        ('"module/1"', '"module/9"'), ("torch.nn.modules.linear:Linear", "os:mkdir"), ("torch.nn.modules.linear:Linear", "torch:gone"),
        ("torch.nn.modules.linear:Linear", "no_such_package:Net"), ('"layer.weight"', '"layer.height"'), ('{', "["),
    ):  # fmt: skip
        (folder / STRUCTURE).write_text(text.replace(old, new))
        with pytest.raises(MlprodError) as refusal:
            MODULES.restore(folder, bundle_of(folder))
        assert refusal.value.code.label == "bad-model"
        assert len(str(refusal.value).splitlines()) == 1
