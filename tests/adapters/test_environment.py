"""Locks: what an index is asked, what becomes of its answer, and that the second time costs nothing."""

import importlib.metadata
import json
import os
import sys
import time
import tomllib
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from packaging.pylock import Pylock

from jupyter_mlprod.adapters.environment import Environments
from jupyter_mlprod.adapters.installer import Installer
from jupyter_mlprod.adapters.memory import MemoryInstaller
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.lock import Lock, Pin, install_texts, lock_text, read_pins
from jupyter_mlprod.core.ports import Installer as Installing

Tell = list[str]
PINS = read_pins("\n".join(f"pack-{letter}==1.{number}" for number, letter in enumerate("abcdefgh")))


def entry(pin: Pin, *, host: str = "https://files.example") -> dict[str, Any]:
    name = f"{pin.name.replace('-', '_')}-{pin.version}-py3-none-any.whl"
    return {
        "wheels": [{"url": f"{host}/{name}", "size": 7, "hashes": {"sha256": "ab" * 32}}],
        "sdist": {"url": f"{host}/{pin.name}-{pin.version}.tar.gz", "hashes": {"sha256": "cd" * 32}},
    }


def index_of(*pins: Pin, host: str = "https://files.example") -> dict[str, Mapping[str, Any]]:
    return {str(pin): entry(pin, host=host) for pin in pins}


def all_locked(installer: Installing, cache: Path, *wanted: tuple[Pin, ...], hashes: bool = True) -> tuple[Lock, ...]:
    return Environments(cache, installer, hashes=hashes, environ={}, tell=lambda _line: None).lock(wanted)


def locked(installer: Installing, cache: Path, *, pins: tuple[Pin, ...] = PINS, hashes: bool = True) -> Lock:
    (lock,) = all_locked(installer, cache, pins, hashes=hashes)
    return lock


def later(cache: Path) -> None:
    """Let the cache be old."""
    for path in cache.rglob("*.json"):
        os.utime(path, (0, 0))


def test_everything_that_the_index_knows_is_hashed_by_its_wheels_and_by_the_archive_only_without_one(tmp_path: Path) -> None:
    index = index_of(*PINS)
    archive_only = {key: value for key, value in entry(PINS[0]).items() if key == "sdist"}
    lock = locked(MemoryInstaller({**index, str(PINS[0]): archive_only}), tmp_path)
    assert lock.unhashed == ()
    assert [file.name for file in lock.packages[0].files] == ["pack-a-1.0.tar.gz"]
    assert [file.name for file in lock.packages[1].files] == ["pack_b-1.1-py3-none-any.whl"]
    assert lock.place.warnings == ()


def test_one_unknown_package_costs_the_others_no_hash_and_is_named(tmp_path: Path) -> None:
    installer = MemoryInstaller(index_of(*(pin for pin in PINS if pin.name != "pack-d")))
    lock = locked(installer, tmp_path)
    assert [package.name for package in lock.unhashed] == ["pack-d"]
    assert lock.place.warnings == ("pack-d==1.3 is on no index that was asked, so it has no hash",)
    assert len(installer.asked) == 7, "halved, not asked one by one"
    assert (locked(installer, tmp_path), len(installer.asked)) == (lock, 7), "asked about a moment ago"
    later(tmp_path)
    assert locked(MemoryInstaller(index_of(*PINS)), tmp_path).unhashed == (), "the index has it by now"


def test_an_index_that_is_away_leaves_pins_and_a_warning_and_is_left_alone_for_a_while(tmp_path: Path) -> None:
    lock = locked(MemoryInstaller(None), tmp_path)
    assert [package.pin for package in lock.unhashed] == list(PINS)
    assert lock.place.warnings == ("no package has a hash: memory got no answer from the package index",)
    again = MemoryInstaller(index_of(*PINS))
    said = locked(again, tmp_path).place.warnings
    assert said == ("no package has a hash: memory got no answer from the package index (asked less than 10 minutes ago)",)
    assert again.asked == []
    assert locked(MemoryInstaller(index_of(*PINS), own_index=True), tmp_path).unhashed == (), "another index may be asked at once"
    later(tmp_path)
    assert locked(again, tmp_path).unhashed == ()


