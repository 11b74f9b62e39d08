"""What every request shares: a frozen Struct whose fields declare, once, the options of a verb on every front.

A field says in its ``Meta`` what a person reads and how it is written; command line, magic, completer, JSON Schema and reference are
derived from it.
"""

from typing import Annotated, Any, Literal

import msgspec

Live = Literal["", "array", "code", "columns", "contract", "labels", "model", "snapshot", "text"]
"""What a magic may take from the kernel for a field that names a file elsewhere; empty: text only."""


class Request(msgspec.Struct, frozen=True, kw_only=True, tag_field="verb", forbid_unknown_fields=True):
    """Base of every request; a subclass names its verb by ``tag``. The class docstring is the verb's help."""


def option(text: str, *, live: Live = "", positional: bool = False, flag: str = "", metavar: str = "", names: str = "") -> msgspec.Meta:
    """Declare a field.

    Parameters
    ----------
    text : the help line
    live : what a magic captures for it when the word is a variable or an expression of the notebook
    positional : written without its name (it may be written with it, too)
    flag : a short flag, such as ``-p``
    metavar : how the value is shown in help
    names : what completes it besides variables: ``subject``, ``policy`` or ``file``
    """
    return msgspec.Meta(description=text, extra={"live": live, "positional": positional, "flag": flag, "metavar": metavar, "names": names})


def subject_option(text: str = "what it is about: NAME, NAME@ALIAS, NAME:VERSION, sha256:… or a path") -> Any:
    return option(text, positional=True, names="subject", metavar="SUBJECT")


SubjectText = Annotated[str, subject_option()]
Trust = Annotated[str, option("reason to run the code of a bundle that no trusted key has signed; it is recorded", metavar="REASON")]
Threads = Annotated[int, option("threads of the inference session", metavar="N"), msgspec.Meta(ge=1, le=1024)]
CardWords = Annotated[
    str,
    option(
        "TOML or a dict of what only a person can say: intended_use, out_of_scope, factors, limitations, ethics, license, data_license, "
        "contact",
        live="text",
        names="file",
        metavar="TOML",
    ),
]
