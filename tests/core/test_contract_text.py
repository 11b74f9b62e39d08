"""A person reads every facet of a contract: in the display of a record, and in a model card."""

from jupyter_mlprod.core.bundle import Bundle
from jupyter_mlprod.core.card import card_of
from jupyter_mlprod.core.contract import Column, Contract, Expected, Freshness, Rows, Tensor, Text
from jupyter_mlprod.core.contract_text import LIMITING, also, contract_rules, field_cells
from jupyter_mlprod.core.dossier import Dossier, Words
from jupyter_mlprod.fronts import display
from jupyter_mlprod.fronts.view import view_of

FULL = Contract(
    inputs=(
        Column(name="age", type="int", low=0.0, high=120.0, unit="years", mostly=0.995, max_age="3d", event_time="seen", declared=("low",)),
        Column(name="site", type="string", categories=("a", "b"), unknown_category="impute", default="a", view="serving"),
        Column(name="code", type="string", pattern="^X", shortest=2, longest=9, unique=True, on_violation="ask", pii="none"),
        Column(name="seen", type="time_utc", nullable=True),
        Column(name="x", type="float", expected=Expected(shares=(0.5, 0.5), edges=(1.0,))),
    ),
    outputs=(Tensor(name="scores", dtype="float32", shape=("batch", 2), sum_to=1.0, labels=("no", "yes")),),
    target=Column(name="ill", type="bool"),
    training=(Column(name="split", type="string"),),
    rules={"old": "age > 1"},
    rows=Rows(at_least=10, per_request=64),
    freshness=Freshness(event_time="seen"),
    on_violation="pass",
)
IMAGE = Tensor(name="image", dtype="uint8", shape=("batch", 3, "h", "w"), layout="NCHW", channels="RGB", finite=False)


def test_every_facet_has_words() -> None:
    assert also(FULL.inputs[0]) == ["in 99.5 % of the rows", "at most 3d old by seen"]
    assert also(FULL.inputs[1]) == ["serving only"]
    assert also(FULL.inputs[2]) == ["matches ^X", "at least 2 and at most 9 characters", "unique"]
    assert also(FULL.inputs[4]) == ["distribution in 2 parts within 0.1"]
    assert also(FULL.outputs[0]) == ["sums to 1", "labels no, yes"]
    assert also(IMAGE) == ["layout NCHW", "channels RGB", "NaN and infinity allowed"]
    assert also(Text(name="t", longest=9)) == []
    assert field_cells(FULL.inputs[1])[7] == "unknown category: impute, default a"
    assert contract_rules(FULL) == [
        ("rule old", "age > 1"), ("rows", "at least 10, in one request at most 64"), ("freshness", "measured at seen, used now"),
        ("a request that breaks it", "pass"),
    ]  # fmt: skip


def test_every_member_of_a_field_that_limits_it_is_among_those_that_are_told() -> None:
    told = {"name", "declared", "type", "dtype", "shape", "nullable", *LIMITING}
    for kind in (Column, Tensor, Text):
        assert set(kind.__struct_fields__) <= told


def test_the_display_tells_what_was_inferred_once_anything_was_declared() -> None:
    text = display.as_text(FULL)
    for part in (
        "0 … 120",
        "years",
        "sums to 1",
        "unknown category: impute",
        "split",
        "target",
        "training",
        "rule old",
        "age > 1",
        "freshness",
    ):
        assert part in text
    table = view_of(FULL).tables[0]
    place = table.columns.index("inferred")
    assert table.rows[0][place] == "type, high, unit, mostly, max_age, event_time"
    bare = Contract(inputs=(Column(name="x", type="float"),), outputs=())
    assert view_of(bare).tables[0].columns == ("side", "name", "type", "nulls")


def test_many_categories_are_cut_and_counted() -> None:
    many = Column(name="x", type="string", categories=tuple(f"c{i}" for i in range(1_000_000)))
    assert field_cells(many)[1].endswith("c11 and 999,988 more")


def test_the_card_tells_the_facets_and_the_rules() -> None:
    bundle = Bundle(name="m", contract=FULL, scores="probabilities", labels=("no", "yes"), preprocess="", files=())
    dossier = Dossier(
        bundle=bundle, digest="sha256:0", origin=None, releases=(), evidence={}, verdict=None, requirements=(), locked=(), words=Words(),
        snapshot_rows=None, as_of="",
    )  # fmt: skip
    section = next(section for section in card_of(dossier).sections if section.title == "Inputs and outputs")
    cells = [cell for table in section.tables for row in table.rows for cell in row]
    assert "from 0 to 120; in 99.5 % of the rows; at most 3d old by seen" in cells
    assert "matches ^X; at least 2 and at most 9 characters; unique" in cells
    assert "rule old" in cells
