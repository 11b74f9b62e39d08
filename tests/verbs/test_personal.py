"""Personal data of the training data: withheld from the snapshot wherever it stands, and what stays is told."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image

from jupyter_mlprod.core.bundle import SNAPSHOT, Bundle
from jupyter_mlprod.core.errors import Code
from jupyter_mlprod.core.requests import Package
from jupyter_mlprod.fronts import display
from tests.verbs.tiny import PACKAGED, Desk, linear

TABLE = {"example": "example.npz", "preprocess": "table.py:prepare", "data": "rows.npz"}


def package(desk: Desk, **options: Any) -> Bundle:
    linear(desk.folder / "model.onnx", shift=0.0)
    return desk.run(Package(**{**PACKAGED, **options}), Bundle)


def snapshot_in(desk: Desk) -> str:
    (found,) = (desk.folder / ".mlprod" / "bundles").glob(f"*/{SNAPSHOT}")
    return found.read_text()


@pytest.fixture
def table(bare_desk: Desk) -> Desk:
    """Rows with the columns that are asked for, and with an address that only the training data have."""
    x = np.load("x.npy")
    columns = {"a": x[:, 0], "site": np.where(x[:, 1] < 0, "north", "south")}
    mail = np.where(x[:, 2] < 0, "ann@mail.example", "bob@mail.example")
    bare_desk.workspace().data.write({**columns, "patient_email": mail}, Path("rows.npz"))
    bare_desk.workspace().data.write({name: column[:8] for name, column in columns.items()}, Path("example.npz"))
    Path("table.py").write_text(
        "import numpy as np\n\n\ndef prepare(batch):\n"
        "    return np.column_stack([batch['a'], batch['a'], batch['site'] == 'north']).astype(np.float32)\n"
    )
    return bare_desk


@pytest.mark.parametrize("name", ["image", "photo"])
def test_of_personal_images_no_folder_is_named_whatever_the_input_is_called(bare_desk: Desk, name: str) -> None:
    for person in ("alice_smith", "bob_jones"):
        Path("faces", person).mkdir(parents=True)
        for index in range(6):
            Image.new("L", (4, 4), 40 * index).save(Path("faces", person, f"{index}.png"))
    made = package(bare_desk, data="faces", contract=f'[inputs.{name}]\npii = "face"\n')
    assert "alice" not in snapshot_in(bare_desk)
    assert made.snapshot_values == 0
    assert f"{name} made up, being personal; no real values" in display.as_text(made)


def test_a_column_that_is_no_input_is_withheld_when_it_is_declared(table: Desk) -> None:
    made = package(table, **TABLE, contract='[data.patient_email]\npii = "email"\n')
    held = b"".join(path.read_bytes() for path in (table.folder / ".mlprod").rglob("*") if path.is_file())
    assert b"mail.example" not in held
    assert "north" in snapshot_in(table), "what is not declared is described"
    assert [field.name for field in made.contract.inputs] == ["a", "site"]
    assert made.contract.personal == ()


def test_the_real_values_of_the_snapshot_are_counted_and_told(table: Desk) -> None:
    made = package(table, **TABLE)
    assert "ann@mail.example" in snapshot_in(table)
    quantiles_with_extremes, names = 17, {"north", "south", "ann@mail.example", "bob@mail.example"}
    assert made.snapshot_values == quantiles_with_extremes + len(names)
    assert "21 values of the training data; the rows of the example: a, site" in display.as_text(made)
    old = msgspec.structs.replace(made, snapshot_values=msgspec.UNSET)
    assert "uncounted values of the training data; the rows" in display.as_text(old), "an old manifest denies nothing"
    assert "values of the training data" not in display.as_text(package(table, **{**TABLE, "data": ""}))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"contract": '[data.patient_mail]\npii = "email"'}, "names no column of the training data (did you mean 'patient_email'?)"),
        ({"contract": '[data.patient_email]\npii = "email"', "data": ""}, "there is none, --data names it"),
        ({"contract": '[data.site]\npii = "place"'}, "is an input, whose golden samples would stay real: write [inputs.site]"),
        ({"contract": '[data.patient_email]\npii = ""'}, "pii is empty"),
        ({"contract": "[data.patient_email]\nlow = 3"}, "low does not apply to a column of type string"),
    ],
)
def test_a_declaration_that_would_withhold_nothing_is_refused(table: Desk, change: dict[str, str], said: str) -> None:
    linear(table.folder / "model.onnx", shift=0.0)
    refusal = table.refused(Package(**{**PACKAGED, **TABLE, **change}))
    assert refusal.code is Code.BAD_CONTRACT
    assert said in refusal.message
    assert not table.workspace().bundles.all()
