"""Provenance: how a bundle was made, as the predicate of SLSA provenance v1 (slsa.dev/spec/v1.0/provenance).

It tells what was recorded and leaves out what was not. It is no proof: the machine that packages also signs, which is SLSA build level 1.
"""

import re
from typing import Any

from jupyter_mlprod.core.bundle import Origin
from jupyter_mlprod.core.dossier import Dossier, stamp, time_of
from jupyter_mlprod.core.record import DIGEST_PREFIX
from jupyter_mlprod.core.sbom import package_url, version_in
from jupyter_mlprod.core.statement import DIGEST
from jupyter_mlprod.core.subject import MODEL_URI

BUILD_TYPE = "https://jupyter-mlprod/package/v1"
BUILDER = "https://jupyter-mlprod/package"
BUILDER_PACKAGE = "jupyter-mlprod"
COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
"""A digest of git, by SHA-1 or SHA-256; an origin may hold words in its place, when git did not answer."""


def provenance(dossier: Dossier) -> dict[str, Any]:
    """The predicate."""
    origin = dossier.origin
    metadata = {}
    if origin is not None:
        made = time_of(origin.created_at)
        metadata = _given({"invocationId": origin.run, "finishedOn": stamp(made) if made else ""})
    version = version_in(dossier.requirements, BUILDER_PACKAGE)
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": _external(dossier),
            "internalParameters": _internal(origin) if origin else {},
            "resolvedDependencies": _dependencies(dossier),
        },
        "runDetails": {
            "builder": {"id": BUILDER, **({"version": {BUILDER_PACKAGE: version}} if version else {})},
            **({"metadata": metadata} if metadata else {}),
        },
    }


def _external(dossier: Dossier) -> dict[str, Any]:
    """What the person who packaged has chosen."""
    bundle = dossier.bundle
    return _given(
        {
            "name": bundle.name,
            "scores": bundle.scores,
            "labels": list(bundle.labels),
            "preprocess": bundle.preprocess,
            "postprocess": bundle.postprocess or "",
            "notebook": dossier.origin.notebook if dossier.origin else "",
        }
    )


def _internal(origin: Origin) -> dict[str, Any]:
    """What the machine brought along."""
    training = origin.training
    return _given(
        {
            "actor": origin.actor,
            "python": origin.python,
            "platform": origin.platform,
            "cuda": training.cuda,
            "driver": training.driver,
            "seeds": training.seeds,
            "executedCells": list(training.cells),
        }
    )


def _dependencies(dossier: Dossier) -> list[dict[str, Any]]:
    """What went in, as in-toto resource descriptors."""
    bundle, origin = dossier.bundle, dossier.origin
    found: list[dict[str, Any]] = []
    if origin is not None and COMMIT.fullmatch(origin.git_commit):
        commit: dict[str, Any] = {"name": "git commit", "digest": {"gitCommit": origin.git_commit}}
        found.append(commit | ({"annotations": {"uncommittedChanges": origin.git_dirty}} if origin.git_dirty else {}))
    if origin is not None and DIGEST.fullmatch(origin.notebook_digest):
        found.append({"name": "code cells of the notebook", "digest": _sha256(origin.notebook_digest)})
    if DIGEST.fullmatch(bundle.snapshot):
        found.append({"name": "training data", "digest": _sha256(bundle.snapshot)})
    if origin is not None and origin.training.mlflow_run:
        found.append({"name": "training run", "uri": f"runs:/{origin.training.mlflow_run}"})
    adopted = origin.training.adopted.split(", ") if origin else ()
    found += [{"name": "model that was taken over", "uri": uri} for uri in adopted if uri.startswith(MODEL_URI)]
    training = origin.training.requirements if origin else ()
    return found + [{"uri": package_url(pin)} for pin in sorted({*dossier.requirements, *training})]


def _sha256(digest: str) -> dict[str, str]:
    return {"sha256": digest.removeprefix(DIGEST_PREFIX)}


def _given(facts: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in facts.items() if value}
