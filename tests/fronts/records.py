"""One record of each noun, with every outcome, and a text that attacks whoever shows it."""

import datetime

import msgspec

from jupyter_mlprod.core.bundle import Bundle, BundleFile
from jupyter_mlprod.core.conformance import Violation
from jupyter_mlprod.core.contract import Column, Contract, Tensor
from jupyter_mlprod.core.evidence import Evidence, Measure
from jupyter_mlprod.core.listing import Listing
from jupyter_mlprod.core.notebook import Notebook, Parameter
from jupyter_mlprod.core.policy import Policy, Rule
from jupyter_mlprod.core.portrait import Bars, FieldPortrait, Portrait, Proposed, Shares
from jupyter_mlprod.core.record import Record
from jupyter_mlprod.core.release import Release
from jupyter_mlprod.core.snapshot import PROBABILITIES, Categories, ColumnFacts, Numbers, Snapshot
from jupyter_mlprod.core.verdict import judge

NOW = datetime.datetime(2026, 11, 24, 9, 30, tzinfo=datetime.UTC)
DIGEST = "sha256:" + "57001b905fc2" + "0" * 52
EVIL = "<script>alert(1)</script>\x1b[31m\u202eevil\x00\n\u2028\x9b&\"'"

EVIDENCE = Evidence(
    kind="quality",
    subject=DIGEST,
    taken_at=NOW,
    taken_by="notebook",
    measures=(
        Measure(name="accuracy", value=0.9778, low=0.9568, high=0.9887, unit="1", n=360, method="wilson"),
        Measure(name="recall", value=0.8919, low=0.7529, high=0.957, unit="1", n=37, where={"class": "3"}, method="wilson"),
        Measure(name="latency_p99", value=61.0, low=55.3, high=72.0, unit="ms", n=7000, where={"batch": "32"}, method="order-statistics"),
        Measure(name="bin_accuracy", value=0.5, unit="1", n=10, where={"bin": "1"}),
    ),
    context={"data": "sha256:" + "ab" * 32, "threads": "1"},
)
POLICY = Policy(
    name="release",
    rules=(
        Rule(measure="accuracy", at_least=0.95),
        Rule(measure="recall", at_least=0.85, where={"class": "*"}),
        Rule(measure="latency_p99", at_most=50.0, unit="ms", where={"batch": "32"}, max_age="7d"),
        Rule(measure="log_loss", at_most=0.2, taken_by="runner"),
    ),
)
VERDICT = msgspec.structs.replace(judge(POLICY, [EVIDENCE], subject=DIGEST, now=NOW), about="digits")
"""pass, inconclusive, fail and missing, in this order."""

CONTRACT = Contract(
    inputs=(
        Column(name="radius", type="float", low=0.0, high=40.0, unit="mm"),
        Column(name="site", type="string", nullable=True, categories=("left", "right")),
    ),
    outputs=(Tensor(name="scores", dtype="float32", shape=("batch", 2)),),
    target=Column(name="diagnosis", type="string"),
)
BUNDLE = Bundle(
    name="tumor",
    contract=CONTRACT,
    scores="probabilities",
    labels=("benign", "malignant"),
    preprocess="prepare",
    snapshot="sha256:" + "cd" * 32,
    files=(BundleFile(path="model.onnx", bytes=160_000, sha256=DIGEST),),
)
LISTING = Listing(
    title="answers of digits",
    columns=("row", "label", "confidence"),
    rows=((0, "seven", 0.99812), (1, None, 0.5)),
    total=900,
    note="all in answers.csv",
)
NOTEBOOK = Notebook(
    name="digits.ipynb", kernel="python3", cells=(DIGEST, DIGEST), parameters=(Parameter(name="epochs", type="int", default="3"),)
)
RELEASE = Release(
    name="digits",
    alias="champion",
    bundle=DIGEST,
    state="held",
    action="promote",
    actor="ada@lab",
    at=NOW,
    why="better on light ink",
    verdict="sha256:" + "ef" * 32,
    version=2,
    previous="sha256:" + "0f" * 32,
)
ASKED = msgspec.structs.replace(RELEASE, state="asked", version=0)

SNAPSHOT = Snapshot(
    kind="table",
    rows=1_000_000,
    sampled=100_000,
    columns=(
        ColumnFacts(
            name="radius",
            type="float",
            nulls=12,
            fingerprint=DIGEST,
            channels=(
                Numbers(
                    low=1.5, high=39.0, mean=20.0, std=3.0, infinite=0, quantiles=(20.25,) * len(PROBABILITIES), edges=(1.5,), counts=(0, 9)
                ),
            ),
        ),
        ColumnFacts(
            name="site", type="string", nulls=0, fingerprint=DIGEST, categories=Categories(counts={"left": 9}, others=1, distinct=2)
        ),
        ColumnFacts(name="age", type="int", nulls=0, withheld=True),
    ),
)

