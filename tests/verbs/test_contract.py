"""``contract``: data propose, a person confirms, and what is written is what is read."""

import json
import shlex
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from jupyter_mlprod.adapters.toml_editor import TomlEditor
from jupyter_mlprod.core.contract import Column, Tensor
from jupyter_mlprod.core.contract import Contract as ContractRecord
from jupyter_mlprod.core.contract_change import accepted, confirmations, key_path, value_of
from jupyter_mlprod.core.contract_toml import read_contract
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.listing import Listing
from jupyter_mlprod.core.requests import Contract
from jupyter_mlprod.workspace import Workspace, open_workspace
from tests.project import mlprod

RNG = np.random.default_rng(0)
N = 300


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[str]) -> Workspace:
    monkeypatch.chdir(tmp_path)
    emails = [f"person{i}@post{i % 7}.com" for i in range(N)]
    frame = {
        "age": RNG.integers(18, 90, N), "site": RNG.choice(["north", "south"], N), "contact": emails, "ill": RNG.random(N) < 0.3,
    }  # fmt: skip
    pd.DataFrame(frame).to_csv("data.csv", index=False)
    return open_workspace(tell=told.append)


def refused(desk: Workspace, code: Code, **fields: Any) -> str:
    with pytest.raises(MlprodError) as error:
        desk.run(Contract(**fields))
    assert error.value.code is code
    return error.value.message


def infer(desk: Workspace) -> str:
    desk.run(Contract(action="infer", subject="data.csv", target="ill", out="contract.toml"))
    return Path("contract.toml").read_text("utf-8")


def edit(desk: Workspace, **fields: Any) -> Listing:
    made = desk.run(Contract(action="edit", subject="contract.toml", **fields))
    assert isinstance(made, Listing)
    return made


# Infer.


def test_types_and_nulls_are_in_force_and_all_else_is_a_comment(desk: Workspace) -> None:
    record = desk.run(Contract(action="infer", subject="data.csv", target="ill", out="contract.toml"))
    text = Path("contract.toml").read_text("utf-8")
    document = tomllib.loads(text)
    assert document["inputs"]["age"] == {"type": "int", "nullable": False, "inferred": ["type", "nullable"]}
    assert document["target"] == {"name": "ill", "type": "bool", "nullable": False, "inferred": ["type", "nullable"]}
    assert read_contract(text, name="contract.toml").contract == record
    assert "# suggestion inputs.site.categories (categories): all of 300 rows" in text
    assert text.startswith("# Inferred from data.csv, 300 rows, sha256:")


def test_no_personal_value_is_written_or_told(desk: Workspace, told: list[str]) -> None:
    text = infer(desk)
    assert '# pii = "email"' in text
    assert "person1" not in text + "\n".join(told)
    assert "post1.com" not in text + "\n".join(told)


def test_without_a_file_the_toml_is_told(desk: Workspace, told: list[str]) -> None:
    record = desk.run(Contract(action="infer", subject="data.csv"))
    assert read_contract("\n".join(told), name="told").contract == record
    assert not Path("contract.toml").exists()


def test_a_file_that_is_there_is_never_overwritten(desk: Workspace) -> None:
    Path("contract.toml").write_text("mine")
    assert "is there already" in refused(desk, Code.BAD_REQUEST, action="infer", subject="data.csv", out="contract.toml")
    assert Path("contract.toml").read_text() == "mine"


def test_a_signature_of_mlflow_is_read_without_loading_the_model(desk: Workspace, told: list[str]) -> None:
    signature = {"inputs": json.dumps([{"type": "double", "name": "x", "required": True}]), "outputs": None, "params": None}
    Path("logged").mkdir()
    Path("logged/MLmodel").write_text(json.dumps({"flavors": {}, "signature": signature}))
    for subject in ("logged", "logged/MLmodel"):
        record = desk.run(Contract(action="infer", subject=subject))
        assert isinstance(record, ContractRecord)
        assert record.inputs == (Column(name="x", type="float"),)
    assert told[0].startswith("# Inferred from the signature of logged")


def test_a_model_of_the_registry_is_asked_for_its_signature(workspace_copy: Callable[[str], Path]) -> None:
    folder = workspace_copy("registry")
    shown = [json.loads(mlprod("contract", "infer", f"models:/tiny{word}", "--json", cwd=folder).stdout) for word in ("/2", "@champion")]
    assert shown[0] == shown[1]
    assert shown[0]["inputs"][0]["shape"] == ["batch", 3]
    assert [output["shape"] for output in shown[0]["outputs"]] == [["batch", 2]]
    assert not list(folder.glob(".mlprod/scratch/signature-*"))


