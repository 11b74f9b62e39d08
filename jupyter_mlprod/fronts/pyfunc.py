"""MLflow's way in: the loader that a bundle's ``MLmodel`` names, so that ``mlflow.pyfunc.load_model`` answers as the bundle does.

Loading a model by MLflow is the caller's own decision to trust it; the digests are verified all the same.
"""

from pathlib import Path
from typing import Any

from jupyter_mlprod.core.raw import Array
from jupyter_mlprod.model import open_model


class BundleModel:
    """What MLflow calls a python_function model."""

    def __init__(self, folder: Path) -> None:
        self.model = open_model(folder)

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> dict[str, Array]:  # noqa: ARG002  MLflow's signature
        """Raw rows (array, DataFrame, mapping or list of texts) to what ``Model.answer`` gives, each (batch, ...)."""
        return self.model.answer(model_input)


def _load_pyfunc(path: str) -> BundleModel:
    return BundleModel(Path(path))
