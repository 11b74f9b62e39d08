"""Request of ``evaluate``."""

from typing import Annotated

from jupyter_mlprod.core.requests.base import Request, SubjectText, Threads, Trust, option


class Evaluate(Request, frozen=True, kw_only=True, tag="evaluate"):
    """Measure quality on labeled rows: whole, per class, per slice, calibration, and paired against the champion."""

    subject: SubjectText
    data: Annotated[str, option("raw rows: an array or table of the notebook, or a file", live="array", names="file", metavar="DATA")]
    target: Annotated[
        str,
        option(
            "true answers: class index or label per row; an array, a file, or a column of the data",
            live="columns",
            names="file",
            metavar="TARGET",
        ),
    ]
    slices: Annotated[
        str, option("columns to slice by, comma-separated: of the data, or arrays of the notebook", live="columns", metavar="NAMES")
    ] = ""
    threads: Threads = 1
    trust: Trust = ""
