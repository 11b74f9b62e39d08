"""Request of ``compare``."""

from typing import Annotated

from jupyter_mlprod.core.requests.base import Request, subject_option


class Compare(Request, frozen=True, kw_only=True, tag="compare"):
    """Put the newest evidence of two bundles side by side, with intervals; nothing is subtracted."""

    first: Annotated[str, subject_option("the one")]
    second: Annotated[str, subject_option("the other")]
