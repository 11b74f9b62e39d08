"""Request of ``keygen``."""

from jupyter_mlprod.core.requests.base import Request


class Keygen(Request, frozen=True, kw_only=True, tag="keygen"):
    """Make this workspace's signing key if there is none, and show the line by which others trust it. A key is never overwritten."""
