"""This machine and what is installed on it: the requirements a bundle needs, its origin, and what `doctor` examines."""

import datetime
import getpass
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Sequence, Set
from pathlib import Path
from urllib.parse import unquote, urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from jupyter_mlprod.core.bundle import Origin
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.notebook import read_notebook
from jupyter_mlprod.core.record import digest, digest_bytes
from jupyter_mlprod.core.wheel import DISTRIBUTION

ROOTS = (DISTRIBUTION, "numpy", "onnxruntime", "onnxruntime-gpu")
"""What answering needs; of the two runtimes, whichever is installed."""

PACKAGE = "jupyter_mlprod"
FREE_BYTES = 1_000_000_000
GIT_TIMEOUT_S = 10
UNKNOWN = "unknown: git did not answer in time"
MOST_BYTES = 256_000_000
SUBMODULE = b"160000"
INDEXED = re.compile(
    rb"(\d+) ([0-9a-f]+) \d\t([^\0]*)\0(?:  ctime: \d+:\d+\n  mtime: (\d+):(\d+)\n  dev: .*\n  uid: .*\n  size: (\d+)\tflags: .*\n)?"
)
"""An entry of ``git ls-files --stage --debug -z``; in a version of git that writes its second half otherwise, every file is read."""
Problem = tuple[str, str, str]
"""check, what was found, and the mending command; empty when all is well."""


class Machine:
    """Port `Machine`."""

    def __init__(self, root: Path, *, actor: str, notebook: str = "") -> None:
        self.root = root
        self.notebook = notebook
        self.actor = actor or _login()

    def requirements(self, modules: Sequence[str]) -> tuple[str, ...]:
        """``name==version`` of everything that answering with these imported modules needs, from the running interpreter.

        Raises
        ------
        MlprodError : ``preprocess`` when a module is a file beside the notebook, which no requirement could name.
        """
        owners = _owners({module.split(".")[0] for module in modules})
        loose = [module for module in modules if module not in owners and module not in sys.stdlib_module_names and module != PACKAGE]
        if loose:
            what = f"the preprocessing imports {', '.join(loose)}, which no installed package brings, so the bundle would lack it"
            raise MlprodError(Code.PREPROCESS, what, hint="move that code beside the function, or install it as a package")
        return closure([*ROOTS, *(owner for module in modules for owner in owners.get(module.split(".")[0], ()))])

    def origin(self, *, notebook: str, run: str) -> Origin:
        commit, dirty = _git_state(self.root)
        return Origin(
            created_at=datetime.datetime.now(datetime.UTC).isoformat(),
            actor=self.actor,
            python=platform.python_version(),
            platform=platform.platform(),
            notebook=Path(notebook or self.notebook).name,
            git_commit=commit,
            run=run,
            git_dirty=dirty,
            notebook_digest=_notebook_digest(_notebook_file(notebook or self.notebook)),
        )

    def context(self) -> dict[str, str]:
        usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        return {"machine": platform.machine(), "cpu": _cpu_model(), "cores": str(usable), "python": platform.python_version()}

    def problems(self) -> tuple[Problem, ...]:
        """What `doctor` examines; each check appears, with an empty hint when it is well."""
        return (_wheels(), _cuda(), _torch_match(), _disk(self.root), *_versions(), _kernel())


def _login() -> str:
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (KeyError, OSError):
        return f"uid-{os.getuid()}@{socket.gethostname()}" if hasattr(os, "getuid") else "unknown"


def _owners(tops: Set[str]) -> dict[str, list[str]]:
    """Top-level module → the distributions that list it among their files, or that are edited in the folder where it lies.

    `importlib.metadata.packages_distributions` asks the disk for every file of every distribution, which takes four times as long.
    """
    found: dict[str, list[str]] = {}
    listed = {top: re.compile(rf"^{re.escape(top)}(?:/|\.py,|\.[^/,]*(?:so|pyd),)", re.MULTILINE) for top in tops}
    for each in importlib.metadata.distributions() if tops else ():
        record, legacy = each.read_text("RECORD") or "", (each.read_text("top_level.txt") or "").split()
        folder = _edited_in(each)
        for top, pattern in listed.items():
            if pattern.search(record) or (not record and top in legacy) or (folder and _origin_of(top).startswith(folder)):
                found.setdefault(top, []).append(each.metadata["Name"])
    return found


