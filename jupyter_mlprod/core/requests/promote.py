"""Request of ``promote``."""

from typing import Annotated

from jupyter_mlprod.core.requests.base import Request, SubjectText, option


class Promote(Request, frozen=True, kw_only=True, tag="promote"):
    """Register a bundle and give it an alias, on a stored passing verdict for exactly its digest.

    Inside a gate run the promotion is only asked for; it is carried out after the whole notebook has passed.
    """

    subject: SubjectText
    to: Annotated[str, option("the alias", metavar="ALIAS")] = "champion"
    why: Annotated[str, option("the reason, kept in the history", metavar="TEXT")] = ""