class Faltering(MemoryInstaller):
    """An index that has gone away after so many answers."""

    def __init__(self, index: Mapping[str, Mapping[str, Any]], *, answers: int) -> None:
        super().__init__(index)
        self.answers = answers

    def compiled(self, pins: Sequence[Pin], *, deadline: float) -> Mapping[str, Any] | None:
        if len(self.asked) == self.answers:
            self.index = None
        return super().compiled(pins, deadline=deadline)


TRAINED = read_pins("\n".join([*map(str, PINS[:4]), "deep-one==2.0", "deep-two==2.0"]))


def test_two_sets_are_two_locks_and_no_package_is_asked_for_twice(tmp_path: Path) -> None:
    installer = MemoryInstaller(index_of(*PINS, *TRAINED))
    first, second = all_locked(installer, tmp_path, PINS, TRAINED)
    assert ([package.pin for package in first.packages], first.unhashed) == (list(PINS), ())
    assert ([package.pin for package in second.packages], second.unhashed) == (list(TRAINED), ())
    assert installer.asked == [tuple(map(str, PINS)), ("deep-one==2.0", "deep-two==2.0")]


def test_one_more_package_asks_an_index_for_that_one_alone(tmp_path: Path) -> None:
    more = Pin(name="deep-three", version="2.0")
    all_locked(MemoryInstaller(index_of(*PINS, *TRAINED)), tmp_path, PINS, TRAINED)
    installer = MemoryInstaller(index_of(more))
    _, second = all_locked(installer, tmp_path, PINS, (*TRAINED, more))
    assert (installer.asked, second.unhashed) == ([(str(more),)], ())


def test_what_is_hard_to_find_in_the_second_set_costs_the_first_no_hash(tmp_path: Path) -> None:
    first, second = all_locked(Faltering(index_of(*PINS, *TRAINED), answers=1), tmp_path, PINS, TRAINED)
    assert (first.unhashed, first.place.warnings) == ((), ())
    assert [package.name for package in second.unhashed] == ["deep-one", "deep-two"]
    assert second.place.warnings == ("deep-one==2.0 and 1 more have no hash: memory got no answer from the package index",)


def test_what_was_found_before_the_index_went_away_is_kept(tmp_path: Path) -> None:
    lock = locked(Faltering(index_of(*PINS[:4]), answers=2), tmp_path)  # all of them, the first half, and no more
    assert [package.pin for package in lock.unhashed] == list(PINS[4:])
    assert lock.place.warnings == ("pack-e==1.4 and 3 more have no hash: memory got no answer from the package index",)


def test_pytorchs_own_index_is_asked_last_and_costs_the_others_no_hash(tmp_path: Path) -> None:
    torch = Pin(name="torch", version="9.9.9+cpu")
    installer = Faltering(index_of(*PINS, *TRAINED), answers=2)
    first, second = all_locked(installer, tmp_path, PINS, tuple(sorted([*TRAINED, torch])))
    assert first.unhashed == ()
    assert [package.pin for package in second.unhashed] == [torch]
    assert installer.asked[2:] == [("torch==9.9.9+cpu",)]
    assert "torch==9.9.9+cpu has no hash: memory got no answer from the package index" in second.place.warnings


def test_pins_asks_no_index(tmp_path: Path) -> None:
    installer = MemoryInstaller(index_of(*PINS))
    lock = locked(installer, tmp_path, hashes=False)
    assert installer.asked == []
    assert len(lock.unhashed) == len(PINS)
    assert "the setting lock is 'pins'" in lock.place.warnings[0]


def test_the_second_lock_of_the_same_pins_asks_nobody_and_is_the_same(tmp_path: Path) -> None:
    first = locked(MemoryInstaller(index_of(*PINS)), tmp_path)
    again = MemoryInstaller(None)
    assert locked(again, tmp_path) == first
    assert again.asked == []


