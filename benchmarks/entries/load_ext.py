"""What ``%load_ext jupyter_mlprod`` costs in a bare IPython shell that has started already, a fresh process each time.

Bare, because a kernel has loaded more of what we import ourselves; and a heavy module that is there afterwards misses the bar at any speed.
"""

import os
import sys
import tempfile
from functools import partial
from pathlib import Path

import msgspec

from benchmarks.harness import Entry, Sample, Series, Side, command, interleaved

CHILD = Path(__file__).with_name("load_ext_child.py")


def measure(counted: int) -> tuple[Series, ...]:
    """Ours beside an extension that IPython brings along, under an IPython profile that nobody has configured."""
    with tempfile.TemporaryDirectory() as folder:
        sides = tuple(
            Side(name=f"%load_ext {extension}", take=partial(_load, extension, ipython_folder=folder), peer=peer)
            for extension, peer in (("jupyter_mlprod", False), ("autoreload", True))
        )
        return interleaved(sides, counted=counted)


def _load(extension: str, *, ipython_folder: str) -> Sample:
    """One loading, as timed in the child itself."""
    _, told = command([sys.executable, "-P", CHILD, extension], environ={**os.environ, "IPYTHONDIR": ipython_folder})
    return msgspec.json.decode(told, type=Sample)


LOAD_EXT = Entry(
    name="load-ext",
    what="%load_ext jupyter_mlprod in a bare IPython shell, beside %load_ext autoreload; no heavy module may be imported",
    bar_s=0.05,
    clock="wall",
    counted=7,
    packages=("ipython", "msgspec"),
    measure=measure,
)
