"""The texts of a Docker build folder: Dockerfile, requirements and read-me of an image that answers with one bundle.

The bundle lies in the image's own workspace, so nothing is copied or unpacked when it starts. What is installed is what `core/lock.py`
reads from the bundle, as for ``verify --rebuild``, with this package from the wheel beside it. Whatever stands in a line of the Dockerfile
has a form that cannot end the line or a quotation.
"""

import re

import msgspec

from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.lock import WHEELS, Lock, Sha256, install_texts, pins_alone
from jupyter_mlprod.core.record import DIGEST_PREFIX
from jupyter_mlprod.core.subject import NAME
from jupyter_mlprod.core.wheel import DISTRIBUTION

DOCKERFILE, LOCKED, UNHASHED, SETTINGS, READ_ME, IGNORED, BUNDLE = (
    "Dockerfile", "requirements.lock", "requirements.unhashed", "mlprod.toml", "README.md", ".dockerignore", "bundle"
)  # fmt: skip
SUMS = "SHA256SUMS"
PLACED = f"{WHEELS}/{SUMS}"
"""Which files are looked for in ``wheels/``, in the form of ``sha256sum``."""

SYSTEM = "Linux"
PLATFORMS = {"x86_64": "linux/amd64", "aarch64": "linux/arm64"}
SHA256 = re.compile(r"[0-9a-f]{64}")
PYTHON = re.compile(r"(3\.(?:1[1-9]|[2-9][0-9]))(?:\.[0-9]+\S*)?")
KEY = re.compile(r"[A-Za-z0-9+/_-]{43}=")
WHEEL = re.compile(r"[A-Za-z0-9_.+!-]+\.whl")

DOCKERFILE_TEXT = """\
# {name} {digest}
# The image answers rows of a mounted folder and ends; there is no server in it.
FROM python:{python}-slim
LABEL org.opencontainers.image.title="{name}" org.opencontainers.image.version="{digest}"
ENV PYTHONUNBUFFERED=1
# For another index than pypi.org: docker build --build-arg PIP_INDEX_URL=https://…
ARG PIP_INDEX_URL
WORKDIR /app
{installs}
COPY mlprod.toml ./
COPY bundle/ .mlprod/bundles/{hex}/
RUN mkdir -m 1777 .mlprod/records
USER 10001:10001
HEALTHCHECK NONE
ENTRYPOINT ["python", "-m", "jupyter_mlprod", "predict", "{digest}"]
"""
INSTALL = "RUN python -m pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore --no-deps "
READ_ME_TEXT = """\
# {name} {digest}

```sh
docker build {platform}-t {image} .
docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/data" {image} /data/rows.npy /data/answers.npz{trust}
```

Rows are `.npy` or `.npz`, answers `.npz`{tables}.
"""
NOT_TRUSTED = "This bundle holds code, and no key that was trusted at the export signed it: read `bundle/code` first."
NOT_COVERED = (
    "No key that was trusted at the export covers the hashes in `requirements.lock`: whoever changed the bundle's lock chose them."
)
PRIVATE = """\
Packages that came from an index whose address is not written down: {count}. The build takes for them what `wheels/SHA256SUMS` lists, from
any place that has it: pypi.org, another index (`docker build --build-arg PIP_INDEX_URL=https://…`, which can be read in the image's
history), or the folder `wheels`, which this fills from the indexes that pip is configured with:

```sh
python{python} -m pip download --no-deps --require-hashes -r requirements.lock --dest wheels
```"""


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """What the texts of a build folder are made of.

    Attributes
    ----------
    python : version that the bundle was packaged with
    wheel, sha256 : file name and hash of the wheel of this package
    keys : public keys whose signatures let a bundle's code run in the image
    trusted : whether one of them vouches for the bundle's code, or it has none
    covered : whether a trusted key vouches for the hashes of the lock, or it has none
    """

    name: str
    digest: str
    python: str
    wheel: str
    sha256: Sha256
    lock: Lock
    keys: tuple[str, ...] = ()
    trusted: bool = True
    covered: bool = True


