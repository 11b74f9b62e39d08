"""The child of the entry ``scan``: makes the files, scans them with ours and the peer's, in one process.

The corpus of hostile files and the small state dicts are those of the tests; architectures of transformers and a checkpoint of
Lightning are added here, since importing them takes longer than a test may.
"""

import importlib
import logging
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import torch

from benchmarks.harness import Sample, Side, interleaved, timed
from jupyter_mlprod.adapters.scan_child import ScanChild
from tests.attacks.hostile import HOSTILE
from tests.attacks.state_dicts import saved, state_dicts

CONFIGS = (
    "BertConfig BeitConfig ConvNextConfig DistilBertConfig EfficientNetConfig GPT2Config MobileNetV2Config ResNetConfig SegformerConfig "
    "SwinConfig T5Config ViTConfig"
)
SMALL = {
    "hidden_size": 32, "d_model": 32, "dim": 32, "n_embd": 32, "num_hidden_layers": 2, "n_layers": 2, "n_layer": 2, "num_layers": 2,
    "num_attention_heads": 2, "n_heads": 2, "n_head": 2, "num_heads": 2, "intermediate_size": 64, "hidden_dim": 64, "d_ff": 64, "d_kv": 16,
    "vocab_size": 100, "image_size": 64, "embed_dim": 32,
}  # fmt: skip
HEADS_BY_STAGE = ("Segformer", "Swin")


def architectures() -> Iterator[tuple[str, Callable[[], bytes]]]:
    """State dicts of models of the library transformers, with random weights; nothing is downloaded."""
    transformers = importlib.import_module("transformers")
    for name in CONFIGS.split():
        kind = getattr(transformers, name)
        known = kind().to_dict()
        small = {key: value for key, value in SMALL.items() if isinstance(known.get(key), int)}
        model = transformers.AutoModel.from_config(kind(**({} if name.startswith(HEADS_BY_STAGE) else small)))
        for as_zip in (True, False):
            yield f"{name}, {as_zip}", lambda m=model, z=as_zip: saved(m.state_dict(), as_zip=z)  # type: ignore[misc]


def lightning_checkpoint() -> bytes:
    """What Lightning's trainer writes after a step: weights, optimizer, loops, hyperparameters."""
    lightning = importlib.import_module("lightning")

    class Net(lightning.LightningModule):  # type: ignore[misc, name-defined]  # imported when this runs
        def __init__(self, width: int = 4, rate: float = 0.1) -> None:
            super().__init__()
            self.rate = rate
            self.save_hyperparameters()
            self.layer = torch.nn.Linear(3, width)

        def training_step(self, batch: list[torch.Tensor], index: int) -> torch.Tensor:  # noqa: ARG002
            loss: torch.Tensor = self.layer(batch[0]).sum()
            return loss

        def configure_optimizers(self) -> Any:
            return torch.optim.AdamW(self.parameters())

    rows = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.zeros(4, 3)))
    with tempfile.TemporaryDirectory() as folder:
        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
        trainer = lightning.Trainer(max_steps=1, default_root_dir=folder, **quiet)
        trainer.fit(Net(), rows)
        trainer.save_checkpoint(Path(folder) / "last.ckpt")
        return (Path(folder) / "last.ckpt").read_bytes()


def written(folder: Path) -> tuple[list[Path], list[Path]]:
    """The clean files and the hostile ones."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clean = {name: make() for name, make in (*state_dicts(), *architectures())} | {"lightning": lightning_checkpoint()}
    paths: tuple[list[Path], list[Path]] = ([], [])
    for files, where, suffix in ((clean, paths[0], ".pt"), (HOSTILE, paths[1], ".pkl")):
        for number, data in enumerate(files.values()):
            where.append(folder / f"{len(paths[0])}-{number}{suffix}")
            where[-1].write_bytes(data)
    return paths


def own_side(clean: list[Path], hostile: list[Path]) -> Side:
    def take() -> Sample:
        looks: list[bool] = []
        sample = timed(lambda: looks.extend(look.counts.get("hostile", 0) > 0 for look in ScanChild().look([*clean, *hostile])))
        cried, missed = sum(looks[: len(clean)]), len(hostile) - sum(looks[len(clean) :])
        faults = [f"{cried} of {len(clean)} clean files flagged"] if cried else []
        faults += [f"{missed} of {len(hostile)} hostile files not flagged"] if missed else []
        return msgspec.structs.replace(sample, faults=tuple(faults))

    return Side(name=f"scan of {len(clean)} clean and {len(hostile)} hostile files", take=take)


def peer_side(clean: list[Path], hostile: list[Path]) -> Side:
    """picklescan on the same files; its name says what it flagged."""
    scanner = importlib.import_module("picklescan.scanner")
    logging.getLogger("picklescan").setLevel(logging.CRITICAL)

    def flagged(path: Path) -> bool:
        try:
            result = scanner.scan_file_path(str(path), strict=True)
        except Exception:  # noqa: BLE001  it raises this very class for what it cannot read, which is no pass
            return True
        return bool(result.infected_files or result.issues_count or result.scan_err)

    caught, cried = sum(map(flagged, hostile)), sum(map(flagged, clean))
    name = f"picklescan --strict (flags {caught} of {len(hostile)} hostile, {cried} of {len(clean)} clean)"
    return Side(name=name, take=lambda: timed(lambda: [flagged(path) for path in (*clean, *hostile)]), peer=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        clean, hostile = written(Path(name))
        series = interleaved((own_side(clean, hostile), peer_side(clean, hostile)), counted=int(sys.argv[2]))
    (Path(sys.argv[1]) / "series.json").write_bytes(msgspec.json.encode(series))
