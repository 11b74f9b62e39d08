"""Text that is made to keep a pattern busy is read to its end in the time of its child; code that is made to break its parser is a finding."""

from pathlib import Path

import pytest

from jupyter_mlprod.adapters.scan_child import ScanChild

BOMBS = {
    "tokens that never end": "eyJ",
    "quotes": "password='",
    "at signs": "@a.",
    "blocks of a number": "DE89 ",
}
LENGTH = 10_000_000


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What is said of ten megabytes of each, by a child that may take six microseconds a byte; nobody waits for ever."""
    folder: Path = tmp_path_factory.mktemp("bombs")
    paths = []
    for number, seed in enumerate(BOMBS.values()):
        paths.append(folder / f"{number}.txt")
        paths[-1].write_text((seed * (LENGTH // len(seed) + 1))[:LENGTH])
    looks = list(ScanChild(cpu_s=10).look(paths))
    return {name: "; ".join(map(str, look.spots)) for name, look in zip(BOMBS, looks, strict=True)}


@pytest.mark.parametrize("name", BOMBS)
def test_no_text_keeps_a_pattern_busy(told: dict[str, str], name: str) -> None:
    assert told[name] == ""


@pytest.mark.parametrize(
    "source", ["x = " + "(" * 5000, "x = " + "-" * 500_000 + "1", "if x:\n" * 100, "a." * 200_000 + "b", "[" * 100 + "x" + "]" * 100]
)
def test_code_that_breaks_its_parser_is_a_finding_and_the_next_file_is_read(tmp_path: Path, source: str) -> None:
    (tmp_path / "deep.py").write_text(source)
    (tmp_path / "next.py").write_text("import socket")
    deep, following = ScanChild().look([tmp_path / "deep.py", tmp_path / "next.py"])
    assert deep.counts.get("code") or deep.counts.get("hostile") or source.endswith("]" * 100)
    assert following.counts == {"code": 1}
