"""``doctor``: what is wrong with this installation, each with the command that mends it."""

from jupyter_mlprod.core.checked import count
from jupyter_mlprod.core.errors import MlprodError
from jupyter_mlprod.core.evidence import Evidence, Measure
from jupyter_mlprod.core.ports import Ports
from jupyter_mlprod.core.requests.doctor import Doctor


def run(_request: Doctor, ports: Ports) -> Evidence:
    """One measure ``problems`` a check: 0 or 1, with what was found and how to mend it."""
    key = ports.signer.key()
    signing = ("key", f"this workspace signs with {key.public}; others trust it by trusted_keys", key.fault)
    found = [*ports.machine.problems(), signing, _registry(ports)]
    return Evidence(
        kind="environment",
        subject="this installation",
        taken_at=ports.now(),
        taken_by=ports.taken_by,
        measures=tuple(_measure(*problem) for problem in found),
        context=ports.machine.context(),
    )


def _measure(check: str, what: str, mend: str) -> Measure:
    return count("problems", int(bool(mend)), n=1, where={"check": check}, note=f"{what}; mend: {mend}" if mend else what)


def _registry(ports: Ports) -> tuple[str, str, str]:
    """Ask the registry for an alias that need not exist: an answer of any kind means that it is reachable."""
    try:
        ports.registry.alias("mlprod-doctor", "champion")
    except MlprodError as error:
        return ("registry", error.message, error.hint or "set tracking_uri in mlprod.toml")
    return ("registry", "reachable", "")
