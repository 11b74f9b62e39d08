"""Text of a bundle, executed: its functions, and the classes of its module.

It runs as a module of its own that stays in `sys.modules`, because data classes, copies and pickles look a class up by the name of its
module. Whoever calls has established trust.
"""

import hashlib
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jupyter_mlprod.core.errors import Code, MlprodError


def run_text(text: str, name: str, *, file: str) -> dict[str, Any]:
    """What a text defines, as the module ``name`` whose ``__file__`` is ``file``; raises whatever the text raises."""
    module = types.ModuleType(name)
    module.__file__ = file
    sys.modules[name] = module
    exec(compile(text, f"<{name}>", "exec"), vars(module))  # noqa: S102  the caller has established trust
    return vars(module)


def load_function(file: Path, name: str, *, code: Code = Code.PREPROCESS) -> Callable[..., Any]:
    """The function ``name`` of a standalone file; ``__file__`` leads it to the files beside it.

    Raises
    ------
    MlprodError : of the code, when the text does not run or does not define the function.
    """
    try:
        text = file.read_text("utf-8")
        defined = run_text(text, f"mlprod_{name}_{hashlib.sha256(text.encode()).hexdigest()[:12]}", file=str(file))
    except (Exception, SystemExit) as error:
        what = f"the code of {name} does not run: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
        raise MlprodError(code, what, hint="run it in a fresh kernel") from error
    function = defined.get(name)
    if not callable(function):
        raise MlprodError(code, f"the code defines no function {name!r}", hint="write FILE.py:FUNCTION")
    return function  # type: ignore[no-any-return]
