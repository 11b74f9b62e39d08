"""Secrets and personal data where no editor shows them: a graph's metadata, a checkpoint's strings, columns of text, bytes of no kind."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jupyter_mlprod.adapters.data_files import DataFiles
from jupyter_mlprod.core.evidence import Evidence
from jupyter_mlprod.core.raw import object_array
from jupyter_mlprod.core.requests import Scan
from jupyter_mlprod.core.scan_onnx import onnx_texts
from jupyter_mlprod.core.verdict import exit_status
from tests.verbs.tiny import Desk, measure_of

TOKEN = "ghp_" + "a1B2" * 9
PASSWORD = "Tr0ub4dor&3-horse"
MAIL = "jane.doe@corp.io"
RNG = np.random.default_rng(0)


def graph(**tensors: np.ndarray) -> onnx.ModelProto:
    held = [onnx.numpy_helper.from_array(values, name) for name, values in tensors.items()]
    node = onnx.helper.make_node("Identity", ["a"], ["b"], doc_string="nothing")
    value = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["rows", 3]) for name in "ab"]
    return onnx.helper.make_model(onnx.helper.make_graph([node], "g", value[:1], value[1:], held))


def in_metadata(model: onnx.ModelProto) -> None:
    onnx.helper.set_model_props(model, {"token": TOKEN, "author": MAIL})


def in_doc_strings(model: onnx.ModelProto) -> None:
    model.graph.node[0].doc_string, model.graph.doc_string = TOKEN, f"by {MAIL}"


def in_string_tensors(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(onnx.helper.make_tensor("t", onnx.TensorProto.STRING, [2], [TOKEN.encode(), MAIL.encode()]))  # type: ignore[list-item]  # bytes are the strings of a graph


def in_attributes(model: onnx.ModelProto) -> None:
    inner = onnx.helper.make_graph([onnx.helper.make_node("X", [], ["c"], keys=[TOKEN, MAIL])], "inner", [], [])
    model.graph.node.append(onnx.helper.make_node("If", ["a"], ["d"], then_branch=inner))


@pytest.mark.parametrize("put", [in_metadata, in_doc_strings, in_string_tensors, in_attributes])
def test_texts_of_a_graph_are_read(bare_desk: Desk, put: Callable[[onnx.ModelProto], None]) -> None:
    model = graph(weights=RNG.normal(size=(50, 50)).astype(np.float32))
    put(model)
    Path("m.onnx").write_bytes(model.SerializeToString())
    evidence = bare_desk.run(Scan(subject="m.onnx"), Evidence)
    assert measure_of(evidence, "secrets").value == 1
    assert "GitHub token gh…B2" in measure_of(evidence, "secrets").note
    assert measure_of(evidence, "personal_data").value == 1
    assert measure_of(evidence, "files_unread").value == 0
    assert exit_status(evidence) == 1


def test_what_is_assigned_to_a_name_in_a_graph_is_seen_as_assigned() -> None:
    model = graph()
    onnx.helper.set_model_props(model, {"password": PASSWORD})
    assert f'password: "{PASSWORD}"' in (onnx_texts(model.SerializeToString()) or [])


@pytest.mark.parametrize(
    "data", [b"", b"\x08", b"\x08\x0a", b"\x08" * 100, b"\x08\x01:\xff\xff\xff\xff\x7f", b"\x08\x0a:\x1a" + b"\n\x18" * 12]
)
def test_bytes_that_are_no_graph_are_not_taken_for_one(data: bytes) -> None:
    assert onnx_texts(data) is None


def test_a_graph_that_nests_without_end_is_not_taken_for_one() -> None:
    data = b""
    for _ in range(200):  # graph → node → attribute → graph
        for tag in (b"\x32", b"\x2a", b"\x0a"):
            length = len(data)
            data = tag + bytes([length & 127 | 128, length >> 7 & 127 | 128, length >> 14]) + data
    length = len(data)
    assert onnx_texts(b"\x08\x0a:" + bytes([length & 127 | 128, length >> 7 & 127 | 128, length >> 14]) + data) is None


@pytest.mark.parametrize("texts", [["fine", f"token {TOKEN}", None, MAIL], [f"é{MAIL}", "b", TOKEN, ""]])
def test_texts_as_we_store_them_are_read_one_by_one(bare_desk: Desk, texts: list[str | None]) -> None:
    DataFiles().write(object_array(texts), Path("texts.npz"))
    evidence = bare_desk.run(Scan(subject="texts.npz"), Evidence)
    assert measure_of(evidence, "secrets").note.endswith(f"line {3 if texts[0] != 'fine' else 2}: GitHub token gh…B2")
    assert measure_of(evidence, "personal_data").value == 1
    assert measure_of(evidence, "files_unread").value == 0


def test_strings_of_a_checkpoint_are_read(bare_desk: Desk) -> None:
    for protocol in range(6):
        Path("c.pkl").write_bytes(pickle.dumps({"weights": [1.0], "hub": TOKEN, "who": MAIL}, protocol))
        evidence = bare_desk.run(Scan(subject="c.pkl"), Evidence)
        assert measure_of(evidence, "secrets").value == 1
        assert measure_of(evidence, "personal_data").value == 1
        assert measure_of(evidence, "hostile_pickles").value == 0


def test_bytes_of_no_kind_are_counted_as_unread_and_held_against_the_marks_of_secrets(bare_desk: Desk) -> None:
    noise = RNG.integers(0, 256, 100_000, np.uint8).tobytes()
    Path("m.bin").write_bytes(b"\xff" + noise)
    evidence = bare_desk.run(Scan(subject="m.bin"), Evidence)
    assert measure_of(evidence, "files_unread").value == 1
    assert measure_of(evidence, "personal_data").n == 0
    assert measure_of(evidence, "secrets").n == 1
    assert exit_status(evidence) == 0
    Path("m.bin").write_bytes(b"\xff" + noise + b"\0" + TOKEN.encode() + b"\0" + noise)
    assert exit_status(bare_desk.run(Scan(subject="m.bin"), Evidence)) == 1


def test_numbers_are_not_taken_for_secrets(bare_desk: Desk) -> None:
    arrays = {
        "noise": RNG.integers(0, 256, 1_000_000, np.uint8), "letters": RNG.integers(45, 123, 1_000_000, np.uint8),
        "weights": RNG.normal(size=300_000).astype(np.float32), "texts": np.zeros(2, [("a", "<U9"), ("b", "<f8")]),
    }  # fmt: skip
    for name, values in arrays.items():
        np.save(f"{name}.npy", values)
        Path(f"{name}.bin").write_bytes(b"\0" + values.tobytes())
        for file in (f"{name}.npy", f"{name}.bin"):
            evidence = bare_desk.run(Scan(subject=file), Evidence)
            assert exit_status(evidence) == 0, file
            assert measure_of(evidence, "files_unread").value == (file.endswith(".bin") or name == "texts")


def test_a_bundle_counts_what_was_not_read(desk: Desk) -> None:
    evidence = desk.run(Scan(subject="tiny"), Evidence)
    before = measure_of(evidence, "files_unread")
    assert before.value == 0, before.note
    (desk.bundle_folder(desk.champion()) / "attached" / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(200)))
    evidence = desk.run(Scan(subject="tiny"), Evidence)
    unread = measure_of(evidence, "files_unread")
    assert (unread.value, unread.note) == (1, "attached/picture.png")
    assert measure_of(evidence, "personal_data").n == unread.n - 1


@pytest.mark.parametrize("compression", ["snappy", "zstd", None])
def test_texts_of_a_table_are_read(bare_desk: Desk, compression: str | None) -> None:
    words = pa.array(["fine", TOKEN, MAIL, None])
    table = pa.table(
        {"x": [1.0, 2.0, 3.0, 4.0], "words": words, "kinds": words.dictionary_encode(), "when": pa.array([0] * 4, pa.date32())}
    )
    pq.write_table(table, "rows.parquet", compression=compression)
    evidence = bare_desk.run(Scan(subject="rows.parquet"), Evidence)
    assert measure_of(evidence, "hostile_pickles").value == 0
    assert measure_of(evidence, "secrets").value == 2
    assert measure_of(evidence, "personal_data").value == 2
    assert measure_of(evidence, "files_unread").value == 0


@pytest.mark.parametrize("cut", [0, 40])
def test_a_table_that_cannot_be_read_whole_is_counted_as_unread(bare_desk: Desk, cut: int) -> None:
    pq.write_table(pa.table({"nested": [[MAIL], []]}), "rows.parquet")
    data = Path("rows.parquet").read_bytes()
    Path("rows.parquet").write_bytes(data[: len(data) - cut])
    evidence = bare_desk.run(Scan(subject="rows.parquet"), Evidence)
    assert measure_of(evidence, "files_unread").value == 1
    assert measure_of(evidence, "personal_data").n == 0
