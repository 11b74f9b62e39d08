"""The lock of what training had: made by a process that has imported packages while it packages, and covered by the second statement."""

import json
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

from jupyter_mlprod.core.attach import faults_of_attached
from jupyter_mlprod.core.bundle import LOCK, ORIGIN, TRAINING_LOCK
from jupyter_mlprod.core.listing import Listing
from jupyter_mlprod.core.lock import Lock, attach_locks, bundle_lock, training_lock
from jupyter_mlprod.core.requests import Show, Sign, Verify
from jupyter_mlprod.core.resolve import find_bundle
from jupyter_mlprod.core.verdict import Verdict
from tests.verbs.tiny import PACKAGE_WORDS, PACKAGED, Desk, cells

pytestmark = pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")
TRAINING = """
import sys
from pathlib import Path
sys.path.insert(0, str(Path("site").resolve()))
import {imported}
from jupyter_mlprod.fronts import cli
sys.exit(cli.main(sys.argv[1:]))
"""


def install(site: Path, name: str, version: str) -> None:
    """What an installer would leave of a package of one module."""
    info = site / f"{name}-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "RECORD").write_text(f"{name}.py,,\n")
    (site / f"{name}.py").touch()


def packaged_by(desk: Desk, imported: str) -> tuple[Path, str]:
    """The bundle of a process that has imported something besides its torch module, and what it told."""
    (desk.folder / "nets.py").write_text("import torch\n\ntorch.manual_seed(0)\nnet = torch.nn.Linear(3, 2)\n")
    words = ["nets:net" if word == PACKAGED["model"] else word for word in PACKAGE_WORDS]
    done = subprocess.run(
        [sys.executable, "-c", TRAINING.replace("{imported}", imported), *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return find_bundle("tiny", desk.workspace()).folder, done.stderr


def locked(folder: Path) -> Lock:
    lock = training_lock(folder)
    assert lock is not None
    return lock


def test_a_process_locks_what_it_has_imported_and_what_that_requires_with_hashes(bare_desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLPROD_LOCK", "hashes")
    monkeypatch.setenv("XDG_CACHE_HOME", str(bare_desk.folder / "cache"))
    folder, told = packaged_by(bare_desk, "jinja2")
    lock, pins = locked(folder), json.loads((folder / ORIGIN).read_text())["training"]["requirements"]
    assert sorted(str(package.pin) for package in lock.packages) == sorted(pins)
    assert {f"{name}=={version(name)}" for name in ("jinja2", "markupsafe", "onnx", "numpy")} <= set(pins)
    assert [package.name for package in lock.unhashed if not (package.tool.mlprod.source or package.tool.mlprod.index)] == []
    answering = {package.name: package for package in bundle_lock(folder).packages}
    assert all(package == answering[package.name] for package in lock.packages if package.name in answering)
    assert told.count("was installed as") == len([package for package in lock.packages if package.tool.mlprod.source])
    shown = bare_desk.run(Show(subject="tiny", lineage=True), Listing)
    facts = dict(zip(cells(shown, "what"), cells(shown, "is"), strict=True))
    hashed = len(lock.packages) - len(lock.unhashed)
    assert facts["packages of the training with hashes"] == f"{hashed} of {len(pins)} in {TRAINING_LOCK}"


def test_a_local_version_of_a_training_has_its_index_beside_it(bare_desk: Desk) -> None:
    install(bare_desk.folder / "site", "torchaudio", "9.9.9+cpu")
    folder, told = packaged_by(bare_desk, "torchaudio")
    packages = {package["name"]: package for package in tomllib.loads((folder / TRAINING_LOCK).read_text())["packages"]}
    assert packages["torchaudio"]["version"] == "9.9.9+cpu"
    assert packages["torchaudio"]["tool"] == {"mlprod": {"index": "PyTorch's own, whl/cpu"}}
    assert "torchaudio==9.9.9+cpu is a local version; its index: PyTorch's own, whl/cpu" in told
    assert "torchaudio" not in (folder / LOCK).read_text(), "answering does not need it"


def test_what_has_no_version_that_could_be_pinned_is_left_out_and_told(bare_desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    install(bare_desk.folder / "site", "oddball", "1.0 beta")
    folder, told = packaged_by(bare_desk, "oddball")
    assert f"lock: 'oddball==1.0 beta' of the training is not NAME==VERSION, so it is not in {TRAINING_LOCK}" in told
    assert "oddball" not in (folder / TRAINING_LOCK).read_text()
    assert bare_desk.command("show", "tiny", "--lineage") == 0
    assert f"0 of {len(locked(folder).packages) + 1} in {TRAINING_LOCK}" in capsys.readouterr().out


def test_the_second_statement_covers_it_and_signing_refuses_what_is_no_lock(bare_desk: Desk) -> None:
    packaged_by(bare_desk, "json")
    found = find_bundle("tiny", bare_desk.workspace())
    path = found.folder / TRAINING_LOCK
    text = path.read_text()
    path.write_text(f"{text}\n")
    assert faults_of_attached(found, bare_desk.workspace()) == (f"{TRAINING_LOCK} has other bytes than the second statement says",)
    path.write_text(text.replace(version("onnx"), "0.0.1"))
    refusal = bare_desk.refused(Sign(subject="tiny"))
    assert refusal.message.startswith(f"{TRAINING_LOCK}: onnx==0.0.1 is not in {ORIGIN}")


def test_a_bundle_from_before_there_was_one_is_as_good_as_it_was(bare_desk: Desk) -> None:
    packaged_by(bare_desk, "json")
    found = find_bundle("tiny", bare_desk.workspace())
    (found.folder / TRAINING_LOCK).unlink()
    bare_desk.workspace().run(Sign(subject="tiny"))
    assert bare_desk.run(Verify(subject="tiny"), Verdict).outcome == "pass"
    assert not (found.folder / TRAINING_LOCK).exists()
    shown = bare_desk.run(Show(subject="tiny", lineage=True), Listing)
    assert "packages of the training with hashes" not in cells(shown, "what")


def test_a_lock_of_a_training_with_hashes_stays_when_the_index_is_away(bare_desk: Desk) -> None:
    packaged_by(bare_desk, "json")
    found = find_bundle("tiny", bare_desk.workspace())
    path = found.folder / TRAINING_LOCK
    name, pin = "onnx-1-py3-none-any.whl", f'name = "onnx"\nversion = "{version("onnx")}"\n'
    one = f'wheels = [{{name = "{name}", hashes = {{sha256 = "{"0" * 64}"}}, path = "wheels/{name}"}}]\n'
    path.write_text(path.read_text().replace(pin, pin + one))
    before = path.read_text()
    assert one in before
    attach_locks(found.folder, bare_desk.workspace())
    assert path.read_text() == before
    path.write_text("[[[")
    attach_locks(found.folder, bare_desk.workspace())
    assert locked(found.folder).packages, "one that cannot be read is made again"
