"""Request of ``doctor``."""

from jupyter_mlprod.core.requests.base import Request


class Doctor(Request, frozen=True, kw_only=True, tag="doctor"):
    """Examine the installation: ONNX Runtime wheels, CUDA match, registry, disk, versions, kernel environment."""
