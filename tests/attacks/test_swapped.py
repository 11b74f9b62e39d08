"""Evidence about a file is about the bytes that were looked at, whatever is put in their place before, meanwhile or after."""

import contextlib
import hashlib
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from jupyter_mlprod.adapters import scan_child
from jupyter_mlprod.adapters.scan_child import ScanChild
from jupyter_mlprod.core.evidence import Evidence
from jupyter_mlprod.core.pinned import BLOCK, ChangedError, Pinned
from jupyter_mlprod.core.requests import Scan
from jupyter_mlprod.core.scan_look import Look
from jupyter_mlprod.core.verdict import exit_status
from tests.attacks.hostile import SYSTEM
from tests.verbs.tiny import Desk

CLEAN = b"nothing\n"


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_file_swapped_around_the_look_is_not_sworn_to(bare_desk: Desk, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    """The child opens the clean one; the hostile one lies there before, or from then on."""
    whole_look = ScanChild.look

    def look(self: ScanChild, paths: Sequence[Path]) -> Iterator[Look]:
        Path("new.pkl").write_bytes(CLEAN)
        Path("new.pkl").replace(paths[0])
        found = list(whole_look(self, paths))
        if when == "after":
            Path("new.pkl").write_bytes(SYSTEM)
            Path("new.pkl").replace(paths[0])
        yield from found

    Path("model.pkl").write_bytes(SYSTEM)
    monkeypatch.setattr(ScanChild, "look", look)
    evidence = bare_desk.run(Scan(subject="model.pkl"), Evidence)
    assert exit_status(evidence) == 0
    assert evidence.subject == sha256(CLEAN)
    assert evidence.context["bytes"] == str(len(CLEAN))


@contextlib.contextmanager
def pinned(path: Path) -> Iterator[Pinned]:
    with path.open("rb", buffering=0) as file:
        yield Pinned(file)


def test_a_file_rewritten_in_place_is_seen_as_it_was_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(b"a" * BLOCK + b"b" * 10)
    with pinned(path) as held:
        path.write_bytes(b"a" * BLOCK + b"c" * 10)
        stream = held.buffered()
        assert stream.read(BLOCK) == b"a" * BLOCK
        with pytest.raises(ChangedError):
            stream.read(1)
        path.write_bytes(b"a" * 10)
        stream.seek(0)
        with pytest.raises(ChangedError):
            stream.read(1)


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_a_pinned_file_reads_as_any_other(tmp_path: Path, size: int) -> None:
    path = tmp_path / "model.bin"
    data = bytes(number * 7 % 251 for number in range(size))
    path.write_bytes(data)
    with pinned(path) as held:
        stream = held.buffered()
        assert (held.size, held.digest) == (size, sha256(data))
        assert stream.read() == data
        path.write_bytes(data + b"more")
        assert (stream.seek(0, io.SEEK_END), stream.read()) == (size, b"")
        assert (stream.seek(size // 2), stream.read()) == (size // 2, data[size // 2 :])


def test_a_child_that_dies_over_a_file_has_said_over_which_bytes(bare_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    dying = scan_child.PROGRAM.replace("serve()", "import jupyter_mlprod.adapters.scan_child as c; c.look_at = die; serve()")
    die = "import os, msgspec\ndef die(path, begun, tables): look(path, lambda told: (begun(told), os._exit(7)))\n"
    monkeypatch.setattr(
        scan_child,
        "PROGRAM",
        f"{scan_child.PROGRAM.split('from')[0]}from jupyter_mlprod.core.scan_file import look_at as look\n{die}{dying}",
    )
    Path("model.pkl").write_bytes(SYSTEM)
    evidence = bare_desk.run(Scan(subject="model.pkl"), Evidence)
    assert evidence.subject == sha256(SYSTEM)
    assert exit_status(evidence) == 1


def test_what_never_ends_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no regular file"), pinned(Path("/dev/zero")):
        pass