# Show and diff.


@pytest.mark.parametrize("form", ["toml", "json-schema", "mlflow", "pandera"])
def test_a_form_is_written_or_told_and_what_it_cannot_say_is_told(desk: Workspace, told: list[str], form: Any) -> None:
    infer(desk)
    told.clear()
    shown = desk.run(Contract(action="show", subject="contract.toml", to=form, out="written"))
    assert told[0] == "wrote written"
    apart = list(told[1:])
    told.clear()
    assert desk.run(Contract(action="show", subject="contract.toml", to=form)) == shown
    assert told == [*Path("written").read_text("utf-8").splitlines(), *apart]
    if form == "toml":
        assert read_contract(Path("written").read_text("utf-8"), name="written").contract == shown
    else:
        assert all(line.startswith("not in it: ") for line in apart)


def test_a_record_is_written_as_json(desk: Workspace) -> None:
    infer(desk)
    desk.run(Contract(action="show", subject="contract.toml", out="contract.json"))
    assert json.loads(Path("contract.json").read_text())["schema"] == "contract/1"


def test_what_a_file_says_of_a_model_alone_is_told(desk: Workspace, told: list[str]) -> None:
    Path("contract.toml").write_text("[inputs.a]\ntype = 'int'\n[outputs.p]\nsum_to = 1")
    desk.run(Contract(action="show", subject="contract.toml"))
    assert told == ["[outputs.p] says no dtype and shape, which a model shows"]


def test_bundles_files_and_records_are_compared_alike(workspace_copy: Callable[[str], Path]) -> None:
    folder = workspace_copy("diff")
    mlprod("contract", "show", "tiny@champion", "--to", "toml", "--out", "contract.toml", cwd=folder)
    digest = json.loads(mlprod("show", "tiny@champion", "--json", cwd=folder).stdout)["digest"]
    for second in ("contract.toml", digest):
        same = json.loads(mlprod("contract", "diff", "tiny@champion", second, "--json", cwd=folder).stdout)
        assert (same["rows"], same["note"]) == ([], "both demand the same")
    mlprod("contract", "edit", "contract.toml", "--set", "inputs.input.low", "0", cwd=folder)
    found = json.loads(mlprod("contract", "diff", "tiny@champion", "contract.toml", "--json", cwd=folder).stdout)
    assert found["columns"] == ["field", "what", "first", "second", "breaks callers"]
    assert found["rows"] == [["input", "low", "", "0", "maybe"]]
    assert found["note"] == "callers of the first: 0 certainly break, 1 may"


# Edit.


def test_an_edit_keeps_the_comments_and_shows_what_changed(desk: Workspace) -> None:
    before = infer(desk)
    Path("contract.toml").write_text("# my own remark\n" + before)
    shown = edit(desk, set={"inputs.age.unit": "years", "inputs.age.high": "120"})
    assert shown.columns == ("key", "before", "now")
    assert shown.rows == (("inputs.age.unit", "", '"years"'), ("inputs.age.high", "", "120"))
    text = Path("contract.toml").read_text("utf-8")
    assert text.startswith("# my own remark\n# Inferred from data.csv")
    assert text.count("# suggestion ") == before.count("# suggestion ")


def test_an_accepted_suggestion_is_declared_and_others_stay_comments(desk: Workspace) -> None:
    infer(desk)
    edit(desk, accept=("site.categories", "contact.pii"))
    read = read_contract(Path("contract.toml").read_text("utf-8"), name="c").contract
    site, contact = read.inputs[1], read.inputs[2]
    assert site == Column(name="site", type="string", categories=("north", "south"), declared=("categories",))
    assert contact == Column(name="contact", type="string", pii="email", declared=("pii",))
    assert "# suggestion inputs.age.range (low, high): " in Path("contract.toml").read_text("utf-8")


def test_all_suggestions_at_once_give_a_contract_that_the_data_keep(desk: Workspace) -> None:
    from jupyter_mlprod.core.batch import check_batch

    infer(desk)
    edit(desk, accept=("all",))
    contract = read_contract(Path("contract.toml").read_text("utf-8"), name="c").contract
    assert check_batch(contract, desk.data.read("data.csv"), view="training").violations == ()
    assert "# suggestion" not in Path("contract.toml").read_text("utf-8")


