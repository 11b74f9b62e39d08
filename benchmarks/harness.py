"""Timing of commands and functions beside a peer, and the judgement of the medians against a bar.

The sides take turns, A B A B, so that whatever else the machine does meanwhile falls on all of them alike; the first round warms up and
is dropped. Every figure is in seconds: CPU is user and system time, that of finished child processes included.
"""

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from jupyter_mlprod.adapters.machine import Machine, version_of

CHILD_TIMEOUT_S = 900.0
Clock = Literal["wall", "cpu"]


class MeasureError(Exception):
    """A side could not be measured; the message says which command and why."""


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One measured run; a fault is anything that misses the bar whatever the time was."""

    wall_s: float
    cpu_s: float
    faults: tuple[str, ...] = ()


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """What is run, and whether it is the peer."""

    name: str
    take: Callable[[], Sample]
    peer: bool = False


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """The counted samples of one side, in the order they were taken."""

    name: str
    samples: tuple[Sample, ...]
    peer: bool = False


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One claim: no own side has a fault, and the median of each is at most ``bar_s`` on ``clock``, over ``counted`` runs.

    Where ``bar_s`` is absent, nothing was promised of the time; it is told beside the peer's and decides nothing.
    """

    name: str
    what: str
    bar_s: float | None
    clock: Clock
    counted: int
    packages: tuple[str, ...]
    """Distributions whose versions the figures depend on."""
    measure: Callable[[int], tuple[Series, ...]]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One side's figures; ``peer_over_own`` says how many times as long the peer took."""

    name: str
    median_s: float
    low_s: float
    high_s: float
    counted: int
    peer_over_own: float | None


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a run of an entry found."""

    entry: str
    what: str
    clock: Clock
    bar_s: float | None
    holds: bool
    measured: tuple[Row, ...]
    peer: Row
    faults: tuple[str, ...]
    machine: Mapping[str, str]
    versions: Mapping[str, str]


def timed(function: Callable[[], Any]) -> Sample:
    """One call in this process."""
    cpu, wall = _cpu_s(resource.RUSAGE_SELF) + _cpu_s(resource.RUSAGE_CHILDREN), time.perf_counter()
    function()
    wall_s = time.perf_counter() - wall
    return Sample(wall_s=wall_s, cpu_s=_cpu_s(resource.RUSAGE_SELF) + _cpu_s(resource.RUSAGE_CHILDREN) - cpu)


def command(arguments: Sequence[str | Path], *, environ: Mapping[str, str] | None = None, folder: Path | None = None) -> tuple[Sample, str]:
    """One child process, from its start to its end, and what it wrote on standard output.

    Raises
    ------
    MeasureError : it cannot be started, exits with another status than 0, or takes longer than ``CHILD_TIMEOUT_S``.
    """
    line = " ".join(str(argument) for argument in arguments)
    cpu, wall = _cpu_s(resource.RUSAGE_CHILDREN), time.perf_counter()
    try:
        done = subprocess.run(  # noqa: S603  the entries' own commands, as lists, without a shell
            arguments, capture_output=True, text=True, env=environ, cwd=folder, timeout=CHILD_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MeasureError(f"{line}: {error}") from error
    wall_s = time.perf_counter() - wall
    if done.returncode != 0:
        raise MeasureError(f"{line} exits {done.returncode}: {done.stderr.strip()[-2000:]}")
    return Sample(wall_s=wall_s, cpu_s=_cpu_s(resource.RUSAGE_CHILDREN) - cpu), done.stdout


def command_side(name: str, arguments: Sequence[str | Path], *, peer: bool = False) -> Side:
    """A side that is a whole command."""
    return Side(name=name, take=lambda: command(arguments)[0], peer=peer)


def interleaved(sides: Sequence[Side], *, counted: int) -> tuple[Series, ...]:
    """Every side once for warmth, then ``counted`` rounds in which each side runs once."""
    for side in sides:
        side.take()
    rounds = [[side.take() for side in sides] for _ in range(counted)]
    return tuple(
        Series(name=side.name, samples=samples, peer=side.peer) for side, samples in zip(sides, zip(*rounds, strict=True), strict=True)
    )


def judged(entry: Entry, series: Sequence[Series], *, machine: Mapping[str, str]) -> Result:
    """Hold the own sides against the bar; the peer's time decides nothing.

    Raises
    ------
    ValueError : there is not exactly one peer, no side of ours, or a side without samples.
    """
    (other,) = [one for one in series if one.peer]
    peer = _row(other, entry.clock, peer_s=None)
    own = [one for one in series if not one.peer]
    if not own:
        raise ValueError(f"{entry.name} measures nothing of ours")
    measured = tuple(_row(one, entry.clock, peer_s=peer.median_s) for one in own)
    faults = tuple(dict.fromkeys(f"{one.name}: {fault}" for one in own for sample in one.samples for fault in sample.faults))
    return Result(
        entry=entry.name,
        what=entry.what,
        clock=entry.clock,
        bar_s=entry.bar_s,
        holds=not faults and (entry.bar_s is None or all(row.median_s <= entry.bar_s for row in measured)),
        measured=measured,
        peer=peer,
        faults=faults,
        machine=machine,
        versions={name: version_of(name) for name in entry.packages},
    )


def run(entry: Entry) -> Result:
    """Measure an entry; the machine is described before the runs, which themselves load it."""
    machine = this_machine()
    return judged(entry, entry.measure(entry.counted), machine=machine)


def this_machine() -> dict[str, str]:
    """CPU model, usable cores, Python, and the load average of the last 1, 5 and 15 minutes."""
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    return {**Machine(Path(sys.prefix), actor="benchmarks").context(), "load_average": load}


def as_text(result: Result) -> str:
    """A result as a person reads it."""
    rows = [*result.measured, result.peer]
    width = max(len(row.name) for row in rows)
    lines = [f"{result.entry}: {result.what}"]
    for row in rows:
        beside = "peer" if row.peer_over_own is None else f"the peer takes {row.peer_over_own:.2f} times as long"
        spread = f"({seconds(row.low_s)} to {seconds(row.high_s)}, n={row.counted})"
        lines.append(f"  {row.name:<{width}}  {seconds(row.median_s):>8} {result.clock}  {spread:<32}  {beside}")
    lines += [f"  fault: {fault}" for fault in result.faults]
    lines.append(f"  bar: {bar(result.bar_s, result.clock)}: {'holds' if result.holds else 'MISSED'}")
    about = result.machine
    lines.append(
        f"  on {about['cpu']}, {about['cores']} cores, {about['machine']}, Python {about['python']}, load average {about['load_average']}"
    )
    lines.append("  with " + ", ".join(f"{name} {version or 'absent'}" for name, version in result.versions.items()))
    return "\n".join(lines)


def bar(bar_s: float | None, clock: Clock) -> str:
    return "no fault, at any speed" if bar_s is None else f"median at most {seconds(bar_s)} {clock}"


def seconds(value: float) -> str:
    """Three digits, in ms below a tenth of a second."""
    return f"{value * 1000:.3g} ms" if value < 0.1 else f"{value:.3g} s"


def _row(series: Series, clock: Clock, *, peer_s: float | None) -> Row:
    times = [sample.wall_s if clock == "wall" else sample.cpu_s for sample in series.samples]
    median_s = statistics.median(times)
    return Row(
        name=series.name,
        median_s=median_s,
        low_s=min(times),
        high_s=max(times),
        counted=len(times),
        peer_over_own=None if peer_s is None else peer_s / median_s,
    )


def _cpu_s(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime
