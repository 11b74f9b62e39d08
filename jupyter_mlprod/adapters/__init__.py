"""One file an outside system, each behind a port of `core/ports.py`. Adapters never import one another."""