def test_what_is_confirmed_or_set_is_no_longer_inferred(desk: Workspace) -> None:
    infer(desk)
    edit(desk, confirm=("age.type", "target.nullable"), set={"inputs.site.nullable": "true"})
    document = tomllib.loads(Path("contract.toml").read_text("utf-8"))
    assert document["inputs"]["age"]["inferred"] == ["nullable"]
    assert document["target"]["inferred"] == ["type"]
    assert document["inputs"]["site"]["inferred"] == ["type"]
    edit(desk, confirm=("all",))
    assert "inferred =" not in Path("contract.toml").read_text("utf-8")


def test_an_edit_that_cannot_be_meant_leaves_the_file_as_it_was_and_tells_every_fault(desk: Workspace) -> None:
    before = infer(desk)
    values = {"inputs.age.low": "9", "inputs.age.high": "1", "inputs.site.pattern": "["}
    lines = refused(desk, Code.BAD_CONTRACT, action="edit", subject="contract.toml", set=values).splitlines()
    assert len(lines) == 2
    assert "low 9 is above high 1" in lines[0]
    assert "pattern is no regular expression" in lines[1]
    for values in ({"inputs.age.lo": "1"}, {"inputs.age.type.x": "1"}, {"inputs.age.low": "[1"}, {"rules.r": "age >"}):
        refused(desk, Code.BAD_CONTRACT, action="edit", subject="contract.toml", set=values)
    assert Path("contract.toml").read_text("utf-8") == before


def test_a_key_is_taken_out_by_an_empty_value(desk: Workspace) -> None:
    infer(desk)
    edit(desk, set={"inputs.age.low": "0"})
    edit(desk, set={"inputs.age.low": ""})
    assert "low" not in tomllib.loads(Path("contract.toml").read_text("utf-8"))["inputs"]["age"]


def test_a_misspelt_input_is_no_new_one(desk: Workspace) -> None:
    file = desk.root / "contract.toml"
    file.write_text(text := '[inputs.age]\ntype = "int"\n')
    with pytest.raises(MlprodError) as refused:
        desk.run(Contract(action="edit", subject=str(file), set={"inputs.agee.low": "6"}))
    assert refused.value.message == "there is no input 'agee' (did you mean 'age'?)"
    assert file.read_text() == text
    desk.run(Contract(action="edit", subject=str(file), set={"inputs.size.type": "float", "inputs.size.low": "6"}))
    assert "[inputs.size]" in file.read_text()


def test_a_document_that_lies_over_an_example_can_be_edited_too(desk: Workspace) -> None:
    Path("contract.toml").write_text("[inputs.age]\nlow = 0\n")
    shown = edit(desk, set={"inputs.age.high": "9"})
    assert shown.note.startswith("not every input says its type")
    assert Path("contract.toml").read_text() == "[inputs.age]\nlow = 0\nhigh = 9\n"


@pytest.mark.parametrize(
    ("fields", "code", "what"),
    [
        ({"action": "infer"}, Code.BAD_REQUEST, "contract infer needs data to infer from, or an MLflow model"),
        ({"action": "diff", "subject": "a"}, Code.BAD_REQUEST, "contract diff needs two contracts"),
        ({"action": "show", "subject": "a", "other": "b"}, Code.BAD_REQUEST, "contract show takes no a second subject"),
        ({"action": "infer", "subject": "a", "to": "toml"}, Code.BAD_REQUEST, "contract infer takes no --to"),
        ({"action": "show", "subject": "a", "accept": ("all",)}, Code.BAD_REQUEST, "contract show takes no --accept"),
        ({"action": "edit", "subject": "contract.toml"}, Code.BAD_REQUEST, "contract edit needs --set, --accept or --confirm"),
        ({"action": "edit", "subject": "a", "accept": ("all",)}, Code.BAD_REQUEST, "contract edit needs a contract.toml"),
        ({"action": "edit", "subject": "no.toml", "accept": ("all",)}, Code.BAD_CONTRACT, "there is no file 'no.toml'"),
        ({"action": "show", "subject": "no.toml"}, Code.BAD_CONTRACT, "there is no file 'no.toml'"),
        ({"action": "show", "subject": "nobody"}, Code.UNKNOWN_SUBJECT, ""),
        ({"action": "show", "subject": "\0.toml"}, Code.BAD_CONTRACT, "there is no file"),
        ({"action": "show", "subject": "x" * 5000}, Code.BAD_REQUEST, ""),
        ({"action": "infer", "subject": "data.csv", "target": "il"}, Code.BAD_REQUEST, "--target 'il' is no column of the data"),
        ({"action": "infer", "subject": "data.csv", "out": "no/where.toml"}, Code.BAD_REQUEST, "there is no folder"),
        ({"action": "infer", "subject": "no.csv"}, Code.BAD_DATA, "no data file"),
        ({"action": "infer", "subject": "models:/nobody"}, Code.BAD_REQUEST, "'models:/nobody' names no version"),
    ],
)
def test_a_request_that_cannot_be_meant_is_refused(desk: Workspace, fields: dict[str, Any], code: Code, what: str) -> None:
    assert refused(desk, code, **fields).startswith(what)


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"accept": ("age.rang",)}, "--accept 'age.rang' names no suggestion (did you mean 'age.range'?)"),
        ({"confirm": ("age.low",)}, "--confirm 'age.low' is nothing that was inferred"),
        ({"set": {"inputs..low": "1"}}, "--set 'inputs..low' is no key"),
    ],
)
def test_a_name_that_is_not_there_is_told_with_what_was_meant(desk: Workspace, fields: dict[str, Any], what: str) -> None:
    infer(desk)
    assert refused(desk, Code.BAD_REQUEST, action="edit", subject="contract.toml", **fields).startswith(what)


