"""How much memory a call takes beside what the process holds already: the kernel's high-water mark, which can be reset on Linux."""

import gc
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

STATUS = Path("/proc/self/status")
RESET = Path("/proc/self/clear_refs")


def peak_bytes(function: Callable[[], Any]) -> int:
    """Bytes of resident memory at the highest point of a call, less those before it; the call is made once before, for warmth."""
    function()
    gc.collect()
    RESET.write_text("5")
    before = resident("VmRSS")
    function()
    return resident("VmHWM") - before


def resident(what: str) -> int:
    """``VmRSS`` is what is resident now, ``VmHWM`` the highest since the last reset."""
    found = re.search(rf"{what}:\s+(\d+) kB", STATUS.read_text())
    assert found is not None
    return 1024 * int(found[1])