WITHOUT_HASH = '{"package": {"name": "pack-c", "version": "1.2", "wheels": [{"name": "c.whl"}]}}'
AT_HOME = f'{{"package": {{"name": "pack-c", "version": "1.2", "wheels": [{{"name": "c.whl", "url": "file:///c.whl", "hashes": {{"sha256": "{"0" * 64}"}}}}]}}}}'


@pytest.mark.parametrize("harm", ["", "[[[", "[" * 100_000, '{"package": {"name": "evil", "version": "1.2"}}', WITHOUT_HASH, AT_HOME])
def test_a_spoiled_cache_is_made_again(tmp_path: Path, harm: str) -> None:
    first = locked(MemoryInstaller(index_of(*PINS)), tmp_path)
    (path,) = tmp_path.rglob("pack-c==1.2.json")
    path.write_text(harm)
    again = MemoryInstaller(index_of(*PINS))
    assert locked(again, tmp_path) == first
    assert again.asked == [("pack-c==1.2",)]


def test_a_cache_that_cannot_be_written_costs_no_lock(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert locked(MemoryInstaller(index_of(*PINS)), tmp_path / "file").unhashed == ()


def test_a_file_of_this_machine_is_no_hash_that_others_could_use(tmp_path: Path) -> None:
    lock = locked(MemoryInstaller(index_of(*PINS, host="file:///wheels")), tmp_path)
    assert len(lock.unhashed) == len(PINS)


def test_the_address_of_an_own_index_is_left_out_and_the_hash_stays(tmp_path: Path) -> None:
    lock = locked(MemoryInstaller(index_of(*PINS, host="https://me:word@mirror.example"), own_index=True), tmp_path)
    assert "mirror.example" not in lock_text(lock)
    assert lock.packages[0].wheels[0].path == "wheels/pack_a-1.0-py3-none-any.whl"
    assert install_texts(lock)[0].count("--hash=sha256:") == len(PINS)
    Pylock.from_dict(tomllib.loads(lock_text(lock)))


def install(site: Path, pin: Pin, direct_url: dict[str, Any] | None) -> None:
    """What an installer would leave of a package."""
    info = site / f"{pin.name.replace('-', '_')}-{pin.version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {pin.name}\nVersion: {pin.version}\n")
    if direct_url is not None:
        (info / "direct_url.json").write_text(json.dumps(direct_url))


@pytest.mark.parametrize(
    ("direct_url", "source"),
    [
        ({"url": "file:///home/me/project", "dir_info": {"editable": True}}, "editable"),
        ({"url": "file:///home/me/project", "dir_info": {}}, "file"),
        ({"url": "https://example.com/a.git", "vcs_info": {"vcs": "git", "commit_id": "0"}}, "vcs"),
        ({"url": "https://example.com/a.whl", "archive_info": {}}, "url"),
    ],
)
def test_no_index_is_asked_about_what_did_not_come_from_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, direct_url: dict[str, Any], source: str
) -> None:
    install(tmp_path / "site", PINS[0], direct_url)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    installer = MemoryInstaller(index_of(*PINS))
    lock = locked(installer, tmp_path / "cache")
    assert str(PINS[0]) not in installer.asked[0]
    assert [package.tool.mlprod.source for package in lock.unhashed] == [source]
    assert f"pack-a==1.0 was installed as {source} and not from an index, so nobody else can" in lock.place.warnings
    assert "/home/me" not in lock_text(lock)


def test_a_local_version_is_recorded_with_its_index_where_that_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pins = read_pins("torch==9.9.9+cpu\npack-a==1.0+mine\n")
    for pin in pins:
        install(tmp_path / "site", pin, None)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    lock = locked(MemoryInstaller({}), tmp_path / "cache", pins=pins)
    assert [package.tool.mlprod.index for package in lock.packages] == ["unknown", "PyTorch's own, whl/cpu"]
    assert "torch==9.9.9+cpu is a local version; its index: PyTorch's own, whl/cpu" in lock.place.warnings


