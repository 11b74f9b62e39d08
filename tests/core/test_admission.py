"""What happens to a request that breaks its contract is what the contract says, and nothing is imputed or passed unmarked."""

import datetime
import decimal
import json
from typing import Any

import numpy as np
import pytest

from jupyter_mlprod.core.admission import IMPUTED, PASSED, Admission, Admitted, chunk_of
from jupyter_mlprod.core.contract import Column, Contract, Freshness, Rows, Tensor, Text
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.raw import object_array
from jupyter_mlprod.core.records import LARGEST_BYTES, raw_records

NOW = datetime.datetime(2026, 6, 1, 12, tzinfo=datetime.UTC)
OLD, FRESH = NOW - datetime.timedelta(hours=3), NOW - datetime.timedelta(hours=1)
OUTPUTS = (Tensor(name="scores", dtype="float32", shape=("batch", 2)),)


def table(*columns: Column, **options: Any) -> Contract:
    return Contract(inputs=columns, outputs=OUTPUTS, **options)


def age(**options: Any) -> Column:
    return Column(name="age", type="int", low=0, high=120, unit="years", **options)


def site(**options: Any) -> Column:
    return Column(name="site", type="string", categories=("a", "b"), **options)


def admit(contract: Contract, *rows: dict[str, Any], now: datetime.datetime | None = NOW) -> Admitted:
    """The rows, as records and as JSON, which must come to the same."""
    live = Admission(contract).admit(raw_records(rows, contract), name="n", now=now)
    if not any(isinstance(value, datetime.date | float) for row in rows for value in row.values()):
        sent = Admission(contract).admit(json.dumps(rows).encode(), name="n", now=now)
        assert (sent.imputed, sent.passed, values(sent)) == (live.imputed, live.passed, values(live))
    return live


def refused(contract: Contract, *rows: dict[str, Any], now: datetime.datetime | None = NOW) -> MlprodError:
    with pytest.raises(MlprodError) as refusal:
        Admission(contract).admit(raw_records(rows, contract), name="n", now=now)
    return refusal.value


def values(admitted: Admitted) -> dict[str, list[Any]]:
    assert isinstance(admitted.raw, dict)
    return {name: array.tolist() for name, array in admitted.raw.items()}


def marks(admitted: Admitted) -> tuple[list[str], list[str]]:
    found = admitted.marks()
    return found[IMPUTED].tolist(), found[PASSED].tolist()


def test_a_fine_request_goes_through_untouched_and_unmarked() -> None:
    raw = {"age": np.array([1, 2]), "site": np.array(["a", "b"])}
    admitted = Admission(table(age(), site())).admit(raw, name="n", now=NOW)
    assert admitted.raw is raw
    assert (admitted.rows, admitted.imputed, admitted.passed) == (2, {}, {})


def test_a_request_is_told_twenty_faults_and_how_many_more_there_are() -> None:
    contract = table(*(Column(name=f"c{i:02}", type="int", low=0) for i in range(23)))
    error = refused(contract, {f"c{i:02}": -1 for i in range(23)})
    assert error.message.count("is below 0") == 20
    assert "column 'c19' is below 0 in 1 of 1 rows, first at row 0; and 3 more (contract of n)" in error.message
    assert error.hint == "mend these fields, or see the contract: mlprod contract show n"


def test_what_is_asked_for_is_cut_as_a_refusal_is() -> None:
    error = refused(table(*(Column(name=f"c{i:02}", type="int", low=0, on_violation="ask") for i in range(21))), {"c00": -1})
    assert error.code is Code.MORE_NEEDED
    assert "and 1 more" in error.message


def test_a_data_set_that_is_refused_is_sent_to_check() -> None:
    with pytest.raises(MlprodError) as refusal:
        Admission(table(age())).admit_data({"age": np.array([130])}, name="n", now=NOW)
    assert refusal.value.hint == "mlprod check shows every violation"


def test_refuse_tells_every_demand_that_is_broken() -> None:
    error = refused(table(age(), site()), {"age": 130, "site": "c"}, {"age": 1, "site": None})
    assert error.code is Code.CONTRACT
    assert error.message == (
        "column 'age' is above 120 years in 1 of 2 rows, first at row 0; column 'site' is null in 1 of 2 rows, first at row 1; "
        "column 'site' is none of its 2 categories in 1 of 2 rows, first at row 0 (contract of n)"
    )


