"""Every hostile pickle is told, in whatever coat; nothing of it is run, imported or written, and whoever looks survives it."""

import bz2
import gzip
import io
import lzma
import os
import pickle
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from jupyter_mlprod.adapters.scan_child import ScanChild
from jupyter_mlprod.core.evidence import Evidence
from jupyter_mlprod.core.requests import Scan
from jupyter_mlprod.core.scan_container import Walk
from jupyter_mlprod.core.scan_look import Look, Notes
from jupyter_mlprod.core.verdict import exit_status
from tests.attacks.hostile import CANARY, HOSTILE, SYSTEM, call, legacy_torch, loads, text, zipped
from tests.verbs.tiny import Desk, measure_of


def looked(folder: Path, files: dict[str, bytes], *, cpu_s: int = 60) -> dict[str, Look]:
    """What the child process says of files with these bytes, by their key."""
    paths = [folder / f"{number}.bin" for number in range(len(files))]
    for path, data in zip(paths, files.values(), strict=True):
        path.write_bytes(data)
    return dict(zip(files, ScanChild(cpu_s=cpu_s).look(paths), strict=True))


def zipped_whole(data: bytes) -> bytes:
    return zipped(("a", data), kind=zipfile.ZIP_DEFLATED)


def hostile(look: Look) -> str:
    return "; ".join(str(spot) for spot in look.spots if spot.kind == "hostile")


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Look]:
    folder = tmp_path_factory.mktemp("hostile")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        before = set(sys.modules)
        looks = looked(folder, HOSTILE)
        assert {name.split(".")[0] for name in set(sys.modules) - before} <= {"resource", "pwd", "_posixsubprocess"}
    assert not (folder / CANARY).exists()
    assert not Path("/", CANARY).exists()
    return looks


def test_the_corpus_is_as_large_as_the_published_one() -> None:
    assert len(HOSTILE) >= 33


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_pickle_is_told(verdicts: dict[str, Look], name: str) -> None:
    assert hostile(verdicts[name])
    assert verdicts[name].counts["hostile"] >= 1


def test_the_child_would_die_of_acting_and_does_not(verdicts: dict[str, Look]) -> None:
    assert not [name for name, look in verdicts.items() if "was made to do something else" in hostile(look)]
    assert not [name for name, look in verdicts.items() if "ended with" in hostile(look)]


def test_a_finding_says_what_would_be_run(verdicts: dict[str, Look]) -> None:
    assert hostile(verdicts["os.system"]) == "runs os.system when it is loaded"
    assert hostile(verdicts["memo confusion"]) == "runs posix.system when it is loaded"
    assert hostile(verdicts["unknown module"]) == "asks for my_company.models.Net, which tensors do not need"
    assert hostile(verdicts["zip .pt, renamed inner file"]) == "model/weights.txt: runs os.system when it is loaded"
    assert "password required" in hostile(verdicts["zip .pt, encrypted flag"])


def test_the_raw_bytes_of_tensors_are_not_taken_for_pickles(tmp_path: Path) -> None:
    floats = np.random.default_rng(0).normal(size=50_000).astype(np.float32).tobytes()
    state = pickle.dumps({"weight": 1}, 2)
    files = {
        "legacy": legacy_torch(state, tail=floats),
        "zip": zipped(("m/data.pkl", state), *((f"m/data/{i}", floats[i:]) for i in range(200))),
    }
    for look in looked(tmp_path, files).values():
        assert not hostile(look)
        assert look.counts["pickle"] >= 1


def test_bytes_behind_a_pickle_that_are_none_are_told(tmp_path: Path) -> None:
    assert "100 bytes after its end" in hostile(looked(tmp_path, {"x": pickle.dumps([1, 2], 4) + b"\xff" * 100})["x"])


