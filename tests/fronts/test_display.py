"""Records as text, HTML and JSON: what matters is said, nothing hostile gets through, nothing is said by color alone."""

import html
import html.parser
import json
import re
import tomllib

import msgspec
import numpy as np
import pytest

from jupyter_mlprod.core.batch import check_batch
from jupyter_mlprod.core.contract import Column, Contract
from jupyter_mlprod.core.evidence import Evidence, Measure
from jupyter_mlprod.core.listing import Listing
from jupyter_mlprod.core.nouns import NOUNS
from jupyter_mlprod.core.policy import Policy, Rule
from jupyter_mlprod.core.portrait import FieldPortrait
from jupyter_mlprod.core.portray import portray
from jupyter_mlprod.core.record import Record, digest, short
from jupyter_mlprod.core.verdict import judge
from jupyter_mlprod.fronts import display, markup
from jupyter_mlprod.fronts.view import VIEWS, view_of
from tests.fronts.records import BUNDLE, DIGEST, EVIDENCE, EVIL, LISTING, NOW, PORTRAIT, RECORDS, VERDICT, poisoned

SAYS = {
    "asked": ("asked: digits@champion for sha256:57001b905fc2", "when the whole notebook has passed"),
    "bundle": ("bundle tumor sha256:", "probabilities", "benign, malignant", "prepare()", "0.16 MB", "radius", "0 … 40", "mm", "(batch, 2)"),
    "contract": ("contract sha256:", "radius", "string: left, right", "allowed", "target", "diagnosis"),
    "evidence": ("quality of sha256:57001b905fc2", "by the notebook", "0.9778 [0.9568, 0.9887]", "class=3", "7,000", "95 %: order-", "threads 1"),
    "listing": ("answers of digits", "seven", "0.9981", "2 of 900 rows", "all in answers.csv"),
    "notebook": ("notebook digits.ipynb", "python3", "epochs", "2 code cells"),
    "policy": ("policy release", "≥ 0.95", "recall [class=*]", "≤ 50 ms", "runner", "7d"),
    "portrait": ("contract of tumor, 9 checks on 200,000 rows (serving view), 2 broken", "0 … 40 mm", "no nulls [inferred]", "✗ is above 40 mm in 8 of",
                 "row 3: 41", "one of left, right, middle and 1 more", "20,000 (10.0%)", "left 60%, right 30%, top 6%, 4 more", "withheld: personal",
                 "is none of its 4", "(mostly allows it)", "1970-01-01 … 1970-01-02", "sums to 1", "discharge >= admission", "✗ rule 'stay' is broken",
                 "radius.range", "97 % of rows within 0 and 16", "of 100,000 sampled rows", "declare inputs.radius.range: paste its TOML into the contract"),
    "release": ("digits@champion is version 2", "promote by ada@lab", "better on light ink", "before it sha256:0f0f0f0f0f0f"),
    "snapshot": ("table, 1,000,000 rows", "radius", "20.25", "left", "withheld", "of 100,000 rows"),
    "verdict": ("✗ fail  digits sha256:57001b905fc2, policy release", "✓ pass", "? inconclusive", "missing", "61 [55.3, 72] ms",
                "about 279 of them", "1 of 4 rules pass"),
}  # fmt: skip


