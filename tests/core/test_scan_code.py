"""What code would do is read off its text: by whatever name it is called, and without a word about code that only computes."""

import inspect

import pytest

from jupyter_mlprod.core.scaler import FittedScaler
from jupyter_mlprod.core.scan_code import note_code
from jupyter_mlprod.core.scan_look import Notes


def told(source: str | bytes) -> str:
    notes = Notes()
    note_code(source.encode("utf-8", "surrogatepass") if isinstance(source, str) else source, notes)
    return "; ".join(map(str, notes.spots))


ACTING: dict[str, tuple[str, str]] = {
    "alias of a module": ("import os as o\no.system('x')", "line 2: uses os.system"),
    "alias of a function": ("from subprocess import run as r\nr(['x'])", "line 2: calls subprocess.run"),
    "name of a name": ("import os\na = os\nb = a\nb.remove('x')", "uses os.remove"),
    "getattr with text put together": ("import os\ngetattr(os, 'sys' + 'tem')('x')", "calls os.system"),
    "getattr with text joined": ("import os\ngetattr(os, ''.join(['sys', 'tem']))('x')", "calls os.system"),
    "getattr with text turned round": ("import os\ngetattr(os, 'metsys'[::-1])('x')", "calls os.system"),
    "getattr with characters": ("import os\ngetattr(os, chr(115) + 'ystem')", "reaches for os.system"),
    "getattr with hexadecimal": ("import os\ngetattr(os, bytes.fromhex('73797374656d').decode())", "reaches for os.system"),
    "getattr with base64": ("import os, base64\ngetattr(os, base64.b64decode('c3lzdGVt').decode())", "reaches for os.system"),
    "getattr with a name that is unknown": ("import os\ngetattr(os, input_name)('x')", "reaches into os by a name that is made up"),
    "builtins by text": ("__builtins__['ev' + 'al']('1')", "calls builtins.eval"),
    "builtins by module": ("import builtins\nbuiltins.exec('1')", "uses builtins.exec"),
    "vars": ("vars(__import__('os'))['system']('x')", "calls os.system"),
    "eval in a table": ("d = {'a': eval}", "uses builtins.eval"),
    "exec of base64": ("import base64\nexec(base64.b64decode('aW1wb3J0IG9z'))", "calls builtins.exec"),
    "import by text": ("import importlib\nimportlib.import_module('so' + 'cket')", "imports socket, which opens connections"),
    "import by a name that is unknown": ("import importlib\nimportlib.import_module(x)", "imports a module by a name that is made up"),
    "__import__": ("os = __import__('os')\nos.system('x')", "line 2: uses os.system"),
    "star": ("from os import *", "imports all of os"),
    "a module by way of another": ("import random\nrandom._os.system('x')", "uses os.system"),
    "a module by way of its part": ("import os\nos.path.os.remove('x')", "uses os.remove"),
    "a module in a list": ("import os\n[os][0].system('x')", "hands os on as a value"),
    "a loader": ("__loader__.load_module('posix')", "uses __loader__"),
    "sockets": ("import socket", "opens connections"),
    "a web page": ("import urllib.request as u", "opens connections"),
    "ctypes": ("from ctypes import CDLL", "runs native code"),
    "pickle": ("from pickle import loads", "loads what may run code"),
    "marshal": ("import marshal", "loads what may run code"),
    "torch.load": ("import torch\ntorch.load('x')", "loads what may run code"),
    "numpy with pickle": ("import numpy as np\nnp.load('x', allow_pickle=True)", "allows pickle"),
    "numpy with pickle, by position": ("import numpy as np\nnp.load(f, None, True)", "allows pickle"),
    "numpy with pickle, unpacked": ("import numpy as np\nnp.load(f, **how)", "allows pickle"),
    "importlib by way of another": ("import inspect\ninspect.importlib.import_module('subprocess').run(['x'])", "uses subprocess.run"),
    "importlib from another": ("from inspect import importlib as i\ni.import_module('so' + 'cket')", "imports socket"),
    "importlib by another's attribute": ("import inspect\ngetattr(inspect, 'importlib').import_module('os').remove('x')", "uses os.remove"),
    "importlib as a value": ("import inspect\nf(inspect.importlib)", "hands importlib on as a value"),
    "a tokenizer from a hub": ("from tokenizers import Tokenizer\nTokenizer.from_pretrained('bert-base-uncased')", "opens connections"),
    "a model from a hub": ("from transformers import AutoModel as A\nload = A.from_pretrained\nload('bert')", "line 3: calls from_pretrained()"),
    "a model by an unknown name": ("def f(name):\n    return AutoModel.from_pretrained(name)", "opens connections"),
    "a table from the web": ("import pandas as pd\npd.read_csv('https://example.org/x.csv')", "calls read_csv() on an address of https"),
    "a table from a bucket": ("import polars as pl\nROOT = 's3://bucket'\npl.scan_parquet(ROOT + '/x')", "calls scan_parquet() on an address of s3"),
    "a table from the web, put together": ("pd.read_json(f'HTTP://{host}/x')", "on an address of http"),
    "a log to the web": ("import logging.handlers\nlogging.handlers.HTTPHandler('h', '/')", "opens connections"),
    "a log to a file": ("import logging\nlogging.FileHandler('x')", "writes or removes files"),
    "renaming, by pathlib": ("from pathlib import Path\np = Path('x')\n(p.parent / 'y').rename('z')", "line 3: calls .rename()"),
    "renaming what is found": ("for found in sorted(folder.rglob('*')):\n    found.replace('z')", "line 2: calls .replace()"),
    "renaming a parameter": ("from pathlib import Path\ndef f(p: Path):\n    p.with_suffix('.x').rename('z')\n    p.rename('y')", "line 4: calls .rename()"),
    "renaming, by the class": ("from pathlib import Path\nmap(Path.rename, a, b)", "uses pathlib.Path.rename"),
    "touching": ("from pathlib import Path\nPath('x').touch()", "calls .touch()"),
    "environment": ("import os\nk = os.environ['KEY']", "reads the environment"),
    "environment, by name": ("from os import getenv", "reads the environment"),
    "writing": ("open('x', 'w')", "opens a file for writing"),
    "writing, by keyword": ("open('x', mode='ab')", "opens a file for writing"),
    "writing, in an unknown mode": ("open('x', m)", "made up as it goes"),
    "writing, by pathlib": ("from pathlib import Path\nPath('x').write_text('')", "calls .write_text()"),
    "opening, by pathlib": ("from pathlib import Path\nPath('x').open('w')", "opens a file for writing"),
    "deleting": ("from pathlib import Path\nPath('x').unlink()", "calls .unlink()"),
    "numpy.save": ("import numpy as np\nnp.save('x', y)", "writes or removes files"),
    "insides": ("().__class__.__bases__[0].__subclasses__()", "uses __subclasses__"),
    "insides by text": ("getattr(x, '__glob' + 'als__')", "uses __globals__"),
    "sys.modules": ("import sys\nsys.modules['os'].system('x')", "uses sys.modules"),
    "no Python": ("def f(:", "line 1: cannot be parsed"),
    "a null byte": ("x = 1\x00", "cannot be parsed"),
    "a surrogate": ("x = '\ud800'", "cannot be parsed"),
    "brackets without end": ("x = " + "(" * 500 + ")" * 500, "cannot be parsed"),
    "signs without end": ("x = " + "-" * 100_000 + "1", "cannot be parsed"),
    "a sum without end": ("'a'+" * 20_000 + "'b'", "cannot be parsed"),
    "attributes without end": ("a." * 5000 + "b", "cannot be parsed"),
    "an encoding that is none": ("# coding: rot13\nx", "cannot be parsed"),
}  # fmt: skip
QUIET = {
    "numpy": "import numpy as np\n\ndef prepare(batch):\n    return np.asarray(batch, np.float32) / 255",
    "assets beside the code": "import json\nfrom pathlib import Path\nWORDS = json.loads(Path(__file__).with_name('words.json').read_text())",
    "a file that is read": "with open('x') as a, open('y', 'rb') as b:\n    pass",
    "a tokenizer": "from tokenizers import Tokenizer\nT = Tokenizer.from_file('tokenizer.json')",
    "a picture": "from PIL import Image\nimport io\nImage.open(io.BytesIO(b''))",
    "a module of torch": "from torch import nn\nclass Net(nn.Module):\n    def forward(self, x):\n        return getattr(self, f'layer{len(x)}')(x)",
    "eval of a module": "net.eval()",
    "paths": "import os\nfrom os.path import join\njoin(os.path.dirname('a'), os.sep)",
    "compiled patterns": "import re\nre.compile('x').match('x')",
    "methods of the same names": "archive.open('member')\nmodel.compile()\nregistry.load('x')",
    "numpy without pickle": "import numpy as np\nnp.load('x')\nnp.load('y', allow_pickle=False)\nnp.load('z', 'r', False)",
    "renamed columns": "import pandas as pd\nframe.rename(columns={'a': 'b'})\nframe['a'].rename('b')\nframe.rename({'a': 'b'}).replace(9)",
    "replaced text": "path = 'a/b'\npath.replace('/', '.')\n' '.join(words).replace('a', 'b')",
    "addresses in texts": (
        "import re\nre.sub('https?://.*', '', text)\ntext.startswith('https://')\ntext.replace('http://', '')\n"
        "raise ValueError('https://example.org says why')"
    ),
    "a tokenizer beside the code": (
        "from pathlib import Path\nfrom transformers import AutoTokenizer\nHERE = Path(__file__).parent\n"
        "AutoTokenizer.from_pretrained(HERE)\nAutoTokenizer.from_pretrained(str(HERE / 'words'))\nAutoTokenizer.from_pretrained('./words')\n"
        "AutoTokenizer.from_pretrained('words', local_files_only=True)"
    ),
    "a log": "import logging\nlog = logging.getLogger(__name__)\nlog.addHandler(logging.NullHandler())",
    "files that are read": "from pathlib import Path\nfor found in sorted(Path('x').glob('*.json')):\n    found.read_text().replace('a', 'b')",
}


@pytest.mark.parametrize("name", ACTING)
def test_what_acts_is_told_with_its_line(name: str) -> None:
    source, expected = ACTING[name]
    assert expected in told(source)


@pytest.mark.parametrize("name", QUIET)
def test_what_only_computes_is_not(name: str) -> None:
    assert told(QUIET[name]) == ""


def test_the_scaler_that_travels_does_nothing_but_compute() -> None:
    assert told(inspect.getsource(FittedScaler)) == ""
