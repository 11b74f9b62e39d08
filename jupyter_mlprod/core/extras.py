"""The packages that the extras bring: what is missing is told by the line that installs it."""

import contextlib
from collections.abc import Iterator

from jupyter_mlprod.core.errors import Code, MlprodError

EXTRAS = {
    "google",
    "ipykernel",
    "jupyter_client",
    "mlflow",
    "nbclient",
    "nbformat",
    "onnx",
    "onnx_ir",
    "onnxruntime",
    "PIL",
    "onnxscript",
    "pandas",
    "papermill",
    "polars",
    "pyarrow",
    "safetensors",
    "tomlkit",
    "torch",
    "yaml",
}
"""Top-level modules that the extras ``[cpu]`` and ``[gpu]`` bring."""


@contextlib.contextmanager
def naming_the_extra(what: str) -> Iterator[None]:
    """Turn the absence of a package of the extras into the line that installs it; any other missing module stays an error of its own."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package not in EXTRAS:
            raise
        raise MlprodError(Code.MISSING_EXTRA, f"{what} needs {package}", hint="pip install 'jupyter-mlprod[cpu]', or [gpu]") from error
