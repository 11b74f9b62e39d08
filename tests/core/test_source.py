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
import tokenizers
import tokenizers.models
import tokenizers.pre_tokenizers
import tokenizers.trainers
import transformers
from sklearn import preprocessing

from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.execute import load_function
from jupyter_mlprod.core.source import carry, carry_cell

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
    found = carry(namespace["prepare"], name="prepare")
    assert found == carry(namespace["prepare"], name="prepare")
    compile(found.text, "<text>", "exec")
    return loaded(found.text, found.assets)


def loaded(text: str, assets: dict[str, bytes] | None = None, *, name: str = "prepare") -> Callable[..., Any]:
    """A function of a text, by way of a file with its assets beside it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "prepare.py"
        file.write_text(text, "utf-8")
        for asset, content in (assets or {}).items():
            (Path(folder) / asset).write_bytes(content)
        return load_function(file, name)


def refused(namespace: dict[str, Any]) -> str:
    with pytest.raises(MlprodError) as caught:
        carry(namespace["prepare"], name="prepare")
    assert "\n" not in caught.value.message
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
    "closures": "def make(scale, mean):\n    def prepare(x): return (x - mean) / scale\n    return prepare\nprepare = make(2, [0.5, 1])",
    "a closure over a function": "def twice(f):\n    def prepare(x): return f(f(x))\n    return prepare\ndef half(x): return x / 2\nprepare = twice(half)",
    "a closure that calls itself": "def make(n):\n    def prepare(x, k=0): return x if k == n else prepare(x, k + 1) * 2\n    return prepare\nprepare = make(3)",
    "a closure over lines": "def make(k):\n    def prepare(x):\n        text = '''a\n  b'''\n        return x * k * len(text)\n    return prepare\nprepare = make(3)",
    "closures of one factory": "def by(k):\n    def scale(x): return x * k\n    return scale\nSTEPS = [by(2), by(5), by(7)]\ndef prepare(x): return STEPS[2](STEPS[1](STEPS[0](x)))",
    "a wrapping decorator": "import functools\ndef twice(f):\n    @functools.wraps(f)\n    def inner(x): return f(f(x))\n    return inner\n@twice\ndef prepare(x): return x * 3",
    "a cache": "from functools import lru_cache\n@lru_cache(maxsize=9)\ndef power(n): return 2 ** n\ndef prepare(x): return x * power(3)",
    "a class": "class Scale:\n    K = 2\n    def __init__(self, by): self.by = by\n    def half(self, x): return x / self.by\ndef prepare(x): return Scale(4).half(x)",
    "a class of a class": "class A:\n    def f(self, x): return x + 1\nclass B(A):\n    def f(self, x): return super().f(x) * 2\ndef prepare(x): return B().f(x)",
    "an instance": "import numpy as np\nclass Scale:\n    def __init__(self, by): self.by, self.seen = by, {'a': np.arange(3)}\n    def __call__(self, x): return x / self.by + self.seen['a'].sum()\nprepare = Scale(4)",
    "an instance in an instance": "class In:\n    def __init__(self): self.k = 3\nclass Out:\n    def __init__(self): self.inner = In()\n    def __call__(self, x): return x * self.inner.k\nprepare = Out()",
    "a data class": "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Scale:\n    by: float = 2\n    def __call__(self, x): return x / self.by\nprepare = Scale(5.0)",
    "a data class with quoted annotations": "from dataclasses import dataclass\n@dataclass\nclass Scale:\n    by: 'float' = 2\n    def __call__(self, x): return x / self.by\nprepare = Scale(5.0)",
    "a data class inside": "from dataclasses import dataclass\ndef prepare(x):\n    @dataclass\n    class Scale:\n        by: 'float' = 2\n    return x / Scale().by",
    "annotations of the future": "from __future__ import annotations\ndef half(x: Some) -> Thing: return x / 2\nclass Scale:\n    def by(self, x: Other) -> Thing: return half(x)\ndef prepare(x: dict[str, Foo]) -> Bar: return Scale().by(x)",
    "an enum": "import enum\nclass How(enum.Enum):\n    HALF = 2\n    def apply(self, x): return x / self.value\nHOW = How.HALF\ndef prepare(x): return HOW.apply(x)",
    "a bound method": "class Scale:\n    def __init__(self, by): self.by = by\n    def half(self, x): return x / self.by\nprepare = Scale(4).half",
    "a partial": "import functools\ndef scale(x, by, plus): return x / by + plus\nprepare = functools.partial(scale, by=3, plus=[1, 2])",
    "a partial of a library": "import functools\nimport numpy as np\nprepare = functools.partial(np.clip, a_min=2, a_max=4)",
    "functions in a list": "def half(x): return x / 2\ndef plus(x): return x + 1\nSTEPS = [half, plus, abs]\ndef prepare(x):\n    for step in STEPS: x = step(x)\n    return x",
    "a pattern": "import re\nWORD = re.compile(r'\\w+', re.I)\ndef prepare(x): return x * len(WORD.findall('a bc d'))",
    "a path that is no file": "from pathlib import Path\nP = Path('a/b.txt')\ndef prepare(x): return x * len(P.suffix)",
    "a large array": "import numpy as np\nTABLE = np.linspace(0, 1, 30_000).astype('f4')\ndef prepare(x): return TABLE[x.astype(int)]",
    "a large list": "IDS = [i * 0.1 for i in range(20_000)]\ndef prepare(x): return x * IDS[777]",
    "a vocabulary": "VOCAB = {f'w{i}\\ud800': i for i in range(20_000)}\ndef prepare(x): return x * VOCAB['w7\\ud800']",
    "a vocabulary by number": "WORDS = {i: f'w{i}' for i in range(20_000)}\ndef prepare(x): return x * len(WORDS[12345])",
    "large sets and tuples": "SEEN, ALL = frozenset(range(20_000)), tuple(map(str, range(20_000)))\ndef prepare(x): return x * (777 in SEEN) * len(ALL[5000])",
    "much in nested lists": "GRID = [[i] * 200 for i in range(200)]\ndef prepare(x): return x * GRID[7][9]",
    "an integer of five thousand digits": "BIG = 10**5000 + 3\ndef prepare(x): return x * (BIG % 7)",
    "a lambda inside": "K = 2\ndef prepare(x): return (lambda y, k=K: y * k)(x)",
}  # fmt: skip


@pytest.mark.parametrize("source", ANSWER_ALIKE.values(), ids=ANSWER_ALIKE)
def test_what_is_carried_answers_alike(source: str) -> None:
    namespace = cell(source)
    np.testing.assert_array_equal(carried(namespace)(BATCH), namespace["prepare"](BATCH), strict=True)


def test_only_what_is_used_is_carried() -> None:
    text = carry(cell("import os\nimport sys\nUNUSED = 1\ndef other(): return os\ndef prepare(x): return x")["prepare"]).text
    assert text == "def prepare(x): return x\n"


def test_a_submodule_is_imported_where_its_parent_would_not_bring_it() -> None:
    text = carry(cell("import xml.etree.ElementTree\ndef prepare(x): return xml.etree.ElementTree.fromstring(x)")["prepare"]).text
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


MAKE = "def make(held):\n    def prepare(x): return x * held\n    return prepare\n"


@pytest.mark.parametrize("value", ["object()", "open", "__import__('threading').Lock()", "(i for i in [1])"])
def test_a_closure_over_state_that_cannot_be_written_down_is_refused_by_name(value: str) -> None:
    found = cell(f"{MAKE}prepare = make({value})")
    if value == "open":
        assert callable(carried(found))
    else:
        assert refused(found).startswith("prepare closes over 'held', a ")


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("class C:\n    def __call__(self, x): return x\nprepare = C()\nprepare.lock = __import__('threading').Lock()", "'prepare.lock', a lock"),
        ("class C:\n    def __call__(self, x): return x\nprepare = C()\nprepare.me = prepare", "'prepare.me', which holds itself"),
        ("class C(dict):\n    def __call__(self, x): return x\nprepare = C()", "'prepare', a C that cannot"),
        ("class C:\n    __slots__ = ('k',)\n    def __call__(self, x): return x\nprepare = C()", "'prepare', a C that cannot"),
        ("def f(k):\n    class C:\n        def __call__(self, x): return x * k\n    return C()\nprepare = f(2)", "class C closes over k"),
        ("class C:\n    def __call__(self, x): return x * SCALE\nprepare = C()", "C uses 'SCALE', which is not defined"),
        ("def twice(f):\n    def inner(x): return f(f(x))\n    return inner\n@twice\ndef prepare(x): return x", "inner wraps prepare"),
        ("import functools\ndef wrap(f):\n    @functools.wraps(f)\n    def g(x): return f(x) + 1\n    return g\ndef prepare(x): return x\nprepare = wrap(prepare)", "wrapped after its definition"),
        ("def prepare(x): return get_ipython()", "'get_ipython', which only a notebook has"),
        ("In = _ih = ['a secret']\ndef prepare(x): return In[0]", "'In', which only a notebook has"),
        ("def prepare(x): return display(x)", "'display', which only a notebook has"),
        ("from pathlib import Path\nDATA = Path('/')\ndef prepare(x): return (DATA / 'x').read_text()", "'DATA', which is a folder"),
        ("import json as j\njson = 3\nV = {str(i): i for i in range(20_000)}\ndef prepare(x): return json * V['3']", "'json' names a module and something else"),
        ("LOOP = []\nLOOP.append(LOOP)\ndef prepare(x): return LOOP", "'LOOP', a list that cannot"),
        ("BIG = 1 << 2_000_000\ndef prepare(x): return x * (BIG % 7)", "'BIG', a int that cannot"),
        ("BIG = [10**5000] * 20_000\ndef prepare(x): return x * (BIG[0] % 7)", "'BIG', a list that cannot"),
        ("BIG = {(i, i): i for i in range(9_000)}\ndef prepare(x): return BIG", "'BIG', a dict that cannot"),
    ],
)  # fmt: skip
def test_what_would_be_lost_is_refused_by_name(source: str, says: str) -> None:
    assert says in refused(cell(source))


def test_files_that_constants_name_lie_beside_the_code(tmp_path: Path) -> None:
    for folder, words in (("a", "one two"), ("b", "three")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "words.txt").write_text(words)
    source = """
        from pathlib import Path
        FIRST, SECOND, SEPARATOR = Path(HERE) / "a" / "words.txt", str(Path(HERE) / "b" / "words.txt"), " "
        WORDS = Path(FIRST).read_text()
        def prepare(x):
            with open(SECOND) as file:
                return [FIRST.read_text().split(SEPARATOR), file.read()]
        """
    found = carry(cell(source, HERE=str(tmp_path))["prepare"])
    assert found.assets == {"words.txt": b"one two", "words_2.txt": b"three"}
    assert str(tmp_path) not in found.text
    moved = tmp_path / "moved"
    moved.mkdir()
    for name, content in {**found.assets, "prepare.py": found.text.encode()}.items():
        (moved / name).write_bytes(content)
    (tmp_path / "a" / "words.txt").unlink()
    assert load_function(moved / "prepare.py", "prepare")(0) == [["one", "two"], "three"]


def test_a_string_that_no_reader_takes_stays_a_string_though_a_file_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a").write_text("secret")
    assert carry(cell("KEY = 'a'\ndef prepare(x): return x[KEY]")["prepare"]).assets == {}


def tokenizer() -> Any:
    """A tiny tokenizer that cuts and pads to six."""
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    special = ["[PAD]", "[UNK]"]
    made.train_from_iterator(["a b c", "b c d"], tokenizers.trainers.WordLevelTrainer(special_tokens=special, show_progress=False))
    made.enable_truncation(6)
    made.enable_padding(length=6)
    return made


def test_a_tokenizer_is_carried_with_its_truncation_and_padding() -> None:
    namespace = cell("def prepare(texts): return [e.ids for e in tokens.encode_batch(texts)]", tokens=tokenizer())
    found = carry(namespace["prepare"])
    assert list(found.assets) == ["tokens.tokenizer.json"]
    texts = ["a b c d a b c d", "", "zebra a"]
    assert loaded(found.text, found.assets)(texts) == namespace["prepare"](texts)
    assert found == carry(cell("def prepare(texts): return [e.ids for e in tokens.encode_batch(texts)]", tokens=tokenizer())["prepare"])


def test_a_tokenizer_of_transformers_is_refused_with_the_way_out() -> None:
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer(), pad_token="[PAD]")  # type: ignore[no-untyped-call]
    with pytest.raises(MlprodError) as caught:
        carry(cell("def prepare(texts): return fast(texts)['input_ids']", fast=fast)["prepare"])
    assert "uses 'fast', a " in caught.value.message
    assert ".backend_tokenizer" in caught.value.hint


@pytest.mark.parametrize("kind", [float, np.float32, np.int64])
@pytest.mark.parametrize(
    "scaler",
    [
        preprocessing.StandardScaler(), preprocessing.StandardScaler(with_mean=False), preprocessing.StandardScaler(with_std=False),
        preprocessing.MinMaxScaler((-1, 2)), preprocessing.MinMaxScaler(clip=True), preprocessing.MaxAbsScaler(),
        preprocessing.RobustScaler(), preprocessing.RobustScaler(with_centering=False, with_scaling=False),
    ],
    ids=str,
)  # fmt: skip
def test_a_scaler_answers_alike_without_scikit_learn(scaler: Any, kind: Any) -> None:
    rng = np.random.default_rng(0)
    scaler.fit(rng.normal(50, 20, size=(200, 3)))
    source = "def prepare(x): return scaler.transform(x)\ndef back(x): return scaler.inverse_transform(x)"
    namespace = cell(source, scaler=scaler)
    found = carry(namespace["prepare"])
    assert "sklearn" not in found.text.replace("scikit-learn", "")
    rows = rng.normal(40, 60, size=(50, 3)).astype(kind)
    before = rows.copy()
    np.testing.assert_array_equal(loaded(found.text, found.assets)(rows), namespace["prepare"](rows), strict=True)
    np.testing.assert_array_equal(rows, before)
    found = carry(namespace["back"])
    np.testing.assert_allclose(loaded(found.text, found.assets, name="back")(rows), namespace["back"](rows), rtol=1e-5, atol=1e-4)


def test_a_scaler_that_was_not_fitted_is_refused_by_name() -> None:
    assert "'scaler' is a MinMaxScaler that has not been fitted" in refused(
        cell("def prepare(x): return scaler.transform(x)", scaler=preprocessing.MinMaxScaler())
    )


CELL = "import numpy as np\nK = 2\n\n\ndef helper(x): return x * K\n\n\ndef prepare(x):\n    return helper(np.asarray(x)) + SHIFT\n"


def test_a_cell_travels_as_it_stands_behind_what_it_takes_from_the_notebook() -> None:
    found = carry_cell(CELL, "prepare", {"SHIFT": 3, "UNUSED": object()})
    assert found.text == f"SHIFT = 3\n\n\n{CELL}"
    assert loaded(found.text)(1) == 5
    own = CELL.replace("K = 2", "K = SHIFT = 2")
    assert carry_cell(own, "prepare", {}).text == own


@pytest.mark.parametrize("head", ["", '"""What it is."""\n\n', "# what it is\nfrom __future__ import division\n"])
def test_what_python_wants_first_stays_first_in_a_cell(head: str) -> None:
    text = f"{head}from __future__ import annotations\n\n{CELL.replace('(x)', '(x: Foo)', 1)}"
    found = carry_cell(text, "prepare", {"SHIFT": 3})
    assert loaded(found.text)(1) == 5
    assert found.text.replace("SHIFT = 3\n", "").split() == text.split()
    own = text.replace("SHIFT", "3")
    assert carry_cell(own, "prepare", {}).text == own


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (CELL, "the cell uses 'SHIFT', which it does not define"),
        ("def prepare(x): return a(x) + b(x) + display(x)", "the cell uses 'a', 'b', 'display', which it does not define"),
        ("%time x = 1\ndef prepare(x): return x", "does not parse"),
        ("def prepare(x):\n    import torch\n    return x", "imports torch"),
        ("def prepare(x): return net(x)", "the cell uses 'net', a object that cannot be written down"),
    ],
)
def test_a_cell_that_cannot_stand_alone_is_refused_by_name(text: str, says: str) -> None:
    with pytest.raises(MlprodError) as caught:
        carry_cell(text, "prepare", {"net": object(), "display": print})
    assert says in caught.value.message


@pytest.mark.parametrize("source", ["prepare = lambda x: x", "norm = lambda x: x\ndef prepare(x): return norm(x)"])
def test_a_lambda_is_refused(source: str) -> None:
    assert "<lambda> is not a plain function" in refused(cell(source))


@pytest.mark.parametrize("value", ["len", "3", "int", "[len]"])
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
        "range(3)",
        "__import__('collections').defaultdict(int)",
        "__import__('collections').namedtuple('P', 'x')(1)",
        "__import__('random').randint",
        "[(i, b'') for i in range(20_000)]",
        "__import__('numpy').zeros(20_000, complex)",
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


@pytest.mark.parametrize("value", ["type('Model', (), {})", "__import__('enum').IntEnum('Model', 'a').a"])
def test_a_class_without_source_is_refused(value: str) -> None:
    assert "the source of class Model cannot be found" in refused(cell(f"thing = {value}\ndef prepare(x): return thing"))


def test_a_function_without_source_is_refused() -> None:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec("def prepare(x): return x", namespace)
    assert "source of prepare cannot be found" in refused(namespace)
