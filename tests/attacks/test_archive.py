"""Archives and folders that mean harm: each is refused for its reason, nothing of it is run, nothing is written but what is removed again."""

import os
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from jupyter_mlprod.adapters.disk_store import DiskBundles
from jupyter_mlprod.adapters.onnx_runtime import OnnxRuntimes
from jupyter_mlprod.core.archive import CENTRAL, END, LARGE, Member, directory, local_header
from jupyter_mlprod.core.bundle import MANIFEST, Bundle
from jupyter_mlprod.core.listing import Listing
from jupyter_mlprod.core.manifest import MOST_FILES
from jupyter_mlprod.core.requests import Export, Predict, Show
from tests.verbs.tiny import Desk, cells

VERBS = (["show"], ["scan"], ["verify"], ["predict", "--data", "x.npy"], ["gate"], ["export", "--to", "onnx"])
Entries = list[tuple[str, bytes]]


def opened(archive: bytes) -> Entries:
    with zipfile.ZipFile(BytesIO(archive)) as file:
        return [(entry.filename, file.read(entry)) for entry in file.infolist()]


def packed(entries: Entries) -> bytes:
    """An archive in the one form that is read, of whatever names."""
    members = [Member(path=path, bytes=len(data), crc=zlib.crc32(data)) for path, data in entries]
    files = b"".join(local_header(member) + data for member, (_, data) in zip(members, entries, strict=True))
    return files + directory(members)


