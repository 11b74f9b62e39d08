"""Request of ``load``."""

from jupyter_mlprod.core.requests.base import Request, SubjectText, Trust


class Load(Request, frozen=True, kw_only=True, tag="load"):
    """Bring the trainable module of a bundle back, and see that it answers like the bundle.

    In a notebook this gives the live torch module: on the CPU, in eval mode, its weights bit-equal. On the command line it is the
    check that this can be done.
    """

    subject: SubjectText
    trust: Trust = ""