def texts(image: Image) -> dict[str, str]:
    """Path in the build folder → text.

    Raises
    ------
    MlprodError : ``bundle-broken`` when something of the bundle could not stand in the Dockerfile, ``not-rebuilt`` when a package came
        from no index.
    """
    python = _python(image)
    lock = image.lock if _system(image.lock) in ("", SYSTEM) else pins_alone(image.lock)
    hashed, unhashed = install_texts(lock, beside=DISTRIBUTION)
    private = [package for package in lock.packages if package.name != DISTRIBUTION and any(file.path for file in package.files)]
    remarks = (
        "" if image.trusted else NOT_TRUSTED,
        "" if image.covered or not hashed else NOT_COVERED,
        "" if lock is image.lock else f"The hashes of the bundle's lock are for {_system(image.lock)} and of no use here.",
        f"Nothing holds an index to the bytes of what has no hash: {', '.join(unhashed.split())}." if unhashed else "",
        PRIVATE.format(count=len(private), python=python) if private else "",
    )
    found = {
        DOCKERFILE: _dockerfile(image, python=python, unhashed=bool(unhashed), private=bool(private)),
        LOCKED: f"{hashed}./{image.wheel} --hash=sha256:{image.sha256}\n",
        UNHASHED: unhashed,
        PLACED: "".join(f"{file.hashes.sha256}  {file.name}\n" for package in private for file in package.files),
        SETTINGS: _settings(image.keys),
        READ_ME: _read_me(image, platform=PLATFORMS.get(lock.place.machine, "") if hashed else "", remarks=remarks),
        IGNORED: f"{READ_ME}\n{DOCKERFILE}\n{IGNORED}\n",
    }
    return {path: text for path, text in found.items() if text}


def _system(lock: Lock) -> str:
    """The system that the files of a lock are for; empty when it does not say."""
    return lock.place.platform.partition("-")[0]


def _python(image: Image) -> str:
    """The Python of the image, after a look at everything that will stand in its Dockerfile."""
    python, sha256 = PYTHON.fullmatch(image.python), image.digest.removeprefix(DIGEST_PREFIX)
    if not NAME.fullmatch(image.name) or not SHA256.fullmatch(sha256) or python is None or not WHEEL.fullmatch(image.wheel):
        odd = f"{image.name[:80]!r}, {image.digest[:80]!r}, {image.python[:20]!r} or {image.wheel[:80]!r}"
        raise MlprodError(Code.BUNDLE_BROKEN, f"{odd} is of another form")
    return python[1]


def _dockerfile(image: Image, *, python: str, unhashed: bool, private: bool) -> str:
    links = f"--find-links {WHEELS} " if private else ""
    lines = [
        f"COPY {image.wheel} {LOCKED}{f' {UNHASHED}' if unhashed else ''} ./",
        f"COPY {WHEELS}/ {WHEELS}/" if private else "",
        f"{INSTALL}{links}--require-hashes -r {LOCKED}",
        f"{INSTALL}{links}-r {UNHASHED}" if unhashed else "",
    ]
    return DOCKERFILE_TEXT.format(
        name=image.name,
        digest=image.digest,
        hex=image.digest.removeprefix(DIGEST_PREFIX),
        python=python,
        installs="\n".join(filter(None, lines)),
    )


def _read_me(image: Image, *, platform: str, remarks: tuple[str, ...]) -> str:
    """How the image is built and asked, and what whoever does it should know."""
    pandas = any(package.name == "pandas" for package in image.lock.packages)
    text = READ_ME_TEXT.format(
        name=image.name,
        digest=image.digest,
        image=re.sub(r"[^a-z0-9]+", "-", image.name.lower()).strip("-"),
        platform=f"--platform {platform} " if platform else "",
        tables="; both may be `.csv` too" if pandas else "; for `.csv` pandas would have to be in the image",
        trust="" if image.trusted else ' --trust "I have read it"',
    )
    return "\n".join([text, *(f"{remark}\n" for remark in remarks if remark)])


def _settings(keys: tuple[str, ...]) -> str:
    """The image's ``mlprod.toml``: whose signatures let a bundle's code run."""
    listed = ", ".join(f'"{key}"' for key in keys if KEY.fullmatch(key))
    return f'[settings]\nactor = "image"\ntrusted_keys = [{listed}]\n'
