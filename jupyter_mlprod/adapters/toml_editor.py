"""TOML that a person wrote, changed in some places with all else kept as it was: comments, order, blank lines.

The one adapter of tomlkit. What the result means is for the caller to read again; here it is only made.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AbstractTable

from jupyter_mlprod.core.errors import Code, MlprodError


class TomlEditor:
    """Port `TomlEditing`."""

    def changed(self, text: str, values: Mapping[tuple[str, ...], Any]) -> str:
        """The document with values set.

        Parameters
        ----------
        values : path of keys → value; None takes the key out

        Raises
        ------
        MlprodError : ``bad-contract`` when a path leads through what is no table, or the document is no TOML.
        """
        try:
            document = tomlkit.parse(text)
            for path, value in values.items():
                _set(document, path, value)
            return tomlkit.dumps(document)
        except (TOMLKitError, RecursionError) as error:
            raise MlprodError(Code.BAD_CONTRACT, f"the document cannot be edited: {' '.join(str(error).split())[:200]}") from None


def _set(document: tomlkit.TOMLDocument, path: Sequence[str], value: Any) -> None:
    table: Any = document
    for depth, key in enumerate(path[:-1], start=1):
        if key not in table:
            if value is None:
                return
            table[key] = tomlkit.table(is_super_table=depth < len(path) - 1)
        table = table[key]
        if not isinstance(table, AbstractTable | dict):
            raise MlprodError(Code.BAD_CONTRACT, f"{'.'.join(path[:depth])} is no table, so {path[-1]!r} cannot be set in it")
    if value is not None:
        table[path[-1]] = value
    elif path[-1] in table:
        del table[path[-1]]