def _origin_of(module: str) -> str:
    spec = importlib.util.find_spec(module)
    return (spec.origin if spec else "") or ""


def _edited_in(found: importlib.metadata.Distribution) -> str:
    """The folder of an editable installation, with a separator at its end, or the empty string."""
    direct = json.loads(found.read_text("direct_url.json") or "{}")
    if not direct.get("dir_info", {}).get("editable"):
        return ""
    return unquote(urlsplit(direct["url"]).path).rstrip(os.sep) + os.sep


def closure(roots: Sequence[str]) -> tuple[str, ...]:
    """``name==version`` of the roots that are installed and of everything they require on this machine, extras included.

    A requirement that is not installed is left out: the running interpreter works without it.
    """
    versions: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    todo: list[tuple[str, frozenset[str]]] = [(root, frozenset()) for root in roots]
    while todo:
        name, extras = todo.pop()
        wanted = {(canonicalize_name(name), extra) for extra in ("", *extras)} - seen
        if not wanted:
            continue
        seen |= wanted
        try:
            found = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        versions[canonicalize_name(name)] = found.version
        todo += _needed(found, extras=[extra for _, extra in wanted])
    return tuple(f"{name}=={version}" for name, version in sorted(versions.items()))


def _needed(found: importlib.metadata.Distribution, *, extras: Sequence[str]) -> list[tuple[str, frozenset[str]]]:
    """Names and extras of what a distribution requires here, for any of these of its own extras; the empty one stands for none."""
    needed = []
    for text in found.requires or ():
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in extras):
            needed.append((requirement.name, frozenset(requirement.extras)))
    return needed


def training_requirements() -> tuple[str, ...]:
    """``name==version`` of what this process has imported and of everything that requires: what a model could be trained with again.

    The closure, since some of it is loaded without being imported, such as the CUDA libraries of torch, and some only when it is needed.
    """
    return closure([pin.partition("==")[0] for pin in imported_requirements()])


def imported_requirements() -> tuple[str, ...]:
    """``name==version`` of every distribution of which this process has imported a file.

    By files and not by top-level names, since a name such as ``google`` is shared by many; of an editable installation those count that
    lie in its folder.
    """
    # From each module's dictionary, since a lazy one would import what it is asked for.
    loaded = {str(file) for module in tuple(sys.modules.values()) if (file := getattr(module, "__dict__", {}).get("__file__"))}
    found = {f"{DISTRIBUTION}=={version_of(DISTRIBUTION)}"}
    homes: dict[str, Set[str]] = {}
    for each in importlib.metadata.distributions():
        home = f"{each.locate_file('')}{os.sep}"
        if home not in homes:
            homes[home] = {file[len(home) :].replace(os.sep, "/") for file in loaded if file.startswith(home)}
        if _holds(each, homes[home], loaded):
            found.add(f"{canonicalize_name(each.metadata['Name'])}=={each.version}")
    return tuple(sorted(found))


def _holds(found: importlib.metadata.Distribution, inside: Set[str], loaded: Set[str]) -> bool:
    """Whether a distribution lists one of the files ``inside`` its folder, or is edited in a folder with one that is ``loaded``."""
    record = found.read_text("RECORD") or ""
    if inside and not inside.isdisjoint([line.split(",", 1)[0] for line in record.splitlines()]):
        return True
    folder = _edited_in(found)
    return bool(folder) and any(file.startswith(folder) for file in loaded)


def _notebook_file(notebook: str) -> Path | None:
    """The notebook as saved: where it was named, or in the folder in which its kernel stands."""
    candidates = (Path(notebook), Path(Path(notebook).name)) if notebook else ()
    return next((path for path in candidates if path.suffix == ".ipynb" and path.is_file()), None)


