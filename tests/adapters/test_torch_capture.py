"""Every kind of torch module answers from its bundle as it did alive, and what cannot be exported is one line that says where."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from lightning import Trainer
from torch import nn
from transformers import BertConfig, BertForSequenceClassification, DistilBertConfig, DistilBertForSequenceClassification

from jupyter_mlprod.adapters.torch_capture import TorchCapture
from jupyter_mlprod.core.answer import Ends
from jupyter_mlprod.core.bundle import GRAPH, GRAPH_DATA, Bundle
from jupyter_mlprod.core.contract import Tensor
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.evidence import Evidence
from jupyter_mlprod.core.execute import load_function
from jupyter_mlprod.core.ports import Runtime
from jupyter_mlprod.core.raw import Raw
from jupyter_mlprod.core.record import digest
from jupyter_mlprod.core.requests import Package
from tests.adapters import modules
from tests.verbs.tiny import Desk, bare_desk

__all__ = ["bare_desk"]
PAD = """import numpy as np


def prepare(texts):
    longest = max(map(len, texts))
    ids = np.array([[ord(letter) % 40 + 1 for letter in text] + [0] * (longest - len(text)) for text in texts])
    return {"input_ids": ids, "attention_mask": (ids > 0).astype(np.int64)}
"""
TEXTS = np.array(["a cat", "two cats and a dog", "no", "the dog", "a house", "nobody at all"])
ROWS = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
TOKENS = np.random.default_rng(0).integers(1, 50, (8, 8))


class Made:
    """A bundle, its runtime, and where it lies."""

    def __init__(self, desk: Desk, bundle: Bundle) -> None:
        self.bundle = bundle
        self.folder = desk.bundle_folder(digest(bundle))
        self.runtime: Runtime = desk.workspace().runtimes.open(self.folder, bundle, threads=1)
        self.parity = next(e for e in desk.workspace().records.about(Evidence, digest(bundle)) if e.kind == "parity")

    @property
    def places(self) -> set[str]:
        return {measure.where["batch"] for measure in self.parity.measures}

    @property
    def outputs(self) -> dict[str, tuple[int | str, ...]]:
        return {field.name: field.shape for field in self.bundle.contract.outputs}

    def answers_like(self, wanted: Mapping[str, torch.Tensor], raw: Raw) -> None:
        answers = self.runtime.answer(raw)
        assert set(wanted) <= set(answers)
        for name, tensor in wanted.items():
            np.testing.assert_allclose(np.asarray(answers[name], np.float64), tensor.detach().numpy(), atol=1e-5)


def packaged(
    desk: Desk, module: Any, example: Raw, *, shapes: dict[str, list[str | int]] | None = None, limit: int | None = None, **options: Any
) -> Made:
    """A live module through the capture port, then through the one door."""
    workspace = desk.workspace()
    file = desk.folder / ("example.npz" if isinstance(example, Mapping) else "example.npy")
    workspace.data.write(example, file)
    code, _, name = str(options.get("preprocess", "")).partition(":")
    ends = Ends(preprocess=load_function(Path(code), name) if code else None)
    declared = {key: tuple(shape) for key, shape in (shapes or {}).items()}
    models = workspace.models if limit is None else TorchCapture(workspace.scratch / "captures", limit=limit)
    folder = models.capture(module, example, ends, shapes=declared)
    contract = "".join(f"[inputs.{key}]\nshape = {shape}\n" for key, shape in (shapes or {}).items()).replace("'", '"')
    request = Package(model=str(folder), name="made", example=str(file), contract=contract, **options)
    return Made(desk, desk.run(request, Bundle))


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return make().eval()


@pytest.mark.parametrize(
    ("make", "outputs"),
    [
        (modules.AsTuple, {"output_0": 2, "output_1": 3}),
        (modules.AsNamedTuple, {"scores": 2, "embedding": 3}),
        (modules.AsDataclass, {"logits": 2}),
        (modules.Light, {"output": 2}),
        (modules.Masked, {"output": 2}),
        (lambda: torch.compile(modules.Masked()), {"output": 2}),
        (lambda: nn.DataParallel(modules.Masked()), {"output": 2}),
        (lambda: modules.OwnGradient(modules.Signed), {"output": 3}),
    ],
)
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # torch.compile's own, at its first use
def test_whatever_a_module_returns_is_answered_by_name(bare_desk: Desk, make: Callable[[], Any], outputs: dict[str, int]) -> None:
    module = seeded(make)
    made = packaged(bare_desk, module, ROWS)
    assert made.outputs == {name: ("batch", size) for name, size in outputs.items()}
    result = getattr(module, "_orig_mod", module)(torch.from_numpy(ROWS[:5]))
    first = result if isinstance(result, torch.Tensor) else result[0] if isinstance(result, tuple) else result.logits
    made.answers_like({next(iter(outputs)): first}, ROWS[:5])


def test_one_dict_goes_in_and_whatever_lies_deep_in_one_comes_out(bare_desk: Desk) -> None:
    module, raw = seeded(modules.OneDict), {"x": ROWS, "y": ROWS + 1}
    made = packaged(bare_desk, module, raw)
    result = module({name: torch.from_numpy(array[:5]) for name, array in raw.items()})
    assert list(made.outputs) == ["scores", "x_output", "deep_0", "deep_1_sum"]
    wanted = {"scores": result["scores"], "x_output": result["x"], "deep_0": result["deep"][0], "deep_1_sum": result["deep"][1]["sum"]}
    made.answers_like(wanted, {name: array[:5] for name, array in raw.items()})


def test_an_argument_with_a_default_is_passed_when_it_is_prepared(bare_desk: Desk) -> None:
    module, raw = seeded(modules.Masked), {"x": ROWS, "mask": (ROWS > 0).astype(np.float32)}
    made = packaged(bare_desk, module, raw)
    assert [field.name for field in made.bundle.contract.inputs] == ["x", "mask"]
    made.answers_like({"output": module(torch.from_numpy(ROWS), torch.from_numpy(raw["mask"]))}, raw)


def test_a_transformer_answers_batches_and_lengths_that_it_was_not_exported_with(bare_desk: Desk) -> None:
    module = seeded(modules.Encoder)
    made = packaged(bare_desk, module, TOKENS, shapes={"tokens": ["batch", "sequence"]})
    assert made.places == {"1", "3", "8", "16", "3, sequence 1", "3, sequence 4", "3, sequence 16"}
    for rows, length in ((1, 1), (2, 13), (11, 8)):
        longer = np.random.default_rng(1).integers(1, 50, (rows, length))
        made.answers_like({"output": module(torch.from_numpy(longer))}, longer)


def test_an_output_names_the_dimension_that_it_follows_and_no_other(bare_desk: Desk) -> None:
    made = packaged(bare_desk, seeded(modules.Tagger), TOKENS, shapes={"tokens": ["batch", "sequence"]})
    assert made.outputs == {"each": ("batch", "sequence", 4), "half": ("batch", "half_1", 4), "all": ("batch", 4)}
    fixed = packaged(bare_desk, seeded(modules.Tagger), TOKENS)
    assert fixed.outputs == {"each": ("batch", 8, 4), "half": ("batch", 4, 4), "all": ("batch", 4)}
    assert fixed.places == {"1", "3", "8", "16"}


@pytest.mark.parametrize(
    "make",
    [
        lambda: BertForSequenceClassification(
            BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
        ),
        lambda: DistilBertForSequenceClassification(DistilBertConfig(vocab_size=50, dim=16, n_layers=2, n_heads=2, hidden_dim=32)),
    ],
    ids=["bert", "distilbert"],
)
def test_a_hugging_face_classifier_takes_texts_of_any_length(bare_desk: Desk, make: Callable[[], nn.Module]) -> None:
    (bare_desk.folder / "pad.py").write_text(PAD)
    module = seeded(make)
    made = packaged(bare_desk, module, TEXTS, preprocess="pad.py:prepare", labels="bad,good")
    prepare = load_function(bare_desk.folder / "pad.py", "prepare")
    for texts in (["x"], ["something that is longer than anything in the example", "short"]):
        wanted = module(**{name: torch.from_numpy(array) for name, array in prepare(texts).items()}).logits
        made.answers_like({"logits": wanted}, np.array(texts))


def test_answers_for_each_token_of_padded_texts_are_compared_over_what_a_text_has(bare_desk: Desk) -> None:
    (bare_desk.folder / "pad.py").write_text(PAD.replace('{"input_ids": ids, "attention_mask": (ids > 0).astype(np.int64)}', "ids"))
    made = packaged(bare_desk, seeded(modules.Tagger), TEXTS, preprocess="pad.py:prepare", postprocess="")
    assert made.outputs["each"] == ("batch", "each_1", 4)


def test_a_residual_network_agrees_at_batches_1_3_8_and_16(bare_desk: Desk) -> None:
    images = np.random.default_rng(0).normal(size=(8, 3, 16, 16)).astype(np.float32)
    made = packaged(bare_desk, modules.residual(), images)
    assert made.places == {"1", "3", "8", "16"}
    assert max(m.value for m in made.parity.measures if m.name == "parity_max_abs_diff") < 1e-5


def test_the_module_itself_stays_as_it_was(bare_desk: Desk) -> None:
    module = modules.residual().train()
    called: list[str] = []
    module[0].register_forward_hook(lambda *_: called.append("hook"))
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    bare_desk.workspace().models.capture(module, np.zeros((4, 3, 16, 16), np.float32), Ends(), shapes={})
    assert all(part.training for part in module.modules())
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in module.parameters())
    assert len(module[0]._forward_hooks) == 1


def test_a_forward_that_works_in_place_does_not_reach_the_users_rows(bare_desk: Desk) -> None:
    rows, module = ROWS.copy(), seeded(modules.InPlace)
    made = packaged(bare_desk, module, rows)
    np.testing.assert_array_equal(rows, ROWS)
    made.answers_like({"output": module(torch.from_numpy(rows))}, ROWS)


def test_a_lightning_module_is_packaged_while_its_trainer_holds_it(bare_desk: Desk) -> None:
    module = seeded(modules.Light)
    assert isinstance(module, modules.Light)
    module.trainer = Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False
    )
    made = packaged(bare_desk, module, ROWS)
    made.answers_like({"output": module(torch.from_numpy(ROWS))}, ROWS)


def refusal_of(desk: Desk, module: Any, example: Raw = ROWS, shapes: dict[str, tuple[int | str, ...]] | None = None) -> MlprodError:
    with pytest.raises(MlprodError) as refusal:
        desk.workspace().models.capture(module, example, Ends(), shapes=shapes or {})
    assert "\n" not in refusal.value.message
    assert not list((desk.folder / ".mlprod").rglob("capture.json"))
    return refusal.value


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (modules.Singular(), "the operator aten._linalg_svd has no form in ONNX"),
        (modules.Bessel(), "the operator prims.bessel_j0 has no form in ONNX"),
        (modules.Branches(), "if x.sum() > 0:  # the line that is told"),
        (modules.OwnGradient(modules.Looked), "return x if x.max() > 0 else -x  # looks at a value"),
        (modules.Numpy(), "return torch.tensor(np.asarray(x.numpy()).mean(axis=1).tolist())  # leaves torch"),
        (modules.Spectrum(), "output 'output' is complex64"),
        (modules.Fixed(), "forward works at one size alone: 'batch' of its input 'x' may vary, and it asks for 8"),
        (modules.Words(), "returns a str under 'told'"),
        (modules.Nothing(), "returns a NoneType"),
        (nn.Linear(4, 2), "does not take the prepared example (input (1, 3))"),
        (3, "a int is no torch module"),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_cannot_be_exported_is_one_line_that_says_what_or_where(bare_desk: Desk, module: Any, said: str) -> None:
    refusal = refusal_of(bare_desk, module)
    assert refusal.code is Code.BAD_MODEL
    assert said in refusal.message


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_a_script_module_is_refused_for_what_it_was_made_of(bare_desk: Desk) -> None:
    assert "a ScriptModule has no source" in refusal_of(bare_desk, torch.jit.script(nn.Linear(3, 2))).message


def test_a_module_that_cannot_be_copied_is_one_line(bare_desk: Desk) -> None:
    module = nn.Linear(3, 2)
    module.kept = module.weight * 2
    assert "Linear cannot be copied" in refusal_of(bare_desk, module).message


def test_what_is_prepared_for_no_argument_is_named(bare_desk: Desk) -> None:
    refusal = refusal_of(bare_desk, modules.Masked(), {"x": ROWS, "masc": ROWS})
    assert "Masked.forward takes no argument 'masc'" in refusal.message
    assert "x, mask" in refusal.hint


@pytest.mark.parametrize(
    ("example", "shape", "said"),
    [
        (TOKENS[:, :1], ("batch", "sequence"), "has the size 1 where the contract says 'sequence'"),
        (TOKENS, ("batch", "my words"), "'my words' cannot name a dimension"),
        (TOKENS, ("batch", "batch"), "'batch' cannot name a dimension"),
        (TOKENS, ("batch", "sequence", 3), "does not fit the example's (8, 8)"),
    ],
)
def test_a_shape_that_the_example_cannot_show_is_refused(bare_desk: Desk, example: Raw, shape: tuple[int | str, ...], said: str) -> None:
    refusal = refusal_of(bare_desk, modules.Encoder(), example, {"tokens": shape})
    assert refusal.code is Code.BAD_CONTRACT
    assert said in refusal.message


def test_weights_beyond_the_limit_lie_beside_the_graph_always_at_the_same_places_and_come_back_whole(bare_desk: Desk) -> None:
    module = seeded(lambda: nn.Sequential(nn.Linear(3, 300), nn.Linear(300, 20)))
    made = packaged(bare_desk, module, ROWS, limit=1000)
    graph = onnx.load(made.folder / GRAPH, load_external_data=False).graph
    entries = [{entry.key: entry.value for entry in tensor.external_data} for tensor in graph.initializer if tensor.external_data]
    assert {entry["location"] for entry in entries} == {GRAPH_DATA}
    assert sorted((int(entry["offset"]), int(entry["length"])) for entry in entries) == [(0, 3600), (4096, 1200), (8192, 24000)]
    made.answers_like({"output": module(torch.from_numpy(ROWS))}, ROWS)
    assert digest(packaged(bare_desk, module, ROWS, limit=1000).bundle) == digest(made.bundle)
    workspace = bare_desk.workspace()
    version = workspace.registry.register("made", made.folder, digest(made.bundle))
    fetched = workspace.registry.fetch("made", version, bare_desk.folder / "fetched")
    runtime = workspace.runtimes.open(fetched, made.bundle, threads=1)
    np.testing.assert_array_equal(runtime.answer(ROWS)["output"], made.runtime.answer(ROWS)["output"])


def test_a_capture_that_was_made_without_the_declared_dimension_is_refused(bare_desk: Desk) -> None:
    capture = bare_desk.workspace().models.capture(seeded(modules.Tagger), TOKENS, Ends(), shapes={})
    np.save("tokens.npy", TOKENS)
    contract = '[inputs.tokens]\nshape = ["batch", "sequence"]'
    refusal = bare_desk.refused(Package(model=str(capture), name="made", example="tokens.npy", contract=contract))
    assert "the capture holds no answer 'each' at batch 3, sequence 4" in refusal.message


def test_the_contract_of_a_single_array_takes_the_declared_name(bare_desk: Desk) -> None:
    made = packaged(bare_desk, seeded(modules.Tagger), TOKENS, shapes={"words": ["n", "length"]})
    (field,) = made.bundle.contract.inputs
    assert isinstance(field, Tensor)
    assert (field.name, field.shape) == ("words", ("n", "length"))
    assert "3, length 4" in made.places
