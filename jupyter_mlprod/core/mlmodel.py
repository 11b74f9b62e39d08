"""The ``MLmodel`` file that makes a bundle folder a valid MLflow model at the same time.

Written as JSON, which is YAML, so that the bytes depend on the contract alone. Time and ids are constants for the same reason. What
another hand has written there would run a loader of its own in MLflow, so a manifest may list no other bytes than these.
"""

import json
from typing import Any

from jupyter_mlprod.core.bundle import REQUIREMENTS
from jupyter_mlprod.core.contract import Column, Contract, Tensor, Text
from jupyter_mlprod.core.demands import action_of
from jupyter_mlprod.core.record import digest_bytes

MLMODEL = "MLmodel"
PYTHON_ENV = "python_env.yaml"
LOADER = "jupyter_mlprod.fronts.pyfunc"
COLUMN_TYPES = {"float": "double", "int": "long", "bool": "boolean", "string": "string", "time": "datetime", "time_utc": "datetime"}


def mlmodel_text(contract: Contract) -> str:
    """The document."""
    document = {
        "artifact_path": "model",
        "flavors": {
            "python_function": {
                "loader_module": LOADER,
                "env": {"virtualenv": PYTHON_ENV},
                "python_version": "3.11",
            }
        },
        "model_uuid": "0" * 32,
        "utc_time_created": "2000-01-01 00:00:00.000000",
        "signature": {
            "inputs": json.dumps(signature_fields(contract)),
            "outputs": json.dumps([signature_tensor(output) for output in contract.outputs]),
        },
    }
    return json.dumps(document, indent=1) + "\n"


def python_env_text(*, requirements: str) -> str:
    """MLflow's environment file, which points at the requirements."""
    return json.dumps({"python": "3.11", "build_dependencies": ["pip"], "dependencies": [f"-r {requirements}"]}, indent=1) + "\n"


def written(contract: Contract) -> dict[str, frozenset[str]]:
    """Path → sha256 of every text that mlprod has ever written there. Whoever changes a text keeps its former one here, for old bundles."""
    texts = {MLMODEL: (mlmodel_text(contract),), PYTHON_ENV: (python_env_text(requirements=REQUIREMENTS),)}
    return {path: frozenset(digest_bytes(text.encode()) for text in forms) for path, forms in texts.items()}


def signature_fields(contract: Contract) -> list[dict[str, Any]]:
    """The inputs as MLflow writes them."""
    fields: list[dict[str, Any]] = []
    for field in contract.inputs:
        if isinstance(field, Column):
            required = action_of(field, "present", contract.on_violation or "refuse") != "impute"
            fields.append({"name": field.name, "type": COLUMN_TYPES[field.type], "required": required})
        elif isinstance(field, Text):
            fields.append({"name": field.name, "type": "string", "required": True})
        else:
            fields.append(signature_tensor(field))
    if len(fields) == 1 and not contract.is_table:
        fields[0].pop("name")  # an unnamed tensor is what lets MLflow take a plain array
    return fields


def signature_tensor(field: Tensor) -> dict[str, Any]:
    """A tensor as MLflow writes it."""
    shape = [size if isinstance(size, int) else -1 for size in field.shape]
    return {"name": field.name, "type": "tensor", "tensor-spec": {"dtype": field.dtype, "shape": shape}}
