"""What counts as copyleft: each alternative of an expression, and a classifier as the whole that it is."""

import pytest

from jupyter_mlprod.core.licenses import is_copyleft

ASK_THE_SAME = [
    "GNU General Public License v2 or later (GPLv2+)",
    "GNU General Public License v3 or later (GPLv3+)",
    "GNU Lesser General Public License v2 or later (LGPLv2+)",
    "GNU Lesser General Public License v3 or later (LGPLv3+)",
    "GNU Affero General Public License v3 or later (AGPLv3+)",
    "GNU Library or Lesser General Public License (LGPL)",
    "Mozilla Public License 2.0 (MPL 2.0)",
    "European Union Public Licence 1.2 (EUPL 1.2)",
    "MIT License AND GNU General Public License v3 or later (GPLv3+)",
    "CEA CNRS Inria Logiciel Libre License, version 2.1 (CeCILL-2.1)",
    "LGPLv3+",
    "GPL-2.0-or-later WITH Classpath-exception-2.0",
    "GPL-3.0-only AND (MIT OR BSD-3-Clause)",
    "( LGPL-2.1-only OR MPL-2.0 )",
]
ASK_NOTHING = [
    "",
    "MIT License",
    "BSD License AND Apache Software License",
    "Python Software Foundation License",
    "Apache-2.0 WITH LLVM-exception",
    "MIT OR GPL-3.0-or-later",
    "(MIT OR GPL-2.0-only) AND BSD-3-Clause",
    "MIT OR (GPL-2.0-only AND Apache-2.0)",
    "CECILL-B",
    "(" * 100_000,
    " " * 100_000 + "!",
]


@pytest.mark.parametrize("text", ASK_THE_SAME)
def test_a_license_that_asks_for_the_same_is_told(text: str) -> None:
    assert is_copyleft(text)


@pytest.mark.parametrize("text", ASK_NOTHING, ids=lambda text: str(text)[:40])
def test_one_that_leaves_a_choice_or_asks_for_nothing_is_not(text: str) -> None:
    assert not is_copyleft(text)
