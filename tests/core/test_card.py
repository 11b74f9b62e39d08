"""The model card: its numbers are those of the evidence, what nobody provided is said to be missing, and no name in it can act."""

import datetime
import re
from html.parser import HTMLParser

import mistune
import pytest

from jupyter_mlprod.core import card_html, card_markdown
from jupyter_mlprod.core.bundle import Bundle, Ensemble, Normalization, OperatingPoint, Origin, Training
from jupyter_mlprod.core.card import NOT_PROVIDED, card_of, number
from jupyter_mlprod.core.contract import Column, Contract, Tensor
from jupyter_mlprod.core.dossier import Dossier, Words, read_words
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.evidence import Evidence, Measure
from jupyter_mlprod.core.policy import Policy, Rule
from jupyter_mlprod.core.release import Release
from jupyter_mlprod.core.verdict import judge

NOW = datetime.datetime(2026, 11, 25, 10, 0, tzinfo=datetime.UTC)
DIGEST = "sha256:" + "ab" * 32
QUALITY = Evidence(
    kind="quality", subject=DIGEST, taken_at=NOW, taken_by="runner", context={"data": "sha256:" + "cd" * 32},
    measures=(
        Measure(name="accuracy", value=0.9777777777, low=0.9568, high=0.98871234567, unit="1", n=36012, method="wilson"),
        Measure(name="recall", value=0.5, unit="1", n=4, where={"class": "3"}),
        Measure(name="bin_accuracy", value=0.123456, unit="1", n=4, where={"confidence": "0.1"}),
    ),
)  # fmt: skip
HOSTILE = (
    "<img src=x onerror=alert(1)> | `a` [b](javascript:c) *d* \u202ee\nf\x1b[2J \\ # $g$ &amp; ~~h~~ ![i](j) "
    "https://evil.example/x ftp://evil.example WWW.evil.example www.evil.example ann@evil.example"
)


def dossier(**changes: object) -> Dossier:
    contract = Contract(
        inputs=(Tensor(name="image", dtype="float32", shape=("batch", 1, 8, 8), low=0.0, high=16.0, unit="ink"),),
        outputs=(Tensor(name="scores", dtype="float32", shape=("batch", 2)),),
    )
    known = {
        "bundle": Bundle(name="digits", contract=contract, scores="logits", labels=("left", "right")), "digest": DIGEST, "origin": None,
        "words": Words(), "requirements": ("numpy==2.4.6",), "locked": (), "snapshot_rows": None, "evidence": {}, "verdict": None,
        "releases": (), "as_of": "",
    }  # fmt: skip
    return Dossier(**{**known, **changes})  # type: ignore[arg-type]


def cells(text: str, heading: str, *, first: bool = False) -> list[list[str]]:
    """The rows of the tables of a Markdown section, or of its first."""
    section = text.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    if first:
        lines = section[section.index("|") :].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


