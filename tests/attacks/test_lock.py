"""Requirements and locks of a foreign bundle: refused by name, before any installer is started."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from jupyter_mlprod.core.bundle import LOCK, ORIGIN, REQUIREMENTS, TRAINING_LOCK
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.lock import bundle_lock, training_lock

HASH = "0" * 64
WHEEL = "six-1.17.0-py2.py3-none-any.whl"
HEAD = 'lock-version = "1.0"\ncreated-by = "somebody"\n[[packages]]\nname = "six"\nversion = "1.17.0"\n'
GOOD = f'wheels = [{{ name = "{WHEEL}", url = "https://files.example/{WHEEL}", hashes = {{ sha256 = "{HASH}" }} }}]\n'
ORIGIN_TEXT = (
    '{"created_at": "", "actor": "", "python": "", "platform": "", "training": {"requirements": ["six==1.17.0", "odd==1.0 beta"]}}'
)
LINES = [
    "--index-url https://evil.example/simple",
    "-r other.txt",
    "-e .",
    "six @ file:///tmp/six.whl",
    "six @ https://evil.example/six.whl",
    "https://evil.example/six.whl",
    "file:///etc/passwd",
    "./six.whl",
    "six>=1.0",
    "six",
    "six==1.17.0 --hash=sha256:" + HASH,
    "six==1.17.0 ; python_version > '3'",
    "six==1.17.0 # comment",
    "six==1.17.0\r--index-url https://evil.example",
    "six==1.17.0\x0b-r other.txt",
    "six==1.17.0\u2028-r other.txt",
    "six[extra]==1.17.0",
    "six==*",
    "six==1.17.0\\",
    "\N{CYRILLIC SMALL LETTER ES}ix==1.17.0",
    "six==" + "1" * 5000,
    "",
    "numpy==2.0\nNumPy==3.0",
    "numpy==2.0\n" * 100_000,
]
LOCKS = {
    "no TOML": "[[[",
    "deep": "a = " + "[" * 100_000,
    "another format": HEAD.replace('"1.0"', '"2.0"') + GOOD,
    "a folder": HEAD + 'directory = { path = "/tmp" }\n',
    "a repository": HEAD + 'vcs = { type = "git", url = "https://evil.example", commit-id = "0" }\n',
    "an archive": HEAD + f'archive = {{ url = "https://evil.example/a.zip", hashes = {{ sha256 = "{HASH}" }} }}\n',
    "an index": HEAD + GOOD + 'index = "https://evil.example/simple"\n',
    "a marker": HEAD + GOOD + "marker = \"python_version > '3'\"\n",
    "a file of this machine": HEAD + GOOD.replace("https://files.example", "file:///tmp"),
    "plain http": HEAD + GOOD.replace("https:", "http:"),
    "a password": HEAD + GOOD.replace("files.example", "me:word@files.example"),
    "a path outside": HEAD + GOOD.replace(f'url = "https://files.example/{WHEEL}"', f'path = "../{WHEEL}"'),
    "a name with a line in it": HEAD + GOOD.replace(f'name = "{WHEEL}"', 'name = "a\\n-r b.whl"'),
    "a version with an option": HEAD.replace('"1.17.0"', '"1.17.0 --index-url https://evil.example"') + GOOD,
    "a version with a line": HEAD.replace('"1.17.0"', '"1.17.0\\n-r other.txt"') + GOOD,
    "a weak hash": HEAD + GOOD.replace("sha256", "md5"),
    "no hash at all": HEAD + GOOD.replace(f'sha256 = "{HASH}"', ""),
    "a hash with an option": HEAD + GOOD.replace(HASH, f"{HASH} -r b"),
    "another version": HEAD.replace("1.17.0", "1.16.0") + GOOD,
    "another package": HEAD + GOOD + '[[packages]]\nname = "evil"\nversion = "1"\n',
    "many packages": HEAD + GOOD + "".join(f'[[packages]]\nname = "p{i}"\nversion = "1"\n' for i in range(10_000)),
    "a long machine": HEAD + GOOD + f'[tool.mlprod]\nmachine = "{"x" * 1_000_000}"\n',
    "a huge number": HEAD + GOOD + "[tool.mlprod]\nsize = " + "9" * 5000 + "\n",
}


@pytest.fixture
def bundle(tmp_path: Path, no_child: None) -> Path:
    (tmp_path / "attached").mkdir()
    (tmp_path / REQUIREMENTS).write_text("six==1.17.0\n")
    (tmp_path / ORIGIN).write_text(ORIGIN_TEXT)
    return tmp_path


@pytest.fixture
def no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever starts a process is a failure."""

    def refuse(*arguments: Sequence[str], **options: Mapping[str, str]) -> None:
        raise AssertionError(f"started {arguments}")

    monkeypatch.setattr("subprocess.Popen.__init__", refuse)


