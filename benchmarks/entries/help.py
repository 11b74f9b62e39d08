"""What ``mlprod --help`` costs, as module and as console script; in CPU seconds, because a person waits for what is imported."""

import sys
import sysconfig
from pathlib import Path

from benchmarks.harness import Entry, Series, command_side, interleaved


def measure(counted: int) -> tuple[Series, ...]:
    """Both ways to ask us for help beside papermill's, each a fresh process."""
    scripts = Path(sysconfig.get_path("scripts"))
    sides = (
        command_side("python -m jupyter_mlprod --help", [sys.executable, "-m", "jupyter_mlprod", "--help"]),
        command_side("mlprod --help", [scripts / "mlprod", "--help"]),
        command_side("papermill --help", [scripts / "papermill", "--help"], peer=True),
    )
    return interleaved(sides, counted=counted)


HELP = Entry(
    name="help",
    what="mlprod --help, beside papermill --help",
    bar_s=0.25,
    clock="cpu",
    counted=5,
    packages=("papermill",),
    measure=measure,
)
