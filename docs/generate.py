"""Writes what is derived from the code: ``docs/reference.md`` and the JSON Schemas in ``jupyter_mlprod/schema/``.

``python docs/generate.py`` writes, ``python docs/generate.py --check`` names what is stale and exits 1. Nothing here is written by hand
except the words that join the tables; a setting or rule key that nothing describes is an error.
"""

import contextlib
import inspect
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Union

import msgspec

from jupyter_mlprod.core.contract import Expected, Freshness, Rows
from jupyter_mlprod.core.contract_edit import DataEdit, FieldEdit, OutputEdit
from jupyter_mlprod.core.errors import Code
from jupyter_mlprod.core.nouns import NOUNS
from jupyter_mlprod.core.policy import BASE, BY_KIND, EXECUTION, INTEGRITY, Policy, Rule, parity
from jupyter_mlprod.core.requests import REQUESTS
from jupyter_mlprod.core.settings import PREFIX, Settings
from jupyter_mlprod.core.verdict import EXIT_STATUS
from jupyter_mlprod.fronts import call, cli
from jupyter_mlprod.fronts.display import limit_text, where_text
from jupyter_mlprod.workspace import RUN_VARIABLE

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = Path("docs/reference.md")
SCHEMAS = Path("jupyter_mlprod/schema")
DIALECT = "https://json-schema.org/draft/2020-12/schema"
WIDTH = "100"

UNDESCRIBED = {"measure": "name of the measure that is read", "unit": "the unit that the measure must carry"}
"""Keys of a rule that its docstring takes for granted."""

FIELD_KEYS = {
    "name": "of the target: the column that holds it",
    "type": "of a column; read off the example or the training data where it is not said",
    "dtype": "of a tensor: the type of its numbers",
    "low": "the least value, inclusive, in `unit`",
    "high": "the greatest value, inclusive, in `unit`",
    "finite": "whether NaN and infinity are refused; tensors only",
    "nullable": "whether nulls are allowed; columns only",
    "categories": "the strings that are known; columns only",
    "unit": "what the numbers count; shown and recorded, never converted",
    "shape": "of a tensor: integers, and a name for each dimension that may vary; the first names the batch",
    "longest": "of a text or a column of strings: characters at most",
    "shortest": "of a column of strings: characters at least",
    "pattern": "of a column of strings: a regular expression that is found in each",
    "unique": "whether no two rows may have the same value; columns only",
    "mostly": "share of the rows of a data set that must keep the demands on the values; columns only",
    "max_age": "how old a value may be when it is used: a number and s, m, h or d; columns only",
    "event_time": "the column that says when values were measured; of one column, where it is not that of `[freshness]`",
    "view": "`serving` for a column that training data has not",
    "on_violation": "what happens to a request that breaks a demand on this field",
    "unknown_category": "the same for a value that is none of `categories`",
    "default": "what stands in for a value, where `impute` is said",
    "expected": "the distribution in a data set, as below; columns only",
    "layout": "of an image: what its axes are",
    "channels": "of an image: its channels in their order, a letter each, such as `RGB`",
    "pii": "class of personal data, such as name or email, whose values are kept out of what lies at rest; `none` says that it holds none",
    "inferred": "the keys here that were read off data, and that nobody has confirmed yet",
    "sum_to": "what the values of a row sum to: 1 for probabilities",
    "labels": "the classes that the last axis stands for",
    "shares": "the share of each of `values`; with `edges` one more: below the first, between each two, and from the last on",
    "values": "of strings and truth values, as text; what is not named is the rest",
    "edges": "of numbers, ascending",
    "at_most": "of a distribution the total variation distance, from 0 to 1; of `[rows]` rows at most",
    "at_least": "rows at least",
    "per_request": "rows that one request may have at most",
    "as_of": "the column that says when the features of a row were used; now where it is not said",
}
CONTRACT_SECTIONS: tuple[tuple[str, type[msgspec.Struct]], ...] = (
    ("`[inputs.NAME]`, an input", FieldEdit),
    ("`[outputs.NAME]`, an output", OutputEdit),
    ("`[target]` and `[data.COLUMN]`, what training data has and a request has not", DataEdit),
    ("`[….expected]`, a distribution", Expected),
    ("`[rows]`", Rows),
    ("`[freshness]`", Freshness),
)
CONTRACT_TOP = (
    "Above all tables may stand `on_violation`, for fields that say nothing else. `[rules]` holds a name and an expression a line."
)

