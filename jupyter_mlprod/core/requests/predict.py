"""Request of ``predict``."""

from typing import Annotated

from jupyter_mlprod.core.requests.base import Request, SubjectText, Threads, Trust, option


class Predict(Request, frozen=True, kw_only=True, tag="predict"):
    """Answer raw rows with a bundle; rows that break its contract are refused."""

    subject: SubjectText
    data: Annotated[
        str, option("raw rows: an array or table of the notebook, or a file", live="array", positional=True, names="file", metavar="DATA")
    ]
    out: Annotated[str, option("file for all answers: .csv, .parquet or .npz", positional=True, names="file", metavar="OUT")] = ""
    threads: Threads = 1
    trust: Trust = ""
