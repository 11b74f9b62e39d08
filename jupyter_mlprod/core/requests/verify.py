"""Request of ``verify``."""

from typing import Annotated

from jupyter_mlprod.core.requests.base import Request, SubjectText, Trust, option


class Verify(Request, frozen=True, kw_only=True, tag="verify"):
    """Verify digests, both signatures, ledger chain and registry alias of a bundle, and say who signed. Runs no code, unless rebuilt."""

    subject: SubjectText
    rebuild: Annotated[bool, option("make a fresh environment from the bundle's lock, and compare its golden answers there")] = False
    trust: Trust = ""
