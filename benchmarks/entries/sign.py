"""Signing and verifying a bundle of 50 MB, beside the least that anybody could do: sha256 over the same bytes, once.

Both verify every digest first; signing also makes card and SBOM anew, verifying also asks the ledger. The bytes lie in one file, which no
number of threads hashes faster.
"""

import hashlib
import os
import tempfile
from pathlib import Path

from benchmarks.harness import Entry, Series, Side, interleaved, timed
from jupyter_mlprod.core.attach import attach
from jupyter_mlprod.core.bundle import GRAPH_DATA, Bundle
from jupyter_mlprod.core.contract import Contract, Tensor
from jupyter_mlprod.core.record import digest
from jupyter_mlprod.core.requests import Sign, Verify
from jupyter_mlprod.core.resolve import find_bundle
from jupyter_mlprod.workspace import Workspace, open_workspace

SIZE_BYTES = 50_000_000


def measure(counted: int) -> tuple[Series, ...]:
    """All three in this process, warm, in a workspace of their own."""
    with tempfile.TemporaryDirectory() as name:
        workspace = open_workspace(Path(name))
        subject = _bundle(workspace)
        weights = workspace.bundles.path(subject) / GRAPH_DATA
        sides = (
            Side(name="mlprod sign", take=lambda: timed(lambda: workspace.run(Sign(subject=subject)))),
            Side(name="mlprod verify", take=lambda: timed(lambda: workspace.run(Verify(subject=subject)))),
            Side(name="hashlib sha256", take=lambda: timed(lambda: _sha256(weights)), peer=True),
        )
        return interleaved(sides, counted=counted)


def _bundle(workspace: Workspace) -> str:
    """Digest of a signed bundle whose weights are 50 MB of noise."""
    staging = workspace.scratch / "staging"
    staging.mkdir(parents=True)
    (staging / GRAPH_DATA).write_bytes(os.urandom(SIZE_BYTES))
    tensor = Tensor(name="x", dtype="float32", shape=("batch", 1))
    bundle = Bundle(name="noise", contract=Contract(inputs=(tensor,), outputs=(tensor,)), scores="values")
    made = digest(workspace.bundles.add(staging, bundle, workspace.machine.origin(notebook="", run="")))
    attach(find_bundle(made, workspace), workspace)
    return made


def _sha256(path: Path) -> None:
    with path.open("rb") as stream:
        hashlib.file_digest(stream, "sha256")


SIGN = Entry(
    name="sign",
    what="sign, and verify, a bundle of 50 MB: every byte hashed once, both statements; beside sha256 alone",
    bar_s=0.25,
    clock="wall",
    counted=9,
    packages=("cryptography",),
    measure=measure,
)
