"""The texts of a build folder: nothing that a bundle holds can add a line to the Dockerfile or an address to the lock."""

import pytest

from jupyter_mlprod.core.docker import NO_HASHES, dockerfile, lock_text, locked_hashes, read_me, settings_text
from jupyter_mlprod.core.errors import Code, MlprodError

DIGEST = "sha256:" + "a" * 64
WHEEL = "jupyter_mlprod-0.1.0-py3-none-any.whl"
GOOD = {"name": "net", "digest": DIGEST, "python": "3.12.4", "wheel": WHEEL}
PYLOCK = f"""
lock-version = "1.0"
[[packages]]
name = "NumPy"
version = "2.0.0"
index = "https://evil.example/simple"
wheels = [{{ url = "https://evil.example/numpy.whl", hashes = {{ sha256 = "{"1" * 64}" }} }}, {{ hashes = {{ sha256 = "{"0" * 64}" }} }}]
sdist = {{ hashes = {{ sha256 = "{"2" * 64}" }} }}
[[packages]]
name = "scipy"
version = "1.0"
wheels = [{{ hashes = {{ sha256 = "x --extra-index-url https://evil.example" }} }}]
"""


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
    values = {**GOOD, **change}
    with pytest.raises(MlprodError) as refusal:
        dockerfile(values["name"], values["digest"], python=values["python"], wheel=values["wheel"], hashed=True)
    assert refusal.value.code is Code.BUNDLE_BROKEN


def test_a_dockerfile_is_slim_and_its_user_is_not_root() -> None:
    text = dockerfile("net", DIGEST, python="3.12.4", wheel=WHEEL, hashed=True)
    assert "FROM python:3.12-slim\n" in text
    assert "USER 10001:10001\n" in text
    assert "--require-hashes" in text
    assert "--no-cache-dir" in text
    assert f'version="{DIGEST}"' in text
    assert "--require-hashes" not in dockerfile("net", DIGEST, python="3.12.4", wheel=WHEEL, hashed=False)


def test_a_lock_with_all_hashes_is_pips_and_without_one_of_them_has_none() -> None:
    hashes = locked_hashes(PYLOCK)
    assert hashes[("numpy", "2.0.0")] == ("0" * 64, "1" * 64, "2" * 64)
    assert hashes[("scipy", "1.0")] == ()
    pins = "jupyter-mlprod==0.1.0\nnumpy==2.0.0\n"
    text, hashed = lock_text(pins, hashes, wheel=WHEEL, wheel_sha256="f" * 64)
    assert hashed
    assert text.splitlines() == [
        f"numpy==2.0.0 --hash=sha256:{'0' * 64} --hash=sha256:{'1' * 64} --hash=sha256:{'2' * 64}",
        f"./{WHEEL} --hash=sha256:{'f' * 64}",
    ]
    assert "evil" not in text
    text, hashed = lock_text(pins + "scipy==1.0\n", hashes, wheel=WHEEL, wheel_sha256="f" * 64)
    assert not hashed
    assert text == f"{NO_HASHES}numpy==2.0.0\nscipy==1.0\n./{WHEEL}\n"
    assert not lock_text("numpy==2.0.1\n", hashes, wheel=WHEEL, wheel_sha256="f" * 64)[1], "another version has other hashes"


@pytest.mark.parametrize(
    "line",
    ["--index-url https://evil.example", "numpy", "numpy>=1", "numpy @ https://evil.example/x.whl", "numpy==1 --pre", "-e .", "a==1;x"],
)
def test_a_line_that_is_no_pin_is_refused(line: str) -> None:
    with pytest.raises(MlprodError) as refusal:
        lock_text(f"scipy==1.0\n{line}\n", {}, wheel=WHEEL, wheel_sha256="f" * 64)
    assert line in refusal.value.message


@pytest.mark.parametrize("text", ["", "[", "packages = 3", "[[packages]]\nname = 3", "[[packages]]\nname = 'x'\nversion = '1'\nwheels = 3"])
def test_a_lock_that_cannot_be_read_has_no_hashes(text: str) -> None:
    assert not any(locked_hashes(text).values())


def test_only_keys_stand_in_the_settings_of_an_image() -> None:
    key = "A" * 43 + "="
    assert settings_text((key, '"]\nactor = "evil')) == f'[settings]\nactor = "image"\ntrusted_keys = ["{key}"]\n'


def test_the_read_me_says_what_is_wanting() -> None:
    plain = read_me("Net..9-", DIGEST, trusted=True, hashed=True, pandas=True)
    assert "docker build -t net-9 .\n" in plain
    assert "--trust" not in plain
    assert "without hashes" not in plain
    wanting = read_me("net", DIGEST, trusted=False, hashed=False, pandas=False)
    assert '--trust "I have read it"' in wanting
    assert "without hashes" in wanting