TAKEN = {
    "array": "an array, table or mapping of columns becomes a data file",
    "code": "a function becomes a source file that stands on its own",
    "contract": "to infer from: an array or table becomes a data file, which is removed afterwards",
    "columns": "names of the data's columns stay names; arrays become a data file",
    "labels": "a list becomes comma-separated labels",
    "model": "a torch module is exported to a capture",
    "snapshot": "a frame, array or tensor is described and not written out",
    "text": "a string becomes a file",
}
"""What the magic does with a variable or expression, by the ``live`` of an option."""


def wanted() -> dict[Path, str]:
    """Every generated file: path from the repository's root to text."""
    files = {REFERENCE: reference()}
    for noun in NOUNS:
        name = str(noun.__struct_config__.tag).partition("/")[0]
        files[SCHEMAS / f"{name}.json"] = schema_text(noun)
    requests: Any = Union[tuple(REQUESTS.values())]  # noqa: UP007  a union of a computed tuple has no other spelling
    files[SCHEMAS / "requests.json"] = schema_text(requests)
    return files


def stale(root: Path = ROOT) -> list[str]:
    """Generated files that are missing, out of date, or no longer generated."""
    files = wanted()
    extra = {path.relative_to(root) for path in (root / SCHEMAS).glob("*")} - files.keys()
    old = {path for path, text in files.items() if not _is_fresh(root / path, text)}
    return sorted(path.as_posix() for path in old | extra)


def write(root: Path = ROOT) -> list[str]:
    """Bring every generated file up to date and name those that changed."""
    files, changed = wanted(), stale(root)
    for name in changed:
        path = root / name
        if Path(name) in files:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[Path(name)], "utf-8")
        else:
            path.unlink()
    return changed


def _is_fresh(path: Path, text: str) -> bool:
    """Equal bytes; for the reference, equal words, since argparse breaks lines and writes short flags differently by Python version."""
    if not path.is_file():
        return False
    found = path.read_text("utf-8")
    return _words(found) == _words(text) if path.suffix == ".md" else found == text


def _words(text: str) -> list[str]:
    return re.sub(r"(-\w)(?: [A-Z]+)+, (--)", r"\1, \2", text).split()


# Schemas.


