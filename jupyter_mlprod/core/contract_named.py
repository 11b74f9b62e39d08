"""A subject of ``contract`` as the contract that it names: a bundle's, a file's, a stored record's, or an MLflow model's signature."""

import shutil
import uuid
from pathlib import Path

from jupyter_mlprod.core.bundle import MANIFEST, Bundle
from jupyter_mlprod.core.contract import Contract
from jupyter_mlprod.core.contract_toml import LONGEST_BYTES, Read, read_contract
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.form_mlflow import contract_of_signature
from jupyter_mlprod.core.mlmodel import MLMODEL
from jupyter_mlprod.core.ports import Ports
from jupyter_mlprod.core.resolve import find_bundle
from jupyter_mlprod.core.subject import MODEL_URI, names_file, parse_model_uri, parse_subject

TOML = ".toml"


def named_contract(word: str, ports: Ports) -> Read:
    """The contract that a word names.

    Raises
    ------
    MlprodError : ``bad-contract``, ``unknown-subject``, ``bundle-broken`` or ``bad-model``, by what it names.
    """
    if names_toml(word):
        return read_contract(toml_file(word), name=Path(word).name)
    if is_model(word):
        return _logged(word, ports)
    if parse_subject(word).kind == "digest":
        matches = [ports.records.get(found) for found in ports.records.matching(word)]
        found = [one if isinstance(one, Contract) else one.contract for one in matches if isinstance(one, Contract | Bundle)]
        if len(found) == 1:
            return Read(contract=found[0])
    return Read(contract=find_bundle(word, ports).bundle.contract)


def names_toml(word: str) -> bool:
    """Whether a word is a file of TOML, or is meant to be one."""
    return word.endswith(TOML)


def toml_file(path: str) -> str:
    """The text of a file.

    Raises
    ------
    MlprodError : ``bad-contract`` when it is not there, is larger than 8 MB, or no UTF-8.
    """
    if not names_file(path):
        raise MlprodError(
            Code.BAD_CONTRACT, f"there is no file {path[:200]!r}", hint="mlprod contract infer DATA --out contract.toml writes one"
        )
    try:
        with Path(path).open("rb") as stream:
            data = stream.read(LONGEST_BYTES + 1)
        text = data.decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise MlprodError(Code.BAD_CONTRACT, f"{path} cannot be read: {reason}") from None
    if len(data) > LONGEST_BYTES:
        raise MlprodError(Code.BAD_CONTRACT, f"{path} is larger than {LONGEST_BYTES:,} bytes")
    return text


def is_model(word: str) -> bool:
    """Whether a word names an MLflow model that is no bundle: its ``MLmodel``, its folder, or ``models:/…``."""
    if word.startswith(MODEL_URI):
        return True
    try:
        path = Path(word)
        return (path.name == MLMODEL and path.is_file()) or ((path / MLMODEL).is_file() and not (path / MANIFEST).exists())
    except (OSError, ValueError):  # a name that is no path
        return False


def _logged(word: str, ports: Ports) -> Read:
    """The signature of a model folder, or of one that the registry hands over; nothing of it is loaded."""
    if not word.startswith(MODEL_URI):
        path = Path(word)
        return contract_of_signature(ports.signatures.signature(path.parent if path.name == MLMODEL else path), name=word)
    subject = parse_model_uri(word)
    version = int(subject.rest) if subject.kind == "version" else ports.registry.alias(subject.name, subject.rest)
    if version is None:
        raise MlprodError(Code.UNKNOWN_SUBJECT, f"the registry has no {word[:120]!r}")
    folder = ports.scratch / f"signature-{uuid.uuid4().hex[:12]}"
    try:
        return contract_of_signature(ports.signatures.signature(ports.registry.fetch(subject.name, version, folder)), name=word)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
