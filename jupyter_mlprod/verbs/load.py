"""``load``: the trainable module of a bundle comes back, and must answer the golden samples as the bundle does.

A record cannot hold a live module, so the verb gives the bundle's; `bring_back` gives both, for who can hold a module. The structure of
a module names what is imported, so trust is always asked for, also of a bundle without code of its own.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from jupyter_mlprod.core.answer import Ends, final_outputs
from jupyter_mlprod.core.bundle import CODE, GOLDEN_ANSWERS, GOLDEN_INPUTS, MODULE, POSTPROCESS, STRUCTURE, Bundle
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.execute import load_function
from jupyter_mlprod.core.ports import Ports
from jupyter_mlprod.core.raw import Array, Raw
from jupyter_mlprod.core.record import short
from jupyter_mlprod.core.remeasure import PARITY_ATOL, parity_measures
from jupyter_mlprod.core.requests.load import Load
from jupyter_mlprod.core.resolve import Found, demand_trust, find_bundle


class Original(msgspec.Struct, frozen=True, kw_only=True):
    """The module in the graph's place, between the same two ends."""

    prepare: Callable[[Raw], dict[str, Array]]
    answer: Callable[[dict[str, Array]], dict[str, Array]]
    ends: Ends

    def outputs(self, raw: Raw) -> dict[str, Array]:
        return final_outputs(self.ends, self.answer(self.prepare(raw)), tell=False)


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
    bundle = found.bundle
    behind = load_function(found.folder / POSTPROCESS, bundle.postprocess) if bundle.postprocess else None
    original = Original(
        prepare=ports.runtimes.open(found.folder, bundle, threads=1).prepare,
        answer=lambda prepared: ports.modules.answer(module, prepared),
        ends=Ends(postprocess=behind),
    )
    named, golden = ports.data.read(str(found.folder / GOLDEN_INPUTS)), ports.data.read(str(found.folder / GOLDEN_ANSWERS))
    assert isinstance(golden, dict)
    for measure in parity_measures(bundle, original, named, golden, per_batch=False):
        limit = PARITY_ATOL if measure.unit == "1" else 0.0
        if not measure.value <= limit:
            where = f"{measure.name} is {measure.value:g} at batch {measure.where['batch']}, allowed is {limit:g}"
            what = f"the module of {bundle.name}@{short(found.digest)} answers differently from the bundle: {where}"
            raise MlprodError(Code.PARITY, what, hint="use the packages that it was trained with")
