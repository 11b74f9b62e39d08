"""A notebook's function as text: what is carried answers the same in an empty namespace, what cannot be carried is named."""

import itertools
import linecache
import sys
import tempfile
import textwrap
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.source import load_function, standalone

BATCH = np.array([[1.0, 2.0], [3.0, 5.0]])
_cells = itertools.count()


def cell(source: str, *, module: str = "__main__", **names: Any) -> dict[str, Any]:
    """The namespace after a notebook cell ran: functions belong to ``__main__`` and `inspect` finds their source."""
    text = textwrap.dedent(source)
    file = f"<cell {next(_cells)}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    namespace: dict[str, Any] = {"__name__": module, **names}
    exec(compile(text, file, "exec"), namespace)
    return namespace


def carried(namespace: dict[str, Any]) -> Callable[..., Any]:
    """The function ``prepare`` after its text went through an empty namespace."""
    text = standalone(namespace["prepare"])
    assert text == standalone(namespace["prepare"])
    compile(text, "<text>", "exec")
    return loaded(text)


def loaded(text: str) -> Callable[..., Any]:
    """The function ``prepare`` of a text, by way of a file."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "prepare.py"
        file.write_text(text, "utf-8")
        return load_function(file, "prepare")


def refused(namespace: dict[str, Any]) -> str:
    with pytest.raises(MlprodError) as caught:
        standalone(namespace["prepare"])
    assert caught.value.code is Code.PREPROCESS
    assert caught.value.hint
    return caught.value.message


ANSWER_ALIKE = {
    "an import under another name": "import numpy as np\ndef prepare(x): return np.sqrt(x)",
    "a name from a module": "from numpy import exp, ndarray\ndef prepare(x: ndarray) -> ndarray: return exp(x)",
    "a name under another name": "from math import hypot as norm\ndef prepare(x): return x * norm(3, 4)",
    "a submodule": "import xml.etree.ElementTree\ndef prepare(x): return x * len(xml.etree.ElementTree.fromstring('<a><b/></a>'))",
    "an import inside": "def prepare(x):\n    import numpy as numbers\n    return numbers.log(x)",
    "a constant": "SCALE = 2.5\ndef prepare(x): return x / SCALE",
    "infinity": "TOP, BOTTOM = float('inf'), -float('inf')\nimport numpy\ndef prepare(x): return numpy.clip(x, BOTTOM, TOP) * (TOP > 1)",
    "infinity in containers": "TOP = {'low': [-float('inf')], 'high': (float('inf'),)}\ndef prepare(x): return x * (TOP['high'][0] > 1)",
    "not a number": "HOLE = float('nan')\ndef prepare(x): return x * (HOLE != HOLE)",
    "texts and sets": "KEEP = {'b', 'a'}\nNAME = 'it\\'s \\n'\ndef prepare(x): return x * len(NAME) * ('a' in KEEP)",
    "an empty set and tuples": "NONE, ONE = set(), (3,)\ndef prepare(x): return x * ONE[0] + len(NONE)",
    "an array": "import numpy as np\nMEAN = np.array([[0.1, np.nan]], np.float32)\ndef prepare(x): return np.nan_to_num(x - MEAN)",
    "an array of infinity": "import numpy as np\nTOP = np.array([np.inf, -np.inf])\ndef prepare(x): return x * np.sign(TOP)",
    "an array of strings": "import numpy as np\nNAMES = np.array(['a', 'bc'])\ndef prepare(x): return x * (NAMES == 'bc')",
    "an array without rows": "import numpy as np\nNONE = np.zeros((0, 3), 'i2')\ndef prepare(x): return x * NONE.shape[1]",
    "a scalar of numpy": "import numpy as np\nMEAN = np.array([1.0, 2.0]).mean()\ndef prepare(x): return x - MEAN",
    "scalars of numpy as keys": "import numpy as np\nBY = {np.int8(1): [np.float32(0.1)]}\ndef prepare(x): return x * BY[1][0]",
    "another function": "def half(x): return x / 2\ndef prepare(x): return half(x) + 1",
    "a function of a function": "A = 3\ndef third(x): return x / A\ndef half(x): return third(x) / 2\ndef prepare(x): return half(x)",
    "a function under another name": "def half(x): return x / 2\nsmaller = half\ndef prepare(x): return smaller(x) + half(x)",
    "functions that call one another": "def a(n): return not n or b(n - 1)\ndef b(n): return a(n - 1)\ndef prepare(x): return x * a(4)",
    "a function that calls itself": "def prepare(x, n=3): return x if n == 0 else prepare(x, n - 1) * 2",
    "a default": "SCALE = 4\ndef prepare(x, by=SCALE): return x / by",
    "a decorator": "import functools\ndef twice(f):\n    f.times = 2\n    return f\n@twice\ndef prepare(x): return x * prepare.times",
    "a caught error": "def prepare(x):\n    try: return x.nothing\n    except AttributeError as error: return x + len(error.args)",
    "a match": "def prepare(x):\n    match x.shape:\n        case (rows, *rest):\n            return x * rows + len(rest)",
    "a comprehension": "def prepare(x): return x * sum([i for i in range(4) if (y := i)])",
    "a function inside": "scale = 3\ndef prepare(x):\n    def inner(scale): return x * scale\n    return inner(2) + scale",
    "a class inside": "K = 2\ndef prepare(x):\n    class Box:\n        k = K\n    return x * Box.k",
    "a name of a builtin": "def sum(x): return x * 100\nmax = 3\ndef prepare(x): return sum(x) + max",
    "a lambda inside": "K = 2\ndef prepare(x): return (lambda y, k=K: y * k)(x)",
}  # fmt: skip


@pytest.mark.parametrize("source", ANSWER_ALIKE.values(), ids=ANSWER_ALIKE)
def test_what_is_carried_answers_alike(source: str) -> None:
    namespace = cell(source)
    np.testing.assert_array_equal(carried(namespace)(BATCH), namespace["prepare"](BATCH), strict=True)


def test_only_what_is_used_is_carried() -> None:
    text = standalone(cell("import os\nimport sys\nUNUSED = 1\ndef other(): return os\ndef prepare(x): return x")["prepare"])
    assert text == "def prepare(x): return x\n"


def test_a_submodule_is_imported_where_its_parent_would_not_bring_it() -> None:
    text = standalone(cell("import xml.etree.ElementTree\ndef prepare(x): return xml.etree.ElementTree.fromstring(x)")["prepare"])
    assert "import xml.etree.ElementTree\n" in text


def test_an_indented_function_with_its_decorator_stands_at_the_margin() -> None:
    namespace = cell("def same(f): return f\nif True:\n    @same\n    def prepare(x):\n        return x + 1")
    assert carried(namespace)(1) == 2


def test_a_function_of_another_module_brings_its_neighbours() -> None:
    namespace = cell("K = 2\ndef half(x): return x / K\ndef prepare(x): return half(x)", module="features")
    assert carried(namespace)(BATCH).tolist() == (BATCH / 2).tolist()


def test_the_open_of_the_shell_is_taken_for_the_builtin(tmp_path: Any) -> None:
    def shells_own(*args: Any) -> None: ...

    namespace = cell("def prepare(path):\n    with open(path) as file:\n        return file.read()", open=shells_own)
    (tmp_path / "a.txt").write_text("read")
    assert carried(namespace)(tmp_path / "a.txt") == "read"


@pytest.mark.parametrize("name", ["K", "k.x", "helper()"])
def test_an_undefined_name_is_refused_by_name(name: str) -> None:
    assert f"'{name.split('.')[0].strip('()')}', which is not defined" in refused(cell(f"def prepare(x): return x * {name}"))


def test_a_closure_is_refused_with_the_names_it_closes_over() -> None:
    source = "def make(scale):\n    def prepare(x): return x * scale\n    return prepare\nprepare = make(2)"
    assert "closes over scale" in refused(cell(source))


@pytest.mark.parametrize("source", ["prepare = lambda x: x", "norm = lambda x: x\ndef prepare(x): return norm(x)"])
def test_a_lambda_is_refused(source: str) -> None:
    assert "<lambda> is not a plain function" in refused(cell(source))


@pytest.mark.parametrize("value", ["len", "3", "type('C', (), {'__call__': len})()", "__import__('functools').partial(print)"])
def test_what_is_no_function_is_refused(value: str) -> None:
    assert "is not a plain function" in refused(cell(f"prepare = {value}"))


@pytest.mark.parametrize(
    "source",
    [
        "import torch\ndef prepare(x): return torch.tensor(x)",
        "import torch.nn as nn\ndef prepare(x): return nn.relu(x)",
        "from torch import tensor\ndef prepare(x): return tensor(x)",
        "from torch import tensor as make\ndef prepare(x): return make(x)",
        "def prepare(x):\n    import torch\n    return torch.tensor(x)",
        "def prepare(x):\n    from torch.nn import relu\n    return relu(x)",
        "import torch\ndef inner(x): return torch.tensor(x)\ndef prepare(x): return inner(x)",
    ],
)
def test_torch_is_refused_however_it_comes(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch, nn = types.ModuleType("torch"), types.ModuleType("torch.nn")

    def tensor(x: Any) -> Any:
        return x

    tensor.__module__, tensor.__qualname__ = "torch", "tensor"
    for name, value in (("tensor", tensor), ("nn", nn)):
        monkeypatch.setattr(torch, name, value, raising=False)
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch.nn", nn)
    assert "imports torch" in refused(cell(source))


@pytest.mark.parametrize(
    "value",
    [
        "object()",
        "[1, object()]",
        "{'a': object()}",
        "type('Model', (), {})",
        "range(3)",
        "__import__('collections').defaultdict(int)",
        "__import__('collections').namedtuple('P', 'x')(1)",
        "__import__('enum').IntEnum('E', 'a').a",
        "__import__('random').randint",
        "__import__('re').compile('a')",
        "list(range(20_000))",
        "__import__('numpy').zeros(20_000)",
        "__import__('numpy').array([object()])",
        "__import__('numpy').longdouble(1)",
        "__import__('numpy').ma.array([1], mask=[True])",
    ],
)
def test_a_live_object_is_refused_by_name_and_its_value_is_not_told(value: str) -> None:
    message = refused(cell(f"thing = {value}\ndef prepare(x): return thing"))
    assert message.startswith("prepare uses 'thing', a ")
    assert message.endswith(" that cannot be written down")


def test_two_functions_of_one_name_are_refused() -> None:
    source = "def half(x): return x / 2\nold = half\ndef half(x): return old(x) + 1\ndef prepare(x): return half(x)"
    assert "two functions are named 'half'" in refused(cell(source))


def test_a_function_without_source_is_refused() -> None:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec("def prepare(x): return x", namespace)
    assert "source of prepare cannot be found" in refused(namespace)


@pytest.mark.parametrize("text", ["def prepare(x:", "raise ValueError('no')", "import nothing_of_that_name", "other = 1", "prepare = 3"])
def test_a_text_that_does_not_run_or_lacks_the_function_is_refused(text: str) -> None:
    with pytest.raises(MlprodError) as caught:
        loaded(text)
    assert caught.value.code is Code.PREPROCESS
