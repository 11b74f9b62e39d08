"""Data as snapshots: frames and arrays of the notebook, data files, folders of images; one adapter in a file a kind of source.

A live frame is described where it is. Nothing of it is written to disk, which would cost more than all the rest.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from jupyter_mlprod.adapters.snapshots.columns import columns_of
from jupyter_mlprod.adapters.snapshots.images import images_in
from jupyter_mlprod.adapters.snapshots.tables import Source, csv_file, npy_file, parquet_file, snapshot_of, source_of
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.ports import Progress
from jupyter_mlprod.core.raw import Raw
from jupyter_mlprod.core.snapshot import SUFFIX, Snapshot
from jupyter_mlprod.core.strict_json import strict_record
from jupyter_mlprod.core.subject import names_file

BROKEN = (pa.ArrowException, EOFError, MemoryError, OSError, OverflowError, ValueError)
"""What pyarrow and numpy raise on files that are truncated or none of their kind."""
LARGEST = 256_000_000
"""Bytes of a stored snapshot."""


class Snapshots:
    """Port `Snapshots`; ``read`` is how an .npz is read."""

    def __init__(self, read: Callable[[str], Raw], progress: Progress) -> None:
        self.read = read
        self.progress = progress

    def of_file(self, path: str) -> Snapshot:
        """The snapshot of a data file or of a folder of images; a file that ends in .snapshot.json holds one already.

        Raises
        ------
        MlprodError : ``bad-data`` in one line.
        """
        file = Path(path)
        if path.endswith(SUFFIX):
            return _stored(file)
        if file.is_dir():
            return images_in(file, self.progress)
        if not names_file(path) or file.suffix not in (".csv", ".npy", ".npz", ".parquet"):
            raise MlprodError(
                Code.BAD_DATA, f"no data at {path[:200]!r}", hint="name a .parquet, .csv, .npy or .npz file, or a folder of images"
            )
        try:
            return snapshot_of(self._opened(file), self.progress)
        except BROKEN as error:
            raise MlprodError(Code.BAD_DATA, f"{path} cannot be read: {' '.join(str(error).split())[:200]}") from None

    def of_live(self, value: Any) -> Snapshot:
        """The snapshot of a frame, an array, a tensor, or a mapping of columns.

        Raises
        ------
        MlprodError : ``bad-data`` naming what no snapshot describes.
        """
        return snapshot_of(source_of(*columns_of(value)), self.progress)

    def _opened(self, file: Path) -> Source:
        if file.suffix == ".csv":
            return csv_file(file, self.progress)
        if file.suffix == ".parquet":
            return parquet_file(file)
        return source_of(*columns_of(npy_file(file) if file.suffix == ".npy" else self.read(str(file))))


def _stored(file: Path) -> Snapshot:
    try:
        if file.stat().st_size > LARGEST:
            raise MlprodError(Code.BAD_DATA, f"{file} is larger than {LARGEST:,} bytes")
        return strict_record(file.read_bytes(), Snapshot)
    except (OSError, ValueError) as error:
        raise MlprodError(Code.BAD_DATA, f"{file} is no snapshot: {' '.join(str(error).split())[:200]}") from None
