"""Request of ``rollback``."""

from typing import Annotated

from jupyter_mlprod.core.requests.base import Request, option


class Rollback(Request, frozen=True, kw_only=True, tag="rollback"):
    """Give the alias back to the release that held it before."""

    name: Annotated[str, option("name of the model", positional=True, names="subject", metavar="NAME")]
    why: Annotated[str, option("the reason, kept in the history", metavar="TEXT")]
    alias: Annotated[str, option("the alias", metavar="ALIAS")] = "champion"
