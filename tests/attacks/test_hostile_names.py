"""Names, reasons and labels that mean harm: refused where they become a path or a query, rendered harmless where they are told."""

import json
import unicodedata
import zipfile
from html.parser import HTMLParser
from pathlib import Path

import pytest

from jupyter_mlprod.core.bundle import Bundle
from jupyter_mlprod.core.errors import Code
from jupyter_mlprod.core.listing import Listing
from jupyter_mlprod.core.record import Record
from jupyter_mlprod.core.release import Release
from jupyter_mlprod.core.requests import Evaluate, Gate, History, List, Package, Predict, Promote, Request, Rollback, Show
from jupyter_mlprod.core.verdict import Verdict
from jupyter_mlprod.fronts import display, magics
from tests.verbs.tiny import PACKAGED, Desk, linear

BAD_NAMES = {
    "html": "<script>alert(1)</script>",
    "quote": "x' or name = 'tiny",
    "right to left": "tiny\u202egnp.exe",
    "zero width": "ti\u200bny",
    "newline": "tiny\nchampion",
    "trailing newline": "tiny\n",
    "nul": "tiny\x00",
    "escape": "\x1b[2Jtiny",
    "long": "x" * 5000,
    "up": "../x",
    "absolute": "/etc/x",
    "backslash": "..\\x",
    "hidden": ".hidden",
    "dots": "..",
    "empty": "",
    "blank": " ",
    "other letters": "тiny",
    "colon": "tiny:1",
    "at": "tiny@champion",
    "surrogate": "tiny\udce9",
}
"""By what they try."""

TOLD = [
    "<img src=x onerror=alert(1)>",
    "</td></tr></table><script>alert(1)</script>",
    "better\u202eretteb",
    "two\nlines\tand\x00nul",
    "\x1b]0;title\x07\x1b[31mred",
    "x" * 5000,
    "\u2066\u200f\ufeff",
    "quotes \" ' ` {0} %s",
]


class Tags(HTMLParser):
    """Every tag and attribute of a text, as a browser would find them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def harmless(record: Record) -> None:
    """Both renderings: no tag of the author's, no character that redraws a terminal or turns text around; and one line of JSON."""
    found = Tags()
    found.feed(display.as_html(record))
    assert not found.tags & {"script", "img", "iframe", "a", "object", "style"}
    assert not {name for name in found.attributes if name.startswith("on")}
    for text in (display.as_text(record), display.as_html(record)):
        assert not {character for character in text if unicodedata.category(character) in ("Cc", "Cf", "Cs")} - {"\n"}
    assert json.loads(display.as_json(record))["schema"]
    assert "\n" not in display.as_json(record)


@pytest.mark.parametrize("name", BAD_NAMES.values(), ids=BAD_NAMES)
def test_no_such_name_becomes_a_bundle_an_alias_or_a_model(desk: Desk, name: str) -> None:
    linear(desk.folder / "model.onnx", shift=0.0)
    before = desk.files()
    requests: list[Request] = [
        Package(**{**PACKAGED, "name": name}),
        Promote(subject="tiny", to=name),
        Rollback(name=name, why="drill"),
        *([Gate(subjects=("tiny",), promote=name)] if name else []),
    ]
    for request in requests:
        assert desk.refused(request).code is Code.BAD_REQUEST
    assert desk.files() == before


@pytest.mark.parametrize("name", [name for name in BAD_NAMES.values() if name not in ("tiny:1", "tiny@champion")], ids=repr)
def test_such_a_subject_is_refused_in_one_line_and_nothing_is_made(desk: Desk, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = desk.files()
    words = ["predict", f"--subject={name}", "--data", "x.npy", "--out", "answers.csv"]
    assert desk.command(*words) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) <= 2
    assert len(printed.err) < 1000 or name == "x" * 5000
    assert desk.files() == before
    assert not Path("answers.csv").exists()


@pytest.mark.parametrize(
    "subject", ["tiny:" + "9" * 5000, "tiny:999999999999999999999", "tiny:٣", "sha256:" + "0" * 65, "tiny:-1", "tiny:0"]
)
def test_a_version_or_digest_that_is_none_is_refused(desk: Desk, subject: str) -> None:
    assert desk.refused(Show(subject=subject)).code.status == 2


@pytest.mark.parametrize("why", TOLD)
def test_a_reason_is_kept_as_it_was_and_told_without_its_harm(desk: Desk, why: str) -> None:
    made = desk.proven(0.02)
    release = desk.run(Promote(subject=made, why=why), Release)
    assert release.why == why
    harmless(release)
    harmless(desk.run(History(name="tiny"), Listing))


def test_an_actor_is_told_without_its_harm(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLPROD_ACTOR", "<b>\u202e\x1b[2J" + "x" * 500)
    harmless(desk.run(Rollback(name="tiny", why="drill"), Release))
    harmless(desk.run(History(name="tiny"), Listing))
    desk.package(0.5)
    harmless(desk.run(List(), Listing))


def test_what_is_told_beside_a_record_does_not_redraw_the_terminal(bare_desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    with zipfile.ZipFile("member.zip", "w") as archive:
        archive.writestr("a\x1b[31m\u202eb\x07.pkl", b"cos\nsystem\n(S'id'\ntR.")
    assert bare_desk.command("scan", "member.zip") == 1
    told = capsys.readouterr().err
    assert "runs os.system when it is loaded" in told
    magics._tell("b\x1b[2J\u202e")
    assert capsys.readouterr().out.endswith("b[2J\n")
    assert not {"\x1b", "\u202e", "\x07"} & set(told)


def test_labels_columns_and_slices_are_told_without_their_harm(bare_desk: Desk) -> None:
    columns = "a,<script>alert(1)</script>,c\u202e"
    lines = [f"{i},{i % 7 - 3},1" for i in range(30)]
    Path("rows.csv").write_text("\n".join([columns, *lines]))
    Path("head.csv").write_text("\n".join([columns, *lines[:6]]))
    Path("site.csv").write_text("\n".join(["<i>site</i>", *(["<b>x</b>", "\x1b[2J"] * 15)]))
    Path("truth.csv").write_text("\n".join(["t", *(["0", "1"] * 15)]))
    linear(bare_desk.folder / "model.onnx", shift=0.0)
    labels = "<img src=x onerror=alert(1)>,\u202eright"
    request = Package(
        **{**PACKAGED, "labels": labels, "example": "head.csv", "preprocess": "", "contract": '[inputs.a]\nunit = "<svg onload=x>"'}
    )
    harmless(bare_desk.run(request, Bundle))
    evidence = bare_desk.workspace().run(Evaluate(subject="tiny", data="rows.csv", target="truth.csv", slices="site.csv"))
    harmless(evidence)
    harmless(bare_desk.run(Predict(subject="tiny", data="rows.csv"), Listing))
    harmless(bare_desk.run(Gate(subjects=("tiny",)), Verdict))
