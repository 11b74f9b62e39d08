"""The license of an installed package, as its own metadata states it, and whether one asks for the same in return.

What is installed in another version is not known. Only an SPDX expression has alternatives; a classifier or a sentence is one whole,
because "or later" and "BSD or GPL" cannot be told apart in prose.
"""

import importlib.metadata
import re

import msgspec

LONGEST_NAME = 120
CLASSIFIER = "License :: "
_TERM = r"(?:\( ?)*[A-Za-z0-9.+:-]+(?: ?\))*"
EXPRESSION = re.compile(rf"{_TERM}(?: (?:AND|OR|WITH) {_TERM})*")
"""An SPDX license expression (SPDX 2.3, annex D); its operators are written in capitals."""
GROUP = re.compile(r"\(([^()]*)\)")
COPYLEFT = re.compile(
    r"\b(?:[AL]?GPL|MPL|EPL|CDDL|EUPL|OSL|CC.BY.(?:NC.)?SA|CeCILL(?!.B\b)|GNU |General Public|Mozilla Public|Eclipse Public"
    r"|Common Development and Distribution|European Union Public|Open Software License)",
    re.IGNORECASE,
)
"""How those begin that ask for the same license in return, by identifier and in words."""


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


def is_copyleft(license_text: str) -> bool:
    """Whether the same license is asked for in return, by every alternative of an SPDX expression or by the text as a whole.

    Examples
    --------
    >>> is_copyleft("MPL-2.0"), is_copyleft("MIT OR GPL-3.0-only"), is_copyleft("BSD-3-Clause AND MIT")
    (True, False, False)
    >>> is_copyleft("GNU General Public License v3 or later (GPLv3+)")
    True
    """
    flat = " ".join(license_text.split())
    if not EXPRESSION.fullmatch(flat):
        return bool(COPYLEFT.search(flat))
    while group := GROUP.search(flat):  # the innermost, judged, stands as a license of its kind
        flat = flat[: group.start()] + ("GPL" if _asked(group[1]) else "MIT") + flat[group.end() :]
    return _asked(flat)


def _asked(expression: str) -> bool:
    """That of an expression without parentheses: one license of each alternative is enough."""
    return all(any(COPYLEFT.match(one.strip(" ()")) for one in part.split(" AND ")) for part in expression.split(" OR "))
