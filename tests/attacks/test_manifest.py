"""A bundle folder from elsewhere whose manifest was written by hand: one line and status 2, or a finding; never a trace, never outside."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlprod.core.bundle import MANIFEST
from tests.verbs.tiny import Desk

Document = dict[str, Any]


def entry(path: str) -> Document:
    return {"path": path, "bytes": 1, "sha256": "sha256:" + "0" * 64}


def set_field(document: Document, value: Any, *keys: str | int) -> None:
    place: Any = document
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value


EDITS: dict[str, Callable[[Document], object]] = {
    "path up": lambda d: d["files"].append(entry("../../key.pem")),
    "path up in the middle": lambda d: d["files"].append(entry("golden/../../../key.pem")),
    "absolute path": lambda d: d["files"].append(entry("/etc/passwd")),
    "path of Windows": lambda d: d["files"].append(entry("..\\..\\key.pem")),
    "nul in a path": lambda d: d["files"].append(entry("a\x00b")),
    "long path": lambda d: d["files"].append(entry("a" * 5000)),
    "empty path": lambda d: d["files"].append(entry("")),
    "terminal codes in a path": lambda d: d["files"].append(entry("\x1b[2J\u202e")),
    "the same file twice": lambda d: d["files"].append(d["files"][0]),
    "no files": lambda d: set_field(d, [], "files"),
    "negative size": lambda d: set_field(d, -1, "files", 0, "bytes"),
    "huge size": lambda d: set_field(d, 10**30, "files", 0, "bytes"),
    "name that is a query": lambda d: set_field(d, "x' or name = 'tiny", "name"),
    "name that is a path": lambda d: set_field(d, "../../x", "name"),
    "name that is a number": lambda d: set_field(d, 7, "name"),
    "unknown field": lambda d: set_field(d, "x", "__class__"),
    "other schema": lambda d: set_field(d, "verdict/1", "schema"),
    "no schema": lambda d: d.pop("schema"),
    "no inputs": lambda d: set_field(d, [], "contract", "inputs"),
    "one input twice": lambda d: d["contract"]["inputs"].append(d["contract"]["inputs"][0]),
    "no outputs": lambda d: set_field(d, [], "contract", "outputs"),
    "unknown type": lambda d: set_field(d, "str32", "contract", "inputs", 0, "dtype"),
    "type that is code": lambda d: set_field(d, "O,__import__('os')", "contract", "inputs", 0, "dtype"),
    "negative shape": lambda d: set_field(d, [-1, "batch"], "contract", "inputs", 0, "shape"),
    "limits that are texts": lambda d: set_field(d, "high", "contract", "inputs", 0, "high"),
    "one label": lambda d: set_field(d, ["x"], "labels"),
    "a million labels": lambda d: set_field(d, ["x"] * 1_000_000, "labels"),
    "preprocessing that is a dunder": lambda d: set_field(d, "__builtins__", "preprocess"),
    "scores of another kind": lambda d: set_field(d, "__class__", "scores"),
}
TEXTS: dict[str, bytes] = {
    "empty": b"",
    "no JSON": b"\x00\xff",
    "deep arrays": b"[" * 300_000,
    "deep objects": b'{"a":' * 300_000,
    "deep in an ignored place": b'{"schema":"bundle/1","labels":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "not a number": b'{"schema":"bundle/1","name":NaN}',
    "infinite": b'{"schema":"bundle/1","name":"x","contract":{"inputs":[{"kind":"tensor","name":"x","dtype":"float32","shape":[1e999]}]}}',
    "huge": b" " * 17_000_000,
    "byte order mark": b"\xef\xbb\xbf{}",
    "lone surrogate": b'{"schema":"bundle/1","name":"\\ud800"}',
}
LOOKING = (["show"], ["scan"], ["verify"], ["check", "--data", "x.npy"], ["compare", "tiny"])
RUNNING = (["predict", "--data", "x.npy"], ["evaluate", "--data", "x.npy", "--target", "y.npy"], ["gate"], ["promote"])


def attempt(desk: Desk, folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, int]:
    """Exit status of every verb on the folder; each refusal is told in short lines that no terminal would stumble over."""
    statuses = {}
    for verb, *options in (*LOOKING, *RUNNING):
        subject = [str(folder), *options] if verb != "compare" else [*options, str(folder)]
        statuses[verb] = desk.command(verb, *subject)
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        if statuses[verb] == 2:
            assert printed.out == ""
    return statuses


def fresh(desk: Desk) -> Path:
    """The champion's folder under a name that is no digest, as somebody would have sent it."""
    home = desk.bundle_folder(desk.champion())
    sent = desk.folder / "sent"
    home.rename(sent)
    return sent


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_manifest_is_refused_by_every_verb_that_would_use_the_bundle(
    desk: Desk, edit: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sent = fresh(desk)
    document = json.loads((sent / MANIFEST).read_text())
    EDITS[edit](document)
    (sent / MANIFEST).write_text(json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False))
    key = (desk.folder / ".mlprod" / "key.pem").read_bytes()
    statuses = attempt(desk, sent, capsys)
    assert {statuses[verb] for verb, *_ in RUNNING} <= {2, 3}
    assert statuses["scan"] in (0, 1, 2)
    assert statuses["verify"] in (1, 2)
    assert (desk.folder / ".mlprod" / "key.pem").read_bytes() == key


