"""The harness is held to its word with entries that cost nothing; no claim here is about how long anything takes."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from benchmarks.__main__ import listing, main
from benchmarks.entries import ENTRIES
from benchmarks.entries.load_ext import CHILD
from benchmarks.harness import (
    Entry,
    MeasureError,
    Sample,
    Series,
    Side,
    as_text,
    bar,
    command,
    command_side,
    interleaved,
    judged,
    seconds,
    this_machine,
    timed,
)

README = Path(__file__).parents[2] / "benchmarks" / "README.md"


def series(name: str, wall: Sequence[float], *, peer: bool = False, cpu: float = 0.0, faults: tuple[str, ...] = ()) -> Series:
    return Series(name=name, peer=peer, samples=tuple(Sample(wall_s=value, cpu_s=cpu, faults=faults) for value in wall))


def entry(*found: Series, name: str = "fake", bar_s: float | None = 1.0, counted: int = 3) -> Entry:
    return Entry(
        name=name, what="nothing", bar_s=bar_s, clock="wall", counted=counted, packages=("msgspec",), measure=lambda _counted: found
    )


GOOD = entry(series("own", [0.5, 0.7, 0.6]), series("other", [1.2, 1.8, 3.0], peer=True), name="good")
SLOW = entry(series("own", [1.5, 0.1, 1.1]), series("other", [9.0], peer=True), name="slow")
FAKES = (GOOD, SLOW)


def test_the_sides_take_turns_after_one_round_that_is_not_counted() -> None:
    taken: list[str] = []

    def side(name: str, *, peer: bool = False) -> Side:
        def take() -> Sample:
            taken.append(name)
            return Sample(wall_s=float(len(taken)), cpu_s=0.0)

        return Side(name=name, take=take, peer=peer)

    found = interleaved((side("A"), side("B", peer=True)), counted=2)
    assert taken == ["A", "B", "A", "B", "A", "B"]
    assert [(one.name, one.peer, [sample.wall_s for sample in one.samples]) for one in found] == [
        ("A", False, [3.0, 5.0]),
        ("B", True, [4.0, 6.0]),
    ]


def test_a_row_holds_median_extremes_and_how_many_times_as_long_the_peer_took() -> None:
    result = judged(GOOD, GOOD.measure(3), machine={})
    (own,) = result.measured
    assert (own.median_s, own.low_s, own.high_s, own.counted) == (0.6, 0.5, 0.7, 3)
    assert own.peer_over_own == pytest.approx(3.0)
    assert (result.peer.median_s, result.peer.peer_over_own) == (1.8, None)


def test_the_clock_of_the_entry_decides_which_time_is_judged() -> None:
    found = (series("own", [0.1], cpu=2.0), series("other", [0.1], cpu=6.0, peer=True))
    by_cpu = Entry(name="cpu", what="", bar_s=1.0, clock="cpu", counted=1, packages=(), measure=lambda _counted: found)
    result = judged(by_cpu, found, machine={})
    assert not result.holds
    assert result.measured[0].peer_over_own == 3.0


def test_a_median_on_the_bar_holds_and_one_above_it_does_not() -> None:
    peer = series("other", [1.0], peer=True)
    assert judged(GOOD, (series("own", [1.0]), peer), machine={}).holds
    assert not judged(GOOD, (series("own", [1.0000001]), peer), machine={}).holds


def test_one_own_side_above_the_bar_misses_it_and_a_slow_peer_does_not() -> None:
    peer = series("other", [50.0], peer=True)
    assert judged(GOOD, (series("one", [0.1]), peer), machine={}).holds
    assert not judged(GOOD, (series("one", [0.1]), series("two", [2.0]), peer), machine={}).holds


def test_a_fault_misses_the_bar_at_any_speed_unless_it_is_the_peers() -> None:
    peer = series("other", [1.0], peer=True, faults=("torch is imported",))
    assert judged(GOOD, (series("own", [0.0001]), peer), machine={}).holds
    result = judged(GOOD, (series("own", [0.0001, 0.0001], faults=("torch is imported",)), peer), machine=this_machine())
    assert not result.holds
    assert result.faults == ("own: torch is imported",)
    assert "fault: own: torch is imported" in as_text(result)


def test_without_a_bar_on_time_a_fault_alone_misses() -> None:
    peer = series("other", [1.0], peer=True)
    slow = entry(series("own", [500.0]), peer, bar_s=None)
    assert judged(slow, slow.measure(1), machine={}).holds
    assert "no fault, at any speed: holds" in as_text(judged(slow, slow.measure(1), machine=this_machine()))
    assert judged(slow, slow.measure(1), machine={}).measured[0].peer_over_own == pytest.approx(1 / 500)
    faulty = (series("own", [0.1], faults=("not proven at batch 3",)), peer)
    assert not judged(slow, faulty, machine={}).holds
    with pytest.raises(ValueError):  # noqa: PT011  statistics raises a subclass with its own text
        judged(slow, (series("own", []), peer), machine={})


@pytest.mark.parametrize(
    "found",
    [
        (series("own", [0.1]),),
        (series("other", [0.1], peer=True),),
        (series("own", []), series("other", [0.1], peer=True)),
        (series("own", [0.1]), series("one", [0.1], peer=True), series("two", [0.1], peer=True)),
    ],
    ids=["no peer", "nothing of ours", "no samples", "two peers"],
)
def test_what_was_not_measured_never_holds(found: tuple[Series, ...]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  statistics raises a subclass with its own text
        judged(GOOD, found, machine={})


@pytest.mark.parametrize(("name", "status"), [("good", 0), ("slow", 1)])
def test_the_exit_status_is_0_exactly_when_the_bar_holds(name: str, status: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name], entries=FAKES) == status
    text = capsys.readouterr().out
    assert ("holds" in text, "MISSED" in text) == (status == 0, status == 1)
    assert all(part in text for part in ("own", "other", "times as long", "load average", "median at most 1 s wall", "msgspec"))


def test_json_is_exactly_one_object_with_the_same_status(capsys: pytest.CaptureFixture[str]) -> None:
    for fake, status in ((GOOD, 0), (SLOW, 1)):
        assert main([fake.name, "--json"], entries=FAKES) == status
        told = json.loads(capsys.readouterr().out)
        assert (told["entry"], told["holds"], told["bar_s"]) == (fake.name, status == 0, 1.0)
        assert {"cpu", "cores", "python", "load_average"} <= told["machine"].keys()
        assert told["measured"][0]["peer_over_own"] == pytest.approx(told["peer"]["median_s"] / told["measured"][0]["median_s"])


def test_an_unknown_name_exits_2_and_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["goood", "--json"], entries=FAKES) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "did you mean 'good'?" in told.err


def test_no_name_is_a_usage_error() -> None:
    with pytest.raises(SystemExit) as caught:
        main([], entries=FAKES)
    assert caught.value.code == 2


def test_list_names_every_entry_with_its_bar_in_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [one.name for one in ENTRIES]
    assert all(bar(one.bar_s, one.clock) in line for one, line in zip(ENTRIES, lines, strict=True))
    assert any(f"median at most {seconds(one.bar_s)} {one.clock}" in listing([one]) for one in ENTRIES if one.bar_s is not None)
    assert len({one.name for one in ENTRIES}) == len(ENTRIES)
    assert listing(ENTRIES).splitlines() == lines


def test_the_readme_has_every_entry_with_its_bar() -> None:
    rows = {line.split("|")[1].strip(): line for line in README.read_text("utf-8").splitlines() if line.startswith("| `")}
    assert set(rows) == {f"`{one.name}`" for one in ENTRIES}
    assert all(f"{seconds(one.bar_s)} {one.clock}" in rows[f"`{one.name}`"] for one in ENTRIES if one.bar_s is not None)
    assert all("no bar on time" in rows[f"`{one.name}`"] for one in ENTRIES if one.bar_s is None)


def test_a_command_gives_its_output_and_is_charged_for_its_children() -> None:
    grandchild = "import sys, time; sum(range(10**7)); sys.stdout.write(str(time.process_time()))"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grandchild!r}], check=True)"
    sample, told = command([sys.executable, "-c", child])
    assert sample.cpu_s >= float(told) > 0


@pytest.mark.parametrize(("source", "faults"), [("import numpy", ("numpy is imported",)), ("import json", ())])
def test_an_extension_is_faulted_for_the_heavy_modules_it_imports(tmp_path: Path, source: str, faults: tuple[str, ...]) -> None:
    (tmp_path / "fake_extension.py").write_text(f"{source}\n\n\ndef load_ipython_extension(shell):\n    pass\n")
    environ = {**os.environ, "PYTHONPATH": str(tmp_path), "IPYTHONDIR": str(tmp_path)}
    _, told = command([sys.executable, "-P", CHILD, "fake_extension"], environ=environ)
    assert msgspec.json.decode(told, type=Sample).faults == faults


def test_an_extension_that_does_not_load_is_not_a_time(tmp_path: Path) -> None:
    (tmp_path / "no_extension.py").touch()
    environ = {**os.environ, "PYTHONPATH": str(tmp_path), "IPYTHONDIR": str(tmp_path)}
    with pytest.raises(MeasureError, match="no_extension was not loaded"):
        command([sys.executable, "-P", CHILD, "no_extension"], environ=environ)


def test_a_command_that_fails_or_is_absent_is_not_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(MeasureError, match="exits 3: told why"):
        command([sys.executable, "-c", "import sys; sys.stderr.write('told why'); sys.exit(3)"])
    with pytest.raises(MeasureError, match="no-such-command"):
        command_side("absent", ["/no-such-command"]).take()

    def fails(_counted: int) -> tuple[Series, ...]:
        return interleaved((command_side("absent", ["/no-such-command"]),), counted=1)

    broken = Entry(name="broken", what="", bar_s=1.0, clock="wall", counted=1, packages=(), measure=fails)
    assert main(["broken", "--json"], entries=(broken,)) == 4
    told = capsys.readouterr()
    assert told.out == ""
    assert "broken was not measured" in told.err


def test_a_timed_function_is_called_once() -> None:
    calls: list[int] = []
    sample = timed(lambda: calls.append(1))
    assert calls == [1]
    assert sample.faults == ()
