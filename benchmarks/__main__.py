"""``python -m benchmarks NAME``: run one entry and tell by the exit status whether its bar holds.

0: it holds. 1: it is missed. 2: there is no such entry. 4: nothing was measured, as when the peer is not installed.
"""

import argparse
import sys
from collections.abc import Sequence

import msgspec

from benchmarks.entries import ENTRIES
from benchmarks.harness import Entry, MeasureError, as_text, bar, run
from jupyter_mlprod.core.document import did_you_mean

HOLDS, MISSED, UNKNOWN, NOT_MEASURED = 0, 1, 2, 4


def main(arguments: Sequence[str] | None = None, *, entries: Sequence[Entry] = ENTRIES) -> int:
    """Run one command and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Speed claims, each beside a named peer.")
    parser.add_argument("name", nargs="?", metavar="NAME", help="entry to run")
    parser.add_argument("--list", action="store_true", help="name the entries and their bars")
    parser.add_argument("--json", action="store_true", help="print exactly one JSON object on standard output")
    words = parser.parse_args(arguments)
    if words.list:
        sys.stdout.write(listing(entries))
        return HOLDS
    if words.name is None:
        parser.error("name an entry, or --list")
    known = {entry.name: entry for entry in entries}
    if words.name not in known:
        sys.stderr.write(f"no benchmark {words.name!r}{did_you_mean(words.name, known)}\n")
        return UNKNOWN
    return _run(known[words.name], as_json=words.json)


def listing(entries: Sequence[Entry]) -> str:
    """One line an entry: its name, its bar, what it measures."""
    width = max(len(entry.name) for entry in entries)
    return "".join(f"{entry.name:<{width}}  {bar(entry.bar_s, entry.clock):<30}  {entry.what}\n" for entry in entries)


def _run(entry: Entry, *, as_json: bool) -> int:
    try:
        result = run(entry)
    except MeasureError as error:
        sys.stderr.write(f"{entry.name} was not measured: {error}\n")
        return NOT_MEASURED
    sys.stdout.write((msgspec.json.encode(result).decode() if as_json else as_text(result)) + "\n")
    return HOLDS if result.holds else MISSED


if __name__ == "__main__":
    sys.exit(main())
