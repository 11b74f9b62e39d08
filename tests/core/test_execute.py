"""Text of a bundle, executed: what it defines works like what a module defines, and what does not run is one line."""

from pathlib import Path

import pytest

from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.execute import load_function


def test_a_class_is_found_by_the_name_of_its_module(tmp_path: Path) -> None:
    file = tmp_path / "prepare.py"
    file.write_text("import pickle\nclass A: pass\ndef prepare(x): return type(pickle.loads(pickle.dumps(A()))) is A\n")
    assert load_function(file, "prepare")(0)


@pytest.mark.parametrize("text", ["def prepare(x:", "raise ValueError('no')", "import nothing_of_that_name", "other = 1", "prepare = 3"])
def test_a_text_that_does_not_run_or_lacks_the_function_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "prepare.py").write_text(text)
    with pytest.raises(MlprodError) as caught:
        load_function(tmp_path / "prepare.py", "prepare")
    assert caught.value.code is Code.PREPROCESS
