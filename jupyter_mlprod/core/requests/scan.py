"""Request of ``scan``."""

from jupyter_mlprod.core.requests.base import Request, SubjectText


class Scan(Request, frozen=True, kw_only=True, tag="scan"):
    """Look at every byte of a bundle without running any of it: digests as in the manifest, no pickle anywhere."""

    subject: SubjectText
