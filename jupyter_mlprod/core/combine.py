"""Combine: what is asked of several models that are packaged as one.

It stands apart from the request because a magic captures its live models before there is a request.
"""

import math
from collections.abc import Sequence
from typing import Literal

import msgspec

from jupyter_mlprod.core.bundle import Scores
from jupyter_mlprod.core.errors import Code, MlprodError

How = Literal["mean", "vote", "weighted"]


class Combine(msgspec.Struct, frozen=True, kw_only=True):
    """How members are combined, and what their first outputs hold.

    Attributes
    ----------
    weights : one a member, for ``weighted`` alone
    scores : what each member's first output holds; ``auto`` reads it off the answers
    labelled : whether there are labels, without which ``auto`` means values
    """

    how: How = "mean"
    weights: tuple[float, ...] = ()
    scores: Scores | Literal["auto"] = "auto"
    labelled: bool = False


def combine_of(*, how: str, weights: Sequence[float | str], scores: str, labelled: bool) -> Combine:
    """The options of a request, also as words.

    Raises
    ------
    MlprodError : ``bad-request``.
    """
    try:
        given = {"how": how, "weights": tuple(weights), "scores": scores, "labelled": labelled}
        return msgspec.convert(given, Combine, strict=False)
    except msgspec.ValidationError as error:
        raise MlprodError(Code.BAD_REQUEST, f"--combine, --weights or --scores: {error}") from None


def shares(combine: Combine, members: int) -> tuple[float, ...]:
    """What each member counts; the shares sum to 1.

    Raises
    ------
    MlprodError : ``bad-request`` when the weights do not fit.
    """
    weights = combine.weights
    if combine.how != "weighted":
        if weights:
            raise MlprodError(Code.BAD_REQUEST, f"--weights has no use with --combine {combine.how}", hint="--combine weighted")
        return (1 / members,) * members
    if len(weights) != members:
        raise MlprodError(Code.BAD_REQUEST, f"--weights has {len(weights)} for {members} models", hint="--weights 0.3,0.7")
    bad = next((weight for weight in weights if not math.isfinite(weight) or weight < 0), None)
    total = sum(weights)
    if bad is not None or not 0 < total < math.inf:
        what = f"the weight {bad:g} is no share" if bad is not None else "the weights sum to 0"
        raise MlprodError(Code.BAD_REQUEST, what, hint="weights are finite, 0 or more, and not all 0")
    return tuple(weight / total for weight in weights)


def combined_scores(asked: Scores | Literal["auto"], *, labelled: bool) -> Scores | Literal["auto"]:
    """What the combined first output holds where members hold this: of classes it is probabilities, whatever theirs was."""
    return "probabilities" if asked == "logits" or (labelled and asked == "auto") else asked


def demand_single(combine: Combine | None) -> None:
    """Refuse a way of combining where there is one model.

    Raises
    ------
    MlprodError : ``bad-request``.
    """
    if combine is not None and (combine.how != "mean" or combine.weights):
        what = "--combine and --weights are for several models; there is one"
        raise MlprodError(Code.BAD_REQUEST, what, hint="write a.onnx,b.onnx, or [net1, net2] in a notebook")
