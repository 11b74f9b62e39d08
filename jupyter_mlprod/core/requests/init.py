"""Request of ``init``."""

from typing import Annotated, Literal

import msgspec

from jupyter_mlprod.core.requests.base import Request, option


class Init(Request, frozen=True, kw_only=True, tag="init"):
    """Write a commented mlprod.toml, and the parameters and gate cells of a notebook.

    Nothing that exists is overwritten; on a terminal, what was not given as an option is asked.
    """

    notebook: Annotated[
        str, option("notebook that gets a parameters cell and gate cells at its end", positional=True, names="file", metavar="NOTEBOOK")
    ] = ""
    use_case: Annotated[str, option("what the prediction is for, in one sentence", metavar="TEXT")] = ""
    consumer: Annotated[Literal["person", "service", "batch"], option("who consumes the prediction")] = "service"
    latency: Annotated[float, option("budget for the 99th percentile of one answer, in ms", metavar="MS"), msgspec.Meta(gt=0)] = 50.0
    cost: Annotated[
        float, option("least throughput that pays, in rows per second on one core", metavar="ROWS_PER_S"), msgspec.Meta(ge=0)
    ] = 100.0
    security: Annotated[Literal["signed", "open"], option("signed: a bundle must carry a trusted signature to be promoted")] = "signed"
    quality: Annotated[float, option("least accuracy that is worth releasing, 0 to 1", metavar="ACCURACY"), msgspec.Meta(ge=0, le=1)] = 0.9
