"""An ONNX graph as bytes that depend on the model alone.

The exporter leaves file names, code lines and class names in metadata and doc strings; they differ with every kernel restart and tell
about the author's machine, so they are cleared. The message is handled by its fields, without importing onnx.
"""

from typing import Any

TRACES = ("metadata_props", "doc_string")


def bare_bytes(model: Any) -> bytes:
    """The serialised model without traces of where it was made; ``model`` is an ONNX ``ModelProto`` and is changed."""
    _strip(model)
    model.producer_name = ""
    model.producer_version = ""
    return bytes(model.SerializeToString(deterministic=True))


def _strip(message: Any) -> None:
    for field, value in message.ListFields():
        if field.name in TRACES:
            message.ClearField(field.name)
        elif field.message_type is not None:
            for item in value if _is_repeated(value) else (value,):
                _strip(item)


def _is_repeated(value: Any) -> bool:
    return hasattr(value, "add")