def _notebook_digest(file: Path | None) -> str:
    """That of the notebook's code cells; empty when there is none that can be read."""
    try:
        return digest(read_notebook(file.read_text("utf-8"), name=file.name)) if file else ""
    except (MlprodError, OSError, UnicodeDecodeError):
        return ""


def _git_state(root: Path) -> tuple[str, str]:
    """The commit, and how the working tree differs from it."""
    try:
        return _git(root, "rev-parse", "--verify", "HEAD").decode().strip(), git_dirty(root)
    except subprocess.TimeoutExpired:
        return UNKNOWN, UNKNOWN


def git_dirty(root: Path) -> str:
    """sha256 of how the working tree differs from the commit: what is staged, and each file that is changed or unknown to git.

    Git is asked for nothing that looks into a file, because for that it would run the filters that a repository configures: whether a
    file is the one of the index is found here. The store of this workspace is left out. Of files beyond `MOST_BYTES` in all, the size
    stands for the bytes.
    """
    top = _git(root, "rev-parse", "--show-toplevel").rstrip(b"\n")
    if not top:
        return ""
    folder = Path(os.fsdecode(top))
    staged = _git(folder, "diff-index", "--cached", "--raw", "--no-renames", "--ignore-submodules=all", "-z", "HEAD")
    unknown = _git(folder, "ls-files", "--others", "--exclude-standard", "-z").split(b"\0")
    found, budget = [], MOST_BYTES
    for path, blob in sorted({*_touched(folder), *((path, "") for path in unknown)}):
        if not path or b"/.mlprod/" in b"/" + path:
            continue
        state, size = _state(folder / os.fsdecode(path), blob, budget)
        budget -= size
        found += [path + b"\0" + state.encode()] if state else []
    return digest_bytes(b"\0".join([staged, *found])) if staged or found else ""


def _touched(folder: Path) -> list[tuple[bytes, str]]:
    """Path and blob of the index's entries whose file has another time or size than git saw last, or the time of the index itself."""
    index = folder / os.fsdecode(_git(folder, "rev-parse", "--git-path", "index").rstrip(b"\n"))
    written = index.stat().st_mtime_ns if index.is_file() else 0
    touched = []
    for mode, blob, path, seconds, nanoseconds, size in INDEXED.findall(_git(folder, "ls-files", "--stage", "--debug", "-z")):
        if mode == SUBMODULE:
            continue
        try:
            entry = (folder / os.fsdecode(path)).lstat()
        except OSError:
            touched.append((path, blob.decode()))
            continue
        seen = int(seconds or 0) * 10**9 + int(nanoseconds or 0)
        if entry.st_mtime_ns != seen or seen >= written or entry.st_size % 2**32 != int(size or -1):
            touched.append((path, blob.decode()))
    return touched


def _state(file: Path, blob: str, budget: int) -> tuple[str, int]:
    """What stands in the working tree, empty when it is the blob that the index names, and how many bytes were read for it."""
    try:
        entry = file.lstat()
        if not stat.S_ISLNK(entry.st_mode) and (not stat.S_ISREG(entry.st_mode) or entry.st_size > budget):
            return f"size {entry.st_size}", 0
        data = os.fsencode(file.readlink()) if stat.S_ISLNK(entry.st_mode) else file.read_bytes()
    except OSError:
        return "gone", 0
    whole = b"blob %d\0" % len(data) + data
    same = blob in (hashlib.sha1(whole, usedforsecurity=False).hexdigest(), hashlib.sha256(whole).hexdigest())
    return "" if same else digest_bytes(data), len(data)


def _git(folder: Path, *words: str) -> bytes:
    """What git answers, and nothing without git or outside of a repository; no hook and no monitor that it names runs.

    Raises
    ------
    subprocess.TimeoutExpired : after `GIT_TIMEOUT_S`.
    """
    git = shutil.which("git")
    if git is None:
        return b""
    quiet = ("-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}", "-c", "core.untrackedCache=false")
    environ = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    result = subprocess.run(  # noqa: S603  a fixed program, a list of words, no shell
        [git, "-C", str(folder), *quiet, *words], capture_output=True, timeout=GIT_TIMEOUT_S, check=False, env=environ
    )
    return result.stdout if result.returncode == 0 else b""


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"


