"""Request of ``contract``."""

from typing import Annotated, Literal

from jupyter_mlprod.core.requests.base import Request, option

Action = Literal["infer", "show", "diff", "edit"]
Form = Literal["record", "toml", "json-schema", "mlflow", "pandera"]


class Contract(Request, frozen=True, kw_only=True, tag="contract"):
    """Infer a contract from data, show or export one, compare two, or edit contract.toml.

    ``infer DATA`` puts types and nulls in force and adds suggestions as comments; an MLflow model's signature is read, too.
    ``show SUBJECT`` takes a bundle, a contract.toml, a record's digest or an MLflow model, and says what a form leaves out.
    ``diff FIRST SECOND`` says of each difference whether callers of the first break. ``edit FILE`` keeps the file's comments.
    """

    action: Annotated[Action, option("infer, show, diff or edit", positional=True, metavar="ACTION")]
    subject: Annotated[
        str,
        option(
            "data to infer from; else a bundle, a contract.toml, sha256:… or an MLflow model (MLmodel, its folder, models:/NAME/VERSION)",
            positional=True,
            live="contract",
            names="subject",
            metavar="SUBJECT",
        ),
    ] = ""
    other: Annotated[str, option("with diff: the second", positional=True, live="contract", names="subject", metavar="SECOND")] = ""
    target: Annotated[str, option("with infer: the column that training data has and a request has not", metavar="NAME")] = ""
    to: Annotated[Form, option("with show: the form it is told or written in")] = "record"
    data: Annotated[
        str,
        option("with show: rows to show beside it, their violations and suggestions", live="array", names="file", metavar="DATA"),
    ] = ""
    out: Annotated[str, option("with infer and show: file to write; none that is there is overwritten", names="file", metavar="FILE")] = ""
    set: Annotated[
        dict[str, str], option("with edit: a key and its value as TOML, such as inputs.age.low 0; an empty value takes it out")
    ] = {}
    accept: Annotated[tuple[str, ...], option("with edit: suggestions among the comments to put in force, or all", metavar="NAMES")] = ()
    confirm: Annotated[
        tuple[str, ...], option("with edit: what was inferred and is declared from now on, such as age.type, or all", metavar="KEYS")
    ] = ()
