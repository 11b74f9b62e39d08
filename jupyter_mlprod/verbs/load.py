"""``load``: the trainable module of a bundle comes back, and must answer the golden samples as the bundle does.

A record cannot hold a live module, so the verb gives the bundle's; `bring_back` gives both, for who can hold a module. The structure of
a module names what is imported, so trust is always asked for, also of a bundle without code of its own.
"""

from typing import Any

from jupyter_mlprod.core.bundle import CODE, MODULE, STRUCTURE, Bundle
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.original import LIKELY, difference
from jupyter_mlprod.core.ports import Ports
from jupyter_mlprod.core.record import short
from jupyter_mlprod.core.requests.load import Load
from jupyter_mlprod.core.resolve import Found, demand_trust, find_bundle


def run(request: Load, ports: Ports) -> Bundle:
    """The bundle whose module could be brought back."""
    bundle, _ = bring_back(request, ports)
    ports.tell(f"the module of {bundle.name} came back and answers like the bundle; in a notebook: net = %mlprod load {request.subject}")
    return bundle


def bring_back(request: Load, ports: Ports) -> tuple[Bundle, Any]:
    """The bundle, and its module.

    Raises
    ------
    MlprodError : ``bad-model`` when the bundle holds no module or it cannot be made here, ``not-trusted``, or ``parity``.
    """
    found = find_bundle(request.subject, ports)
    if not found.bundle.holds(STRUCTURE):
        what = f"{found.bundle.name}@{short(found.digest)} holds no trainable module: {_reason(found, ports)}"
        raise MlprodError(Code.BAD_MODEL, what, hint="mlprod predict answers from its graph")
    held = ", ".join(["a module", *(f"{name}()" for name in found.bundle.functions)])
    demand_trust(
        found, ports, trust=request.trust, why=f"holds {held}", where=f"{MODULE}/{f' and {CODE}/' if found.bundle.has_code else ''}"
    )
    module = ports.modules.restore(found.folder, found.bundle)
    _demand_the_same_answers(found, module, ports)
    return found.bundle, module


def _reason(found: Found, ports: Ports) -> str:
    origins = (origin for digest, _, origin in ports.bundles.all() if digest == found.digest)
    return next((origin.training.untrainable for origin in origins if origin.training.untrainable), "none was packaged with it")


def _demand_the_same_answers(found: Found, module: Any, ports: Ports) -> None:
    runtime = ports.runtimes.open(found.folder, found.bundle, threads=1)
    different = difference(module, found.bundle, runtime, ports, folder=found.folder)
    if different:
        what = f"the module of {found.bundle.name}@{short(found.digest)} answers differently from the bundle: {different}"
        raise MlprodError(Code.PARITY, what, hint=f"{LIKELY} Else compare the packages here with those it was trained with")
