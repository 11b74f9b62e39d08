"""The bill of materials, held against CycloneDX's own schema, and against what the dossier says."""

import json
from importlib.metadata import version
from typing import Any

import msgspec
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from jupyter_mlprod.core.bundle import BundleFile, Origin, Training
from jupyter_mlprod.core.dossier import Dossier, Words
from jupyter_mlprod.core.licenses import license_of
from jupyter_mlprod.core.lock import Hashes, LockedFile, LockedPackage
from jupyter_mlprod.core.sbom import package_url, sbom_text
from tests.core.test_card import DIGEST, QUALITY, dossier, hostile

NUMPY = f"numpy=={version('numpy')}"


def whole() -> Dossier:
    """A dossier with everything that an SBOM tells."""
    base = dossier(
        evidence={"quality": QUALITY}, snapshot_rows=1797, requirements=(NUMPY, "no-such-package==1.0"), as_of="2026-11-25T10:00:00Z"
    )
    bundle = msgspec.structs.replace(
        base.bundle, snapshot="sha256:" + "ef" * 32, files=(BundleFile(path="model.onnx", bytes=3, sha256="sha256:" + "12" * 32),)
    )
    words = Words(intended_use="sorting", limitations="ink only", ethics="none known", license="Apache-2.0", data_license="CC-BY-4.0")
    origin = Origin(created_at="", actor="", python="", platform="", training=Training(requirements=(NUMPY, "torch==2.13.0+cpu")))
    files = tuple(LockedFile(name=f"{sha256}.whl", hashes=Hashes(sha256=sha256 * 32)) for sha256 in ("aa", "bb"))
    locked = (LockedPackage(name="numpy", version=version("numpy"), wheels=files),)
    return msgspec.structs.replace(base, bundle=bundle, words=words, origin=origin, locked=locked)


def read(about: Dossier) -> dict[str, Any]:
    text = sbom_text(about)
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    assert error is None, error
    document: dict[str, Any] = json.loads(text)
    return document


@pytest.mark.parametrize("about", [dossier(), whole(), hostile()], ids=["bare", "whole", "hostile"])
def test_it_keeps_the_schema_of_cyclonedx_1_6(about: Dossier) -> None:
    assert read(about)["specVersion"] == "1.6"


def test_the_schema_is_really_asked() -> None:
    broken = json.loads(sbom_text(whole()))
    broken["metadata"]["component"]["modelCard"]["modelParameters"]["colour"] = "red"
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(broken)) is not None


def test_the_model_is_the_component_with_its_card_and_the_numbers_of_the_evidence() -> None:
    component = read(whole())["metadata"]["component"]
    assert (component["type"], component["name"], component["version"]) == ("machine-learning-model", "digits", DIGEST)
    assert component["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]
    card = component["modelCard"]
    assert card["modelParameters"]["task"] == "classification"
    assert card["modelParameters"]["inputs"] == [{"format": "image: float32 (batch, 1, 8, 8)"}]
    assert card["modelParameters"]["datasets"] == [{"ref": "training-data"}]
    metrics = card["quantitativeAnalysis"]["performanceMetrics"]
    assert [float(metric["value"]) for metric in metrics] == [measure.value for measure in QUALITY.measures]
    assert float(metrics[0]["confidenceInterval"]["upperBound"]) == QUALITY.measures[0].high
    assert metrics[1]["slice"] == "class=3"
    assert card["considerations"] == {
        "useCases": ["sorting"], "technicalLimitations": ["ink only"], "ethicalConsiderations": [{"name": "none known"}],
    }  # fmt: skip


def test_what_is_not_known_is_left_out() -> None:
    card = read(dossier())["metadata"]["component"]["modelCard"]
    assert set(card) == {"modelParameters"}
    assert "timestamp" not in read(dossier())["metadata"]


def test_packages_files_and_data_are_components_with_licenses_and_hashes() -> None:
    found = {component["bom-ref"]: component for component in read(whole())["components"]}
    numpy = found[package_url(NUMPY)]
    assert numpy["scope"] == "required"
    assert [entry["content"] for entry in numpy["hashes"]] == ["aa" * 32, "bb" * 32]
    assert numpy["licenses"] == [{"expression": license_of("numpy", version("numpy")).expression}]
    assert "licenses" not in found["pkg:pypi/no-such-package@1.0"]
    assert found["pkg:pypi/torch@2.13.0%2Bcpu"]["scope"] == "excluded", "it trained the model and does not answer"
    assert found["file:model.onnx"]["hashes"][0]["content"] == "12" * 32
    assert found["training-data"]["properties"] == [{"name": "mlprod:rows", "value": "1797"}]
    assert found["training-data"]["licenses"] == [{"license": {"name": "CC-BY-4.0"}}]
    assert read(whole())["dependencies"] == [{"ref": "model", "dependsOn": ["pkg:pypi/no-such-package@1.0", package_url(NUMPY)]}]


def test_the_same_dossier_gives_the_same_bytes_and_the_serial_number_is_the_digests() -> None:
    assert sbom_text(whole()) == sbom_text(whole())
    other = msgspec.structs.replace(whole(), digest="sha256:" + "cd" * 32)
    assert read(whole())["serialNumber"] == read(dossier())["serialNumber"] != read(other)["serialNumber"]


def test_a_license_is_that_of_exactly_the_installed_version() -> None:
    assert license_of("numpy", version("numpy")).expression
    assert license_of("numpy", "0.0.1") == license_of("no-such-package", "1")
