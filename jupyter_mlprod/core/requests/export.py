"""Request of ``export``."""

from typing import Annotated, Literal

from jupyter_mlprod.core.requests.base import Request, SubjectText, option

Form = Literal["onnx", "mlflow", "triton", "docker", "mlprod"]


class Export(Request, frozen=True, kw_only=True, tag="export"):
    """Write a bundle in a form that other tools take, and say what that form leaves out. Runs no code of it.

    ``onnx`` is the bare graph, ``mlflow`` a model folder, ``triton`` a model repository, ``docker`` a build folder for an image that
    answers, ``mlprod`` the whole bundle in one archive. What is there already is never overwritten.
    """

    subject: SubjectText
    to: Annotated[Form, option("the form: onnx, mlflow, triton, docker or mlprod", metavar="FORM")]
    out: Annotated[str, option("path to write; else NAME-DIGEST in the working folder", names="file", metavar="PATH")] = ""
