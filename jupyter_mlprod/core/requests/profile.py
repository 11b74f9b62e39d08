"""Request of ``profile``."""

from typing import Annotated

import msgspec

from jupyter_mlprod.core.requests.base import Request, SubjectText, Threads, Trust, option


class Profile(Request, frozen=True, kw_only=True, tag="profile"):
    """Measure latency percentiles, throughput and cold start of a bundle on this machine's CPU.

    What is timed is the whole answer, raw input to label, by ONNX Runtime; the model alone is timed beside it.
    """

    subject: SubjectText
    batches: Annotated[tuple[int, ...], option("batch sizes, comma-separated", metavar="N,N")] = (1, 32)
    threads: Threads = 1
    budget_s: Annotated[float, option("seconds of measuring for each batch size, at most", metavar="S"), msgspec.Meta(gt=0, le=3600)] = 5.0
    trust: Trust = ""
