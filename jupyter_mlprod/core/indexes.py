"""Which package indexes a user has configured, from pip's configuration, in the form in which uv is told.

uv does not read pip's configuration, and whoever sits behind a mirror has usually configured pip. It is passed on in the environment of
the child process, never on its command line, which everybody on the machine can read, and never into a file.
"""

import configparser
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

SECTIONS = ("global", "install")
UV_INDEXES = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_NO_INDEX", "UV_OFFLINE")
PASSED = {"index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_INDEX", "find-links": "UV_FIND_LINKS", "no-index": "UV_NO_INDEX"}
SEVERAL = {"extra-index-url": " ", "find-links": ","}
"""Options that may hold several values, and how uv separates them."""


def pip_files(environ: Mapping[str, str], *, home: Path, prefix: Path) -> tuple[Path, ...]:
    """Where pip looks for its configuration, later files going before earlier ones; none when it is told to read none."""
    own = environ.get("PIP_CONFIG_FILE", "")
    if own == os.devnull:
        return ()
    shared = [Path(folder) / "pip" / "pip.conf" for folder in environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":") if folder]
    personal = Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / "pip.conf"
    return (
        *shared, Path("/etc/pip.conf"), home / ".pip" / "pip.conf", personal, prefix / "pip.conf", *([Path(own)] if own else []),
    )  # fmt: skip


def pip_options(texts: Sequence[str], environ: Mapping[str, str]) -> dict[str, str]:
    """The options that configuration texts, in that order, and ``PIP_…`` variables set.

    Raises
    ------
    configparser.Error : a text is no configuration.
    """
    options: dict[str, str] = {}
    for section in SECTIONS:
        for text in texts:
            parser = configparser.RawConfigParser()
            parser.read_string(text)
            if parser.has_section(section):
                options |= {key.replace("_", "-"): value for key, value in parser.items(section)}
    named = {key.removeprefix("PIP_").lower().replace("_", "-"): value for key, value in environ.items() if key.startswith("PIP_")}
    return options | {key: value for key, value in named.items() if value}


def uv_environ(options: Mapping[str, str], environ: Mapping[str, str], *, remote_only: bool) -> dict[str, str]:
    """What uv's environment needs beyond ``environ``; nothing about indexes when uv's own variables name some.

    Parameters
    ----------
    remote_only : leave out folders and ``file:`` indexes, whose files nobody else could fetch
    """
    told: dict[str, str] = {}
    if options.get("cert") and "SSL_CERT_FILE" not in environ:
        told["SSL_CERT_FILE"] = options["cert"]
    if any(environ.get(name) for name in UV_INDEXES):
        return told
    for option, variable in PASSED.items():
        values = [value for value in options.get(option, "").split() if not remote_only or option == "no-index" or is_remote(value)]
        if values:
            told[variable] = SEVERAL.get(option, " ").join(values)
    if told.get("UV_NO_INDEX", "").lower() in ("0", "false", "no", "off"):
        del told["UV_NO_INDEX"]
    # pip takes the best of all indexes, uv by default only the first that knows the name; with one version pinned that is a matter of
    # finding it at all.
    told["UV_INDEX_STRATEGY"] = environ.get("UV_INDEX_STRATEGY") or "unsafe-best-match"
    return told


def is_remote(place: str) -> bool:
    """Whether an index or a folder of files is reached over the network."""
    return urlsplit(place).scheme in ("https", "http")


def has_own_index(options: Mapping[str, str], environ: Mapping[str, str]) -> bool:
    """Whether files could come from an index that is not everybody's."""
    remote = any(is_remote(value) for name in ("index-url", "extra-index-url", "find-links") for value in options.get(name, "").split())
    return remote or any(environ.get(name) for name in UV_INDEXES)