def zipped(archive: bytes, **options: Any) -> bytes:
    """The same files as an ordinary zip tool would write them."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as file:
        for path, data in opened(archive):
            file.writestr(path, data)
    return buffer.getvalue()


def adding(*extra: tuple[str, bytes]) -> Callable[[bytes], bytes]:
    """The archive with more files, in order."""
    return lambda archive: packed([opened(archive)[0], *sorted([*opened(archive)[1:], *extra])])


def named(path: str) -> Callable[[bytes], bytes]:
    return adding((path, b"open('ran', 'w')"))


def without(path: str) -> Callable[[bytes], bytes]:
    return lambda archive: packed([entry for entry in opened(archive) if entry[0] != path])


def changed(path: str, data: bytes) -> Callable[[bytes], bytes]:
    return lambda archive: packed([(name, data if name == path else old) for name, old in opened(archive)])


def field(mark: bytes, offset: int, value: bytes) -> Callable[[bytes], bytes]:
    """The archive with a field of its last header of a kind overwritten."""

    def edit(archive: bytes) -> bytes:
        at = archive.rindex(mark) + offset
        return archive[:at] + value + archive[at + len(value) :]

    return edit


def directory_of(archive: bytes) -> int:
    """Where the directory begins; a file within may be a zip of its own."""
    return int.from_bytes(archive[-6:-2], "little")


def overlapping(archive: bytes) -> bytes:
    """Every file of ``attached/`` but the first is told to lie where the first one lies."""
    members = [Member(path=path, bytes=len(data), crc=zlib.crc32(data)) for path, data in opened(archive)]
    whole = directory(members)
    first = whole.index(CENTRAL, 4)
    second = whole.index(CENTRAL, first + 4)
    place = whole[first + 42 : first + 46]
    return archive.removesuffix(whole) + whole[: second + 42] + place + whole[second + 46 :]


def larger_than_itself(archive: bytes) -> bytes:
    """A kilobyte of zeros that is listed a hundred times, as the quine-like bombs do."""
    entries = opened(archive)
    zeros = [Member(path=f"attached/{number:03}", bytes=1 << 30, crc=0) for number in range(100)]
    members = [Member(path=path, bytes=len(data), crc=zlib.crc32(data)) for path, data in entries[:1]]
    tail = directory([*members, *zeros])
    return packed(entries[:1]).removesuffix(directory(members)) + _moved(tail, len(local_header(members[0])) + members[0].bytes)


def _moved(tail: bytes, start: int) -> bytes:
    """A directory that claims to begin where it does."""
    entries = tail[: tail.rindex(b"PK\x06\x06")] if b"PK\x06\x06" in tail else tail[: tail.rindex(END)]
    count = entries.count(CENTRAL)
    return entries + struct.pack("<4s4H2LH", END, 0, 0, count, count, len(entries), start, 0)


def zip64_lie(archive: bytes) -> bytes:
    """A directory entry whose true size is said to be 2**60, in a ZIP64 field."""
    start = directory_of(archive)
    body, tail = archive[:start], archive[start:]
    head = bytearray(tail[:46])
    head[20:28] = struct.pack("<2L", LARGE, LARGE)
    head[30:32] = struct.pack("<H", 20)
    name = tail[46 : 46 + len(MANIFEST)]
    entries = bytes(head) + name + struct.pack("<2H2Q", 1, 16, 1 << 60, 1 << 60) + tail[46 + len(name) : tail.rindex(END)]
    count = entries.count(CENTRAL)
    return body + entries + struct.pack("<4s4H2LH", END, 0, 0, count, count, len(entries), len(body), 0)


def behind_a_gap(archive: bytes) -> bytes:
    """Bytes that no entry owns, between the files and the directory; every place is told rightly."""
    start = directory_of(archive)
    end = bytearray(archive[archive.rindex(END) :])
    end[16:20] = struct.pack("<L", start + 8)
    return archive[:start] + b"#!hidden" + archive[start : archive.rindex(END)] + bytes(end)


def beside(path: str, data: bytes = b"open('ran', 'w')") -> Callable[[bytes], bytes]:
    """The archive with its manifest listing one file more, which is there."""

    def edit(archive: bytes) -> bytes:
        entries = dict(opened(archive))
        bundle = msgspec.json.decode(entries[MANIFEST], type=Bundle)
        entry = msgspec.structs.replace(bundle.files[0], path=path, bytes=len(data))
        bundle = msgspec.structs.replace(bundle, files=(*bundle.files, entry))
        entries |= {path: data, MANIFEST: msgspec.json.encode(bundle, order="sorted")}
        return packed([(MANIFEST, entries.pop(MANIFEST)), *sorted(entries.items())])

    return edit


ATTACKS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "absolute": (named("/tmp/evil"), "is absolute"),
    "up": (named("attached/../../evil"), "has '..' as a part"),
    "up, by the manifest": (beside("golden/../../evil"), "has '..' as a part"),
    "backslash": (named("attached\\..\\evil"), "holds '\\\\'"),
    "drive": (named("C:/evil"), "holds ':'"),
    "stream": (named("attached/a:b"), "holds ':'"),
    "empty part": (named("attached//evil"), "has '' as a part"),
    "dot": (named("attached/./evil"), "has '.' as a part"),
    "folder entry": (named("golden/"), "has '' as a part"),
    "blank at the end": (named("attached/evil "), "blank at an end"),
    "dot at the end": (named("attached/evil."), "dot at its end"),
    "newline": (named("attached/a\nb"), "holds '\\n'"),
    "nul": (named("attached/a\0b"), "holds '\\x00'"),
    "right to left": (named("attached/\u202egnp.exe"), "holds '\\u202e'"),
    "markup": (named("attached/<script>"), "holds '<'"),
    "5,000 characters": (named("attached/" + "a" * 5000), "a path of 5,009 characters"),
    "long part": (named("attached/" + "a" * 300), "a part of more than 200 bytes"),
    "twice": (named("attached/origin.json"), "is there twice"),
    "case": (adding(("attached/A", b"1"), ("attached/a", b"2")), "differ in case or spelling alone"),
    "case of a folder": (named("Golden/x"), "differ in case or spelling alone"),
    "case of the manifest": (named("Bundle.json"), "differ in case or spelling alone"),
    "decomposed": (named("attached/e\u0301"), "is not in Unicode's composed form"),
    "ligature": (adding(("attached/fi", b"1"), ("attached/\ufb01", b"2")), "differ in case or spelling alone"),
    "file and folder": (adding(("attached/x", b"1"), ("attached/x/y", b"2")), "is a file and a folder"),
    "too many": (adding(*((f"attached/{number}", b"") for number in range(MOST_FILES))), "files; at most 10,000"),
    "extra": (named("more.bin"), "'more.bin' is not in the manifest"),
    "planted hook": (named(".git/hooks/post-checkout"), "'.git/hooks/post-checkout' is not in the manifest"),
    "missing": (without("model.onnx"), "'model.onnx' is missing"),
    "other size": (changed("model.onnx", b"x" * 10_000), "'model.onnx' has 10,000 bytes, the manifest says"),
    "manifest lists itself": (beside("attached/x"), "has no place in it"),
    "no manifest": (without(MANIFEST), "bundle.json of at most"),
    "manifest that is none": (changed(MANIFEST, b"{}"), "bundle.json cannot be read"),
    "deep manifest": (changed(MANIFEST, b'{"schema":' * 100_000), "bundle.json cannot be read"),
    "manifest with NaN": (changed(MANIFEST, b'{"schema":"bundle/1","name":NaN}'), "bundle.json cannot be read"),
    "not in order": (lambda archive: packed(opened(archive)[::-1]), "its files are not in order"),
    "no files": (lambda _: packed([]), "bundle.json of at most"),
    "encrypted": (field(CENTRAL, 8, b"\x01\x08"), "is encrypted"),
    "strongly encrypted": (field(CENTRAL, 8, b"\x41\x08"), "is encrypted"),
    "link": (field(CENTRAL, 38, struct.pack("<L", 0o120777 << 16)), "is a link, a folder or a device"),
    "device": (field(CENTRAL, 38, struct.pack("<L", 0o020666 << 16)), "is a link, a folder or a device"),
    "executable": (field(CENTRAL, 38, struct.pack("<L", 0o104755 << 16)), "times, rights, places or comments differ"),
    "compressed": (lambda archive: zipped(archive, compression=zipfile.ZIP_DEFLATED), "is compressed"),
    "lzma": (lambda archive: zipped(archive, compression=zipfile.ZIP_LZMA), "is compressed"),
    "bomb": (lambda archive: zipped(changed("model.onnx", bytes(50_000_000))(archive), compression=zipfile.ZIP_DEFLATED), "is compressed"),
    "bomb of overlaps": (larger_than_itself, "its files are larger than itself"),
    "overlapping": (overlapping, "times, rights, places or comments differ"),
    "of another tool": (zipped, "times, rights, places or comments differ"),
    "times": (field(CENTRAL, 12, b"\x01\x01"), "times, rights, places or comments differ"),
    "written as a stream": (field(CENTRAL, 8, b"\x08\x08"), "times, rights, places or comments differ"),
    "other name before the bytes": (field(b"PK\x03\x04", 30, b"X"), "is not what the directory says of it"),
    "other size before the bytes": (field(b"PK\x03\x04", 22, b"\x01"), "is not what the directory says of it"),
    "compressed, before the bytes": (field(b"PK\x03\x04", 8, b"\x08"), "is not what the directory says of it"),
    "two sizes": (field(CENTRAL, 20, b"\x01"), "has two sizes"),
    "checksum": (field(b"PK\x03\x04", -1, b"\xff"), "has other bytes than its checksum says"),
    "not UTF-8": (field(CENTRAL, 46, b"\xff"), "name is not UTF-8"),
    "count": (field(END, 8, b"\x01\x00\x01\x00"), "files, its end counts 1"),
    "place of the directory": (field(END, 16, b"\x01\x00\x00\x00"), "its directory is not where its end says"),
    "size of the directory": (field(END, 12, b"\xff\xff\xff\x7f"), "its directory is not where its end says"),
    "second disk": (field(END, 4, b"\x01\x00"), "times, rights, places or comments differ"),
    "comment": (field(END, 20, b"\x05\x00"), "does not end as an archive does"),
    "ZIP64 without a record": (field(END, 16, b"\xff" * 4), "the ZIP64 record that its end promises is not there"),
    "ZIP64 lie": (zip64_lie, "its files are larger than itself"),
    "bytes before": (lambda archive: b"#!/bin/sh\n" + archive, "bytes stand before its beginning"),
    "bytes behind": (lambda archive: archive + b"\n", "does not end as an archive does"),
    "bytes between": (behind_a_gap, "bytes lie in between"),
    "an archive behind it": (lambda archive: archive + archive, "bytes stand before its beginning"),
    "half": (lambda archive: archive[: len(archive) // 2], "does not end as an archive does"),
    "empty": (lambda _: b"", "too short"),
    "no archive": (lambda _: b"x" * 5000, "does not end as an archive does"),
}


@pytest.fixture
def archive(desk: Desk) -> bytes:
    """The champion as an archive."""
    desk.run(Export(subject="tiny", to="mlprod", out="good.mlprod"), Listing)
    return Path("good.mlprod").read_bytes()


@pytest.fixture(scope="module")
def common_desk(made_desk: Path, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """One copy for all attacks: each leaves it as it was, or fails."""
    folder = tmp_path_factory.mktemp("attacked") / "desk"
    shutil.copytree(made_desk, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Desk(folder).run(Export(subject="tiny", to="mlprod", out="good.mlprod"), Listing)
    return Desk(folder)


def everything(folder: Path) -> dict[str, int]:
    """Every path under a folder and how large it is, without what a command may keep: records of what it looked at."""
    paths = [path for path in folder.rglob("*") if "records" not in path.parts and path.name not in ("scratch", "unpacked")]
    return {str(path): path.lstat().st_size for path in paths if not path.name.startswith("mlflow.db")}


def refusals(
    desk: Desk, subject: str, capsys: pytest.CaptureFixture[str], *, verbs: Sequence[list[str]] = VERBS
) -> dict[str, tuple[int, str]]:
    """What each verb answers, with nothing left behind by any of them."""
    before = everything(desk.folder.parent)
    told = {}
    for verb, *options in verbs:
        status = desk.command(verb, subject, *options)
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        assert len(printed.err.splitlines()) <= 2
        told[verb] = (status, printed.err)
        assert everything(desk.folder.parent) == before
    assert not list((desk.folder / ".mlprod" / "scratch").glob("unpacked/*"))
    return told


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_archive_of_another_form_is_refused_for_its_reason(
    common_desk: Desk, attack: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(common_desk.folder)
    edit, reason = ATTACKS[attack]
    good = Path("good.mlprod").read_bytes()
    sent = edit(good)
    assert sent != good
    Path("sent.mlprod").write_bytes(sent)
    for verb, (status, told) in refusals(common_desk, "sent.mlprod", capsys, verbs=VERBS[1:4:2]).items():
        assert status == 2, verb
        assert told.startswith("bundle-broken: sent.mlprod: ")
        assert reason in told


def test_an_archive_cut_off_or_changed_anywhere_is_refused(desk: Desk, archive: bytes) -> None:
    rng = np.random.default_rng(0)
    for at in rng.choice(len(archive), 80, replace=False):
        for sent in (archive[:at], archive[:at] + bytes([archive[at] ^ (1 << rng.integers(8))]) + archive[at + 1 :]):
            Path("sent.mlprod").write_bytes(sent)
            refusal = desk.refused(Show(subject="sent.mlprod"))
            assert refusal.code.status == 2


def test_a_changed_file_with_a_right_checksum_is_found_by_its_digest(
    desk: Desk, archive: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    code = dict(opened(archive))["code/preprocess.py"]
    Path("sent.mlprod").write_bytes(changed("code/preprocess.py", code.replace(b"2.0", b"3.0"))(archive))
    told = refusals(desk, "sent.mlprod", capsys)
    assert {verb: status for verb, (status, _) in told.items()} == {verb: 1 if verb in ("scan", "verify") else 2 for verb, *_ in VERBS}
    assert "code/preprocess.py has other bytes than the manifest says" in told["predict"][1]


@pytest.mark.parametrize("text", [b'{"name":"evil",', b'{"labels":NaN,', b"{ "])
def test_a_manifest_that_could_be_read_in_two_ways_is_no_manifest(desk: Desk, archive: bytes, text: bytes) -> None:
    manifest = dict(opened(archive))[MANIFEST]
    Path("sent.mlprod").write_bytes(changed(MANIFEST, text + manifest[1:])(archive))
    refusal = desk.refused(Predict(subject="sent.mlprod", data="x.npy"))
    assert "is not in canonical form" in refusal.message or "cannot be read" in refusal.message


def test_an_archive_within_an_archive_is_a_file_like_any_other(desk: Desk, archive: bytes) -> None:
    Path("sent.mlprod").write_bytes(adding(("attached/more.mlprod", archive))(archive))
    assert desk.command("predict", "sent.mlprod", "x.npy") == 0
    assert desk.command("scan", "sent.mlprod") == 0


@pytest.mark.parametrize("thing", ["pipe", "link to a device", "link to nothing", "nothing"])
def test_what_is_no_file_is_refused_and_not_waited_for(desk: Desk, thing: str, capsys: pytest.CaptureFixture[str]) -> None:
    match thing:
        case "pipe":
            os.mkfifo("sent.mlprod")
        case "link to a device":
            Path("sent.mlprod").symlink_to("/dev/zero")
        case "link to nothing":
            Path("sent.mlprod").symlink_to("absent")
    assert {status for status, _ in refusals(desk, "sent.mlprod", capsys).values()} == {2}


# Folders from elsewhere.


def sent_folder(desk: Desk) -> Path:
    """The champion's folder as somebody would have sent it."""
    return Path(shutil.copytree(desk.bundle_folder(desk.champion()), desk.folder / "sent"))