def test_ask_names_every_field_and_says_what_is_wanted() -> None:
    error = refused(table(age(on_violation="ask"), site(on_violation="ask")), {"site": "c"})
    assert error.code is Code.MORE_NEEDED
    assert error.code.status == 2
    assert "column 'age' is missing; column 'site' is none of its 2 categories" in error.message
    assert error.hint == "send 'age' (int, from 0, to 120 years); 'site' (string, one of 'a', 'b')"


def test_a_refusal_outweighs_what_is_asked_for() -> None:
    error = refused(table(age(on_violation="ask"), site()), {"site": "c"})
    assert error.code is Code.CONTRACT
    assert "'age' is missing" in error.message
    assert "'site' is none" in error.message


def test_impute_puts_the_default_in_exactly_the_broken_rows() -> None:
    contract = table(age(on_violation="impute", default=40), site())
    admitted = admit(
        contract, {"age": 7, "site": "a"}, {"age": None, "site": "b"}, {"site": "a"}, {"age": "x", "site": "a"}, {"age": 121, "site": "a"}
    )
    assert values(admitted)["age"] == [7, 40, 40, 40, 40]
    assert marks(admitted) == (["", "age", "age", "age", "age"], ["", "", "", "", ""])


def test_a_column_that_is_missing_is_imputed_in_every_row() -> None:
    admitted = admit(table(age(on_violation="impute", default=40), site()), {"site": "a"}, {"site": "b"})
    assert values(admitted)["age"] == [40, 40]
    assert admitted.imputed == {"age": (0, 1)}


def test_an_unknown_category_has_a_policy_of_its_own() -> None:
    contract = table(age(), site(unknown_category="impute", default="b"))
    assert values(admit(contract, {"age": 1, "site": "zürich"}))["site"] == ["b"]
    assert refused(contract, {"age": 1, "site": None}).code is Code.CONTRACT


def test_pass_lets_the_value_through_marks_it_and_counts_it() -> None:
    admission = Admission(table(age(on_violation="pass"), site()))
    admitted = admission.admit({"age": np.array([130, 7]), "site": np.array(["a", "a"])}, name="n")
    assert values(admitted)["age"] == [130, 7]
    assert marks(admitted) == (["", ""], ["age", ""])
    assert admission.counts == {"age:high": 1}


@pytest.mark.parametrize("row", [{"site": "a"}, {"age": "seven", "site": "a"}, {"age": 2**70, "site": "a"}])
def test_what_nothing_can_be_computed_on_never_passes(row: dict[str, Any]) -> None:
    assert refused(table(age(on_violation="pass"), site()), row).code is Code.CONTRACT


def test_two_fields_of_a_row_are_marked_in_one_text() -> None:
    contract = table(age(on_violation="impute", default=40), site(on_violation="impute", default="a"))
    assert marks(admit(contract, {"age": -1, "site": "c"}))[0] == ["age,site"]


def test_rules_are_held_against_the_default_and_not_against_what_was_sent() -> None:
    contract = table(age(on_violation="impute", default=10), site(), rules={"grown": 'age >= 18 or site == "a"'})
    assert values(admit(contract, {"age": None, "site": "a"}))["age"] == [10]
    assert "rule 'grown' is broken" in refused(contract, {"age": 500, "site": "b"}).message


def test_a_rule_that_passes_is_marked_by_its_name() -> None:
    contract = table(age(), site(), rules={"grown": "age >= 18"}, on_violation="pass")
    assert marks(admit(contract, {"age": 7, "site": "a"}))[1] == ["grown"]


def test_a_stale_value_is_imputed_and_a_default_has_no_age() -> None:
    contract = table(
        Column(name="load", type="float", max_age="2h", on_violation="impute", default=1.5),
        Column(name="seen", type="time_utc"),
        freshness=Freshness(event_time="seen"),
    )
    rows: list[dict[str, Any]] = [{"load": 3.0, "seen": FRESH}, {"load": 4.0, "seen": OLD}, {"load": None, "seen": OLD}]
    admission = Admission(contract)
    admitted = admission.admit(raw_records(rows, contract), name="n", now=NOW)
    assert values(admitted)["load"] == [3.0, 1.5, 1.5]
    assert admission.counts == {"load:null": 1, "load:stale": 1}
    assert admit(contract, *rows[:2], now=None).imputed == {}


