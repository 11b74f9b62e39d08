"""Speed claims, each held against a named peer in the same run: ``python -m benchmarks --list``.

The figures depend on the machine, so they are never test assertions; tests/benchmarks checks the harness only.
"""
