"""The child of ``mlprod verify --rebuild``: in an environment made from a bundle's lock, answers the golden samples.

It writes what the bundle's graph and functions give, and compares nothing: that is done by whoever started it, outside. Its working
folder is the one that it writes to, and the functions find no more of this machine than they do at packaging.
"""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np

from jupyter_mlprod.core.bundle import GOLDEN_INPUTS
from jupyter_mlprod.core.enclosure import enclose
from jupyter_mlprod.core.errors import MlprodError
from jupyter_mlprod.core.raw import with_nulls
from jupyter_mlprod.core.record import digest
from jupyter_mlprod.workspace import open_runtime


def main(folder: Path, out: Path, modules: list[str]) -> None:
    """Leave ``answers.npz`` and ``replayed.json``: which bundle that was, and which of ``modules`` could be imported here."""
    importable = [name for name in modules if importlib.util.find_spec(name)]
    enclose(folder)
    runtime = open_runtime(folder)
    with np.load(folder / GOLDEN_INPUTS, allow_pickle=False) as golden:
        raw = with_nulls({name: golden[name] for name in golden.files})
    np.savez(out / "answers.npz", allow_pickle=False, **runtime.outputs(raw))
    (out / "replayed.json").write_text(json.dumps({"digest": digest(runtime.bundle), "importable": importable}))


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
    except MlprodError as error:
        sys.exit(str(error))
