"""Request of ``show``."""

from jupyter_mlprod.core.requests.base import Request, SubjectText


class Show(Request, frozen=True, kw_only=True, tag="show"):
    """Show a bundle, or any stored record by its digest. Runs no code of it."""

    subject: SubjectText