PORTRAIT = Portrait(
    about="tumor",
    contract=DIGEST,
    rows=200_000,
    sampled=100_000,
    checks=9,
    fields=(
        FieldPortrait(
            side="in",
            field=Column(name="radius", type="float", low=0.0, high=40.0, unit="mm", declared=("low", "high", "unit")),
            nulls=12,
            picture=Bars(of="values", start=-2.0, stop=46.0, counts=(1, *[2] * 20, 5, 0, 3), outside=(1, *[0] * 20, 5, 0, 3), low=-1.5, high=45.5),
            violations=(Violation(field="radius", check="high", rows=8, what="column 'radius' is above 40 mm in 8 of 200,000 rows, first at row 3", examples=("row 3: 41",)),),
        ),
        FieldPortrait(
            side="in",
            field=Column(name="site", type="string", nullable=True, categories=("left", "right", "middle", "other"), mostly=0.9),
            nulls=20_000,
            picture=Shares(values=("left", "right", "top"), counts=(60, 30, 6), outside=(0, 0, 6), others=4, others_outside=4, distinct=7),
            tolerated=(Violation(field="site", check="category", rows=10, what="column 'site' is none of its 4 categories in 10 of 200,000 rows"),),
        ),
        FieldPortrait(side="in", field=Column(name="email", type="string", pii="email"), nulls=0, withheld=True),
        FieldPortrait(
            side="in", field=Column(name="seen", type="time"), nulls=0,
            picture=Bars(of="seconds", start=0.0, stop=86400.0, counts=(1, 1), outside=(0, 0), low=0.0, high=86400.0),
        ),
        FieldPortrait(side="out", field=Tensor(name="scores", dtype="float32", shape=("batch", 2), sum_to=1.0)),
    ),
    rules={"stay": "discharge >= admission"},
    violations=(Violation(field="stay", check="rule", rows=2, what="rule 'stay' is broken in 2 of 200,000 rows, first at row 7"),),
    suggestions=(
        Proposed(
            id="inputs.radius.range", field="radius", sentence="97 % of rows within 0 and 16", share=0.97, toml="[inputs.radius]\n# 97 %\nhigh = 16",
            settings={"inputs.radius.high": "16"},
        ),
        Proposed(id="inputs.radius.integers", field="radius", sentence="all rows are whole numbers kept as floats", share=1.0),
    ),
)  # fmt: skip

RECORDS: dict[str, Record] = {
    "asked": ASKED,
    "bundle": BUNDLE,
    "contract": CONTRACT,
    "evidence": EVIDENCE,
    "listing": LISTING,
    "notebook": NOTEBOOK,
    "policy": POLICY,
    "portrait": PORTRAIT,
    "release": RELEASE,
    "snapshot": SNAPSHOT,
    "verdict": VERDICT,
}


def poisoned(record: Record) -> Record:
    """The record with every free text replaced by the attack."""
    plain = msgspec.to_builtins(record)
    free = {
        "name",
        "about",
        "note",
        "reason",
        "actor",
        "why",
        "title",
        "unit",
        "measure",
        "policy",
        "preprocess",
        "default",
        "method",
        "what",
        "sentence",
        "toml",
        "id",
        "field_name",
    }
    return msgspec.convert(_poison(plain, free), type(record))


def _numbered(value: object, index: int) -> object:
    """Items of a list have names that differ."""
    return {**value, "name": f"{value['name']}{index}"} if isinstance(value, dict) and "name" in value else value


def _poison(value: object, free: set[str]) -> object:
    if isinstance(value, dict):
        poisoned_keys = {key: EVIL if key in free and item is not None else _poison(item, free) for key, item in value.items()}
        for key in ("where", "context"):
            if value.get(key):
                poisoned_keys[key] = {EVIL: EVIL}
        for key in ("labels", "categories", "columns"):
            if value.get(key) and isinstance(value[key], list | tuple) and isinstance(value[key][0], str):
                poisoned_keys[key] = [f"{EVIL}{index}" for index, _ in enumerate(value[key])]
        if isinstance(value.get("counts"), dict):
            poisoned_keys["counts"] = dict.fromkeys([EVIL], 9)
        return poisoned_keys
    if isinstance(value, list | tuple):
        return [_numbered(_poison(item, free), index) for index, item in enumerate(value)]
    return EVIL if value in ("seven", "all in answers.csv") else value