def test_large_and_unreadable_files_are_refused(desk: Workspace) -> None:
    Path("large.toml").write_bytes(b"#" * 8_000_001)
    Path("latin.toml").write_bytes(b"\xff")
    assert "is larger than" in refused(desk, Code.BAD_CONTRACT, action="show", subject="large.toml")
    assert "it is not UTF-8" in refused(desk, Code.BAD_CONTRACT, action="show", subject="latin.toml")


def test_the_words_of_an_edit_are_toml_and_a_plain_word_is_a_string() -> None:
    assert [value_of(word) for word in ("0", "1.5", '"a"', "true", '["a", "b"]', "30d", "a b", "", "1\n2")] == [
        0, 1.5, "a", True, ["a", "b"], "30d", "a b", None, "1\n2",
    ]  # fmt: skip
    assert key_path('inputs."a.b c".low') == ("inputs", "a.b c", "low")


def test_what_stands_under_a_suggestion_and_is_none_of_its_keys_stays_a_comment() -> None:
    text = '[inputs.a]\n# suggestion inputs.a.low (low): none: is negative\n# low = 0\n# unit = "mm"\n# low = 5\n# a remark of mine: x = 1\nhigh = 1\n'
    now = '[inputs.a]\n# none: is negative\nlow = 0\n# unit = "mm"\n# low = 5\n# a remark of mine: x = 1\nhigh = 1\n'
    assert accepted(text, ("all",)) == accepted(text, ("inputs.a.low",)) == accepted(text, ("a.low",)) == now


def test_a_suggestion_that_a_file_has_twice_is_refused() -> None:
    one = "# suggestion inputs.a.low (low): none is negative\n# low = 0\n"
    for names in (("all",), ("a.low",)):
        with pytest.raises(MlprodError, match=r"--accept inputs\.a\.low: the file has it more than once"):
            accepted(f"[inputs.a]\n{one}{one}", names)


def test_a_short_name_of_two_suggestions_is_refused_and_the_whole_one_is_taken() -> None:
    text = "[inputs.a]\n# suggestion inputs.a.low (low): x\n# low = 0\n[data.a]\n# suggestion data.a.low (low): y\n# low = 1\n"
    with pytest.raises(MlprodError, match=r"--accept a\.low names 2 suggestions: say inputs\.a\.low or data\.a\.low"):
        accepted(text, ("a.low",))
    assert tomllib.loads(accepted(text, ("data.a.low",))) == {"inputs": {"a": {}}, "data": {"a": {"low": 1}}}


LINE_ENDS = ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\r", "\n"]


@pytest.mark.parametrize("end", LINE_ENDS, ids=ascii)
def test_no_value_of_the_data_becomes_a_key_when_a_suggestion_is_accepted(desk: Workspace, end: str) -> None:
    hostile = f'x{end}nullable = true{end}unit = "no" #'
    pd.DataFrame({f"site{end}": [hostile, "b"] * 60, "age": np.arange(120) % 7}).to_parquet("data.parquet")
    desk.run(Contract(action="infer", subject="data.parquet", out="contract.toml"))
    inferred = tomllib.loads(Path("contract.toml").read_text("utf-8"))
    edit(desk, accept=("age.range",))
    after = tomllib.loads(Path("contract.toml").read_text("utf-8"))
    assert after["inputs"][f"site{end}"] == inferred["inputs"][f"site{end}"]
    edit(desk, accept=("all",))
    read = read_contract(Path("contract.toml").read_text("utf-8"), name="c").contract
    assert isinstance(read.inputs[0], Column)
    assert read.inputs[0].categories == ("b", hostile)
    assert (read.inputs[0].nullable, read.inputs[0].unit) == (False, "")


