"""Code in a bundle: it answers where no notebook was, beside its files, and what leans on the kernel or the folder is named at packaging."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jupyter_mlprod.adapters.onnx_runtime import OnnxRuntimes
from jupyter_mlprod.core.bundle import GOLDEN_INPUTS, PREPROCESS, Bundle
from jupyter_mlprod.core.errors import Code
from jupyter_mlprod.core.requests import Package
from tests.project import mlprod
from tests.verbs.tiny import PACKAGE_WORDS, PACKAGED, Desk, linear

HEAD = "import os\nimport sys\nfrom pathlib import Path\n\nimport numpy as np\n\n\n"
BACK = "    return (batch / 2.0).astype(np.float32)\n"


def written(line: str, *, behind: str = BACK) -> str:
    """``prepare.py`` whose function begins with a line."""
    return f"{HEAD}def prepare(batch):\n    {line}\n{behind}"


def request(desk: Desk, **change: Any) -> Package:
    linear(desk.folder / "model.onnx", shift=0.0)
    return Package(**{**PACKAGED, **change})


def packaged(desk: Desk, **change: Any) -> tuple[Bundle, Path]:
    digest = desk.package(0.0, **change)
    folder = desk.bundle_folder(digest)
    return desk.run(request(desk, **change), Bundle), folder


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("Path('scale.txt').read_text()", "FileNotFoundError in line 9: [Errno 2] No such file or directory: 'scale.txt'"),
        ("Path(f'{HERE}/scale.txt').read_text()", "/scale.txt lies on this machine and not in the bundle"),
        ("Path(f'{HERE}/.hidden/scale.txt').read_text()", "/.hidden/scale.txt lies on this machine and not in the bundle"),
        ("Path(f'{HERE}/loose_beside.py').read_text()", "/loose_beside.py lies on this machine and not in the bundle"),
        ("Path('/etc/hostname').read_text()", "/etc/hostname lies on this machine and not in the bundle"),
        ("os.listdir('{HERE}')", "lies on this machine and not in the bundle"),
        ("list(os.scandir('{HERE}'))", "lies on this machine and not in the bundle"),
        ("batch = batch + len(os.environ['HOME'])", "the answers differ: 'scores' by"),
        ("batch = batch + len(str(Path.home()))", "the answers differ: 'scores' by"),
        ("Path('~/scale.txt').expanduser().read_text()", "No such file or directory"),
        ("import subprocess; subprocess.run(['cat', '{HERE}/scale.txt'])", "the program cat is on this machine and not in the bundle"),
        ("os.system('cat {HERE}/scale.txt')", "the program cat is on this machine and not in the bundle"),
        ("np.load(f'{HERE}/x.npy')", "/x.npy lies on this machine and not in the bundle"),
        ("os.environ['SCALE_OF_MINE']", "KeyError in line 9: 'SCALE_OF_MINE'"),
        ("__import__('loose_beside')", "ModuleNotFoundError in line 9: No module named 'loose_beside'"),
        ("batch = batch + hash('word') % 1000", "the answers differ: 'scores' by"),
        ("os._exit(7)", "it ended with status 7"),
        ("sys.exit(0)", "prepare() raised SystemExit in line 9"),
        ("batch = batch[:, :2]", "the graph does not take what was prepared: x (8, 2)"),
        ("return batch.astype(np.float32) * float('nan')", "the answers differ: 'scores' by inf"),
        ("import email.charset; Path(email.charset.__file__).read_text(); Path('/proc/self/status').read_text()", ""),
        ("import email; print('x' * 300_000)", ""),
        ("import tempfile; f = tempfile.mkstemp()[1]; Path(f).write_text('2'); Path(f).read_text(); os.listdir()", ""),
        ("import zoneinfo; zoneinfo.ZoneInfo('UTC'); import mimetypes; mimetypes.init(); import platform; platform.platform()", ""),
        ("import pandas, tokenizers", ""),
    ],
)
def test_a_process_that_never_saw_the_notebook_names_what_it_lacks(
    line: str, says: str, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCALE_OF_MINE", "2")
    monkeypatch.setenv("HOME", str(desk.folder))
    monkeypatch.syspath_prepend(desk.folder)
    Path("scale.txt").write_text("2")
    Path("loose_beside.py").write_text("")
    Path(".hidden").mkdir()
    Path(".hidden/scale.txt").write_text("2")
    folder = desk.bundle_folder(desk.champion())
    bundle, _ = desk.workspace().bundles.faults(folder)
    assert bundle is not None
    (folder / PREPROCESS).write_text(written(line.replace("{HERE}", str(desk.folder))))
    found = OnnxRuntimes().replay(folder, bundle)
    assert says in found
    assert "\n" not in found
    assert bool(found) is bool(says)


def test_a_rebuild_holds_code_to_the_same_files(bare_desk: Desk, tmp_path: Path) -> None:
    Path("prepare.py").write_text(written("Path('flag').exists() and Path('/etc/hostname').read_text()"))
    _, folder = packaged(bare_desk)
    command = [sys.executable, "-I", "-m", "jupyter_mlprod.fronts.replay", str(folder), str(tmp_path)]
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0
    (tmp_path / "flag").touch()
    done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert "prepare() raised FileNotFoundError in line 9" in done.stderr


@pytest.mark.parametrize("option", ["preprocess", "postprocess"])
def test_a_function_that_reads_a_file_of_the_folder_is_refused_and_nothing_is_kept(option: str, bare_desk: Desk) -> None:
    body = "batch.astype(np.float32)" if option == "preprocess" else "batch"
    Path("reads.py").write_text(written("Path('scale.txt').read_text()", behind=f"    return {body}\n"))
    Path("scale.txt").write_text("2")
    refusal = bare_desk.refused(request(bare_desk, **{option: "reads.py:prepare"}))
    assert refusal.code is Code.PREPROCESS
    assert refusal.message.startswith(
        "a fresh process that never saw the notebook does not answer alike: prepare() raised FileNotFoundError"
    )
    assert not list((bare_desk.folder / ".mlprod" / "bundles").glob("*"))


@pytest.mark.parametrize("draw", ["np.random.default_rng().normal()", "np.random.normal()"])
def test_a_preprocessing_that_draws_at_random_is_refused(draw: str, bare_desk: Desk) -> None:
    Path("prepare.py").write_text(written(f"batch = batch + {draw}"))
    refusal = bare_desk.refused(request(bare_desk))
    assert refusal.code is Code.PARITY
    assert "free of randomness" in refusal.hint


def test_a_preprocessing_that_changes_its_input_changes_neither_example_nor_answers(bare_desk: Desk) -> None:
    plain, _ = packaged(bare_desk)
    Path("prepare.py").write_text(written("batch /= 2.0", behind="    return batch.astype(np.float32)\n"))
    bundle, folder = packaged(bare_desk)
    with np.load(folder / GOLDEN_INPUTS) as golden:
        np.testing.assert_array_equal(golden["input"], np.load("x8.npy"))
    golden_files = [[entry for entry in made.files if entry.path.startswith("golden/")] for made in (plain, bundle)]
    assert golden_files[0] == golden_files[1]


ASSET = HEAD + (
    "SCALE = float(Path(__file__).with_name('scale.txt').read_text())\n\n\n"
    "def prepare(batch):\n    return (batch / SCALE).astype(np.float32)\n"
)


def test_an_asset_lies_beside_the_code_in_the_bundle(bare_desk: Desk, tmp_path: Path) -> None:
    Path("prepare.py").write_text(ASSET)
    Path("scale.txt").write_text("2.0")
    bundle, folder = packaged(bare_desk, assets=("scale.txt",))
    assert (folder / "code" / "scale.txt").read_text() == "2.0"
    Path("scale.txt").unlink()
    shutil.move("prepare.py", tmp_path / "elsewhere.py")
    assert bare_desk.command("predict", "tiny", "x.npy") == 0
    (folder / "code" / "scale.txt").write_text("3.0")
    assert bare_desk.command("predict", "tiny", "x.npy") == 2
    assert OnnxRuntimes().replay(folder, bundle).startswith("the answers differ: 'scores' by ")


def test_a_file_that_was_not_given_as_an_asset_is_named(bare_desk: Desk) -> None:
    Path("prepare.py").write_text(ASSET)
    Path("scale.txt").write_text("2.0")
    refusal = bare_desk.refused(request(bare_desk))
    assert refusal.code is Code.PREPROCESS
    assert "scale.txt" in refusal.message


@pytest.mark.parametrize("assets", [("a/words.txt", "b/WORDS.txt"), ("a/preprocess.py",), ("nowhere.txt",)])
def test_assets_that_collide_or_are_missing_are_refused_by_name(assets: tuple[str, ...], bare_desk: Desk) -> None:
    for file in ("a/words.txt", "b/WORDS.txt", "a/preprocess.py"):
        Path(file).parent.mkdir(exist_ok=True)
        Path(file).write_text("")
    refusal = bare_desk.refused(request(bare_desk, assets=assets))
    assert refusal.code is Code.BAD_REQUEST
    assert Path(assets[-1]).name.casefold() in refusal.message


NOISE = "print('noise'); os.write(1, b'noise'); sys.__stdout__.write('noise')"


def test_what_code_prints_is_not_on_standard_output(bare_desk: Desk) -> None:
    linear(bare_desk.folder / "model.onnx", shift=0.0)
    Path("prepare.py").write_text(written(NOISE).replace("def prepare", "print('noise while loading')\n\n\ndef prepare"))
    for words in (PACKAGE_WORDS, ["predict", "tiny", "x.npy"], ["evaluate", "tiny", "--data", "x.npy", "--target", "y.npy"]):
        done = mlprod(*words, "--json", cwd=bare_desk.folder)
        assert "schema" in json.loads(done.stdout)
        assert done.stderr.count("noise") > 3


def test_code_that_prints_much_starts_all_the_same(bare_desk: Desk) -> None:
    Path("prepare.py").write_text(written("print('x' * 300_000)"))
    _, folder = packaged(bare_desk)
    assert OnnxRuntimes().cold_start_ms(folder) > 0