def refusal(call: Callable[[Path], object], folder: Path) -> str:
    with pytest.raises(MlprodError) as refused:
        call(folder)
    assert refused.value.code is Code.BUNDLE_BROKEN
    assert len(refused.value.message) < 1000
    return refused.value.message


def test_the_good_lock_is_read(bundle: Path) -> None:
    (bundle / LOCK).write_text(HEAD + GOOD)
    assert not bundle_lock(bundle).unhashed


@pytest.mark.parametrize("line", LINES, ids=[repr(line[:30]) for line in LINES])
def test_a_requirement_that_is_not_name_and_version_is_refused(bundle: Path, line: str) -> None:
    (bundle / REQUIREMENTS).write_bytes(f"abc==1.0\n{line}\n".encode())
    assert REQUIREMENTS in refusal(bundle_lock, bundle)


@pytest.mark.parametrize("text", LOCKS.values(), ids=list(LOCKS))
def test_a_lock_with_anything_but_pins_and_hashed_files_is_refused(bundle: Path, text: str) -> None:
    (bundle / LOCK).write_text(text)
    assert LOCK in refusal(bundle_lock, bundle)


@pytest.mark.parametrize("text", LOCKS.values(), ids=list(LOCKS))
def test_a_lock_of_the_training_is_read_by_the_same_rules(bundle: Path, text: str) -> None:
    assert training_lock(bundle) is None
    (bundle / TRAINING_LOCK).write_text(HEAD + GOOD)
    lock = training_lock(bundle)
    assert lock is not None
    assert not lock.unhashed
    (bundle / TRAINING_LOCK).write_text(text)
    assert refusal(training_lock, bundle).startswith(TRAINING_LOCK)


@pytest.mark.parametrize("said", ["", "[", '["six==1.16.0"]', '["six==1.17.0", "Six==1.17.0"]', '["a==1", "six==1.17.0"]'])
def test_a_lock_of_the_training_pins_what_the_origin_says(bundle: Path, said: str) -> None:
    (bundle / TRAINING_LOCK).write_text(HEAD + GOOD)
    (bundle / ORIGIN).write_text(ORIGIN_TEXT.replace('["six==1.17.0", "odd==1.0 beta"]', said))
    assert ORIGIN in refusal(training_lock, bundle)


@pytest.mark.parametrize("name", [REQUIREMENTS, LOCK])
@pytest.mark.parametrize("kind", ["link", "folder", "binary", "huge"])
def test_requirements_and_lock_are_regular_files_of_text(bundle: Path, tmp_path: Path, name: str, kind: str) -> None:
    (bundle / LOCK).write_text(HEAD + GOOD)
    path = bundle / name
    text = path.read_text()
    path.unlink()
    if kind == "link":
        (tmp_path / "elsewhere").write_text(text)
        path.symlink_to(tmp_path / "elsewhere")
    elif kind == "folder":
        path.mkdir()
    elif kind == "binary":
        path.write_bytes(b"\xff\xfe" + text.encode())
    else:
        with path.open("wb") as file:
            file.truncate(9_000_000)
    refusal(bundle_lock, bundle)
    if path.is_dir():
        shutil.rmtree(path)
