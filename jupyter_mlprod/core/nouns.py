"""All record types in one union, so that any stored record can be read back by its ``schema``."""

import msgspec

from jupyter_mlprod.core.bundle import Bundle
from jupyter_mlprod.core.contract import Contract
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.evidence import Evidence
from jupyter_mlprod.core.listing import Listing
from jupyter_mlprod.core.notebook import Notebook
from jupyter_mlprod.core.policy import Policy
from jupyter_mlprod.core.portrait import Portrait
from jupyter_mlprod.core.record import digest_bytes
from jupyter_mlprod.core.release import Release
from jupyter_mlprod.core.snapshot import Snapshot
from jupyter_mlprod.core.verdict import Verdict

AnyRecord = Bundle | Contract | Evidence | Listing | Notebook | Policy | Portrait | Release | Snapshot | Verdict
NOUNS = (Bundle, Contract, Evidence, Listing, Notebook, Policy, Portrait, Release, Snapshot, Verdict)


def read_record(data: bytes, *, digest: str) -> AnyRecord:
    """Decode stored bytes and hold them against the digest they were stored under.

    Raises
    ------
    MlprodError : ``bad-record`` when the bytes changed or are no record.
    """
    if digest_bytes(data) != digest:
        raise MlprodError(Code.BAD_RECORD, f"the record stored as {digest} has other bytes than its digest says")
    try:
        record: AnyRecord = msgspec.json.decode(data, type=AnyRecord)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise MlprodError(Code.BAD_RECORD, f"{digest} is no record: {error}") from None
    return record
