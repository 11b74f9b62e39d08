"""``keygen``: the workspace's signing key, made when there is none; the private half is never shown."""

from jupyter_mlprod.core.listing import Listing
from jupyter_mlprod.core.ports import Ports
from jupyter_mlprod.core.requests.keygen import Keygen

WHERE = "others write that line under [settings] of their mlprod.toml"


def run(_request: Keygen, ports: Ports) -> Listing:
    """Public key, key id, where the private key lies, and what others write to trust it."""
    key = ports.signer.key()
    rows = (
        ("public key", key.public),
        ("key id", key.id),
        ("private key", key.path),
        ("others trust it by", f'trusted_keys = ["{key.public}"]'),
    )
    return Listing(title="signing key of this workspace", columns=("", "value"), rows=rows, total=len(rows), note=key.fault or WHERE)