def schema_text(kind: Any) -> str:
    """The JSON Schema of a type."""
    schema = {"$schema": DIALECT, **msgspec.json.schema(kind)}
    return json.dumps(_cleaned(schema), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _cleaned(value: Any) -> Any:
    """Descriptions without their indentation, which Python 3.13 strips and earlier ones keep."""
    if isinstance(value, dict):
        return {
            key: inspect.cleandoc(item) if key == "description" and isinstance(item, str) else _cleaned(item) for key, item in value.items()
        }
    return [_cleaned(item) for item in value] if isinstance(value, list) else value


# The reference.


def reference() -> str:
    """The whole page."""
    with _terminal():
        parts = [
            "# Reference",
            "Generated from the code by `python docs/generate.py`; do not edit. What the measures mean is in [measures.md](measures.md).",
            *_verbs(),
            *_statuses(),
            *_settings(),
            *_rules(),
            *_contract(),
            *_errors(),
            *_records(),
        ]
    return "\n\n".join(parts) + "\n"


@contextlib.contextmanager
def _terminal() -> Iterator[None]:
    """A terminal of fixed width without colors, as argparse sees it."""
    fixed = {"COLUMNS": WIDTH, "NO_COLOR": "1"}
    before = {name: os.environ.get(name) for name in fixed}
    os.environ.update(fixed)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _verbs() -> list[str]:
    parts = ["## Verbs", _fenced(call.usage())]
    parts.append(
        "Every verb takes `--json`: standard output then holds exactly one record, led by its `schema` and `digest`, and everything "
        "else goes to standard error. In a notebook the same words follow `%mlprod`, and an option may name a variable or an "
        "expression, as the last column says. An argument may also be written with its name."
    )
    for verb, kind in REQUESTS.items():
        rows = [_option_row(option) for option in call.options_of(kind)]
        parts += [f"### {call.PROGRAM} {verb}", _fenced(call.parser_of(verb).format_help().rstrip())]
        parts += [_table(("option", "default", "in a notebook"), rows)] if rows else []
    return parts


def _option_row(option: call.Option) -> tuple[str, ...]:
    names = [option.flag] if option.flag else []
    names += [option.metavar] if option.positional else []
    if not (option.positional and isinstance(option.type, msgspec.inspect.VarTupleType)):  # many words have no name
        names.append(option.written)
    default = "required" if option.required else _value(option.default)
    return (", ".join(f"`{name}`" for name in names), default, TAKEN[option.live] if option.live else "")


def _value(default: Any) -> str:
    """A default as it would be written."""
    if default in ("", (), {}, None, msgspec.NODEFAULT):
        return ""
    if isinstance(default, bool):
        return "on" if default else "off"
    return f"`{','.join(map(str, default)) if isinstance(default, tuple) else default}`"


def _statuses() -> list[str]:
    outcomes: dict[int, list[str]] = {}
    for outcome, status in EXIT_STATUS.items():
        outcomes.setdefault(status, []).append(outcome)
    meaning = {
        0: "done, or the verdict is " + " or ".join(outcomes[0]),
        1: "the verdict is " + " or ".join(outcomes[1]),
        2: "the request or its input is refused",
        3: "the verdict is " + " or ".join(outcomes[3]) + ", or the evidence that was asked for is not there",
        4: "something outside is away: a retry is sensible",
        cli.CANCELLED: "cancelled",
        cli.BROKEN_PIPE: "whoever read standard output went away",
    }
    parts = ["## Exit statuses", _table(("status", "meaning"), [(str(status), text) for status, text in meaning.items()])]
    judged = ", ".join(f"`{kind}`" for kind in sorted(BY_KIND))
    parts.append(f"Evidence of the kinds {judged} is judged by the built-in policy of the same name, which decides the status of its verb.")
    return parts


def _settings() -> list[str]:
    rows = [
        (f"`{name}`", f"`{PREFIX}{name.upper()}`", _type_name(field.type), text)
        for field, name, text in _fields(Settings, described_by=_attributes(Settings))
    ]
    return [
        "## Settings",
        "`[settings]` of `mlprod.toml`, or `[tool.mlprod.settings]` of `pyproject.toml`. A variable of the environment overrides "
        "its setting; a list is written with commas there.",
        _table(("setting", "variable", "type", "meaning"), rows),
        f"`{RUN_VARIABLE}` is no setting: the gate sets it for the kernel of a run, and nothing else should.",
    ]


def _rules() -> list[str]:
    described = {**UNDESCRIBED, **_attributes(Rule)}
    rows = [
        (f"`{name}`", _type_name(field.type), "required" if field.required else _value(field.default), text)
        for field, name, text in _fields(Rule, described_by=described)
    ]
    parts = [
        "## Policies",
        "A policy is the `[[policy.NAME]]` tables of `mlprod.toml`. The one that allows a promotion is named `release`. "
        "See [policy.md](policy.md).",
        "### Keys of a rule",
        _table(("key", "type", "default", "meaning"), rows),
        "### Base rules",
        "Every policy of a project holds these as well. A rule of the project with the same measure and place replaces one.",
        _rule_table(BASE),
        "### Built-in policies",
    ]
    for policy in _built_in():
        parts += [f"**{policy.name}**", _rule_table(policy.rules)]
    return parts


def _built_in() -> Iterable[Policy]:
    return sorted((EXECUTION, INTEGRITY, parity({}), *BY_KIND.values()), key=lambda policy: policy.name)


def _rule_table(rules: Sequence[Rule]) -> str:
    rows = [(f"`{rule.reads}`", where_text(rule.where), limit_text(rule), rule.unit, rule.taken_by, rule.max_age) for rule in rules]
    return _table(("measure", "where", "limit", "unit", "taken by", "not older than"), rows)


def _contract() -> list[str]:
    parts = ["## Keys of a contract", CONTRACT_TOP]
    for title, kind in CONTRACT_SECTIONS:
        rows = [(f"`{name}`", _type_name(field.type), text) for field, name, text in _fields(kind, described_by=FIELD_KEYS)]
        parts += [f"### {title}", _table(("key", "type", "meaning"), rows)]
    return parts


def _errors() -> list[str]:
    rows = [(f"`{code.label}`", str(code.status), code.meaning) for code in Code]
    return [
        "## Error codes",
        "A refusal is one line `CODE: what was found`, and a hint. Branch on the code or the exit status, never on the text.",
        _table(("code", "status", "meaning"), rows),
    ]


def _records() -> list[str]:
    rows = []
    for noun in NOUNS:
        tag = str(noun.__struct_config__.tag)
        file = f"{tag.partition('/')[0]}.json"
        rows.append((f"`{tag}`", (noun.__doc__ or "").strip().splitlines()[0], f"[{file}](../{SCHEMAS.as_posix()}/{file})"))
    requests = f"[requests.json](../{SCHEMAS.as_posix()}/requests.json)"
    return ["## Records", _table(("schema", "is", "JSON Schema"), rows), f"The requests of all verbs: {requests}."]


def _fields(kind: type[msgspec.Struct], *, described_by: dict[str, str]) -> Iterator[tuple[msgspec.inspect.Field, str, str]]:
    info = msgspec.inspect.type_info(kind)
    assert isinstance(info, msgspec.inspect.StructType)
    for field in info.fields:
        yield field, field.name, described_by[field.name]


def _attributes(kind: type) -> dict[str, str]:
    """The ``Attributes`` section of a docstring: name to text; one line may describe several names."""
    section = inspect.cleandoc(kind.__doc__ or "").partition("Attributes\n----------\n")[2]
    found: dict[str, str] = {}
    for names, text in re.findall(r"^(\w+(?:, \w+)*) : (.*(?:\n {4}.*)*)", section, re.MULTILINE):
        found |= dict.fromkeys(names.split(", "), " ".join(text.replace("``", "`").split()))
    return found


def _type_name(info: msgspec.inspect.Type) -> str:
    """A type as TOML writes it."""
    match info:
        case msgspec.inspect.UnionType():
            return " or ".join(_type_name(option) for option in info.types if not isinstance(option, msgspec.inspect.NoneType))
        case msgspec.inspect.LiteralType():
            return " or ".join(f"`{value}`" for value in info.values)
        case msgspec.inspect.VarTupleType():
            return f"list of {_type_name(info.item_type)}s"
        case msgspec.inspect.DictType():
            return f"table of {_type_name(info.value_type)}s"
        case msgspec.inspect.Metadata():
            return _type_name(info.type)
        case msgspec.inspect.StructType():
            return "table"
    names = {"StrType": "string", "FloatType": "number", "IntType": "integer", "BoolType": "boolean"}
    return names[type(info).__name__]


def _fenced(text: str) -> str:
    return f"```text\n{text}\n```"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(arguments: Sequence[str]) -> int:
    """Write or check, by the words of the command line."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: python docs/generate.py [--check]\n")
        return 2
    if arguments:
        names = stale()
        sys.stdout.writelines(f"stale: {name}\n" for name in names)
        return 1 if names else 0
    sys.stdout.writelines(f"written: {name}\n" for name in write())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
