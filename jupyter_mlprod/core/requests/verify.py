"""Request of ``verify``."""

from jupyter_mlprod.core.requests.base import Request, SubjectText


class Verify(Request, frozen=True, kw_only=True, tag="verify"):
    """Verify digests, both signatures, ledger chain and registry alias of a bundle, and say who signed. Runs no code of it."""

    subject: SubjectText
