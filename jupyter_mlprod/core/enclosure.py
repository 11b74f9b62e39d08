"""What a bundle's code may reach while it is proven: its own files, an empty folder, what is installed, and little of the system's.

It keeps an honest function from leaning on the machine that it was written on, and names what it leaned on. It is no jail: Python tells
of the files and folders that it opens and of the programs that it starts, not of what a library does below it.
"""

import os
import sys
import sysconfig
from pathlib import Path

HOMES = ("HOME", "USERPROFILE", "TMPDIR", "TEMP", "TMP")
"""Variables by which code finds a folder of the user's, or one for what it writes."""
LIBRARIES = ("lib", "lib64", "Lib", "DLLs")
"""Below a prefix of Python's; the prefix itself may be ``/usr``, or the very folder of a project."""
PACKAGES = ("site-packages", "dist-packages")
SYSTEM = (
    "/proc/", "/sys/", "/lib/", "/lib64/", "/usr/lib/", "/usr/lib64/", "/nix/store/", "/System/", "/Library/Fonts/",
    "/usr/share/fonts/", "/usr/share/locale/", "/usr/share/mime/", "/usr/share/zoneinfo/",
    "/etc/fonts/", "/etc/localtime/", "/etc/mime.types/", "/etc/os-release/", "/etc/pki/", "/etc/ssl/", "/etc/timezone/",
)  # fmt: skip
"""Clock, fonts, certificates and hardware: there on every machine, and none of it the user's. A file ends like a folder here."""
STARTS = {"os.exec", "os.posix_spawn", "os.spawn", "os.startfile", "os.system", "pty.spawn", "subprocess.Popen"}
ASKED = {"open": os.path.isfile, "os.listdir": os.path.isdir, "os.scandir": os.path.isdir}
"""What Python tells of, and what it must be for somebody to lean on it: a pipe or a new file is nobody's."""
IMPORTING = ("<frozen importlib._bootstrap_external>", "<frozen zipimport>")
"""Who reads an installed module wherever it lies, also one that was installed as editable."""


def enclose(folder: Path) -> None:
    """From here on this process has its working folder for a home, and is refused what is this machine's alone.

    Parameters
    ----------
    folder : the bundle
    """
    os.environ.update(dict.fromkeys(HOMES, str(Path.cwd())))
    prefixes = [Path(prefix) / part for prefix in (sys.prefix, sys.base_prefix) for part in LIBRARIES]
    packages = [Path(path) for path in sys.path if path.endswith(PACKAGES)]
    inside = [folder, Path.cwd(), Path(sysconfig.get_path("stdlib")), *prefixes, *packages]
    roots = (*(f"{path.resolve()}{os.sep}" for path in inside), *SYSTEM)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event in STARTS:
            raise FileNotFoundError(f"the program {_first_word(arguments[0])} is on this machine and not in the bundle")
        is_there = ASKED.get(event)
        if is_there is None or not isinstance(arguments[0], str | bytes) or sys._getframe(1).f_code.co_filename in IMPORTING:
            return
        path = os.path.realpath(os.fsdecode(arguments[0]))
        if is_there(path) and not f"{path}{os.sep}".startswith(roots):
            raise FileNotFoundError(f"{path} lies on this machine and not in the bundle; give it to --assets")

    sys.addaudithook(hook)


def _first_word(command: object) -> str:
    words = os.fsdecode(command).split() if isinstance(command, str | bytes | os.PathLike) else []
    return words[0][:200] if words else "that it starts"