def test_staleness_and_the_future_are_refused_where_there_is_a_now() -> None:
    contract = table(
        Column(name="load", type="float", max_age="2h"), Column(name="seen", type="time_utc"), freshness=Freshness(event_time="seen")
    )
    late = NOW + datetime.timedelta(hours=1)
    assert "is older than 2h" in refused(contract, {"load": 1.0, "seen": OLD}).message
    assert "lies in the future" in refused(contract, {"load": 1.0, "seen": late}).message
    assert admit(contract, {"load": 1.0, "seen": late}, now=None).rows == 1


def test_mostly_allows_of_a_request_what_it_allows_of_data() -> None:
    contract = table(age(mostly=0.75), site())
    rows = [{"age": 7, "site": "a"}] * 3 + [{"age": 130, "site": "a"}]
    assert admit(contract, *rows).passed == {"age": (3,)}
    assert refused(contract, rows[3]).code is Code.CONTRACT


def test_a_request_without_rows_or_with_too_many_is_refused_whatever_the_action() -> None:
    contract = table(age(on_violation="pass"), site(), rows=Rows(per_request=2), on_violation="pass")
    assert "at most 2 are answered at once" in refused(contract, *[{"age": 1, "site": "a"}] * 3).message
    with pytest.raises(MlprodError, match="no rows"):
        Admission(contract).admit(b"[]", name="n")
    admission = Admission(contract)
    for data in (json.dumps([{"age": 1, "site": "a"}] * 3).encode(), b"[{},{},{}]", b"[5,5,5]"):
        with pytest.raises(MlprodError, match="the request has more than 2 rows, at most 2 are answered at once") as refusal:
            admission.admit(data, name="n")
        assert refusal.value.code is Code.CONTRACT
    assert admission.counts == {"*:rows": 9}
    assert chunk_of(contract) == 2


def test_a_data_set_may_have_more_rows_than_a_request() -> None:
    admission = Admission(table(age(), rows=Rows(per_request=2)))
    assert admission.admit_data({"age": np.arange(10)}, name="n").rows == 10
    with pytest.raises(MlprodError, match="below 0"):
        admission.admit_data({"age": np.arange(-1, 10)}, name="n")
    assert admission.counts == {}


def test_a_tensor_passes_where_its_values_are_odd_and_never_where_its_form_is() -> None:
    contract = Contract(inputs=(Tensor(name="x", dtype="float32", shape=("batch", 2), low=0, on_violation="pass"),), outputs=OUTPUTS)
    admission = Admission(contract)
    admitted = admission.admit(np.array([[0, 1], [-1, np.nan]], np.float32), name="n")
    assert marks(admitted)[1] == ["", "x"]
    assert admission.counts == {"x:finite": 1, "x:low": 1}
    for odd in (np.zeros((2, 3), np.float32), np.array([["a", "b"]])):
        with pytest.raises(MlprodError, match="contract says"):
            admission.admit(odd, name="n")
    with pytest.raises(MlprodError, match="takes tensors"):
        admission.admit(b"{}", name="n")


def test_unknown_tensors_do_not_make_the_counts_grow() -> None:
    admission = Admission(Contract(inputs=(Tensor(name="x", dtype="float32", shape=("batch",)),), outputs=OUTPUTS))
    for index in range(5):
        with pytest.raises(MlprodError, match="is no input"):
            admission.admit({"x": np.zeros(1, np.float32), f"y{index}": np.zeros(1)}, name="n")
    assert admission.counts == {"*:unknown": 5}


def test_a_text_that_is_null_never_passes() -> None:
    admission = Admission(Contract(inputs=(Text(name="message", longest=3, on_violation="pass"),), outputs=OUTPUTS))
    assert admission.admit(object_array(["long text"]), name="n").passed == {"message": (0,)}
    with pytest.raises(MlprodError, match="is null"):
        admission.admit(object_array([None]), name="n")


def test_answers_are_marked_only_where_the_contract_says_that_something_may_be_imputed_or_passed() -> None:
    assert not Admission(table(age(), site())).marking
    assert not Admission(table(age(on_violation="ask"), site())).marking
    assert Admission(table(age(on_violation="impute", default=1), site())).marking
    assert Admission(table(age(), site(unknown_category="pass"))).marking
    assert Admission(table(age(mostly=0.9), site())).marking


