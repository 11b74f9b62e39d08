"""The ledger: contract tests over the fake and the real one, then what only a file can do."""

import datetime
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from jupyter_mlprod.adapters import ledger_sql
from jupyter_mlprod.adapters.ledger_sql import SqlLedger
from jupyter_mlprod.adapters.memory import MemoryLedger
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.ports import Ledger
from jupyter_mlprod.core.record import digest
from jupyter_mlprod.core.release import Release, chain_breaks, holder

CHILD = """
import signal, sys, resource
from pathlib import Path
import msgspec
from jupyter_mlprod.adapters.ledger_sql import SqlLedger
from jupyter_mlprod.core.errors import MlprodError
from jupyter_mlprod.core.release import Release
path, entry, limit = Path(sys.argv[1]), msgspec.json.decode(sys.argv[2], type=Release), int(sys.argv[3])
if limit:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
print("ready", flush=True)
sys.stdin.readline()
try:
    print("seq", SqlLedger(path).append(entry, after=0).seq)
except MlprodError as error:
    print(error.code.label)
"""


def release(bundle: str = "a", *, name: str = "digits", alias: str = "champion", actor: str = "ann@lab") -> Release:
    return Release(
        name=name,
        alias=alias,
        bundle="sha256:" + bundle * 64,
        state="held",
        action="promote",
        actor=actor,
        at=datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC),
        why="better on site 3",
        verdict="sha256:" + "e" * 64,
        version=1,
    )


@pytest.fixture(params=["memory", "sql"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Ledger:
    return MemoryLedger() if request.param == "memory" else SqlLedger(tmp_path / "store" / "ledger.db")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


def three_entries(path: Path) -> None:
    for after, bundle in enumerate("abc"):
        SqlLedger(path).append(release(bundle), after=after)


def tamper(path: Path, statement: str) -> None:
    """Change the file as somebody would who means it: without the triggers."""
    connection = sqlite3.connect(path, isolation_level=None)
    for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {trigger}")
    connection.execute(statement)
    connection.close()


def start(path: Path, entry: Release, *, limit: int = 0) -> "subprocess.Popen[str]":
    arguments = [sys.executable, "-c", CHILD, str(path), msgspec.json.encode(entry).decode(), str(limit)]
    return subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def outcomes(children: list["subprocess.Popen[str]"]) -> list[str]:
    """Let every child go at once, as soon as all are ready, and collect what each printed."""
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    printed = [child.communicate(timeout=60) for child in children]
    assert [errors for _, errors in printed] == [""] * len(children)
    return [line.strip() for line, _ in printed]


def test_an_empty_ledger_has_no_entries(ledger: Ledger) -> None:
    assert ledger.entries() == ()
    assert ledger.entries("digits") == ()


def test_an_entry_comes_back_with_its_place_and_the_digest_of_the_one_before(ledger: Ledger) -> None:
    first = ledger.append(release("a"), after=0)
    second = ledger.append(release("b"), after=1)
    assert (first.seq, first.chain) == (1, "")
    assert (second.seq, second.chain) == (2, digest(first))
    assert ledger.entries("digits") == (first, second)
    assert chain_breaks(ledger.entries("digits")) == 0
    assert holder(ledger.entries("digits"), "champion") == second


def test_the_caller_cannot_choose_the_place(ledger: Ledger) -> None:
    asked = msgspec.structs.replace(release(), seq=7, chain="sha256:" + "f" * 64)
    filled = ledger.append(asked, after=0)
    assert (filled.seq, filled.chain) == (1, "")


def test_names_are_counted_and_chained_apart_but_listed_together_in_order(ledger: Ledger) -> None:
    one = ledger.append(release(name="digits"), after=0)
    two = ledger.append(release(name="faces"), after=0)
    three = ledger.append(release("b", name="digits"), after=1)
    assert ledger.entries() == (one, two, three)
    assert ledger.entries("faces") == (two,)
    assert three.chain == digest(one)


@pytest.mark.parametrize("after", [0, 2])
def test_an_append_after_another_entry_than_the_last_is_refused_with_who_and_when(ledger: Ledger, after: int) -> None:
    ledger.append(release(actor="bob@lab"), after=0)
    with pytest.raises(MlprodError, match=r"bob@lab moved digits.* 2026-03-01 12:00:00") as refused:
        ledger.append(release("b"), after=after)
    assert refused.value.code is Code.LEDGER_MOVED
    assert "mlprod history digits" in refused.value.hint
    assert len(ledger.entries()) == 1


def test_an_append_after_an_entry_that_never_was_is_refused(ledger: Ledger) -> None:
    with pytest.raises(MlprodError, match="holds no entry of digits") as refused:
        ledger.append(release(), after=3)
    assert refused.value.code is Code.LEDGER_MOVED


def test_reading_a_ledger_that_does_not_exist_creates_nothing(tmp_path: Path) -> None:
    assert SqlLedger(tmp_path / "store" / "ledger.db").entries() == ()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_a_killed_process_left_empty_is_an_empty_ledger(path: Path) -> None:
    path.touch()
    assert SqlLedger(path).entries() == ()
    assert SqlLedger(path).append(release(), after=0).seq == 1


def test_of_two_processes_that_append_after_the_same_entry_exactly_one_wins(path: Path) -> None:
    assert sorted(outcomes([start(path, release("a")), start(path, release("b"))])) == ["ledger-moved", "seq 1"]
    assert len(SqlLedger(path).entries()) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger SET record = '{}'",
        "DELETE FROM ledger WHERE seq = 1",
        "INSERT OR REPLACE INTO ledger (name, seq, digest, record) VALUES ('digits', 1, '', '{}')",
        "INSERT OR REPLACE INTO ledger (position, name, seq, digest, record) VALUES (1, 'digits', 9, '', '{}')",
    ],
)
def test_the_table_refuses_every_change_of_what_stands_in_it(path: Path, statement: str) -> None:
    three_entries(path)
    connection = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(statement)
    connection.close()
    assert chain_breaks(SqlLedger(path).entries("digits")) == 0


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger SET record = replace(record, 'ann@lab', 'eve@lab') WHERE seq = 2",
        "DELETE FROM ledger WHERE seq = 1",
        "UPDATE ledger SET position = 10 - position",
    ],
)
def test_a_row_that_was_tampered_with_breaks_the_chain(path: Path, statement: str) -> None:
    three_entries(path)
    tamper(path, statement)
    assert chain_breaks(SqlLedger(path).entries("digits")) > 0