def test_the_lock_says_for_which_interpreter_and_system_it_is(tmp_path: Path) -> None:
    place = locked(MemoryInstaller(index_of(*PINS)), tmp_path).place
    assert place.python == ".".join(map(str, sys.version_info[:3]))
    assert (place.platform != "", place.machine != "") == (True, True)
    assert place.hashed_by == "memory"


# With the real index.

SMALL = Pin(name="msgspec", version=importlib.metadata.version("msgspec"))
"""Something small that is in every environment which runs these tests."""
UNKNOWN = Pin(name="mlprod-no-such-package", version="0.0.1")
FAR = time.monotonic() + 3600


@pytest.fixture
def without_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jupyter_mlprod.adapters.installer._uv", lambda: "")


def hashes_of(document: Mapping[str, Any] | None) -> set[str]:
    assert document is not None
    (package,) = document["packages"]
    assert (package["name"], package["version"]) == (SMALL.name, SMALL.version)
    return {wheel["hashes"]["sha256"] for wheel in package["wheels"]}


def test_uv_gives_hashes_and_none_for_what_no_index_has() -> None:
    installer = Installer(os.environ)
    assert installer.tool() == "uv"
    assert hashes_of(installer.compiled([SMALL], deadline=FAR))
    assert installer.compiled([SMALL, UNKNOWN], deadline=FAR) is None


@pytest.mark.usefixtures("without_uv")
def test_pip_stands_in_for_uv_and_makes_an_environment_too(tmp_path: Path) -> None:
    installer = Installer(os.environ)
    assert installer.tool().startswith("pip ")
    (sha256, *_) = hashes_of(installer.compiled([SMALL], deadline=FAR))
    python, refusal = installer.environment(tmp_path, (f"{SMALL} --hash=sha256:{sha256}\n",), ())
    assert (python.is_file(), refusal) == (True, "")


@pytest.mark.parametrize("tool", ["uv", "pip"])
def test_a_file_of_a_folder_here_gets_no_hash_into_a_lock(tool: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if tool == "pip":
        request.getfixturevalue("without_uv")
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "mlprod_no_such_package-0.0.1-py3-none-any.whl", "w") as wheel:
        info = "mlprod_no_such_package-0.0.1.dist-info"
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {UNKNOWN.name}\nVersion: {UNKNOWN.version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
    places = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
    places |= {"UV_NO_INDEX": "1", "UV_FIND_LINKS": str(wheels)}
    installer = Installer({**kept, **places})
    (entry_there,) = (installer.compiled([UNKNOWN], deadline=FAR) or {})["packages"]
    assert entry_there["wheels"], f"{tool} itself has found it, in the folder"
    (lock,) = Environments(tmp_path / "cache", installer, hashes=True, environ={}, tell=lambda _line: None).lock([(UNKNOWN,)])
    assert [package.pin for package in lock.unhashed] == [UNKNOWN]
    assert lock.place.warnings == (f"{UNKNOWN} is on no index that was asked, so it has no hash",)
    assert not [word for word in ("file:", str(tmp_path)) if word in lock_text(lock)]


@pytest.mark.parametrize("tool", ["uv", "pip"])
def test_an_index_that_does_not_answer_is_told_apart_from_one_that_does_not_have_it(tool: str, request: pytest.FixtureRequest) -> None:
    if tool == "pip":
        request.getfixturevalue("without_uv")
    nowhere = "http://127.0.0.1:9/simple"
    silent = {"UV_DEFAULT_INDEX": nowhere, "UV_NO_CACHE": "1", "UV_HTTP_RETRIES": "0"}
    silent |= {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": nowhere, "PIP_NO_CACHE_DIR": "1", "PIP_RETRIES": "0"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
    with pytest.raises(MlprodError) as refused:
        Installer({**kept, **silent}).compiled([SMALL], deadline=FAR)
    assert refused.value.code is Code.INDEX


def test_a_deadline_that_has_passed_is_an_index_that_is_away() -> None:
    with pytest.raises(MlprodError) as refused:
        Installer(os.environ).compiled([SMALL], deadline=0.0)
    assert refused.value.code is Code.INDEX
