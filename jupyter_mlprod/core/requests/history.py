"""Request of ``history``."""

from typing import Annotated

from jupyter_mlprod.core.requests.base import Request, option


class History(Request, frozen=True, kw_only=True, tag="history"):
    """Tell who made which version champion, when, why, and on which verdict."""

    name: Annotated[str, option("name of the model", positional=True, names="subject", metavar="NAME")]
    alias: Annotated[str, option("only moves of this alias", metavar="ALIAS")] = ""
