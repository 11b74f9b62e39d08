"""Request of ``check``."""

from typing import Annotated, Literal

import msgspec

from jupyter_mlprod.core.requests.base import Request, SubjectText, Trust, option


class Check(Request, frozen=True, kw_only=True, tag="check"):
    """Hold data against a bundle's contract, and look at its quality, parity, skew and leakage."""

    subject: SubjectText
    data: Annotated[
        str,
        option(
            "raw rows: an array or table of the notebook, a .npy, .npz, .csv or .parquet file, or a folder of images",
            live="array",
            names="file",
            metavar="DATA",
        ),
    ]
    view: Annotated[
        Literal["serving", "training"],
        option("the side of the contract: what a request has, or what training data has, with the label"),
    ] = "serving"
    prepared: Annotated[
        str,
        option(
            "parity: what the notebook's own preprocessing made of the same rows, to compare with the bundle's",
            live="array",
            names="file",
            metavar="DATA",
        ),
    ] = ""
    online: Annotated[
        str,
        option("skew: the same features as they were logged online, to compare row by row", live="array", names="file", metavar="DATA"),
    ] = ""
    key: Annotated[
        str, option("skew: the column that says which logged row is which row of the data; several, comma-separated", metavar="NAMES")
    ] = ""
    validation: Annotated[
        str,
        option("leakage: the rows of the second split, of which none may be among the data", live="array", names="file", metavar="DATA"),
    ] = ""
    target: Annotated[str, option("leakage: the label's column in the data, when the contract has no target", metavar="NAME")] = ""
    tolerance: Annotated[
        float,
        option("parity and skew: how far two numbers may be apart, as a part of what is usual in their column", metavar="T"),
        msgspec.Meta(ge=0, le=1),
    ] = 1e-6
    trust: Trust = ""
