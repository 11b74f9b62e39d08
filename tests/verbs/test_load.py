"""A packaged module comes back, trainable, and proves that it is the one that the bundle answers with; else it is told why not."""

import importlib
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from jupyter_mlprod.core.bundle import CLASSES, GOLDEN_ANSWERS, GOLDEN_INPUTS, MANIFEST, STRUCTURE, Bundle
from jupyter_mlprod.core.errors import Code
from jupyter_mlprod.core.evidence import Evidence
from jupyter_mlprod.core.record import digest
from jupyter_mlprod.core.requests import Load, Package
from jupyter_mlprod.model import load_module
from tests.verbs.tiny import PACKAGED, Desk, furnish

NETS = '''
"""Models of a project, in a file beside its notebook."""
import torch
from torch import nn


def scaled(x):
    return 3 * x


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x):
        return scaled(self.layer(x))


def net():
    torch.manual_seed(0)
    return Net()


def other():
    """Computes with what its source does not say."""
    made = net()
    Net.forward = lambda self, x: self.layer(x)
    return made


def named():
    """Names its answer by what its source does not say."""
    made = net()
    Net.forward = lambda self, x: {"odd": scaled(self.layer(x))}
    return made


def held():
    made = net()
    made.rule = lambda: None
    return made
'''


@pytest.fixture(scope="session")
def made_nets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which ``nets:net`` has been packaged; exporting takes its time."""
    folder = tmp_path_factory.mktemp("nets")
    furnish(folder)
    (folder / "nets.py").write_text(NETS)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(folder)
        packaged(Desk(folder), "nets:net")
    sys.modules.pop("nets", None)
    return folder


@pytest.fixture
def nets(made_nets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A copy of that folder, with the working folder in it."""
    folder = tmp_path / "nets"
    shutil.copytree(made_nets, folder)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "nets", raising=False)
    return Desk(folder)


def packaged(desk: Desk, model: str, **options: str) -> Bundle:
    return desk.run(Package(**{**PACKAGED, "model": model, **options}), Bundle)


def made(desk: Desk) -> Bundle:
    """The bundle that the folder came with."""
    ((_, bundle, _),) = desk.workspace().bundles.all()
    return bundle


def test_the_module_comes_back_with_its_weights_and_can_be_trained_on(nets: Desk) -> None:
    bundle = made(nets)
    assert bundle.holds(CLASSES)
    original: nn.Module = importlib.import_module("nets").net()
    del sys.modules["nets"]
    (nets.folder / "nets.py").unlink()
    net = load_module("tiny")
    assert all(torch.equal(a, b) for a, b in zip(original.state_dict().values(), net.state_dict().values(), strict=True))
    assert not net.training
    net.train()(torch.ones(2, 3)).sum().backward()
    assert net.layer.weight.grad is not None
    assert nets.run(Load(subject="tiny"), Bundle) == bundle, "training on what came back changes nothing of the bundle"


def test_what_came_back_is_packaged_to_the_same_digest(nets: Desk) -> None:
    first = made(nets)
    (nets.folder / "again.py").write_text("from jupyter_mlprod import load_module\nnet = load_module('tiny')\n")
    assert digest(packaged(nets, "again:net")) == digest(first)


