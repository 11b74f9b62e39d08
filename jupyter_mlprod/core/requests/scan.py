"""Request of ``scan``."""

from typing import Annotated

from jupyter_mlprod.core.requests.base import Request, option, subject_option


class Scan(Request, frozen=True, kw_only=True, tag="scan"):
    """Look into a bundle, a file or a notebook without running any of it: pickle, hostile code, secrets, personal data, licenses.

    Exit status: 0 clean, 1 a hostile finding, 2 it cannot be read.
    """

    subject: Annotated[str, subject_option("a bundle (NAME, NAME@ALIAS, NAME:VERSION, sha256:…, a path), any file, or a notebook")]
    advisories: Annotated[
        str,
        option(
            "where known vulnerabilities are looked up: a folder of OSV records, or an index's JSON address",
            names="file",
            metavar="SOURCE",
        ),
    ] = ""
