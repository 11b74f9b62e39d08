"""Bundle: everything that is needed to answer a request, content-addressed.

The record *is* the manifest: it lists every file with its sha256, so the record's digest covers every byte. What is about the
bundle (who made it, when, the signature) lies in ``attached/`` and outside the digest.
"""

from typing import Literal

import msgspec

from jupyter_mlprod.core.contract import Contract
from jupyter_mlprod.core.record import Record

MANIFEST = "bundle.json"
ATTACHED = "attached"
GRAPH = "model.onnx"
GOLDEN_INPUTS = "golden/inputs.npz"
GOLDEN_ANSWERS = "golden/answers.npz"
PREPROCESS = "code/preprocess.py"
REQUIREMENTS = "requirements.txt"
SIGNATURE = f"{ATTACHED}/statement.dsse.json"
ORIGIN = f"{ATTACHED}/origin.json"
MLFLOW_WRITES = "registered_model_meta"
"""MLflow adds this one file to a folder it loads from; it is ignored, never trusted."""

Scores = Literal["logits", "probabilities", "values"]


class BundleFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file: path inside the bundle with forward slashes, size in bytes, ``sha256:…``."""

    path: str
    bytes: int
    sha256: str


class Bundle(Record, frozen=True, kw_only=True, tag="bundle/1"):
    """A packaged model.

    Attributes
    ----------
    scores : what the first output holds: logits or probabilities of classes, or plain values
    labels : class names in the order of the scores' last axis; empty for values
    preprocess : name of the function in ``code/preprocess.py``, empty when the graph takes the raw input
    snapshot : digest of the training data that was named at packaging, or empty
    """

    name: str
    contract: Contract
    scores: Scores
    labels: tuple[str, ...] = ()
    preprocess: str = ""
    snapshot: str = ""
    files: tuple[BundleFile, ...] = ()

    @property
    def has_code(self) -> bool:
        return bool(self.preprocess)


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Who made the bundle, when, where; attached, outside the digest."""

    created_at: str
    actor: str
    python: str
    platform: str
    notebook: str = ""
    git_commit: str = ""
    run: str = ""
