"""Request of ``show``."""

from typing import Annotated

from jupyter_mlprod.core.requests.base import Request, SubjectText, option


class Show(Request, frozen=True, kw_only=True, tag="show"):
    """Show a bundle, or any stored record by its digest. Runs no code of it."""

    subject: SubjectText
    lineage: Annotated[bool, option("show where the bundle comes from: data, run, notebook, commit, seeds, machine")] = False
