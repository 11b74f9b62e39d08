"""The texts of a Docker build folder: Dockerfile, lock and read-me of an image that answers with one bundle.

The bundle lies in the image's own workspace, so nothing is copied or unpacked when it starts. Whatever stands in a line of the
Dockerfile has a form that cannot end the line or a quotation; of an attached lock only hashes are taken, never an address.
"""

import re
import tomllib
from collections.abc import Mapping
from typing import Any

from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.record import DIGEST_PREFIX
from jupyter_mlprod.core.subject import NAME

DOCKERFILE, LOCKED, SETTINGS, READ_ME, IGNORED, BUNDLE = (
    "Dockerfile", "requirements.lock", "mlprod.toml", "README.md", ".dockerignore", "bundle"
)  # fmt: skip
OWN = "jupyter-mlprod"
PIN = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)==([A-Za-z0-9][A-Za-z0-9.+!_-]*)")
SHA256 = re.compile(r"[0-9a-f]{64}")
PYTHON = re.compile(r"(3\.(?:1[1-9]|[2-9][0-9]))(?:\.[0-9]+\S*)?")
KEY = re.compile(r"[A-Za-z0-9+/_-]{43}=")
WHEEL = re.compile(r"[A-Za-z0-9_.+!-]+\.whl")
NO_HASHES = "# No lock with hashes is attached to the bundle: these pins name versions, and nothing holds an index to the bytes.\n"
NOT_TRUSTED = "\nThis bundle holds code, and no key that was trusted at the export signed it: read `bundle/code` first.\n"

DOCKERFILE_TEXT = """\
# {name} {digest}
# The image answers rows of a mounted folder and ends; there is no server in it.
FROM python:{python}-slim
LABEL org.opencontainers.image.title="{name}" org.opencontainers.image.version="{digest}"
ENV PYTHONUNBUFFERED=1
WORKDIR /app
COPY {wheel} requirements.lock ./
RUN python -m pip install --no-cache-dir --disable-pip-version-check --no-deps {hashes}-r requirements.lock
COPY mlprod.toml ./
COPY bundle/ .mlprod/bundles/{hex}/
RUN mkdir -m 1777 .mlprod/records
USER 10001:10001
HEALTHCHECK NONE
ENTRYPOINT ["python", "-m", "jupyter_mlprod", "predict", "{digest}"]
"""
READ_ME_TEXT = """\
# {name} {digest}

```sh
docker build -t {image} .
docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/data" {image} /data/rows.npy /data/answers.npz{trust}
```

Rows are `.npy` or `.npz`, answers `.npz`{tables}.
{remarks}"""


def dockerfile(name: str, digest: str, *, python: str, wheel: str, hashed: bool) -> str:
    """The Dockerfile.

    Raises
    ------
    MlprodError : ``bundle-broken`` when something of the bundle could not stand in it.
    """
    found = PYTHON.fullmatch(python)
    sha256 = digest.removeprefix(DIGEST_PREFIX)
    if not NAME.fullmatch(name) or not SHA256.fullmatch(sha256) or found is None or not WHEEL.fullmatch(wheel):
        raise MlprodError(Code.BUNDLE_BROKEN, f"{name[:80]!r}, {digest[:80]!r}, {python[:20]!r} or {wheel[:80]!r} is of another form")
    hashes = "--require-hashes " if hashed else ""
    return DOCKERFILE_TEXT.format(name=name, digest=digest, hex=sha256, python=found[1], wheel=wheel, hashes=hashes)


def read_me(name: str, digest: str, *, trusted: bool, hashed: bool, pandas: bool) -> str:
    """How the image is built and asked.

    Parameters
    ----------
    trusted : whether a key in the image's settings vouches for the bundle's code
    pandas : whether it is in the image
    """
    return READ_ME_TEXT.format(
        name=name,
        digest=digest,
        image=re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-"),
        tables="; both may be `.csv` too" if pandas else "; for `.csv` pandas would have to be in the image",
        trust="" if trusted else ' --trust "I have read it"',
        remarks=("" if trusted else NOT_TRUSTED) + ("" if hashed else "\nThe lock holds versions without hashes.\n"),
    )


def settings_text(keys: tuple[str, ...]) -> str:
    """The image's ``mlprod.toml``: whose signatures let a bundle's code run."""
    listed = ", ".join(f'"{key}"' for key in keys if KEY.fullmatch(key))
    return f'[settings]\nactor = "image"\ntrusted_keys = [{listed}]\n'


def lock_text(requirements: str, hashes: Mapping[tuple[str, str], tuple[str, ...]], *, wheel: str, wheel_sha256: str) -> tuple[str, bool]:
    """What pip installs, and whether every line of it has hashes; this package comes from the wheel beside it.

    Parameters
    ----------
    requirements : ``name==version`` a line, everything that answering needs
    hashes : (normal name, version) → sha256 of its archives, 64 hexadecimal digits each

    Raises
    ------
    MlprodError : ``bundle-broken`` when a line is no pin.
    """
    pins: list[tuple[str, str]] = []
    for line in filter(None, map(str.strip, requirements.splitlines())):
        found = PIN.fullmatch(line)
        if found is None:
            raise MlprodError(Code.BUNDLE_BROKEN, f"requirements.txt holds {line[:80]!r}; name==version is expected")
        if normal(found[1]) != OWN:
            pins.append((normal(found[1]), found[2]))
    hashed = all(hashes.get(pin) for pin in pins)
    if not hashed:
        return NO_HASHES + "".join(f"{name}=={version}\n" for name, version in pins) + f"./{wheel}\n", False
    lines = [" ".join([f"{pin[0]}=={pin[1]}", *(f"--hash=sha256:{sha256}" for sha256 in hashes[pin])]) for pin in pins]
    return "".join(f"{line}\n" for line in [*lines, f"./{wheel} --hash=sha256:{wheel_sha256}"]), True


def locked_hashes(pylock: str) -> dict[tuple[str, str], tuple[str, ...]]:
    """The hashes in a ``pylock.toml`` (PEP 751), by normal name and version; none when it cannot be read."""
    try:
        packages = tomllib.loads(pylock).get("packages", [])
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for package in packages if isinstance(packages, list) else []:
        if isinstance(package, dict) and isinstance(package.get("name"), str) and isinstance(package.get("version"), str):
            key = (normal(package["name"]), package["version"])
            found[key] = tuple(sorted({*found.get(key, ()), *_sha256s(package)}))
    return found


def normal(name: str) -> str:
    """A package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _sha256s(package: Mapping[str, Any]) -> list[str]:
    wheels = package.get("wheels")
    archives = [*(wheels if isinstance(wheels, list) else []), package.get("sdist"), package.get("archive")]
    tables = [archive.get("hashes") for archive in archives if isinstance(archive, dict)]
    hashes = [table.get("sha256") for table in tables if isinstance(table, dict)]
    return [sha256 for sha256 in hashes if isinstance(sha256, str) and SHA256.fullmatch(sha256)]
