"""The requests, a file a verb. The names here are the verbs of every front; nothing beyond the standard library and msgspec is imported."""

from jupyter_mlprod.core.requests.base import Request
from jupyter_mlprod.core.requests.check import Check
from jupyter_mlprod.core.requests.compare import Compare
from jupyter_mlprod.core.requests.contract import Contract
from jupyter_mlprod.core.requests.doctor import Doctor
from jupyter_mlprod.core.requests.evaluate import Evaluate
from jupyter_mlprod.core.requests.export import Export
from jupyter_mlprod.core.requests.gate import Gate
from jupyter_mlprod.core.requests.gc import Gc
from jupyter_mlprod.core.requests.history import History
from jupyter_mlprod.core.requests.init import Init
from jupyter_mlprod.core.requests.keygen import Keygen
from jupyter_mlprod.core.requests.list import List
from jupyter_mlprod.core.requests.load import Load
from jupyter_mlprod.core.requests.package import Package
from jupyter_mlprod.core.requests.predict import Predict
from jupyter_mlprod.core.requests.profile import Profile
from jupyter_mlprod.core.requests.promote import Promote
from jupyter_mlprod.core.requests.rollback import Rollback
from jupyter_mlprod.core.requests.scan import Scan
from jupyter_mlprod.core.requests.show import Show
from jupyter_mlprod.core.requests.sign import Sign
from jupyter_mlprod.core.requests.verify import Verify

REQUESTS: dict[str, type[Request]] = {
    str(kind.__struct_config__.tag): kind
    for kind in (
        Init, Package, Load, Contract, Check, Profile, Evaluate, Scan, Gate, Promote, Rollback, Predict, Export, Show, List, Compare,
        History, Keygen, Sign, Verify, Gc, Doctor,
    )
}  # fmt: skip
"""Every verb, in the order of the flow."""

__all__ = [
    "REQUESTS", "Check", "Compare", "Contract", "Doctor", "Evaluate", "Export", "Gate", "Gc", "History", "Init", "Keygen", "List", "Load",
    "Package", "Predict", "Profile", "Promote", "Request", "Rollback", "Scan", "Show", "Sign", "Verify",
]  # fmt: skip
