"""What a person declares about inputs is laid over what the example shows; what cannot be meant is told."""

import pytest

from jupyter_mlprod.core.contract import Column, Contract, Tensor
from jupyter_mlprod.core.contract_edit import ContractEdit, FieldEdit, edited

OUTPUTS = (Tensor(name="scores", dtype="float32", shape=("batch", 3)),)
ONE_TENSOR = Contract(inputs=(Tensor(name="input", dtype="float32", shape=("batch", 64)),), outputs=OUTPUTS)
TABLE = Contract(
    inputs=(Column(name="age", type="int"), Column(name="site", type="string"), Column(name="on", type="bool")), outputs=OUTPUTS
)


def edit(contract: Contract, **fields: FieldEdit) -> tuple[Contract, tuple[str, ...]]:
    return edited(contract, ContractEdit(inputs=fields))


def test_an_empty_edit_changes_nothing() -> None:
    for contract in (ONE_TENSOR, TABLE):
        assert edited(contract, ContractEdit()) == (contract, ())


def test_declarations_are_laid_over_the_example() -> None:
    site = FieldEdit(categories=("a", "b"), nullable=True)
    contract, faults = edit(TABLE, age=FieldEdit(low=0, high=120, unit="years"), site=site)
    assert faults == ()
    assert contract.inputs[0] == Column(name="age", type="int", low=0, high=120, unit="years", declared=("high", "low", "unit"))
    assert contract.inputs[1] == Column(
        name="site", type="string", categories=("a", "b"), nullable=True, declared=("categories", "nullable")
    )
    assert contract.inputs[2] == TABLE.inputs[2]
    assert contract.outputs == TABLE.outputs


def test_a_declaration_may_say_no() -> None:
    contract, faults = edit(ONE_TENSOR, input=FieldEdit(finite=False))
    assert faults == ()
    assert isinstance(contract.inputs[0], Tensor)
    assert contract.inputs[0].finite is False


def test_a_single_tensor_takes_the_one_name_that_is_declared() -> None:
    contract, faults = edit(ONE_TENSOR, image=FieldEdit(low=0))
    assert faults == ()
    assert isinstance(contract.inputs[0], Tensor)
    assert (contract.inputs[0].name, contract.inputs[0].low) == ("image", 0)


def test_every_fault_is_found_at_once() -> None:
    contract, faults = edit(TABLE, age=FieldEdit(finite=True), sight=FieldEdit(low=1), site=FieldEdit(finite=False))
    assert len(faults) == 3
    assert "[inputs.sight] names no input; the example has age, on, site" in faults
    assert "[inputs.age] finite does not apply to a column" in faults
    assert contract == TABLE


@pytest.mark.parametrize("field", [FieldEdit(nullable=True), FieldEdit(categories=("a",))])
def test_what_only_columns_have_does_not_apply_to_a_tensor(field: FieldEdit) -> None:
    assert "does not apply to a tensor" in edit(ONE_TENSOR, input=field)[1][0]


@pytest.mark.parametrize(
    ("name", "field", "fault"),
    [
        ("age", FieldEdit(low=float("nan")), "[inputs.age] low is nan"),
        ("age", FieldEdit(high=float("inf")), "[inputs.age] high is inf"),
        ("age", FieldEdit(low=2, high=1), "[inputs.age] low 2 is above high 1"),
        ("site", FieldEdit(low=2), "[inputs.site] low does not apply to a column of type string"),
        ("on", FieldEdit(high=2), "[inputs.on] high does not apply to a column of type bool"),
    ],
)
def test_a_limit_that_nothing_could_break_or_keep_is_a_fault(name: str, field: FieldEdit, fault: str) -> None:
    assert edit(TABLE, **{name: field})[1] == (fault,)


def test_a_contract_is_a_table_when_it_has_columns() -> None:
    assert TABLE.is_table
    assert not ONE_TENSOR.is_table
