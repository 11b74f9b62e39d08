"""What a contract promises of the outputs, held against every answer, and against the bundle when it is made.

An output is only held to be finite where a person has declared it: that is the default of the record, and old contracts did not mean it.
NaN keeps no limit, though: where there are limits it does not go out, unless a person has declared that the output need not be finite.
"""

from collections.abc import Iterator, Mapping

import msgspec
import numpy as np
from msgspec import UNSET

from jupyter_mlprod.core.admission import IMPUTED, PASSED, marks_answers
from jupyter_mlprod.core.batch import found_in_tensor
from jupyter_mlprod.core.conformance import conformance
from jupyter_mlprod.core.contract import Contract, Tensor
from jupyter_mlprod.core.demands import Demand, TensorPlan, of_tensor, plan_of
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.raw import Array
from jupyter_mlprod.core.tensors import VALUES, BrokenRows, broken_values


class Promises:
    """The outputs of a contract, made ready; made once for a runtime."""

    def __init__(self, contract: Contract) -> None:
        self.outputs = contract.outputs
        tensors = (
            output if "finite" in (output.declared or ()) else msgspec.structs.replace(output, finite=False) for output in contract.outputs
        )
        plans = (TensorPlan(tensor=tensor, demands=of_tensor(tensor, "refuse", word="output")) for tensor in tensors)
        self.plans = tuple(plan for plan in plans if any(check in plan.demands for check in VALUES))
        self.limited = {output.name for output in contract.outputs if _limits_rule_nan_out(output)}

    def broken(self, outputs: Mapping[str, Array]) -> list[str]:
        """A sentence for every promise that the outputs break, with rows and without values."""
        said = []
        for plan in self.plans:
            array = outputs[plan.tensor.name]
            n = len(array)
            broken = [*self._nan(plan.tensor.name, array), *broken_values(plan, array)]
            found = [found_in_tensor(one, n) for one in broken]
            said += [violation.what for violation in conformance(checks=1, rows=n, found=found, fields=self.outputs).violations]
        return said

    def _nan(self, name: str, array: Array) -> Iterator[BrokenRows]:
        """That NaN stands where limits are declared."""
        if name in self.limited and array.dtype.kind == "f":
            bad = np.asarray(np.isnan(array).any(axis=tuple(range(1, array.ndim))))
            if bad.any():
                yield BrokenRows(
                    demand=Demand(field=name, check="finite", what=f"output {name!r} holds NaN, which is within no limits"), bad=bad
                )

    def demand(self, outputs: Mapping[str, Array], *, name: str) -> None:
        """Refuse to answer what the contract rules out.

        Raises
        ------
        MlprodError : ``no-answer`` naming every output and how many rows.
        """
        said = self.broken(outputs) if self.plans else []
        if said:
            hint = "look at what the model makes of that row, or mend [outputs] in contract.toml and package again"
            raise MlprodError(Code.NO_ANSWER, f"{'; '.join(said)} (contract of {name})", hint=hint)


def promise_faults(contract: Contract, *, labels: tuple[str, ...], scores: str, answers: Mapping[str, Array]) -> tuple[str, ...]:
    """What the contract says of outputs and the bundle contradicts.

    Parameters
    ----------
    labels, scores : of the bundle; scores are what its first output holds
    answers : output → (batch, ...), those of the original to the example
    """
    faults = []
    for index, output in enumerate(contract.outputs):
        where = f"[outputs.{output.name}]"
        if output.labels is not UNSET and output.labels != labels:
            own = _listed(labels) or "none: --labels NAMES"
            faults.append(f"{where} labels are {_listed(output.labels)}, and those of the bundle {own}")
        if index == 0 and output.sum_to is not UNSET and scores == "logits":
            faults.append(f"{where} sum_to is said of probabilities, and the scores are logits")
    if marks_answers(plan_of(contract, clock=True)):
        taken = sorted({IMPUTED, PASSED} & {output.name for output in contract.outputs})
        faults += [f"an output is named {name!r}, which is where answers are marked: name it otherwise" for name in taken]
    if not faults:
        faults = [f"the model's own answers to the example break the contract: {what}" for what in Promises(contract).broken(answers)]
    return tuple(faults)


def _limits_rule_nan_out(output: Tensor) -> bool:
    """Whether an output has limits, and nothing declared about NaN."""
    return (output.low is not None or output.high is not None) and "finite" not in (output.declared or ())


def _listed(labels: tuple[str, ...]) -> str:
    return ", ".join(labels[:10]) + (", …" if len(labels) > 10 else "")