@pytest.mark.parametrize("end", LINE_ENDS[:3], ids=ascii)
def test_a_line_end_of_another_standard_that_a_person_wrote_ends_no_line(end: str) -> None:
    text = f'[inputs.a]\n# mine {end}high = 1\n# suggestion inputs.a.categories (categories): x\n# categories = ["b{end}unit = 2"]\n'
    assert tomllib.loads(accepted(text, ("all",))) == {"inputs": {"a": {"categories": [f"b{end}unit = 2"]}}}


def test_the_line_ends_of_a_file_stay_as_they_are(desk: Workspace) -> None:
    text = infer(desk).replace("\n", "\r\n")
    Path("contract.toml").write_bytes(text.encode())
    edit(desk, accept=("age.range",))
    now = Path("contract.toml").read_bytes()
    assert now.count(b"\r\n") == now.count(b"\n") == text.count("\r\n")
    assert "low" in tomllib.loads(now.decode())["inputs"]["age"]


@pytest.mark.parametrize("name", ["dose: mg", "a,b", 'it\'s "q"', "a.b", "x\u200b"])
def test_a_suggestion_for_any_name_is_accepted_by_its_id(desk: Workspace, name: str) -> None:
    pd.DataFrame({name: np.arange(300) % 7, "x": np.arange(300) % 7}).to_parquet("data.parquet")
    desk.run(Contract(action="infer", subject="data.parquet", out="contract.toml"))
    text = Path("contract.toml").read_text("utf-8")
    (ident,) = [line.split("suggestion ")[1].split(" (low")[0] for line in text.splitlines() if "range (low" in line][:1]
    line = f"contract edit contract.toml --accept {shlex.quote(ident)} --json"
    mlprod(*shlex.split(line), cwd=Path.cwd())
    document = tomllib.loads(Path("contract.toml").read_text("utf-8"))["inputs"]
    assert (document[name]["low"], "low" in document["x"]) == (0, False)


def test_what_a_link_names_is_edited_and_the_link_stays(desk: Workspace) -> None:
    infer(desk)
    Path("kept").mkdir()
    Path("contract.toml").rename("kept/real.toml")
    Path("contract.toml").symlink_to("kept/real.toml")
    edit(desk, set={"inputs.age.high": "120"})
    assert Path("contract.toml").is_symlink()
    assert tomllib.loads(Path("kept/real.toml").read_text("utf-8"))["inputs"]["age"]["high"] == 120


def test_confirmations_find_a_name_with_and_without_its_section() -> None:
    document = {"inputs": {"a": {"inferred": ["type", "low"]}}, "outputs": {"a": {"inferred": ["low"]}}}
    assert confirmations(document, ("inputs.a.low",)) == {("inputs", "a", "inferred"): ["type"]}
    assert confirmations(document, ("a.low",)) == {("inputs", "a", "inferred"): ["type"], ("outputs", "a", "inferred"): None}


def test_the_editor_keeps_what_it_does_not_change() -> None:
    text = "# head\na.b = 1 # one\n\n[t] # two\nx = [ 1,\n 2 ]\n"
    assert TomlEditor().changed(text, {("t", "y"): 3, ("a", "c"): "d", ("n", "m", "k"): True, ("t", "none"): None}) == (
        '# head\na.b = 1 # one\na.c = "d"\n\n[t] # two\nx = [ 1,\n 2 ]\ny = 3\n\n[n.m]\nk = true\n'
    )
    with pytest.raises(MlprodError, match=r"t\.x is no table"):
        TomlEditor().changed(text, {("t", "x", "y"): 1})


def test_tensors_are_inferred_with_their_shape(desk: Workspace) -> None:
    np.save("x.npy", RNG.random((30, 3, 8, 8)).astype(np.float32))
    record = desk.run(Contract(action="infer", subject="x.npy", out="contract.toml"))
    assert isinstance(record, ContractRecord)
    assert record.inputs == (Tensor(name="input", dtype="float32", shape=("batch", 3, 8, 8)),)
    edit(desk, accept=("all",))
    read = read_contract(Path("contract.toml").read_text("utf-8"), name="c").contract.inputs[0]
    assert isinstance(read, Tensor)
    assert (read.low, read.high, read.layout) == (0, 1, "NCHW")
