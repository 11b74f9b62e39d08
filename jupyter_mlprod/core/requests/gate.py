"""Request of ``gate``."""

from typing import Annotated

import msgspec

from jupyter_mlprod.core.requests.base import Request, option


class Gate(Request, frozen=True, kw_only=True, tag="gate"):
    """Judge a release: re-run a notebook in a fresh kernel, or take a bundle's stored evidence, and hold it against the policy.

    Exit status: 0 pass, 1 fail, 2 bad request, 3 inconclusive or missing evidence, 4 infrastructure, 130 cancelled.
    """

    subjects: Annotated[
        tuple[str, ...], option("notebooks (.ipynb) to re-run, or bundles", positional=True, names="subject", metavar="SUBJECT")
    ]
    parameters: Annotated[dict[str, str], option("a parameter of the notebook; repeatable", flag="-p", metavar="NAME VALUE")] = {}
    output: Annotated[str, option("folder for the executed notebook", flag="-o", metavar="DIR")] = ""
    policy: Annotated[str, option("policy of mlprod.toml, or the built-in 'execution'", names="policy", metavar="NAME")] = "release"
    cell_timeout: Annotated[int, option("seconds one cell may take; 0 is no limit", metavar="S"), msgspec.Meta(ge=0)] = 1800
    promote: Annotated[str, option("give the bundle this alias when its gate has passed", metavar="ALIAS")] = ""
