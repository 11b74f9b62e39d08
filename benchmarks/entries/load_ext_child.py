"""The child of the entry ``load-ext``: starts IPython, loads one extension, and says on standard output what that took.

Run by its path, never with ``-m``: the packages above this file import msgspec, and the extension would then find it loaded.
"""

import json
import sys
import time

from IPython.core.interactiveshell import InteractiveShell

HEAVY = ("torch", "mlflow", "numpy", "pandas", "onnxruntime", "scipy", "papermill")


def main(extension: str) -> None:
    """Time one ``%load_ext`` and list the heavy modules that are there afterwards."""
    shell = InteractiveShell.instance()
    cpu, wall = time.process_time(), time.perf_counter()
    shell.run_line_magic("load_ext", extension)
    wall_s, cpu_s = time.perf_counter() - wall, time.process_time() - cpu
    if shell.extension_manager is None or not any(name.endswith(extension) for name in shell.extension_manager.loaded):
        sys.exit(f"{extension} was not loaded")  # IPython says so in a line and goes on
    faults = [f"{module} is imported" for module in HEAVY if module in sys.modules]
    sys.stdout.write(json.dumps({"wall_s": wall_s, "cpu_s": cpu_s, "faults": faults}))


main(sys.argv[1])