class Page(html.parser.HTMLParser):
    """Which tags, attributes and words a page has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("br", "circle", "path"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_every_noun_has_a_view_and_an_example_here() -> None:
    assert set(VIEWS) == set(NOUNS) == {type(record) for record in RECORDS.values()}


@pytest.mark.parametrize("noun", RECORDS)
def test_text_says_what_matters(noun: str) -> None:
    text = display.as_text(RECORDS[noun])
    for words in SAYS[noun]:
        assert words in text
    assert "object at 0x" not in text
    assert "bin_accuracy" not in text


@pytest.mark.parametrize("noun", RECORDS)
def test_html_says_the_same_words_as_text(noun: str) -> None:
    spoken = " ".join("".join(Page(display.as_html(RECORDS[noun])).words).split())
    text = display.as_text(RECORDS[noun])
    for word in set(re.split(r"\s+", re.sub(f"[{display.BLOCKS}]+ ", "", text))) - {"…"}:
        assert word.rstrip("…;") in spoken


@pytest.mark.parametrize("noun", RECORDS)
def test_html_is_static_and_its_tables_have_scoped_headings(noun: str) -> None:
    page = Page(display.as_html(RECORDS[noun]))
    assert {tag for tag, _ in page.tags} <= {
        "b", "br", "circle", "details", "div", "p", "path", "pre", "span", "summary", "svg", "table", "tbody", "td", "th", "thead", "tr",
    }  # fmt: skip
    assert {name for _, attributes in page.tags for name in attributes if name.startswith("on") or name in ("href", "src")} == set()
    assert all(attributes.get("scope") in ("col", "row") for tag, attributes in page.tags if tag == "th")
    assert all(attributes.get("aria-hidden") == "true" for tag, attributes in page.tags if tag == "svg")
    for table in display.as_html(RECORDS[noun]).split("<table")[1:]:
        assert "<th scope=" in table


@pytest.mark.parametrize("noun", RECORDS)
def test_a_hostile_name_reaches_no_page_and_no_terminal(noun: str) -> None:
    record = poisoned(RECORDS[noun])
    page, text, line = display.as_html(record), display.as_text(record), display.as_json(record)
    assert "<script" not in page.lower()
    assert "&lt;script&gt;" in page
    Page(page)
    for shown in (page, text):
        assert not set(shown) & set("\x1b\u202e\x00\u2028\x9b\r")
    view = view_of(record)
    assert len(text.splitlines()) == 1 + len(view.notes) + sum(
        len(table.rows) + any(map(str.strip, table.columns)) for table in view.tables
    )
    assert line.isascii()
    assert "\n" not in line
    assert any(EVIL in found for found in _strings(json.loads(line)))  # a program gets what is in the record


def _strings(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in _strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in _strings(item)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize("noun", RECORDS)
def test_json_is_one_record_on_one_line_that_reads_back(noun: str) -> None:
    record = RECORDS[noun]
    line = display.as_json(record)
    assert len(line.splitlines()) == 1
    plain = json.loads(line)
    assert list(plain)[:2] == ["schema", "digest"]
    assert plain.pop("digest") == digest(record)
    assert msgspec.convert(plain, type(record)) == record


def test_a_listing_with_what_is_no_number_is_still_json_and_readable() -> None:
    odd = msgspec.structs.replace(LISTING, rows=((0, "a", float("nan")), (1, "b", float("inf"))))
    assert json.loads(display.as_json(odd), parse_constant=pytest.fail)["rows"] == [[0, "a", None], [1, "b", None]]
    assert "nan" in display.as_text(odd)
    assert "inf" in display.as_html(odd)


def test_an_outcome_is_never_said_by_color_alone() -> None:
    page = display.as_html(VERDICT)
    for outcome, mark in display.MARKS.items():
        sign, word = mark.split(" ")
        assert f'<b style="color:{markup.COLORS[outcome]}">{sign}</b> {word}' in page
    assert re.sub("\x1b\\[[0-9]*m", "", display.as_text(VERDICT, color=True)) == display.as_text(VERDICT)
    assert len({mark.split(" ")[0] for mark in display.MARKS.values()}) == len(display.MARKS)


def contrast(one: str, two: str) -> float:
    """WCAG 2.2, https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio."""

    def luminance(color: str) -> float:
        parts = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(one), luminance(two)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("ground", ["#ffffff", "#111111"])
def test_marks_are_readable_on_a_light_and_on_a_dark_ground(ground: str) -> None:
    assert all(contrast(color, ground) >= 4 for color in markup.COLORS.values())


def test_only_marks_carry_a_color_of_their_own() -> None:
    colors = set(re.findall(r"#[0-9a-f]{6}\b", display.as_html(VERDICT)))
    assert colors == set(markup.COLORS.values())
    for noun in ("bundle", "contract", "evidence", "listing", "notebook", "policy", "release"):
        assert "#" not in re.sub(r"&#\w+;", "", display.as_html(RECORDS[noun])), noun


def pictures(page: str) -> list[str]:
    return re.findall(r"<svg.*?</svg>", page)


def test_a_picture_shows_the_interval_against_the_limit() -> None:
    shown = pictures(display.as_html(VERDICT))
    ends = [tuple(map(float, found.groups())) if (found := re.search(r'd="M(\S+) 7H(\S+)"', one)) else () for one in shown]
    limits = [float(found[1]) if (found := re.search(r'd="M(\S+) 0V14"', one)) else None for one in shown]
    assert [finding.outcome for finding in VERDICT.findings] == ["pass", "inconclusive", "fail", "missing"]
    (pass_low, _), (vague_low, vague_high), (fail_low, _), nothing = ends
    pass_limit, vague_limit, fail_limit, no_limit = limits
    assert pass_limit is not None
    assert vague_limit is not None
    assert fail_limit is not None
    assert pass_limit < pass_low  # at least 0.95: the whole interval lies to the right
    assert vague_low < vague_limit < vague_high
    assert fail_limit < fail_low  # at most 50 ms: the whole interval lies beyond
    assert (nothing, no_limit) == ((), None)


def test_an_exact_value_on_its_limit_has_a_picture_too() -> None:
    zero = Evidence(
        kind="scan", subject=DIGEST, taken_at=NOW, taken_by="runner", measures=(Measure(name="pickle_files", value=0.0, unit="count", n=9),)
    )
    rule = Rule(measure="pickle_files", at_most=0.0, unit="count")
    page = display.as_html(judge(Policy(name="scan", rules=(rule,)), [zero], subject=DIGEST, now=NOW))
    assert 'cx="45.0"' in pictures(page)[0]
    assert "nan" not in page


def wide_verdict(rules: int) -> Record:
    """A verdict of many rules, each with an interval and a long remark."""
    names = [f"expected_calibration_error_{index}" for index in range(rules)]
    measures = tuple(
        Measure(
            name=name, value=0.5, low=0.4, high=0.6, unit="1", n=100_000, where={"slice": "site=the-second-one"}, method="bootstrap", note="the smallest slice that counts"
        )
        for name in names
    )  # fmt: skip
    evidence = msgspec.structs.replace(EVIDENCE, measures=measures)
    policy = Policy(name="release", rules=tuple(Rule(measure=name, at_least=0.3, where={"slice": "*"}) for name in names))
    return judge(policy, [evidence], subject=DIGEST, now=NOW)


@pytest.mark.parametrize("rules", [1, 20, 28])
def test_a_verdict_stays_small_in_a_saved_notebook(rules: int) -> None:
    assert len(display.as_html(wide_verdict(rules)).encode()) < 20_000


def test_a_word_without_end_is_cut_and_may_break() -> None:
    long = msgspec.structs.replace(LISTING, rows=((0, "x" * 100_000, 0.5),))
    assert len(display.as_html(long)) < 3_000
    assert "overflow-wrap:anywhere" in display.as_html(long)
    assert max(map(len, display.as_text(long).splitlines())) < 200


def test_numbers_stand_to_the_right_and_words_to_the_left() -> None:
    page = display.as_html(LISTING)
    assert '<th scope="col" style="text-align:right;white-space:nowrap">confidence</th>' in page
    assert '<td style="text-align:right;white-space:nowrap">0.9981</td>' in page
    assert '<td style="text-align:left">seven</td>' in page


def test_an_empty_listing_shows_its_note_and_no_empty_table() -> None:
    empty = Listing(title="bundles", columns=("name", "digest"), rows=(), total=0, note="nothing packaged yet")
    assert display.as_text(empty) == "bundles\nnothing packaged yet"
    assert "<table" not in display.as_html(empty)


def test_columns_that_are_empty_in_every_row_are_left_out() -> None:
    (_, fields) = view_of(BUNDLE).tables
    assert fields.columns == ("side", "name", "type", "shape", "range", "unit", "nulls")
    assert "remark" not in display.as_text(EVIDENCE)


def test_wide_characters_keep_a_table_straight() -> None:
    rows = (("猫", "a"), ("katze", "b"), ("e\u0301", "c"))
    text = display.as_text(Listing(title="t", columns=("label", "x"), rows=rows, total=3))
    assert text.splitlines()[1:] == ["label  x", "猫     a", "katze  b", "e\u0301      c"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (3.0, "3"), (1234567.0, "1,234,567"), (0.97777, "0.9778"), (1e-7, "1e-07"), (12345.6, "12,346"), (1e300, "1e+300"), (-0.003, "-0.003")],
)  # fmt: skip
def test_numbers_are_written_as_people_expect(value: float, text: str) -> None:
    assert display.number(value) == text


def test_the_short_digest_of_the_record_itself_is_shown() -> None:
    assert short(digest(VERDICT)) in display.as_text(VERDICT)
    assert short(digest(BUNDLE)) in display.as_html(BUNDLE)


def test_a_portrait_shows_the_rule_as_a_band_and_what_breaks_it_in_the_color_of_a_failure() -> None:
    bars, shares, seen = pictures(display.as_html(PORTRAIT))
    assert '<path d="M4 0H84V22H4z" fill="currentColor" opacity=".13"/>' in bars  # from 0 to 40 of -2 to 46
    assert bars.count(f'fill="{markup.COLORS["fail"]}"') == shares.count(f'fill="{markup.COLORS["fail"]}"') == 1
    bad = re.findall(r'<path d="([^"]*)" fill="#', bars)[0]
    assert [float(x) for x in re.findall(r"M([0-9.]+) ", bad)] == [0, 84, 92]
    assert "#" not in seen
    assert 'opacity=".13"' not in seen


def test_a_portrait_of_many_columns_stays_small_and_shows_those_with_violations() -> None:
    radius = PORTRAIT.fields[0]
    fine = msgspec.structs.replace(radius, violations=())

    def named(index: int) -> FieldPortrait:
        shown = radius if index >= 80 else fine
        return msgspec.structs.replace(shown, field=msgspec.structs.replace(radius.field, name=f"a_column_with_a_long_name_{index}"))

    proposed = tuple(
        msgspec.structs.replace(PORTRAIT.suggestions[0], toml=f"[inputs.radius_{i}]\n# 97 % of rows\nhigh = 16") for i in range(100)
    )
    wide = msgspec.structs.replace(PORTRAIT, fields=tuple(map(named, range(100))), suggestions=proposed)
    page, text = display.as_html(wide), display.as_text(wide)
    assert len(page.encode()) < 60_000
    assert "32 of 100 fields, those with violations first" in page
    assert all(f"name_{index} " in text for index in range(80, 100))
    assert "20 of 100 suggestions" in text


def test_suggestions_can_be_copied_as_one_document() -> None:
    one = PORTRAIT.suggestions[0]
    other = msgspec.structs.replace(one, toml="[inputs.radius]\n# none\nnullable = false")
    page = display.as_html(msgspec.structs.replace(PORTRAIT, suggestions=(one, other)))
    (block,) = re.findall(r"<pre[^>]*>(.*?)</pre>", page, re.DOTALL)
    assert tomllib.loads(html.unescape(block)) == {"inputs": {"radius": {"high": 16, "nullable": False}}}


@pytest.mark.parametrize(
    ("check", "told", "noted"),
    [("category", "'xxxxx'", 1), ("category", "'north'", 0), ("category", "personal, withheld", 0), ("pattern", "'x'", 0)],
)
def test_a_masked_category_is_told_once_with_what_unmasks_it(check: str, told: str, noted: int) -> None:
    where = {"check": check, "field": "site", "kind": "schema"}
    broken = Measure(
        name="broken", value=1.0, unit="count", n=9, note=f"column 'site' is wrong in 1 of 9 rows (row 5: {told})", where=where
    )
    shown = display.as_text(msgspec.structs.replace(EVIDENCE, measures=(broken, broken)))
    assert shown.count('pii = "none"') == noted


def test_a_page_shows_what_is_broken_below_the_rules_and_marks_what_was_inferred_alone() -> None:
    page = display.as_html(PORTRAIT)
    cell = next(one for one in re.findall(r"<td[^>]*>(.*?)</td>", page) if "0 … 40 mm" in one)
    assert re.match(r"0 … 40 mm<br>no nulls <span[^>]*>\[inferred\]</span><br><b [^>]*>✗</b> is above 40 mm in 8 of", cell)
    assert "[declared]" not in page + display.as_text(PORTRAIT)


def test_a_text_has_a_picture_of_blocks() -> None:
    line = next(line for line in display.as_text(PORTRAIT).splitlines() if "radius" in line)
    assert re.search(f"[{display.BLOCKS}]{{12}} -1.5 … 45.5", line)


def test_a_portrait_of_a_hundred_columns_with_violations_in_each_stays_small() -> None:
    random = np.random.default_rng(0)
    raw = {f"column_{index}": random.normal(size=1000) for index in range(100)}
    contract = Contract(inputs=tuple(Column(name=name, type="float", low=-2, high=2) for name in raw), outputs=())
    assert len(display.as_html(portray(contract, raw, about="wide", held=check_batch(contract, raw))).encode()) < 60_000