def test_the_command_line_says_that_it_is_a_check(nets: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert nets.command("load", "tiny") == 0
    shown = capsys.readouterr()
    assert "came back and answers like the bundle; in a notebook: net = %mlprod load tiny" in shown.err
    assert "tiny" in shown.out


def test_postprocessing_stands_behind_the_module_as_behind_the_graph(nets: Desk) -> None:
    Path("after.py").write_text("import numpy as np\n\n\ndef after(outputs):\n    return {'p': np.exp(outputs['output'])}\n")
    bundle = packaged(nets, "nets:net", name="after", postprocess="after.py:after", scores="values", labels="")
    assert nets.run(Load(subject="after"), Bundle) == bundle


def test_a_bundle_that_was_made_from_a_graph_says_so(desk: Desk) -> None:
    refusal = desk.refused(Load(subject="tiny"))
    assert refusal.code is Code.BAD_MODEL
    assert "holds no trainable module: " in refusal.message


def test_a_module_that_cannot_be_written_down_is_packaged_all_the_same(nets: Desk) -> None:
    bundle = packaged(nets, "nets:held", name="held")
    assert not bundle.holds(STRUCTURE)
    assert nets.refused(Load(subject="held")).code is Code.BAD_MODEL


@pytest.mark.parametrize("model", ["other", "named"])
def test_a_module_that_its_source_does_not_give_back_is_not_called_trainable(model: str, nets: Desk) -> None:
    bundle = packaged(nets, f"nets:{model}", name="odd")
    assert not any(entry.path.startswith("module/") for entry in bundle.files)
    refusal = nets.refused(Load(subject="odd"))
    assert refusal.code is Code.BAD_MODEL
    assert "holds no trainable module: made again from its source it answers differently" in refusal.message


def test_a_file_that_was_edited_after_its_import_is_not_brought_back(nets: Desk) -> None:
    importlib.import_module("nets")
    Path("nets.py").write_text(NETS.replace("3 * x", "5 * x"))
    assert not packaged(nets, "nets:net", name="edited").holds(STRUCTURE)
    message = nets.refused(Load(subject="edited")).message
    assert "parity_max_abs_diff is" in message
    assert "was its source edited after the import" in message


def test_a_module_that_answers_otherwise_than_the_bundle_is_not_given(nets: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nn.Linear, "forward", lambda self, x: x @ self.weight.T)  # another version of a package, without the bias
    refusal = nets.refused(Load(subject="tiny"))
    assert refusal.code is Code.PARITY
    assert "the module of tiny@" in refusal.message
    assert "answers differently from the bundle: parity_max_abs_diff is" in refusal.message
    assert "edited after the import" in refusal.hint


def planted(desk: Desk, old: str, new: str) -> str:
    """A copy of the bundle whose structure names something else, its manifest made to fit; nobody has signed it."""
    source, folder = desk.bundle_folder(digest(made(desk))), desk.folder / "planted"
    workspace = desk.workspace()
    for path in (item for item in source.rglob("*") if item.is_file() and "attached" not in item.parts and item.name != MANIFEST):
        target = folder / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    (folder / STRUCTURE).write_text((folder / STRUCTURE).read_text().replace(old, new))
    bundle = workspace.bundles.add(folder, made(desk), workspace.machine.origin(notebook="", run=""))
    return digest(bundle)


def test_nothing_of_an_unsigned_structure_is_imported(nets: Desk) -> None:
    (nets.folder / "hostile.py").write_text("open('executed', 'w').close()\n")
    subject = planted(nets, "torch.nn.modules.linear:Linear", "hostile:Linear")
    refusal = nets.refused(Load(subject=subject))
    assert refusal.code is Code.NOT_TRUSTED
    assert "holds a module" in refusal.message
    assert "hostile" not in sys.modules
    assert not Path("executed").exists()


def test_an_unsigned_module_of_torch_alone_is_not_trusted_either_and_a_reason_is_recorded(nets: Desk) -> None:
    subject = planted(nets, '"in_features": 3', '"in_features": 4')
    assert nets.refused(Load(subject=subject)).code is Code.NOT_TRUSTED
    nets.run(Load(subject=subject, trust="read it"), Bundle)
    taken = nets.workspace().records.about(Evidence, subject)
    assert any(evidence.context.get("trust") == "read it" for evidence in taken)


def test_weights_that_were_changed_are_refused_before_anything_is_made(nets: Desk) -> None:
    folder = nets.bundle_folder(digest(made(nets)))
    weights = folder / "module" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    assert nets.refused(Load(subject="tiny")).code is Code.BUNDLE_BROKEN


def test_the_golden_samples_are_what_is_held_against_it(nets: Desk) -> None:
    folder = nets.bundle_folder(digest(made(nets)))
    with np.load(folder / GOLDEN_INPUTS) as inputs, np.load(folder / GOLDEN_ANSWERS) as answers:
        given = next(iter(inputs.values()))
        answered = answers["output"]
    net = load_module("tiny")
    with torch.inference_mode():
        again = net(torch.from_numpy((given / 2.0).astype(np.float32))).numpy()
    assert np.abs(again - answered).max() < 1e-5
    assert json.loads((folder / STRUCTURE).read_text())["objects"][0]["class"] == ":Net"
