"""The texts of a build folder: nothing that a bundle holds can add a line to the Dockerfile or an address to what pip is given."""

import msgspec
import pytest

from jupyter_mlprod.core.docker import DOCKERFILE, LOCKED, PLACED, READ_ME, SETTINGS, UNHASHED, Image, texts
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.lock import LockedPackage, LockTool, PackageTool, Place, Source
from tests.core.test_lock import WHEEL as SIX_WHEEL
from tests.core.test_lock import lock_of, six

DIGEST = "sha256:" + "a" * 64
WHEEL = "jupyter_mlprod-0.1.0-py3-none-any.whl"
OWN = LockedPackage(name="jupyter-mlprod", version="0.1.0", tool=PackageTool(mlprod=Source(source="editable")))
SIX_LINE = f"six==1.17.0 --hash=sha256:{'0' * 64}"
WHEEL_LINE = f"./{WHEEL} --hash=sha256:{'f' * 64}"


def image(*packages: LockedPackage, platform: str = "Linux-6.1-x86_64") -> Image:
    lock = lock_of(OWN, *packages)
    place = Place(python="3.12.4", platform=platform, machine="x86_64")
    lock = msgspec.structs.replace(lock, tool=LockTool(mlprod=place))
    return Image(name="net", digest=DIGEST, python="3.12.4", wheel=WHEEL, sha256="f" * 64, lock=lock)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "net\nRUN curl evil"},
        {"name": 'net" evil="'},
        {"digest": "sha256:" + "a" * 63 + "\n"},
        {"digest": 'sha256:", "sh"]'},
        {"python": "3.12\nRUN evil"},
        {"python": "latest"},
        {"python": "2.7.18"},
        {"wheel": "x.whl evil/"},
    ],
)
def test_nothing_ends_a_line_or_a_quotation_of_the_dockerfile(change: dict[str, str]) -> None:
    with pytest.raises(MlprodError) as refusal:
        texts(msgspec.structs.replace(image(six()), **change))
    assert refusal.value.code is Code.BUNDLE_BROKEN


def test_a_dockerfile_is_slim_and_its_user_is_not_root() -> None:
    text = texts(image(six()))[DOCKERFILE]
    assert "FROM python:3.12-slim\n" in text
    assert "USER 10001:10001\n" in text
    assert "--no-cache-dir" in text
    assert f'version="{DIGEST}"' in text


def test_this_package_comes_from_the_wheel_and_everything_with_a_hash_needs_it() -> None:
    made = texts(image(six()))
    assert made[LOCKED].splitlines() == [SIX_LINE, WHEEL_LINE]
    assert made[DOCKERFILE].count("pip install") == made[DOCKERFILE].count("--require-hashes -r requirements.lock\n") == 1
    assert {UNHASHED, PLACED}.isdisjoint(made)


def test_one_package_without_a_hash_costs_the_others_none_and_is_named() -> None:
    made = texts(image(LockedPackage(name="bare", version="1"), six()))
    assert made[LOCKED].splitlines() == [SIX_LINE, WHEEL_LINE]
    assert made[UNHASHED] == "bare==1\n"
    with_hashes, without = (line for line in made[DOCKERFILE].splitlines() if "pip install" in line)
    assert with_hashes.endswith("--no-deps --require-hashes -r requirements.lock")
    assert without.endswith("--no-deps -r requirements.unhashed")
    assert "requirements.unhashed ./\n" in made[DOCKERFILE]
    assert "no hash: bare==1." in made[READ_ME]


def test_a_file_without_an_address_is_looked_for_in_a_folder_that_lists_it() -> None:
    made = texts(image(six(url="", path=f"wheels/{SIX_WHEEL}")))
    assert made[LOCKED].splitlines() == [SIX_LINE, WHEEL_LINE]
    assert made[PLACED] == f"{'0' * 64}  {SIX_WHEEL}\n"
    assert "COPY wheels/ wheels/\n" in made[DOCKERFILE]
    assert "--find-links wheels --require-hashes" in made[DOCKERFILE]
    assert "python3.12 -m pip download" in made[READ_ME]


def test_a_package_that_came_from_no_index_is_not_sought_on_one() -> None:
    ours = LockedPackage(name="ours", version="1", tool=PackageTool(mlprod=Source(source="file")))
    with pytest.raises(MlprodError) as refusal:
        texts(image(ours, six()))
    assert refusal.value.code is Code.NOT_REBUILT
    assert "ours==1 (file)" in refusal.value.message


def test_files_for_another_system_are_none_for_an_image() -> None:
    made = texts(image(six(), platform="macOS-14.5-arm64-arm-64bit"))
    assert (made[LOCKED], made[UNHASHED]) == (f"{WHEEL_LINE}\n", "six==1.17.0\n")
    assert "are for macOS and of no use here" in made[READ_ME]
    assert "docker build -t" in made[READ_ME]
    assert "docker build --platform linux/amd64 -t" in texts(image(six()))[READ_ME]


def test_only_keys_stand_in_the_settings_of_an_image() -> None:
    key = "A" * 43 + "="
    made = texts(msgspec.structs.replace(image(six()), keys=(key, '"]\nactor = "evil')))
    assert made[SETTINGS] == f'[settings]\nactor = "image"\ntrusted_keys = ["{key}"]\n'


def test_the_read_me_says_what_is_wanting() -> None:
    plain = texts(msgspec.structs.replace(image(six()), name="Net..9-"))[READ_ME]
    assert "-t net-9 .\n" in plain
    for word in ("--trust", "hash", "wheels"):
        assert word not in plain
    wanting = texts(msgspec.structs.replace(image(six()), trusted=False, covered=False))[READ_ME]
    assert '--trust "I have read it"' in wanting
    assert "covers the hashes" in wanting
