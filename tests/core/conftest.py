"""Property tests of the core draw the same examples on every machine and leave nothing on disk."""

from hypothesis import settings

settings.register_profile("core", deadline=None, derandomize=True, database=None, max_examples=100)
settings.load_profile("core")
