"""The license of an installed package, as its own metadata states it. What is installed in another version is not known."""

import importlib.metadata

import msgspec

LONGEST_NAME = 120
CLASSIFIER = "License :: "


class License(msgspec.Struct, frozen=True, kw_only=True):
    """An SPDX expression (PEP 639), or else the words that the package uses; both empty when it says nothing."""

    expression: str = ""
    name: str = ""


def license_of(name: str, version: str) -> License:
    """What the installed distribution of exactly this version says.

    Examples
    --------
    >>> license_of("no-such-package", "1.0")
    License(expression='', name='')
    """
    try:
        metadata = importlib.metadata.distribution(name).metadata
    except (importlib.metadata.PackageNotFoundError, ValueError):  # the latter for the empty name
        return License()
    if metadata["Version"] != version:
        return License()
    expression = _one(metadata, "License-Expression")
    stated = " ".join(_one(metadata, "License").split())
    if expression or 0 < len(stated) <= LONGEST_NAME:  # a longer one is the text of the license itself
        return License(expression=expression, name="" if expression else stated)
    listed = [line.rpartition(" :: ")[2] for line in metadata.get_all("Classifier") or () if line.startswith(CLASSIFIER)]
    return License(name=", ".join(listed))


def _one(metadata: importlib.metadata.PackageMetadata, key: str) -> str:
    """A field that appears at most once; the empty string when it does not appear."""
    return str(next(iter(metadata.get_all(key) or ()), ""))