def version_of(name: str) -> str:
    """The installed version, or the empty string."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _wheels() -> Problem:
    cpu, gpu = version_of("onnxruntime"), version_of("onnxruntime-gpu")
    if cpu and gpu:
        mend = "pip uninstall -y onnxruntime onnxruntime-gpu && pip install 'jupyter-mlprod[gpu]' (or [cpu])"
        return ("onnxruntime-wheels", f"onnxruntime {cpu} and onnxruntime-gpu {gpu} own the same module and overwrite each other", mend)
    if not cpu and not gpu:
        return ("onnxruntime-wheels", "no ONNX Runtime is installed", "pip install 'jupyter-mlprod[cpu]'")
    return ("onnxruntime-wheels", f"onnxruntime {cpu}" if cpu else f"onnxruntime-gpu {gpu}", "")


def _cuda() -> Problem:
    """Whether the GPU wheel finds a driver and its CUDA libraries; on a CPU installation there is nothing to find."""
    if not version_of("onnxruntime-gpu"):
        return ("cuda", "not used: the CPU wheel is installed", "")
    if shutil.which("nvidia-smi") is None:
        return ("cuda", "onnxruntime-gpu is installed, but there is no NVIDIA driver", "install the driver, or the [cpu] extra")
    libraries = [name for name in ("nvidia-cudnn-cu12", "nvidia-cudnn-cu13") if version_of(name)]
    if not libraries:
        return ("cuda", "onnxruntime-gpu is installed without cuDNN", "pip install 'onnxruntime-gpu[cuda,cudnn]'")
    return ("cuda", f"driver present, {libraries[0]} {version_of(libraries[0])}; never exercised by doctor", "")


def _torch_match() -> Problem:
    torch, gpu = version_of("torch"), version_of("onnxruntime-gpu")
    if torch and gpu and "+cpu" in torch:
        return ("torch", f"torch {torch} is a CPU build beside onnxruntime-gpu {gpu}", "install a CUDA build of torch, or the [cpu] extra")
    return ("torch", f"torch {torch}" if torch else "not installed; needed to package live modules only", "")


def _disk(root: Path) -> Problem:
    usage = shutil.disk_usage(root)
    found = f"{usage.free / 1e9:.1f} GB free at {root}"
    return ("disk", found, "" if usage.free > FREE_BYTES else "mlprod gc --delete, or free space")


def _versions() -> tuple[Problem, ...]:
    """Every requirement of this package that the environment does not meet."""
    found: list[Problem] = []
    for text in importlib.metadata.requires("jupyter-mlprod") or ():
        requirement = Requirement(text)
        wanted = requirement.marker is None or requirement.marker.evaluate({"extra": "notebook"})
        installed = version_of(requirement.name)
        if wanted and installed and not requirement.specifier.contains(installed, prereleases=True):
            found.append(("versions", f"{requirement.name} {installed} is outside {requirement.specifier}", f"pip install '{requirement}'"))
    return tuple(found) or (("versions", "all within their bounds", ""),)


def _kernel() -> Problem:
    """Whether the python3 kernelspec starts this interpreter: JupyterLab may run in another environment than its kernels."""
    try:
        from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
    except ImportError:
        return ("kernel", "jupyter_client is not installed", "pip install 'jupyter-mlprod[cpu]'")
    try:
        argv = KernelSpecManager().get_kernel_spec("python3").argv
    except NoSuchKernel:
        return ("kernel", "there is no python3 kernel", f"{sys.executable} -m ipykernel install --user")
    interpreter = shutil.which(argv[0]) or argv[0]
    if Path(interpreter).resolve() != Path(sys.executable).resolve() and argv[0] not in ("python", "python3"):
        return (
            "kernel",
            f"the python3 kernel runs {interpreter}, this is {sys.executable}",
            f"{sys.executable} -m ipykernel install --user",
        )
    return ("kernel", f"the python3 kernel runs {interpreter}", "")
