"""The bill of materials in ``attached/``: CycloneDX 1.6 as JSON (cyclonedx.org/docs/1.6/json).

The model is the component that it is about, with its ``modelCard``; packages, files and training data are its parts. Numbers are those
of the evidence, unrounded. What only the training process had imported is listed with the scope ``excluded``: it does not answer.
"""

import uuid
from typing import Any

import msgspec

from jupyter_mlprod.core.contract import Column, Input, Text
from jupyter_mlprod.core.dossier import Dossier
from jupyter_mlprod.core.evidence import Measure
from jupyter_mlprod.core.licenses import license_of
from jupyter_mlprod.core.lock import normalized
from jupyter_mlprod.core.record import DIGEST_PREFIX
from jupyter_mlprod.core.statement import DIGEST

SPECIFICATION = "http://cyclonedx.org/schema/bom-1.6.schema.json"
MODEL, DATA = "model", "training-data"
QUANTITATIVE = ("quality", "latency", "parity")


def sbom_text(dossier: Dossier) -> str:
    """The document; the same dossier gives the same bytes."""
    packages = _packages(dossier)
    document = {
        "$schema": SPECIFICATION,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, dossier.digest)}",
        "version": 1,
        "metadata": {**({"timestamp": dossier.as_of} if dossier.as_of else {}), "component": _model(dossier)},
        "components": [*packages, *_files(dossier), *_data(dossier)],
        "dependencies": [{"ref": MODEL, "dependsOn": [package["bom-ref"] for package in packages if package["scope"] == "required"]}],
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=1).decode() + "\n"


def package_url(pin: str) -> str:
    """``name==version`` as a package URL; the name as PyPI normalizes it, a local version escaped.

    Examples
    --------
    >>> package_url("Torch==2.13.0+cpu")
    'pkg:pypi/torch@2.13.0%2Bcpu'
    """
    name, _, version = pin.partition("==")
    return f"pkg:pypi/{normalized(name)}@{version.replace('+', '%2B')}"


def version_in(pins: tuple[str, ...], package: str) -> str:
    """The version that the pins state for a package, or the empty string."""
    return next((version for name, _, version in (pin.partition("==") for pin in pins) if normalized(name) == package), "")


def _hash(sha256: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": sha256.removeprefix(DIGEST_PREFIX)}


def _model(dossier: Dossier) -> dict[str, Any]:
    bundle, words = dossier.bundle, dossier.words
    component: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": MODEL,
        "name": bundle.name,
        "version": dossier.digest,
        "hashes": [_hash(dossier.digest)],
    }
    if words.license:
        component["licenses"] = [{"license": {"name": words.license}}]
    return component | {"modelCard": _card(dossier)}


def _card(dossier: Dossier) -> dict[str, Any]:
    bundle = dossier.bundle
    parameters: dict[str, Any] = {"task": "classification"} if bundle.labels else {}
    if bundle.snapshot:
        parameters["datasets"] = [{"ref": DATA}]
    parameters["inputs"] = [{"format": field_text(field)} for field in bundle.contract.inputs]
    parameters["outputs"] = [{"format": field_text(field)} for field in bundle.contract.outputs]
    card: dict[str, Any] = {"modelParameters": parameters}
    measures = [measure for kind in QUANTITATIVE if kind in dossier.evidence for measure in dossier.evidence[kind].measures]
    if measures:
        card["quantitativeAnalysis"] = {"performanceMetrics": [_metric(measure) for measure in measures]}
    words = dossier.words
    considerations: dict[str, Any] = {}
    if words.intended_use:
        considerations["useCases"] = [words.intended_use]
    if words.limitations:
        considerations["technicalLimitations"] = [words.limitations]
    if words.ethics:
        considerations["ethicalConsiderations"] = [{"name": words.ethics}]
    return card | ({"considerations": considerations} if considerations else {})


def field_text(field: Input) -> str:
    """A field of the contract in one line, such as ``image: float32 (batch, 1, 8, 8)``."""
    if isinstance(field, Text):
        return f"{field.name}: text"
    if isinstance(field, Column):
        return f"{field.name}: column of {field.type}"
    return f"{field.name}: {field.dtype} ({', '.join(map(str, field.shape))})"


def _metric(measure: Measure) -> dict[str, Any]:
    unit = "" if measure.unit == "1" else f" [{measure.unit}]"
    metric: dict[str, Any] = {"type": f"{measure.name}{unit}", "value": repr(measure.value)}
    if measure.where:
        metric["slice"] = ", ".join(f"{key}={value}" for key, value in sorted(measure.where.items()))
    if measure.low is not None and measure.high is not None:
        metric["confidenceInterval"] = {"lowerBound": repr(measure.low), "upperBound": repr(measure.high)}
    return metric


def _packages(dossier: Dossier) -> list[dict[str, Any]]:
    hashes = {str(package.pin): [_hash(file.hashes.sha256) for file in package.files] for package in dossier.locked}
    answering = {package_url(pin): pin for pin in dossier.requirements}
    training = {package_url(pin): pin for pin in (dossier.origin.training.requirements if dossier.origin else ())}
    found = []
    for url, pin in sorted((training | answering).items()):
        name, _, version = pin.partition("==")
        component: dict[str, Any] = {
            "type": "library",
            "bom-ref": url,
            "name": name,
            "version": version,
            "purl": url,
            "scope": "required" if url in answering else "excluded",
        }
        if pin in hashes:
            component["hashes"] = hashes[pin]
        said = license_of(name, version)
        if said.expression:
            component["licenses"] = [{"expression": said.expression}]
        elif said.name:
            component["licenses"] = [{"license": {"name": said.name}}]
        found.append(component)
    return found


def _files(dossier: Dossier) -> list[dict[str, Any]]:
    return [
        {"type": "file", "bom-ref": f"file:{entry.path}", "name": entry.path, "hashes": [_hash(entry.sha256)]}
        for entry in dossier.bundle.files
    ]


def _data(dossier: Dossier) -> list[dict[str, Any]]:
    """The training data; its rows are not in the bundle, only their digest."""
    if not dossier.bundle.snapshot:
        return []
    component: dict[str, Any] = {
        "type": "data",
        "bom-ref": DATA,
        "name": "training data",
        "data": [{"type": "dataset", "name": "training data"}],
    }
    if DIGEST.fullmatch(dossier.bundle.snapshot):
        component["hashes"] = [_hash(dossier.bundle.snapshot)]
    if dossier.snapshot_rows is not None:
        component["properties"] = [{"name": "mlprod:rows", "value": str(dossier.snapshot_rows)}]
    if dossier.words.data_license:
        component["licenses"] = [{"license": {"name": dossier.words.data_license}}]
    return [component]
