"""Request of ``sign``."""

from typing import Annotated

from jupyter_mlprod.core.requests.base import CardWords, Request, SubjectText, option


class Sign(Request, frozen=True, kw_only=True, tag="sign"):
    """Sign a bundle with this workspace's key, and renew its card and SBOM from the records there are.

    Signatures of others on the bundle stay. To sign is to vouch: this workspace then runs the bundle's code without asking.
    """

    subject: SubjectText
    card: CardWords = ""
    why: Annotated[str, option("the reason, kept in the record", metavar="TEXT")] = ""