HARD: dict[str, bytes] = {
    "a memo that only a large machine holds, then harm": b"K\x01r\xff\xff\xff\xff0" + SYSTEM,
    "a string of many lines' length, then harm": b"V" + b"x" * 3_000_000 + b"\n0" + SYSTEM,
    "a line that only a large machine holds, then harm": b"V" + b"x" * 70_000_000 + b"\n0" + SYSTEM,
    "a memo of four billion": b"\x80\x02K\x01r\xff\xff\xff\xffK\x02." + SYSTEM,
    "a string of exabytes": b"\x80\x04\x8d" + b"\xff" * 7 + b"\x7f.",
    "a number of millions of digits": b"I" + b"9" * 300_000 + b"\n.",
    "keys whose hash takes for ever": b"\x80\x02)q\x00" + b"h\x00h\x00\x86q\x00" * 60 + b"}h\x00K\x01s.",
    "lists in lists": b"\x80\x02" + b"]" * 300_000 + b"a" * 299_999 + b".",
    "a bytearray of terabytes": b"\x80\x05\x96\x00\x00\x00\x00\x00\x10\x00\x00.",
    "twenty thousand names": b"\x80\x02" + b"".join(f"cm{i}\nn\n0".encode() for i in range(20_000)) + b"N.",
}


@pytest.mark.parametrize("name", HARD)
def test_whatever_wears_out_its_reader_is_survived_and_is_no_pass(tmp_path: Path, name: str) -> None:
    looks = looked(tmp_path, {"hard": HARD[name], "clean": b"next"}, cpu_s=1)
    if name not in ("lists in lists", "a number of millions of digits", "a string of exabytes", "a bytearray of terabytes"):
        assert hostile(looks["hard"])
    assert looks["clean"].counts == {}, "the next file is looked at all the same"


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zlib.compress, zipped_whole])
def test_a_bomb_is_not_unpacked_beyond_the_budget(pack: Callable[[bytes], bytes]) -> None:
    notes = Notes()
    walk = Walk(notes, lambda stream, place: pytest.fail(f"{place} was looked into"))
    walk.left = 1_000_000
    data = pack(bytes(5_000_000))
    walk.into(io.BytesIO(data), len(data))
    assert "unpack" in str(notes.spots[0])


@pytest.mark.parametrize("name", ["../outside.pkl", "/etc/outside.pkl", "a/../../b", "..\\outside", "C:\\outside"])
def test_a_member_that_would_be_written_elsewhere_is_told(tmp_path: Path, name: str) -> None:
    assert "leads out of the folder" in hostile(looked(tmp_path, {"x": zipped((name, b"text"))})["x"])


def test_a_child_that_is_made_to_act_is_stopped_and_that_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from jupyter_mlprod.adapters import scan_child

    acting = "import sys, os, msgspec; sys.path.append(sys.argv[1]); from jupyter_mlprod.adapters.scan_child import _limit; sys.stdin.read(); _limit(5); "
    for act in (
        f"os.system('touch {tmp_path / CANARY}')",
        "import json.tool, torch",
        f"open({str(tmp_path / CANARY)!r}, 'w')",
        "import socket; socket.socket()",
    ):
        monkeypatch.setattr(scan_child, "PROGRAM", acting + act)
        look = looked(tmp_path, {"x": b"anything"})["x"]
        assert "was made to do something else, and was stopped" in hostile(look)
    assert not (tmp_path / CANARY).exists()


def test_scan_of_a_file_fails_with_one_line_that_says_why(bare_desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    Path("hostile.pt").write_bytes(SYSTEM)
    Path("clean.pt").write_bytes(zipped(("m/data.pkl", loads("torch._utils", "_rebuild_tensor_v2"))))
    assert bare_desk.command("scan", "hostile.pt") == 1
    assert capsys.readouterr().err == "hostile.pt: hostile_pickles: runs os.system when it is loaded\n"
    assert bare_desk.command("scan", "clean.pt") == 0
    assert "m/data.pkl: a pickle of tensors and plain values only" in capsys.readouterr().out
    assert not os.path.exists(CANARY)  # noqa: PTH110


def test_a_clean_state_dict_in_a_bundle_is_a_failure_all_the_same(desk: Desk) -> None:
    (desk.bundle_folder(desk.champion()) / "attached" / "weights.pt").write_bytes(
        b"\x80\x02" + call("collections", "OrderedDict") + text("x") + b"0."
    )
    evidence = desk.run(Scan(subject="tiny"), Evidence)
    assert measure_of(evidence, "pickle_files").value == 1
    assert measure_of(evidence, "hostile_pickles").value == 0
    assert exit_status(evidence) == 1