@pytest.mark.parametrize("harm", ["link", "hard link", "link to a folder", "hook"])
@pytest.mark.parametrize("place", ["model.onnx", "code/preprocess.py"])
def test_a_folder_with_a_link_or_more_than_its_manifest_lists_is_refused(
    desk: Desk, harm: str, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sent = sent_folder(desk)
    outside = desk.folder / "outside"
    (sent / place).rename(outside)
    match harm:
        case "link":
            (sent / place).symlink_to(outside)
        case "hard link":
            (sent / place).hardlink_to(outside)
        case "link to a folder":
            shutil.copy(outside, sent / place)
            (sent / "more").symlink_to(desk.folder)
        case "hook":
            shutil.copy(outside, sent / place)
            (sent / ".git" / "hooks").mkdir(parents=True)
            (sent / ".git" / "hooks" / "post-checkout").write_text("touch ran")
    told = refusals(desk, "./sent", capsys)
    assert {verb: status for verb, (status, _) in told.items()} == {verb: 1 if verb in ("scan", "verify") else 2 for verb, *_ in VERBS}
    reason = f"{place} is a link, or no regular file" if harm in ("link", "hard link") else "is not in the manifest"
    assert reason in told["predict"][1]


@pytest.mark.parametrize("harm", ["link", "hard link", "pipe"])
def test_what_is_attached_may_be_no_link_either(desk: Desk, harm: str, capsys: pytest.CaptureFixture[str]) -> None:
    sent = sent_folder(desk)
    key = desk.folder / ".mlprod" / "key.pem"
    match harm:
        case "link":
            (sent / "attached" / "key.pem").symlink_to(key)
        case "hard link":
            (sent / "attached" / "key.pem").hardlink_to(key)
        case "pipe":
            os.mkfifo(sent / "attached" / "key.pem")
    for status, told in refusals(desk, "./sent", capsys).values():
        assert status == 2
        assert "key.pem is a link, or no regular file" in told


def test_a_folder_that_is_much_larger_than_its_manifest_says_is_not_copied(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    with (sent_folder(desk) / "more.bin").open("wb") as file:
        file.truncate(1 << 40)
    for status, told in refusals(desk, "./sent", capsys).values():
        assert status == 2
        assert "more than its manifest lists" in told


@pytest.mark.parametrize("form", ["folder", "archive"])
def test_what_is_swapped_after_it_was_verified_is_not_what_answers(
    desk: Desk, archive: bytes, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = sent_folder(desk)
    subject = "./sent" if form == "folder" else "good.mlprod"
    honest = cells(desk.run(Predict(subject=subject, data="x.npy"), Listing), "label")
    really_open = OnnxRuntimes.open

    def swap_and_open(runtimes: OnnxRuntimes, folder: Path, bundle: Bundle, *, threads: int) -> Any:
        for path in ("model.onnx", "code/preprocess.py"):
            (sent / path).write_bytes(b"open('ran', 'w')")
        Path("good.mlprod").write_bytes(b"")
        return really_open(runtimes, folder, bundle, threads=threads)

    monkeypatch.setattr(OnnxRuntimes, "open", swap_and_open)
    assert cells(desk.run(Predict(subject=subject, data="x.npy"), Listing), "label") == honest
    assert not Path("ran").exists()


def test_what_is_swapped_before_it_is_verified_is_what_is_verified(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy is what the digests are held against: a look at the original would be of no use."""
    sent = sent_folder(desk)
    really_look = DiskBundles.faults

    def mend_and_look(bundles: DiskBundles, folder: Path) -> Any:
        shutil.copytree(desk.bundle_folder(desk.champion()), sent, dirs_exist_ok=True)
        return really_look(bundles, folder)

    (sent / "model.onnx").write_bytes(b"evil")
    monkeypatch.setattr(DiskBundles, "faults", mend_and_look)
    assert "model.onnx has other bytes" in desk.refused(Predict(subject="./sent", data="x.npy")).message
    assert desk.command("scan", "./sent") == 0, "mended by now"


def test_files_of_the_own_store_may_have_a_second_name(desk: Desk) -> None:
    """As a backup by hard links gives them."""
    home = desk.bundle_folder(desk.champion())
    (desk.folder / "backup.onnx").hardlink_to(home / "model.onnx")
    assert desk.command("predict", "tiny", "x.npy") == 0
    assert desk.command("predict", str(home), "x.npy") == 0
