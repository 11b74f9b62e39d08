"""Durations as people write them in TOML: a whole number and s, m, h or d."""

from typing import Annotated

import msgspec

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
Duration = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,6}[smhd](?!\n)$")]


def seconds(duration: str) -> int:
    """``90m`` is 5400.

    >>> seconds("90m")
    5400
    """
    return int(duration[:-1]) * SECONDS[duration[-1]]
