"""Request of ``list``."""

from typing import Annotated

from jupyter_mlprod.core.requests.base import Request, option


class List(Request, frozen=True, kw_only=True, tag="list"):
    """List the bundles of this workspace with their versions, aliases and last verdicts."""

    name: Annotated[str, option("only bundles of this name", positional=True, names="subject", metavar="NAME")] = ""
