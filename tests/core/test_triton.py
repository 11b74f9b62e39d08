"""The configuration that Triton reads, held against Triton's own message."""

from typing import Any

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from jupyter_mlprod.core.bundle import Bundle
from jupyter_mlprod.core.contract import Contract, Tensor
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.ports import GraphEnd
from jupyter_mlprod.core.triton import DTYPES, config_text, labeled_output

DIGEST = "sha256:" + "a" * 64


def end(name: str, *shape: int | str, dtype: str = "FLOAT") -> GraphEnd:
    return GraphEnd(name=name, dtype=dtype, shape=shape)


def read(inputs: list[GraphEnd], outputs: list[GraphEnd], **options: str) -> Any:
    return text_format.Parse(config_text("net", DIGEST, inputs, outputs, **options), model_config_pb2.ModelConfig())


def test_every_type_is_one_of_tritons() -> None:
    config = read([end(f"in_{name}", "n", 2, dtype=name) for name in DTYPES], [end("out", "n", 2)])
    assert [model_config_pb2.DataType.Name(field.data_type) for field in config.input] == list(DTYPES.values())


def test_the_batch_is_left_out_and_what_varies_is_minus_one() -> None:
    config = read([end("ids", "batch", "length"), end("image", "batch", 3, "h", "")], [end("scores", "batch", "length", 7)])
    assert config.max_batch_size == 64
    assert [list(field.dims) for field in (*config.input, *config.output)] == [[-1], [3, -1, -1], [-1, 7]]
    assert config.HasField("dynamic_batching")


def test_a_row_that_is_one_number_is_reshaped_to_no_dimension() -> None:
    config = read([end("flag", "batch", dtype="BOOL")], [end("price", "batch")])
    for field in (*config.input, *config.output):
        assert list(field.dims) == [1]
        assert field.HasField("reshape")
        assert list(field.reshape.shape) == []


@pytest.mark.parametrize("odd", [end("fixed", 8, 3), end("scalar")])
def test_a_graph_without_a_free_batch_is_served_as_it_is(odd: GraphEnd) -> None:
    config = read([odd], [end("scores", "batch", 2)])
    assert config.max_batch_size == 0
    assert not config.HasField("dynamic_batching")
    assert list(config.input[0].dims) == (list(odd.shape or ()) or [1])
    assert list(config.output[0].dims) == [-1, 2]


@pytest.mark.parametrize("name", ['quote " and \\', "onnx::Gemm/0", "größe", "' } input {"])
def test_a_name_cannot_leave_its_quotation(name: str) -> None:
    config = read([end(name, "n", 3)], [end("out", "n", 2)])
    assert [field.name for field in config.input] == [name]


@pytest.mark.parametrize(
    ("odd", "what"),
    [
        (end("", "n", 2), "is named ''"),
        (end("a\nb", "n", 2), "is named 'a\\nb'"),
        (end("x", "n", 2, dtype="COMPLEX64"), "'x' is complex64"),
        (end("x", "n", 0), "shape ('n', 0)"),
        (GraphEnd(name="x", dtype="FLOAT", shape=None), "no declared shape"),
        (GraphEnd(name="x", dtype="sequence_type", shape=None), "'x' is sequence_type"),
    ],
)
def test_what_triton_does_not_take_is_refused(odd: GraphEnd, what: str) -> None:
    with pytest.raises(MlprodError) as refusal:
        read([odd], [end("out", "n", 2)])
    assert refusal.value.code is Code.BAD_MODEL
    assert what in refusal.value.message


@pytest.mark.parametrize(
    ("labels", "shape", "postprocess", "expected"),
    [
        (("a", "b", "c"), ("n", 3), "", "scores"),
        (("a", "b"), ("n", 1), "", ""),
        (("a", "b", "c"), ("n", "k"), "", ""),
        (("a", "b\nc"), ("n", 2), "", ""),
        (("a", "b"), ("n", 2), "finish", ""),
        ((), ("n", 2), "", ""),
    ],
)
def test_labels_go_into_a_file_only_where_they_name_the_numbers_of_an_output(
    labels: tuple[str, ...], shape: tuple[int | str, ...], postprocess: str, expected: str
) -> None:
    contract = Contract(
        inputs=(Tensor(name="x", dtype="float32", shape=("n", 2)),), outputs=(Tensor(name="scores", dtype="float32", shape=shape),)
    )
    bundle = Bundle(name="net", contract=contract, scores="logits", labels=labels, postprocess=postprocess)
    assert labeled_output(bundle, [end("other", "n", 3), end("scores", *shape)]) == expected
