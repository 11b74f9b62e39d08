"""What a batch of rows costs beyond its size, and what a value of a column is."""

from jupyter_mlprod.core.contract import Column, Contract, Tensor
from jupyter_mlprod.core.demands import plan_of
from jupyter_mlprod.core.rows import RowChecker

OUTPUTS = (Tensor(name="score", dtype="float32", shape=("batch",)),)


class NeverSearched(tuple[str, ...]):
    def __contains__(self, value: object) -> bool:
        raise AssertionError("every category was compared with the value")


def test_a_value_is_not_compared_with_every_category() -> None:
    column = Column(name="c", type="string", categories=NeverSearched(("a", "b")))
    checker = RowChecker(plan_of(Contract(inputs=(column,), outputs=OUTPUTS), clock=False))
    (found,) = checker.broken({"c": ["a", "z", "b"]}, rows=3, now=None)
    assert (found.demand.check, found.rows) == ("category", (1,))