class Shown(HTMLParser):
    """Tags, attributes and text of a page, as a browser would read them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.text: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_every_number_is_that_of_the_evidence_to_six_digits() -> None:
    card = card_of(dossier(evidence={"quality": QUALITY}))
    head, _, *rows = cells(card_markdown.markdown(card), "Quality", first=True)
    assert head == ["measure", "where", "value", "95 % interval", "n"]
    shown = [measure for measure in QUALITY.measures if measure.name != "bin_accuracy"]
    assert len(rows) == len(shown)
    for row, measure in zip(rows, shown, strict=True):
        assert row[0].replace("\\", "") == measure.name
        assert row[2] == f"{measure.value:.6g}"
        assert row[3] == ("" if measure.low is None else f"{measure.low:.6g} to {measure.high:.6g}")
        assert int(row[4].replace(",", "")) == measure.n
    assert [number(value) for value in (1.0, 1e-9, 0.1 + 0.2, 123456789.0)] == ["1", "1e-09", "0.3", "123456789"]


def test_both_renderings_say_the_same() -> None:
    card = card_of(dossier(evidence={"quality": QUALITY}, words=Words(ethics="One.\n\nTwo.")))
    page = "".join(Shown(card_html.page(card)).text)
    for section in card.sections:
        assert section.title in page
        for table in section.tables:
            assert all(cell in page for row in table.rows for cell in row)
        assert all(paragraph in page for paragraph in section.paragraphs)


def test_what_nobody_provided_is_said_to_be_missing_and_nothing_is_made_up() -> None:
    text = card_markdown.markdown(card_of(dossier(requirements=())))
    for heading in (
        "Intended use",
        "Out of scope",
        "Factors",
        "Quality",
        "Verdict",
        "Latency",
        "Parity",
        "Scan",
        "Training data",
        "Environment",
    ):
        assert f"## {heading}\n\n{NOT_PROVIDED}\n" in text
    assert ["license", NOT_PROVIDED] in cells(text, "Model details")
    assert "version" not in text
    assert "pass" not in text


def test_a_verdict_is_told_with_its_outcome_and_rules() -> None:
    policy = Policy(
        name="release", rules=(Rule(measure="accuracy", at_least=0.99), Rule(measure="recall", at_least=0.4, where={"class": "3"}))
    )
    verdict = judge(policy, [QUALITY], subject=DIGEST, now=NOW)
    text = card_markdown.markdown(card_of(dossier(verdict=verdict)))
    assert "It fails: policy release, decided 2026-11-25 10:00 UTC." in text
    assert ["fail", "accuracy", "at least 0.99", "0.977778", "runner"] in cells(text, "Verdict")


def test_origin_releases_processing_and_data_are_told() -> None:
    bundle = dossier().bundle
    table = Contract(
        inputs=(
            Column(name="age", type="float", low=0.0, nullable=True, pii="age"),
            Column(name="site", type="string", categories=("a", "b")),
        ),
        outputs=bundle.contract.outputs,
    )
    whole = Bundle(
        name="digits", contract=table, scores="probabilities", labels=("left", "right"), preprocess="prepare", postprocess="round_up",
        snapshot="sha256:" + "ef" * 32, normalization={"x": Normalization(mean=(0.5,), std=(2.0,))}, ensemble=Ensemble(combine="vote", weights=(0.5, 0.5)),
        operating_point=OperatingPoint(temperature=1.5, thresholds={"left": 0.7}),
    )  # fmt: skip
    origin = Origin(
        created_at="2026-11-25T09:00:00+00:00", actor="ann", python="3.11.7", platform="Linux", git_commit="ab" * 20,
        training=Training(mlflow_run="r1", seeds={"torch": 7}, parameters={"lr": "0.1"}),
    )  # fmt: skip
    release = Release(
        name="digits",
        alias="champion",
        bundle=DIGEST,
        state="held",
        action="promote",
        actor="bob",
        at=NOW,
        why="better",
        verdict="",
        version=3,
    )
    text = card_markdown.markdown(card_of(dossier(bundle=whole, origin=origin, releases=(release,), snapshot_rows=1797)))
    details = cells(text, "Model details")
    assert ["became champion", "version 3, 2026-11-25 10:00 UTC, by bob: better"] in details
    assert ["MLflow run", "r1"] in details
    assert ["seed of torch", "7"] in details
    assert ["training parameter lr", "0.1"] in details
    assert ["input", "age: column of float", "from 0; may be null", "age"] in cells(text, "Inputs and outputs")
    assert ["rows", "1797"] in cells(text, "Training data")
    for fact in (
        "prepare()",
        "round\\_up()",
        "mean 0.5, standard deviation 2",
        "vote of 2 members",
        "| temperature | 1.5 |",
        "| threshold of left | 0.7 |",
    ):
        assert fact in text


def hostile() -> Dossier:
    """A dossier in which every text that somebody else can choose is hostile."""
    base = dossier()
    field = Tensor(name=HOSTILE, dtype="float32", shape=("batch", HOSTILE), unit=HOSTILE, pii=HOSTILE)
    measure = Measure(name=HOSTILE, value=1.0, unit=HOSTILE, n=1, where={HOSTILE: HOSTILE}, note=HOSTILE)
    evidence = Evidence(kind="quality", subject=DIGEST, taken_at=NOW, taken_by="notebook", measures=(measure,), context={HOSTILE: HOSTILE})
    training = Training(mlflow_run=HOSTILE, seeds={HOSTILE: 1}, parameters={HOSTILE: HOSTILE})
    return dossier(
        bundle=Bundle(
            name="digits", contract=Contract(inputs=(field,), outputs=base.bundle.contract.outputs), scores="logits", labels=(HOSTILE, "b"),
            preprocess=HOSTILE, snapshot=HOSTILE,
        ),
        origin=Origin(created_at=HOSTILE, actor=HOSTILE, python=HOSTILE, platform=HOSTILE, notebook=HOSTILE, git_commit=HOSTILE, training=training),
        words=Words(**dict.fromkeys(Words.__struct_fields__, f"{HOSTILE}\n\n# heading\n\n1. list\n\n---\n\n> quote")),
        requirements=(HOSTILE,),
        evidence={"quality": evidence},
    )  # fmt: skip


def test_no_name_in_the_page_becomes_an_element_or_an_attribute() -> None:
    shown = Shown(card_html.page(card_of(hostile())))
    plain = Shown(card_html.page(card_of(dossier())))
    assert set(shown.tags) <= set(plain.tags)
    assert shown.attributes <= {"lang", "charset", "http-equiv", "content", "name", "scope", "class"}
    assert shown.tags.count("script") == 0
    text = "".join(shown.text)
    assert "<img src=x onerror=alert(1)>" in text, "it is shown as it was written"
    assert "\u202e" not in text
    assert "\x1b" not in text


def test_no_name_in_the_markdown_becomes_markup_or_breaks_a_table() -> None:
    text = card_markdown.markdown(card_of(hostile()))
    assert "<img" not in text
    assert "\u202e" not in text
    assert "\x1b" not in text
    bare = re.sub(r"\\[\\`*_{}\[\]#!|~$@.)+=-]", "", text)
    assert "`" not in bare
    assert "[" not in bare
    assert "~" not in bare
    assert not re.search(r"://|www\.|@\w", text, re.IGNORECASE), "GitHub would make a link of it"
    assert "<a " not in str(mistune.create_markdown(plugins=["table", "url", "strikethrough"])(text))
    assert {line for line in bare.splitlines() if line.startswith("#")} == {
        line for line in card_markdown.markdown(card_of(dossier())).splitlines() if line.startswith("#")
    }, "the headings are ours"
    assert not [line for line in text.splitlines() if re.match(r"(\d+[.)]|[-+*>])\s|---$", line)]
    for block in text.split("\n\n"):
        if block.startswith("|"):
            assert len({len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in block.splitlines()}) == 1, block


@pytest.mark.parametrize(
    "text", ["1. a", "- a", "+ a", "---", "===", "# a", "> a", "| a", "a\\", "a@b.org", "https://b.org", "0.97", "-0.5", "2026-11-25"]
)
def test_an_escaped_text_is_one_line_that_says_the_same(text: str) -> None:
    shown = card_markdown.escaped(text)
    assert "\n" not in shown
    seen = shown.replace("\\\\", "\0").replace("\\", "").replace("\0", "\\").replace("&gt;", ">").replace("&#8288;", "")
    assert seen == text
    if text[0].isdigit() or text == "-0.5":
        assert (shown == text) is (text != "1. a"), "a number stays readable"


def test_the_page_has_one_main_heading_then_a_heading_a_section_and_loads_nothing() -> None:
    card = card_of(dossier(evidence={"quality": QUALITY}))
    page = card_html.page(card)
    tags = Shown(page).tags
    assert (tags.count("h1"), tags.count("h2"), tags.count("main")) == (1, len(card.sections), 1)
    assert tags.count("caption") == tags.count("table") > 0
    assert '<html lang="en">' in page
    assert "prefers-color-scheme: dark" in page
    assert "default-src 'none'" in page
    assert not re.search(r"https?:|url\(|@import|src=|href=", page)


def test_words_that_are_none_are_one_clear_line() -> None:
    with pytest.raises(MlprodError) as refused:
        read_words('limits = "x"\nlicense = 3')
    assert refused.value.code is Code.BAD_REQUEST
    assert refused.value.message.splitlines()[0].startswith("card:1: unknown key 'limits'")
    assert len(refused.value.message.splitlines()) == 2
