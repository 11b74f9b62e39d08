"""What is written as contract.toml is read back as the same contract; what cannot be meant is told with its line."""

import tomllib
from pathlib import Path

import msgspec
import pytest
from hypothesis import assume, given, settings

from jupyter_mlprod.core.contract import Column, Contract, Freshness, Rows, Tensor, Text
from jupyter_mlprod.core.contract_edit import ContractEdit, DataEdit, FieldEdit, OutputEdit
from jupyter_mlprod.core.contract_faults import contract_faults
from jupyter_mlprod.core.contract_toml import check_text, contract_toml, read_contract
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.record import digest
from tests.core.contracts import contracts


@given(contracts())
@settings(max_examples=300, deadline=None)
def test_what_is_written_is_read_back_as_the_same_contract(contract: Contract) -> None:
    assume(not contract_faults(contract))
    text = contract_toml(contract, head=["a head\nof two lines"])
    read = read_contract(text, name="contract.toml")
    assert read.left_out == ()
    assert read.contract == contract
    assert digest(read.contract) == digest(contract)
    assert contract_toml(read.contract, head=["a head\nof two lines"]) == text


def test_what_was_inferred_is_told_from_what_was_declared() -> None:
    column = Column(name="age", type="int", low=0.0, declared=("low",))
    text = contract_toml(Contract(inputs=(column,), outputs=()))
    assert tomllib.loads(text)["inputs"]["age"] == {"type": "int", "nullable": False, "low": 0.0, "inferred": ["type", "nullable"]}


def refused(text: str) -> list[str]:
    with pytest.raises(MlprodError) as error:
        check_text(text, name="contract.toml")
    assert error.value.code is Code.BAD_CONTRACT
    return error.value.message.splitlines()


def test_every_fault_is_told_at_once_with_the_line_of_its_key() -> None:
    text = """\
[inputs.age]
type = "int"
low = 9
high = 1

[inputs.site]
type = "string"
unknown_category = "pass"
pattern = "(a+)+"

[rules]
old = "age > 'x'"

[rows]
at_least = 0
"""
    assert refused(text) == [
        "contract.toml:3: [inputs.age] low 9 is above high 1",
        "contract.toml:9: [inputs.site] pattern repeats what is itself repeated, which can take for ever",
        "contract.toml:8: [inputs.site] unknown_category needs categories",
        "contract.toml:12: [rules] old: a number is compared with a string",
        "contract.toml:15: [rows] at_least is 0",
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[inputs.a]\ntype = 'integer'", "contract.toml:2: type: Invalid enum value 'integer', got 'integer'"),
        ("[inputs.a]\ndtype = 'float31'\nshape = ['batch']", "contract.toml:2: dtype: Invalid enum value"),
        ("[inputs.a]\ntype = 'int'\nlow = 'x'", "contract.toml:3: low: Expected `float`, got `str`"),
        ("[inputs.a]\ntype = 'int'\nlow = nan", "contract.toml:3: [inputs.a] low is nan"),
        ("[inputs.a]\ntype = 'int'\nlow = 1e999", "contract.toml:3: [inputs.a] low is inf"),
        ("[inputs.a]\ntype = 'int'\nhigh = -1e300", "contract.toml:1: [inputs.a] no integer of 64 bits lies within low and high"),
        ("[inputs.a]\ntype = 'string'\npattern = '['", "contract.toml:3: [inputs.a] pattern is no regular expression"),
        ("[inputs.a]\ntype = 'string'\ninferred = ['typ']", "contract.toml:3: [inputs.a] inferred names 'typ', which is not said there"),
        ("[inputs.a]\ntype = 'int'\n[rules]\nr = '__import__(\"os\")'", "contract.toml:4: [rules] r: __import__() with 1 arguments"),
        ("[inputs.a]\ntype = 'int'\n[rules]\nr = 'b > 1'", "contract.toml:4: [rules] r: there is no column 'b'"),
        ("[inputs.a]\ntype = 'int'\n[freshness]\nevent_time = 'b'", "contract.toml:4: [freshness] event_time names no column"),
        ("[inputs.a]\ntype = 'int'\nmax_age = '3 days'", "contract.toml:3: max_age: Expected"),
        ("inputs = 3", "contract.toml:1: inputs: Expected `object`, got `int`"),
        ("[inputs.a", "contract.toml: Expected"),
        ("[" * 5000, "contract.toml: "),
        ("a = " + "[" * 5000, "contract.toml: "),
        ("[inputs.a]\ntype = 'int'\n[inputs.b]\ndtype = 'int8'\nshape = ['batch']", "contract.toml:1: the inputs are of different kinds"),
    ],
)  # fmt: skip
def test_hostile_toml_gives_a_clear_line(text: str, line: str) -> None:
    assert refused(text)[0].startswith(line)


def test_a_document_of_any_length_is_refused_before_it_is_read() -> None:
    assert refused("#" * 8_000_001) == ["contract.toml is longer than 8,000,000 characters"]


def test_a_document_to_be_laid_over_an_example_is_no_contract_by_itself() -> None:
    text = "[inputs.age]\nlow = 0\n[inputs.site]\npii = 'name'"
    check_text(text, name="contract.toml")
    with pytest.raises(MlprodError) as error:
        read_contract(text, name="contract.toml")
    assert error.value.message.splitlines() == [
        "contract.toml:1: [inputs.age] says neither the type of a column nor dtype and shape of a tensor",
        "contract.toml:3: [inputs.site] says neither the type of a column nor dtype and shape of a tensor",
    ]


def test_one_input_without_a_type_is_a_text() -> None:
    assert read_contract("[inputs.question]\nlongest = 9", name="c").contract.inputs == (
        Text(name="question", longest=9, declared=("longest",)),
    )


def test_what_a_model_or_training_data_would_show_is_left_out_and_told() -> None:
    text = "[inputs.a]\ntype = 'int'\n[outputs.p]\nsum_to = 1\n[data.email]\npii = 'email'"
    read = read_contract(text, name="c")
    assert read.contract.outputs == ()
    assert read.left_out == (
        "[outputs.p] says no dtype and shape, which a model shows",
        "[data.email] says no type, so it is only withheld",
    )


def test_outputs_are_tensors_with_what_is_promised_of_them() -> None:
    text = "[inputs.a]\ntype = 'int'\n[outputs.p]\ndtype = 'float32'\nshape = ['batch', 2]\nlabels = ['no', 'yes']"
    made = read_contract(text, name="c").contract.outputs
    assert made == (Tensor(name="p", dtype="float32", shape=("batch", 2), labels=("no", "yes"), declared=("dtype", "labels", "shape")),)


@pytest.mark.parametrize("kind", [FieldEdit, OutputEdit, DataEdit, ContractEdit, Rows, Freshness])
def test_every_key_is_on_the_page_of_the_contract(kind: type) -> None:
    page = (Path(__file__).parents[2] / "docs" / "contract.md").read_text("utf-8")
    for key in msgspec.structs.fields(kind):
        assert f"`{key.name}`" in page or f"[{key.name}" in page, key.name
