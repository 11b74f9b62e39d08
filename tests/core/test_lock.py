"""Pins and locks as text: what is written is read back the same, and is what PEP 751 asks for."""

import tomllib

import msgspec
import pytest
from packaging.pylock import Pylock, PylockValidationError

from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.lock import (
    Hashes,
    Lock,
    LockedFile,
    LockedPackage,
    LockTool,
    PackageTool,
    Pin,
    Place,
    Source,
    install_texts,
    lock_text,
    read_lock,
    read_pins,
)

WHEEL = "six-1.17.0-py2.py3-none-any.whl"
SIX = Pin(name="six", version="1.17.0")
HOSTILE_TEXT = 'a "quote", a \\ backslash,\ta tab, \x7f, \N{SNOWMAN} and \N{GRINNING FACE}'


def six(**changes: object) -> LockedPackage:
    file = LockedFile(name=WHEEL, hashes=Hashes(sha256="0" * 64), url=f"https://files.example/{WHEEL}", size=11050)
    return LockedPackage(name="six", version="1.17.0", wheels=(msgspec.structs.replace(file, **changes),))


def lock_of(*packages: LockedPackage, warnings: tuple[str, ...] = ()) -> Lock:
    tool = LockTool(mlprod=Place(python="3.11.7", machine="x86_64", warnings=warnings))
    return Lock(lock_version="1.0", created_by="mlprod", packages=packages, tool=tool)


@pytest.mark.parametrize("package", [six(), six(url="", path=f"wheels/{WHEEL}"), LockedPackage(name="six", version="1.17.0")])
def test_a_lock_is_read_as_it_was_written(package: LockedPackage) -> None:
    lock = lock_of(package, warnings=(HOSTILE_TEXT, "second"))
    assert read_lock(lock_text(lock), (SIX,)) == lock


def test_a_hashed_lock_is_one_by_the_standard_and_a_package_without_a_hash_is_refused_by_installers() -> None:
    Pylock.from_dict(tomllib.loads(lock_text(lock_of(six()))))
    Pylock.from_dict(tomllib.loads(lock_text(lock_of(six(url="", path=f"wheels/{WHEEL}")))))
    with pytest.raises(PylockValidationError):
        Pylock.from_dict(tomllib.loads(lock_text(lock_of(LockedPackage(name="six", version="1.17.0")))))


def test_an_installer_is_given_names_versions_and_hashes_and_no_url() -> None:
    bare = LockedPackage(name="bare", version="1")
    private = six(name="a.whl", url="", path="wheels/a.whl", hashes=Hashes(sha256="1" * 64)).wheels
    both = msgspec.structs.replace(six(), wheels=(*six().wheels, *private))
    hashed, unhashed = install_texts(lock_of(bare, both))
    assert hashed == f"six==1.17.0 --hash=sha256:{'0' * 64} --hash=sha256:{'1' * 64}\n"
    assert unhashed == "bare==1\n"


def test_what_came_from_no_index_is_not_sought_on_one_but_for_what_is_put_in_from_elsewhere() -> None:
    ours = LockedPackage(name="ours", version="1", tool=PackageTool(mlprod=Source(source="editable")))
    assert install_texts(lock_of(ours, six()), beside="ours") == (f"six==1.17.0 --hash=sha256:{'0' * 64}\n", "")
    with pytest.raises(MlprodError) as refusal:
        install_texts(lock_of(ours, six()), beside="six")
    assert refusal.value.code is Code.NOT_REBUILT
    assert "ours==1 (editable)" in refusal.value.message


def test_pins_are_normalized_and_sorted() -> None:
    assert [str(pin) for pin in read_pins("typing_extensions==4.1\nJaraco.Text==1.0+local\n")] == [
        "jaraco-text==1.0+local",
        "typing-extensions==4.1",
    ]
    assert read_pins("") == ()


def test_a_local_label_of_pytorch_is_known_as_such() -> None:
    labels = [pin.pytorch_label for pin in read_pins("torch==2.13.0+cpu\ntorchvision==1+mine\nnumpy==2+cpu\ntorchaudio==2.13.0+cu126\n")]
    assert labels == ["", "cpu", "cu126", ""]


@pytest.mark.parametrize(
    ("packages", "named"),
    [
        ((msgspec.structs.replace(six(), version="1.16.0"),), "six==1.16.0 is not in requirements.txt"),
        ((), "six==1.17.0 of requirements.txt is missing"),
        ((six(), LockedPackage(name="evil", version="1")), "evil==1 is not in requirements.txt"),
        ((six(), six()), "twice"),
    ],
)
def test_a_lock_that_pins_anything_else_than_the_requirements_is_refused(packages: tuple[LockedPackage, ...], named: str) -> None:
    with pytest.raises(MlprodError) as refusal:
        read_lock(lock_text(lock_of(*packages)), (SIX,))
    assert refusal.value.code is Code.BUNDLE_BROKEN
    assert named in refusal.value.message