def test_no_value_of_personal_data_is_told() -> None:
    contract = table(age(), site(), Column(name="email", type="string", pattern="@", pii="email", on_violation="ask"))
    error = refused(contract, {"age": 1, "site": "a", "email": "ada lovelace"})
    assert "ada" not in str(error)
    assert "email" in error.hint


def test_a_decimal_is_no_number_of_a_float_column() -> None:
    contract = table(Column(name="load", type="float"))
    assert "are no numbers" in refused(contract, {"load": decimal.Decimal(3)}).message


def test_of_too_many_rows_nothing_else_is_looked_at() -> None:
    error = refused(table(age(), site(), rows=Rows(per_request=2)), *[{"age": -1, "site": "c"}] * 3)
    assert error.message == "the request has 3 rows, at most 2 are answered at once (contract of n)"


def test_a_data_set_is_judged_as_a_whole_and_marked_in_its_chunks() -> None:
    contract = table(age(mostly=0.75), site(unknown_category="impute", default="b"))
    rows = [{"age": -1, "site": "c"}, {"age": -1, "site": "a"}, *[{"age": 1, "site": "a"}] * 5, {"age": 1, "site": "c"}]
    whole = Admission(contract).admit_data(raw_records(rows, contract), name="n")
    chunks = list(whole.chunks(3))
    assert [chunk.rows for chunk in chunks] == [3, 3, 2]
    assert [marks(chunk) for chunk in chunks] == [
        (["site", "", ""], ["age", "age", ""]), (["", "", ""], ["", "", ""]), (["", "site"], ["", ""]),
    ]  # fmt: skip
    assert [values(chunk)["site"] for chunk in chunks] == [["b", "a", "a"], ["a", "a", "a"], ["a", "b"]]
    with pytest.raises(MlprodError, match="below 0"):
        Admission(contract).admit(raw_records(rows[:3], contract), name="n")


def test_a_row_that_repeats_one_of_another_chunk_repeats_it() -> None:
    contract = table(age(unique=True))
    with pytest.raises(MlprodError, match="repeats a value of an earlier row in 1 of 4 rows, first at row 3"):
        Admission(contract).admit_data({"age": np.array([1, 2, 3, 1])}, name="n")
    passing = table(age(unique=True, on_violation="pass"))
    whole = Admission(passing).admit_data({"age": np.array([1, 2, 3, 1])}, name="n")
    assert [marks(chunk)[1] for chunk in whole.chunks(2)] == [["", ""], ["", "age"]]


@pytest.mark.parametrize("nullable", [False, True])
def test_numbers_of_json_are_numbers(nullable: bool) -> None:
    contract = table(age(nullable=nullable), Column(name="load", type="float", nullable=nullable), site())
    row = {"age": 7, "load": 2, "site": "a"}
    for sent, n in ((row, 1), ([row, row], 2)):
        admitted = Admission(contract).admit(json.dumps(sent).encode(), name="n")
        assert isinstance(admitted.raw, dict)
        assert {name: (array.dtype.kind, array.tolist()) for name, array in admitted.raw.items()} == {
            "age": ("i", [7] * n), "load": ("f", [2.0] * n), "site": ("O", ["a"] * n),
        }  # fmt: skip
    null = Admission(contract).admit(json.dumps(row | {"load": None}).encode(), name="n") if nullable else None
    assert null is None or (isinstance(null.raw, dict) and null.raw["load"].tolist() == [None])


def test_a_column_whose_name_json_escapes_is_answered() -> None:
    contract = table(Column(name='size "in"', type="float", low=0), age())
    row = {'size "in"': 2.5, "age": 7}
    assert values(admit(contract, row)) == {'size "in"': [2.5], "age": [7]}
    assert "is below 0" in refused(contract, row | {'size "in"': -1.0}).message


def test_a_record_of_too_many_bytes_is_not_read() -> None:
    with pytest.raises(MlprodError, match="are read") as refusal:
        Admission(table(age())).admit(b'{"age": 1}' + b" " * LARGEST_BYTES, name="n")
    assert refusal.value.code is Code.BAD_DATA
