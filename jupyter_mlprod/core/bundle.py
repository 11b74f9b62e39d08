"""Bundle: everything that is needed to answer a request, content-addressed.

The record *is* the manifest: it lists every file with its sha256, so the record's digest covers every byte. What is about the
bundle (who made it, when, the signature) lies in ``attached/`` and outside the digest. A member that was added since the first
manifests is left out when it is unset, so that their canonical bytes, and with them their digests, stay what they were.
"""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from jupyter_mlprod.core.contract import Contract
from jupyter_mlprod.core.record import Record

MANIFEST = "bundle.json"
GRAPH = "model.onnx"
GRAPH_DATA = "model.onnx.data"
"""Weights of a graph that is too large for one protobuf message."""
GOLDEN_INPUTS = "golden/inputs.npz"
GOLDEN_ANSWERS = "golden/answers.npz"
CODE = "code"
"""Functions, and beside them the files that they read (their assets), so that ``Path(__file__).with_name(…)`` finds them."""
PREPROCESS = f"{CODE}/preprocess.py"
POSTPROCESS = f"{CODE}/postprocess.py"
MODULE = "module"
STRUCTURE = f"{MODULE}/structure.json"
WEIGHTS = f"{MODULE}/weights.safetensors"
CLASSES = f"{MODULE}/classes.py"
SNAPSHOT = "snapshot.json"
REQUIREMENTS = "requirements.txt"

ATTACHED = "attached"
ORIGIN = f"{ATTACHED}/origin.json"
SIGNATURE = f"{ATTACHED}/statement.dsse.json"
ATTACHED_SIGNATURE = f"{ATTACHED}/attached.dsse.json"
LOCK = f"{ATTACHED}/pylock.toml"
TRAINING_LOCK = f"{ATTACHED}/pylock.training.toml"
"""Of what the training process had; no bundle from before it was made has one."""
SBOM = f"{ATTACHED}/sbom.cdx.json"
CARD_WORDS = f"{ATTACHED}/card.toml"
"""What a person wrote for the card; the rest of it is made from records."""
CARD = f"{ATTACHED}/card.md"
CARD_HTML = f"{ATTACHED}/card.html"
MLFLOW_WRITES = "registered_model_meta"
"""MLflow adds this one file to a folder it loads from; with the content that MLflow writes it is ignored, never trusted."""

Scores = Literal["logits", "probabilities", "values"]


class BundleFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file: path inside the bundle with forward slashes, size in bytes, ``sha256:…``."""

    path: str
    bytes: int
    sha256: str


class Normalization(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``(x - mean) / std`` on one input of the graph: one number, or one for each index of axis 1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


class OperatingPoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How probabilities become a label.

    Attributes
    ----------
    temperature : logits are divided by it; 1 leaves them
    thresholds : label → probability from which that label is answered, before any label without a threshold
    otherwise : answer when every label has a threshold and none is reached; empty: the most probable label
    chosen_on : digest of the rows that they were chosen on, or empty
    """

    temperature: float = 1.0
    thresholds: dict[str, float] = {}
    otherwise: str = ""
    chosen_on: str = ""


class Ensemble(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the members of one graph were combined; ``weights`` sum to 1."""

    combine: Literal["mean", "vote", "weighted"]
    weights: tuple[float, ...]


class Bundle(Record, frozen=True, kw_only=True, tag="bundle/1"):
    """A packaged model.

    Attributes
    ----------
    scores : what the first output holds: logits or probabilities of classes, or plain values
    labels : class names in the order of the scores' last axis; empty for values
    preprocess : name of the function in ``code/preprocess.py``, empty when the graph takes the raw input
    postprocess : name of the function in ``code/postprocess.py`` that makes the outputs out of what the graph gives
    normalization : by name of an input of the graph
    snapshot : digest of the training data that was named at packaging, or empty
    snapshot_values : how many of their values ``snapshot.json`` states as they are; unset without a snapshot
    """

    name: str
    contract: Contract
    scores: Scores
    labels: tuple[str, ...] = ()
    preprocess: str = ""
    snapshot: str = ""
    files: tuple[BundleFile, ...] = ()
    postprocess: str | UnsetType = UNSET
    normalization: dict[str, Normalization] | UnsetType = UNSET
    operating_point: OperatingPoint | UnsetType = UNSET
    ensemble: Ensemble | UnsetType = UNSET
    snapshot_values: int | UnsetType = UNSET

    def __post_init__(self) -> None:
        if not self.contract.outputs:
            raise ValueError("the contract of a bundle has outputs")

    @property
    def has_code(self) -> bool:
        """Whether answering runs code of the bundle."""
        return bool(self.preprocess or self.postprocess)

    @property
    def functions(self) -> tuple[str, ...]:
        """The names of that code's functions."""
        return tuple(name for name in (self.preprocess, self.postprocess) if name)

    def holds(self, path: str) -> bool:
        """Whether the manifest lists a file."""
        return any(entry.path == path for entry in self.files)


class Training(msgspec.Struct, frozen=True, kw_only=True):
    """Where a model comes from, as far as the process that held it could tell.

    Attributes
    ----------
    requirements : ``name==version`` of what that process had imported, and of what that requires
    cells : sha256 of each executed cell of the notebook, in the order of execution
    mlflow_run, parameters, metrics : the MLflow run that was active, or that logged the model which was taken over
    seeds : generator → seed, where it can be read
    cuda, driver : versions, empty without a GPU
    untrainable : why the module cannot be brought back; empty when it can
    adopted : the models of other tools that were taken over, as they were named; nothing is then told of this process
    """

    requirements: tuple[str, ...] = ()
    cells: tuple[str, ...] = ()
    mlflow_run: str = ""
    parameters: dict[str, str] = {}
    metrics: dict[str, float] = {}
    seeds: dict[str, int] = {}
    cuda: str = ""
    driver: str = ""
    untrainable: str = ""
    adopted: str = ""


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Who made the bundle, when, where; attached, outside the digest.

    Attributes
    ----------
    git_dirty : sha256 of the difference between the working tree and the commit; empty when there is none
    notebook_digest : that of the notebook's code cells as saved
    """

    created_at: str
    actor: str
    python: str
    platform: str
    notebook: str = ""
    git_commit: str = ""
    run: str = ""
    git_dirty: str = ""
    notebook_digest: str = ""
    training: Training = Training()
