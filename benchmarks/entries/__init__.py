"""The entries, one file each; this tuple is where an entry is registered."""

from benchmarks.entries.export import EXPORT_ENCODER, EXPORT_RESIDUAL
from benchmarks.entries.help import HELP
from benchmarks.entries.load_ext import LOAD_EXT
from benchmarks.entries.package import PACKAGE

ENTRIES = (LOAD_EXT, HELP, PACKAGE, EXPORT_RESIDUAL, EXPORT_ENCODER)
