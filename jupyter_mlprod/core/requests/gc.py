"""Request of ``gc``."""

from typing import Annotated

from jupyter_mlprod.core.requests.base import Request, option


class Gc(Request, frozen=True, kw_only=True, tag="gc"):
    """Say what could be freed: bundles that no alias, verdict or rollback needs, captures, and finished runs."""

    delete: Annotated[bool, option("free it")] = False
