"""mlprod.toml with anything anywhere: every fault with its line, status 2, never a trace, and no verb runs under half a policy."""

from pathlib import Path

import pytest

from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.workspace import open_workspace
from tests.verbs.tiny import Desk

VALUES = ["1", "-1", "1.5", "true", '"text"', "[]", "[[]]", "[1, 'a']", "{}", "{a = 1}", "1979-05-27", "1979-05-27T07:32:00Z", "nan", "inf"]
KEYS = ["measure", "at_least", "at_most", "unit", "where", "relative", "max_age", "taken_by"]
GOOD = {
    "measure": ['"text"'],
    "unit": ['"text"'],
    "at_least": ["1", "-1", "1.5"],
    "at_most": ["1", "-1", "1.5"],
    "where": ["{}"],
    "relative": [],
}
"""Values of the list that are good for a key of a rule."""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refusal(text: str) -> MlprodError | None:
    Path("mlprod.toml").write_text(text)
    try:
        open_workspace()
    except MlprodError as refusal:
        error = refusal
    else:
        return None
    assert error.code is Code.BAD_SETTINGS
    assert error.code.status == 2
    assert all(line.startswith("mlprod.toml:") for line in error.message.splitlines())
    return error


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("key", KEYS)
def test_a_rule_with_a_value_of_another_type_is_refused_with_its_line(key: str, value: str) -> None:
    rule = {"measure": '"accuracy"', "at_least": "0.5", key: value}
    if key == "at_most":
        del rule["at_least"]
    text = "[settings]\n\n[[policy.release]]\n" + "".join(f"{name} = {given}\n" for name, given in rule.items())
    error = refusal(text)
    if value in GOOD.get(key, []):
        assert error is None
    else:
        assert error is not None
        line = text.splitlines().index(f"{key} = {value}") + 1
        assert f":{line}:" in error.message or ":3:" in error.message


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize(
    "place", ["settings", "policy", "policy.release", "settings.actor", "settings.trusted_keys", "settings.tracking_uri"]
)
def test_a_table_with_a_value_of_another_type_is_refused_or_empty(place: str, value: str) -> None:
    error = refusal(f"{place} = {value}\n")
    good = {
        "settings": ["{}"], "policy": ["{}"], "policy.release": ["[]"], "settings.trusted_keys": ["[]"],
        "settings.actor": ['"text"'], "settings.tracking_uri": ['"text"'],
    }  # fmt: skip
    assert (error is None) == (value in good[place])


@pytest.mark.parametrize(
    "text",
    [
        "[",
        "a = ",
        "a = 1\na = 2\n",
        "[settings]\n[settings]\n",
        "[settings]\nactr = 'x'\n",
        "[[policy.release]]\n",
        "[[policy.release]]\nmeasure = 'a'\nat_least = 1\nat_most = 2\n",
        "x = " + "[" * 10_000,
        "x = " + "9" * 5000,
        "\x00",
        "x = '\x1b'",
    ],
)
def test_what_is_no_document_of_ours_is_refused(text: str) -> None:
    assert refusal(text) is not None


def test_every_fault_of_a_document_is_told_at_once() -> None:
    error = refusal(
        "[settings]\nactor = 1\nkey = 2\n\n[[policy.release]]\nmeasure = 3\nat_leest = 4\n\n[[policy.other]]\nmeasure = 'a'\nmax_age = '5 days'\n"
    )
    assert error is not None
    assert sorted(int(line.split(":")[1]) for line in error.message.splitlines()) == [2, 3, 6, 7, 11]


@pytest.mark.parametrize("data", [b"\xff\xfe", b"# \xe9\n"])
def test_a_file_that_is_not_utf8_is_refused(data: bytes) -> None:
    Path("mlprod.toml").write_bytes(data)
    with pytest.raises(MlprodError) as refused:
        open_workspace()
    assert refused.value.code is Code.BAD_SETTINGS


@pytest.mark.parametrize("key", ["text", "AAAA", "=" * 44, "\U0001f511", "A" * 5000])
def test_a_trusted_key_that_is_none_is_refused_where_signatures_matter(desk: Desk, key: str) -> None:
    (desk.folder / "mlprod.toml").write_text(f'[settings]\ntrusted_keys = ["{key}"]\n')
    assert desk.command("predict", "tiny", "x.npy") == 2
    assert desk.command("list") == 2  # which says whose word it is who packaged what
    assert desk.command("history", "tiny") == 0


def test_no_verb_runs_under_settings_that_cannot_be_read(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    with (desk.folder / "mlprod.toml").open("a") as settings:
        settings.write("\n[[policy.release]]\nmeasure = 'accuracy'\nat_leest = 0.99\n")
    before = desk.files()
    for words in (["promote", "tiny"], ["gate", "tiny"], ["rollback", "tiny", "--why", "x"], ["predict", "tiny", "x.npy"], ["list"]):
        assert desk.command(*words) == 2
        assert "did you mean 'at_least'?" in capsys.readouterr().err
    assert desk.files() == before


@pytest.mark.parametrize("value", ["hash", "", "PINS", "pins\n"])
def test_a_variable_outside_its_choices_is_refused_as_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("MLPROD_LOCK", value)
    with pytest.raises(MlprodError) as refusal:
        open_workspace(tmp_path)
    assert refusal.value.code is Code.BAD_SETTINGS
