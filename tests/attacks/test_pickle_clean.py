"""No state dict is flagged: what people really save is tensors, and a scan that cries at every checkpoint is switched off."""

from pathlib import Path

import pytest

from jupyter_mlprod.adapters.scan_child import ScanChild
from jupyter_mlprod.core.scan_look import Look
from tests.attacks.state_dicts import state_dicts

ALL = list(state_dicts())
SHOWN = ALL[:: len(ALL) // 45]
"""Every fourth or so, of all kinds; the benchmark ``scan-clean`` takes all of them and more."""


@pytest.fixture(scope="module")
def looks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Look]:
    folder: Path = tmp_path_factory.mktemp("clean")
    paths = []
    for number, (_, make) in enumerate(SHOWN):
        paths.append(folder / f"{number}.pt")
        paths[-1].write_bytes(make())
    return dict(zip([name for name, _ in SHOWN], ScanChild().look(paths), strict=True))


def test_there_are_two_hundred_of_them() -> None:
    assert len(ALL) >= 200
    assert len(SHOWN) >= 40


@pytest.mark.parametrize("name", [name for name, _ in SHOWN])
def test_a_state_dict_is_a_pickle_of_tensors_only(looks: dict[str, Look], name: str) -> None:
    assert looks[name].counts.get("hostile", 0) == 0, looks[name].spots
    assert looks[name].counts["pickle"] >= 1