def test_an_append_does_not_bless_a_last_entry_that_was_tampered_with(path: Path) -> None:
    three_entries(path)
    tamper(path, "UPDATE ledger SET record = replace(record, 'ann@lab', 'eve@lab') WHERE seq = 3")
    SqlLedger(path).append(release("d"), after=3)
    assert chain_breaks(SqlLedger(path).entries("digits")) == 1


@pytest.mark.parametrize("record", ["'{}'", "'not json'", "x'ff00'", "17", "'" + "[" * 100_000 + "'"])
def test_a_row_that_is_no_release_is_a_bad_record(path: Path, record: str) -> None:
    three_entries(path)
    tamper(path, f"UPDATE ledger SET record = {record} WHERE seq = 2")
    with pytest.raises(MlprodError) as refused:
        SqlLedger(path).entries()
    assert refused.value.code is Code.BAD_RECORD


def test_a_file_that_is_no_database_is_a_bad_record_and_is_left_alone(path: Path) -> None:
    path.write_bytes(b"not a database" * 100)
    for act in (SqlLedger(path).entries, lambda: SqlLedger(path).append(release(), after=0)):
        with pytest.raises(MlprodError) as refused:
            act()
        assert refused.value.code is Code.BAD_RECORD
    assert path.read_bytes() == b"not a database" * 100


def test_a_folder_that_cannot_be_made_is_a_disk_error(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file")
    with pytest.raises(MlprodError) as refused:
        SqlLedger(tmp_path / "store" / "deep" / "ledger.db").append(release(), after=0)
    assert refused.value.code is Code.DISK


def test_a_full_disk_is_a_disk_error_and_leaves_the_ledger_as_it_was(path: Path) -> None:
    three_entries(path)
    assert outcomes([start(path, release(name="faces"), limit=100)]) == ["disk"]
    assert len(SqlLedger(path).entries()) == 3
    assert SqlLedger(path).append(release(name="faces"), after=0).seq == 1


def test_a_writer_that_never_ends_is_a_disk_error_not_a_wait_for_ever(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    three_entries(path)
    monkeypatch.setattr(ledger_sql, "WAIT_S", 0.05)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(MlprodError, match=re.escape("database is locked")) as refused:
        SqlLedger(path).append(release("d"), after=3)
    other.close()
    assert refused.value.code is Code.DISK


@pytest.mark.parametrize("folder", ["with space", "100% #1?x=y"])
def test_a_folder_with_odd_characters_is_no_matter(tmp_path: Path, folder: str) -> None:
    path = tmp_path / folder / "ledger.db"
    SqlLedger(path).append(release(), after=0)
    assert path.is_file()
    assert len(SqlLedger(path).entries("digits")) == 1
