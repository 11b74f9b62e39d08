"""A module that was brought back, held against the bundle that it lies in: `package` asks before it keeps one, `load` before it gives one.

It stands in the graph's place, between the same two ends, and answers the golden samples in batches of every size.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from jupyter_mlprod.core.answer import Ends, final_outputs
from jupyter_mlprod.core.bundle import GOLDEN_ANSWERS, GOLDEN_INPUTS, POSTPROCESS, Bundle
from jupyter_mlprod.core.errors import Code
from jupyter_mlprod.core.execute import load_function
from jupyter_mlprod.core.policy import parity_limit
from jupyter_mlprod.core.ports import Ports, Runtime
from jupyter_mlprod.core.raw import Array, Raw, part
from jupyter_mlprod.core.remeasure import parity_measures

LIKELY = "was its source edited after the import, or something in it replaced, before it was packaged?"
"""Why a module that is made again from its source answers differently, on the machine that packaged it."""


class Original(msgspec.Struct, frozen=True, kw_only=True):
    """The module in the graph's place."""

    prepare: Callable[[Raw], dict[str, Array]]
    answer: Callable[[dict[str, Array]], dict[str, Array]]
    ends: Ends

    def outputs(self, raw: Raw) -> dict[str, Array]:
        return final_outputs(self.ends, self.answer(self.prepare(raw)), tell=False)


def difference(module: Any, bundle: Bundle, runtime: Runtime, ports: Ports, *, folder: Path) -> str:
    """How a module answers differently from its bundle, in one line; empty when it does not.

    Parameters
    ----------
    runtime : over the same folder, whose preprocessing stands before the module
    folder : the bundle's, or the one in which it is being staged; the golden samples are there

    Raises
    ------
    MlprodError : ``bad-model`` when the module does not answer at all.
    """
    behind = load_function(folder / POSTPROCESS, bundle.postprocess, code=Code.POSTPROCESS) if bundle.postprocess else None
    original = Original(
        prepare=runtime.prepare,
        answer=lambda prepared: ports.modules.answer(module, prepared),
        ends=Ends(postprocess=behind),
    )
    named, golden = ports.data.read(str(folder / GOLDEN_INPUTS)), ports.data.read(str(folder / GOLDEN_ANSWERS))
    assert isinstance(golden, Mapping)
    answered = original.outputs(part(named, 0, 1))
    if set(answered) != set(golden):
        return f"it answers {', '.join(sorted(answered))} where the bundle answers {', '.join(sorted(golden))}"
    allowed = parity_limit(ports.policies)
    for measure in parity_measures(bundle, original, named, golden, per_batch=False, limit=allowed):
        limit = allowed if measure.unit == "1" else 0.0
        if not measure.value <= limit:
            return f"{measure.name} is {measure.value:g} at batch {measure.where['batch']}, allowed is {limit:g}"
    return ""
