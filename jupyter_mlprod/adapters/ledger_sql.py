"""The ledger as one SQLite table: a row per move of an alias, its record as canonical JSON, never changed and never deleted.

A new row's ``chain`` is the digest that was stored beside the row before it, not one computed afresh from that row's JSON: else the next
promotion would quietly bless a record that somebody had edited, and `core.release.chain_breaks` would have nothing left to find.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec

from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.record import canonical, digest, digest_bytes, short
from jupyter_mlprod.core.release import Release

WAIT_S = 10.0
"""How long to wait for another process that is writing; an append takes milliseconds."""

TABLE = """
CREATE TABLE IF NOT EXISTS ledger (
    position INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    seq INTEGER NOT NULL,
    digest TEXT NOT NULL,
    record TEXT NOT NULL,
    UNIQUE (name, seq)
)
"""
# INSERT OR REPLACE deletes without firing a DELETE trigger, hence the third one.
GUARDS = (
    "CREATE TRIGGER IF NOT EXISTS ledger_keeps BEFORE UPDATE ON ledger BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
    "CREATE TRIGGER IF NOT EXISTS ledger_holds BEFORE DELETE ON ledger BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
    "CREATE TRIGGER IF NOT EXISTS ledger_grows BEFORE INSERT ON ledger "
    "WHEN EXISTS (SELECT 1 FROM ledger WHERE position = NEW.position OR (name = NEW.name AND seq = NEW.seq)) "
    "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END",
)
# Records are read as bytes: text that is not UTF-8 is then a bad record, not a failing database.
HEAD = "SELECT seq, digest, CAST(record AS BLOB) FROM ledger WHERE name = ? ORDER BY seq DESC LIMIT 1"
ALL = "SELECT CAST(record AS BLOB) FROM ledger WHERE ? IS NULL OR name = ? ORDER BY position"
STORED = "SELECT digest, CAST(record AS BLOB) FROM ledger WHERE name = ?"
HAS_TABLE = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'ledger'"
RETRY = "free space or rights, then run it again"
RESTORE = "restore the file from a backup"


class SqlLedger:
    """Port `Ledger` on a SQLite file, which appears with the first entry."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, entry: Release, *, after: int) -> Release:
        """Write one entry if nobody moved the name in the meantime, and return it with its place filled in.

        Parameters
        ----------
        entry : the move; its ``seq`` and ``chain`` are overwritten
        after : ``seq`` of the last entry of this name that the caller saw, 0 for none

        Raises
        ------
        MlprodError : ``ledger-moved`` when the name's last entry is another one, ``disk`` when the file cannot be written.
        """
        self._make_folder()
        with self._open("rwc") as connection:
            connection.execute("BEGIN IMMEDIATE")
            for statement in (TABLE, *GUARDS):
                connection.execute(statement)
            head = connection.execute(HEAD, (entry.name,)).fetchone()
            seq, chain = (head[0], head[1]) if head else (0, "")
            if seq != after:
                raise moved(entry.name, self._decoded(head[2]) if head else None, after=after)
            filled = msgspec.structs.replace(entry, seq=seq + 1, chain=chain)
            row = (filled.name, filled.seq, digest(filled), canonical(filled).decode())
            connection.execute("INSERT INTO ledger (name, seq, digest, record) VALUES (?, ?, ?, ?)", row)
            connection.execute("COMMIT")
        return filled

    def entries(self, name: str | None = None) -> tuple[Release, ...]:
        """Every entry in the order in which it was written, or those of one name; nothing is created by asking.

        Raises
        ------
        MlprodError : ``bad-record`` when an entry or the file cannot be read.
        """
        if not self.path.exists():
            return ()
        with self._open("rw") as connection:
            if not connection.execute(HAS_TABLE).fetchone():
                return ()
            rows = connection.execute(ALL, (name, name)).fetchall()
        return tuple(self._decoded(record) for (record,) in rows)

    def edited(self, name: str) -> int:
        """How many entries of a name are no longer the record that was written: the newest has no follower whose ``chain`` would tell."""
        if not self.path.exists():
            return 0
        with self._open("rw") as connection:
            if not connection.execute(HAS_TABLE).fetchone():
                return 0
            rows = connection.execute(STORED, (name,)).fetchall()
        return sum(digest_bytes(record) != stored for stored, record in rows)

    @contextlib.contextmanager
    def _open(self, mode: str) -> Iterator[sqlite3.Connection]:
        """A connection that is closed afterwards; closing rolls back what was not committed.

        Reading opens with ``rw`` too: after a killed writer it is the next reader that rolls the half-written page back.
        """
        try:
            uri = f"{self.path.absolute().as_uri()}?mode={mode}"
            with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=WAIT_S, isolation_level=None)) as connection:
                yield connection
        except sqlite3.OperationalError as error:
            raise MlprodError(Code.DISK, f"the ledger {self.path} cannot be used: {error}", hint=RETRY) from error
        except sqlite3.DatabaseError as error:
            raise MlprodError(Code.BAD_RECORD, f"the ledger {self.path} cannot be read: {error}", hint=RESTORE) from error

    def _make_folder(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MlprodError(Code.DISK, f"{self.path.parent} could not be made: {error.strerror or error}", hint=RETRY) from error

    def _decoded(self, record: bytes) -> Release:
        try:
            return msgspec.json.decode(record, type=Release)
        except (ValueError, RecursionError) as error:
            raise MlprodError(Code.BAD_RECORD, f"an entry of the ledger {self.path} is no record: {error}", hint=RESTORE) from error


def moved(name: str, head: Release | None, *, after: int) -> MlprodError:
    """The refusal of a caller who saw another last entry of this name than there is."""
    found = f"the ledger holds no entry of {name}"
    if head is not None:
        when = f"{head.at:%Y-%m-%d %H:%M:%S %Z}"
        found = f"{head.actor} moved {name}@{head.alias} to {short(head.bundle)} at {when} (entry {head.seq}, {head.action})"
    hint = f"look at `mlprod history {name}`, then ask again"
    return MlprodError(Code.LEDGER_MOVED, f"{found}; this request was made after entry {after}", hint=hint)
