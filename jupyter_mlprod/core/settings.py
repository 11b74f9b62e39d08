"""Settings: where things are. ``[settings]`` of mlprod.toml; ``MLPROD_<FIELD>`` in the environment overrides each field.

What changes a decision is policy, never a setting.
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from jupyter_mlprod.core.document import decode_toml
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.policy import Policy, read_policies

PREFIX = "MLPROD_"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a workspace.

    Attributes
    ----------
    tracking_uri : MLflow tracking server; empty for the embedded SQLite store in ``.mlprod/``
    actor : who the history names; empty for login@host
    trusted_keys : base64 Ed25519 public keys, besides the workspace's own, whose bundles may run their code here
    lock : ``hashes`` asks a package index for the hashes of what a bundle needs; ``pins`` asks nobody
    advisories : where known vulnerabilities are looked up: a folder of OSV records, or a package index's JSON address; empty: nowhere
    """

    tracking_uri: str = ""
    actor: str = ""
    trusted_keys: tuple[str, ...] = ()
    lock: Literal["hashes", "pins"] = "hashes"
    advisories: str = ""


class SettingsDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The part of ``mlprod.toml`` that holds settings."""

    settings: Settings = Settings()
    policy: dict[str, Any] = {}


def read_document(text: str, *, name: str, environ: Mapping[str, str]) -> tuple[Settings, dict[str, Policy]]:
    """Settings, overridden by the environment, and policies.

    Raises
    ------
    MlprodError : ``bad-settings`` with every fault of the file at once.
    """
    faults: list[str] = []
    settings, policies = Settings(), dict[str, Policy]()
    try:
        settings = decode_toml(text, SettingsDocument, name=name, code=Code.BAD_SETTINGS).settings
    except MlprodError as error:
        faults += error.message.splitlines()
    try:
        policies = read_policies(text, name=name)
    except MlprodError as error:
        faults += [line for line in error.message.splitlines() if line not in faults]
    if faults:
        raise MlprodError(Code.BAD_SETTINGS, "\n".join(faults), hint=f"edit {name}; the settings and rules are in docs/reference.md")
    overrides: dict[str, Any] = {
        field: environ[PREFIX + field.upper()] for field in Settings.__struct_fields__ if PREFIX + field.upper() in environ
    }
    if "trusted_keys" in overrides:
        overrides["trusted_keys"] = tuple(key for key in overrides["trusted_keys"].split(",") if key)
    try:
        return msgspec.convert({**msgspec.structs.asdict(settings), **overrides}, Settings), policies
    except msgspec.ValidationError as error:
        raise MlprodError(Code.BAD_SETTINGS, f"environment: {error}", hint=f"the variables {PREFIX}… are in docs/reference.md") from None
