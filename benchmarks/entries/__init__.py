"""The entries, one file each; this tuple is where an entry is registered."""

from benchmarks.entries.check_request import CHECK_REQUEST
from benchmarks.entries.environment import ENVIRONMENT
from benchmarks.entries.export import EXPORT_ENCODER, EXPORT_RESIDUAL
from benchmarks.entries.first_answer import FIRST_ANSWER
from benchmarks.entries.help import HELP
from benchmarks.entries.load_ext import LOAD_EXT
from benchmarks.entries.package import PACKAGE
from benchmarks.entries.scan import SCAN
from benchmarks.entries.sign import SIGN
from benchmarks.entries.snapshot import SNAPSHOT

ENTRIES = (CHECK_REQUEST, LOAD_EXT, HELP, PACKAGE, EXPORT_RESIDUAL, EXPORT_ENCODER, FIRST_ANSWER, ENVIRONMENT, SNAPSHOT, SCAN, SIGN)
