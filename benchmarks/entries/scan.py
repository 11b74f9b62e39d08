"""Scanning hundreds of checkpoints and a corpus of hostile pickles, beside picklescan in its strictest mode.

A clean file that is flagged, or a hostile one that is not, is a fault, and misses the bar at any speed. picklescan is no dependency:
install it into a folder of its own and name that in ``PYTHONPATH``.
"""

import importlib.util
import os
import sys
import tempfile
from pathlib import Path

import msgspec

from benchmarks.harness import Entry, MeasureError, Series, command

ROOT = Path(__file__).parents[2]
CHILD = Path(__file__).with_name("scan_child.py")


def measure(counted: int) -> tuple[Series, ...]:
    """Both sides in one child process, which keeps what they import and warn about."""
    if importlib.util.find_spec("picklescan") is None:
        raise MeasureError("picklescan is not installed")
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH", "")])])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environ = {**os.environ, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1"}
        command([sys.executable, "-W", "ignore", CHILD, folder, str(counted)], environ=environ, folder=folder)
        return msgspec.json.decode((folder / "series.json").read_bytes(), type=tuple[Series, ...])


SCAN = Entry(
    name="scan",
    what="hundreds of state dicts and a corpus of hostile pickles, none flagged and none missed, beside picklescan --strict",
    bar_s=10.0,
    clock="wall",
    counted=3,
    packages=("torch", "transformers", "lightning", "picklescan"),
    measure=measure,
)
