"""The fixtures of a desk with two released models."""

from tests.verbs.tiny import bare_desk, desk, made_desk

__all__ = ["bare_desk", "desk", "made_desk"]