def test_code_that_the_manifest_does_not_own_up_to_is_not_run(desk: Desk) -> None:
    sent = fresh(desk)
    code = b"open('ran', 'w').close()\n\n\ndef prepare(batch):\n    return batch\n"
    (sent / "code" / "preprocess.py").write_bytes(code)
    document = json.loads((sent / MANIFEST).read_text())
    document["preprocess"] = ""
    (listed,) = [file for file in document["files"] if file["path"] == "code/preprocess.py"]
    listed |= {"bytes": len(code), "sha256": f"sha256:{hashlib.sha256(code).hexdigest()}"}
    (sent / MANIFEST).write_text(json.dumps(document, sort_keys=True, separators=(",", ":")))
    for verb, *options in (*LOOKING, *RUNNING):
        desk.command(verb, *([str(sent), *options] if verb != "compare" else [*options, str(sent)]))
    assert desk.command("predict", str(sent), "x.npy") == 0, "the graph alone answers, and needs no trust"
    assert not Path("ran").exists()


@pytest.mark.parametrize("text", TEXTS)
def test_a_manifest_that_is_none_is_refused_by_every_verb(desk: Desk, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    sent = fresh(desk)
    (sent / MANIFEST).write_bytes(TEXTS[text])
    assert set(attempt(desk, sent, capsys).values()) == {2}


@pytest.mark.parametrize("thing", ["folder", "pipe", "link", "nothing"])
def test_a_manifest_that_is_no_file_is_refused_and_not_waited_for(desk: Desk, thing: str, capsys: pytest.CaptureFixture[str]) -> None:
    sent = fresh(desk)
    (sent / MANIFEST).rename(desk.folder / "elsewhere.json")
    match thing:
        case "folder":
            (sent / MANIFEST).mkdir()
        case "pipe":
            os.mkfifo(sent / MANIFEST)
        case "link":
            (sent / MANIFEST).symlink_to(desk.folder / "elsewhere.json")
    assert set(attempt(desk, sent, capsys).values()) == {2}


@pytest.mark.parametrize("thing", ["pipe", "link to a device", "link to a folder", "folder of links"])
def test_a_file_of_the_bundle_that_is_none_is_found_and_not_read(desk: Desk, thing: str, capsys: pytest.CaptureFixture[str]) -> None:
    sent = fresh(desk)
    match thing:
        case "pipe":
            os.mkfifo(sent / "golden" / "more.npz")
        case "link to a device":
            (sent / "model.onnx").unlink()
            (sent / "model.onnx").symlink_to("/dev/zero")
        case "link to a folder":
            (sent / "more").symlink_to("/")
        case "folder of links":
            (sent / "code" / "preprocess.py").rename(desk.folder / "preprocess.py")
            (sent / "code").rmdir()
            (sent / "code").symlink_to(desk.folder)
    statuses = attempt(desk, sent, capsys)
    assert statuses["scan"] == 1
    assert {statuses[verb] for verb, *_ in RUNNING} == {2}
