"""Request of ``check``."""

from typing import Annotated

from jupyter_mlprod.core.requests.base import Request, SubjectText, option


class Check(Request, frozen=True, kw_only=True, tag="check"):
    """Hold data against a bundle's contract: types, shapes, ranges, nulls, categories."""

    subject: SubjectText
    data: Annotated[
        str,
        option(
            "raw rows: an array or table of the notebook, or a .npy, .npz, .csv or .parquet file",
            live="array",
            names="file",
            metavar="DATA",
        ),
    ]
