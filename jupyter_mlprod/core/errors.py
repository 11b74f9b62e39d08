"""Every way mlprod can refuse, in one list.

There is one exception, :class:`MlprodError`; what differs is its :class:`Code`. A program branches on the code and on the
exit status it carries, never on the text.

    MlprodError
      status 1  what was made does not hold what it promises; nothing of it is kept
      status 2  the request or the input is refused
      status 3  the evidence that the request needs is missing or not conclusive
      status 4  something outside is away (registry, disk, kernel); a retry is sensible
"""

import enum


class Code(enum.Enum):
    """Error codes: (name, exit status, what it means)."""

    BAD_REQUEST = ("bad-request", 2, "an option is unknown, missing or of the wrong type")
    BAD_SETTINGS = ("bad-settings", 2, "mlprod.toml cannot be read as settings and policies")
    BAD_CONTRACT = ("bad-contract", 2, "the contract TOML cannot be read, or contradicts the example")
    BAD_DATA = ("bad-data", 2, "a data file or variable is unreadable or of a kind that is not supported")
    BAD_MODEL = ("bad-model", 2, "the model cannot be exported or loaded")
    BAD_NOTEBOOK = ("bad-notebook", 2, "the file is not a notebook that can be run")
    BAD_PARAMETER = ("bad-parameter", 2, "a notebook parameter is unknown or of the wrong type")
    BAD_RECORD = ("bad-record", 2, "a stored record cannot be read, or its digest differs from its name")
    BUNDLE_BROKEN = ("bundle-broken", 2, "the bundle's files differ from its manifest, or the manifest is unreadable")
    CONTRACT = ("contract-violation", 2, "the input breaks the bundle's contract, so no answer was computed")
    LEDGER_MOVED = ("ledger-moved", 2, "somebody else moved the alias in the meantime")
    MISSING_EXTRA = ("missing-extra", 2, "a package that the verb needs is not installed")
    MORE_NEEDED = ("more-needed", 2, "the request lacks something that the contract asks for")
    NO_ANSWER = ("no-answer", 2, "the model's scores of these rows are not finite or no probabilities, or its outputs break the contract")
    NO_POLICY = ("no-policy", 2, "the project has no policy of that name")
    NO_WORKSPACE = ("no-workspace", 2, "the workspace folder cannot be used")
    NOT_TRUSTED = ("not-trusted", 2, "what would be run or installed is not signed by a key that this workspace trusts")
    PARITY = ("parity", 1, "the bundle answers differently from the model it was made from")
    POSTPROCESS = ("postprocess", 2, "the postprocessing function cannot be carried into a bundle, or does not run")
    PREPROCESS = ("preprocess", 2, "the preprocessing function cannot be carried into a bundle")
    UNKNOWN_SUBJECT = ("unknown-subject", 2, "no bundle, alias, version or record of that name")
    NOTHING_BEFORE = ("nothing-before", 2, "there is no former release to roll back to")
    NOT_PROVEN = ("not-proven", 3, "no stored passing verdict for exactly this digest under the present policy")
    NOT_REBUILT = ("not-rebuilt", 3, "the bundle's environment cannot be made, so nothing was judged or written")
    TOO_FEW = ("too-few-samples", 3, "too few samples for the statistic that was asked for")
    DISK = ("disk", 4, "a file could not be written")
    INDEX = ("index-away", 4, "the package index did not answer in time")
    KERNEL = ("kernel-not-started", 4, "the notebook's kernel never started")
    REGISTRY = ("registry-away", 4, "the MLflow registry did not answer or refused")

    @property
    def label(self) -> str:
        return self.value[0]

    @property
    def status(self) -> int:
        return self.value[1]

    @property
    def meaning(self) -> str:
        return self.value[2]


class MlprodError(Exception):
    """A refusal: what was found, where, what was expected, and the next command.

    Parameters
    ----------
    code : what kind of refusal; carries the exit status
    message : one line or, where several faults were found at once, one line each
    hint : the next command or edit, without a leading "hint:"
    """

    def __init__(self, code: Code, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        text = f"{self.code.label}: {self.message}"
        return f"{text} (hint: {self.hint})" if self.hint else text
