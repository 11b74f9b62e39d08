"""The documents say what the code does: nothing is undocumented, nothing stale, no link dead, no command that does not exist."""

import ast
import importlib.util
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from jupyter_mlprod.core.errors import Code
from jupyter_mlprod.core.evidence import Evidence
from jupyter_mlprod.core.nouns import NOUNS
from jupyter_mlprod.core.policy import Rule
from jupyter_mlprod.core.requests import REQUESTS
from jupyter_mlprod.core.settings import PREFIX, Settings
from jupyter_mlprod.fronts import call
from jupyter_mlprod.verbs.profile import PERCENTILES
from tests.project import mlprod

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
RUN = "pip install -e '.[cpu]' && mlprod gate notebooks/digits_release.ipynb"
TEST = "pip install -e '.[cpu,test]' && pytest"

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
COMMAND = re.compile(r"(?<!%)%?\bmlprod ([a-z]+)\b([^`|&#\n]*)")
LINK = re.compile(r"\]\(([^)\s]+)\)")
EVERYWHERE = {"--json", "--help", "-h"}


def page_id(page: Path) -> str:
    return page.name


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def reference() -> str:
    return (ROOT / "docs" / "reference.md").read_text("utf-8")


def code_of(page: Path) -> str:
    """Everything that a page sets as code: fenced blocks and inline spans, a line each."""
    text = page.read_text("utf-8")
    blocks = [block for _, block in FENCE.findall(text)]
    return "\n".join([*blocks, *INLINE.findall(FENCE.sub("", text))])


def section(text: str, heading: str) -> str:
    """The text under a heading, up to the next one of any level."""
    after = text.split(f"\n{heading}\n", 1)[1]
    return re.split(r"^#+ ", FENCE.sub(lambda block: block[0].replace("\n#", "\n "), after), maxsplit=1, flags=re.MULTILINE)[0]


# Nothing is undocumented.


@pytest.mark.parametrize("verb", REQUESTS)
def test_every_verb_and_option_is_in_the_reference(reference: str, verb: str) -> None:
    text = section(reference, f"### mlprod {verb}")
    assert f"usage: mlprod {verb}" in text
    for option in call.options_of(REQUESTS[verb]):
        words = [option.metavar] if option.positional else [option.written, *filter(None, [option.flag])]
        for word in words:
            assert f"`{word}`" in text
        assert " ".join(option.help.split())[:30] in " ".join(text.split())


def test_every_setting_rule_key_error_code_and_record_is_in_the_reference(reference: str) -> None:
    settings, keys, errors = (section(reference, heading) for heading in ("## Settings", "### Keys of a rule", "## Error codes"))
    for name in Settings.__struct_fields__:
        assert f"| `{name}` | `{PREFIX}{name.upper()}` |" in settings
    for name in Rule.__struct_fields__:
        assert f"| `{name}` |" in keys
    for code in Code:
        assert f"| `{code.label}` | {code.status} | {code.meaning} |" in errors
    for noun in NOUNS:
        assert f"`{noun.__struct_config__.tag}`" in reference


def test_every_rule_key_is_explained_where_people_read() -> None:
    text = (ROOT / "docs" / "policy.md").read_text("utf-8")
    for name in Rule.__struct_fields__:
        assert f"`{name}`" in text


def test_the_readme_lists_every_verb_in_the_order_of_the_flow() -> None:
    blocks = [block for language, block in FENCE.findall(README.read_text("utf-8")) if language == "text"]
    assert re.findall(r"^mlprod (\w+) ", "".join(blocks), re.MULTILINE) == [*REQUESTS]


# Measures.

Row = tuple[str, str, str, str, str]


def measure_table() -> set[Row]:
    """(measure, kind, unit, where keys, method) of every row of measures.md, one for each name and kind of a row."""
    rows: set[Row] = set()
    for line in (ROOT / "docs" / "measures.md").read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != 6 or not cells[0].startswith("`"):
            continue
        names, kinds, unit, where, _, methods = cells
        for name in INLINE.findall(names):
            for kind in kinds.split(", "):
                rows |= {(name, kind, unit, ",".join(INLINE.findall(where)), method.split(" for ")[0]) for method in methods.split("; ")}
    return rows


def names_in_source() -> set[str]:
    """Every measure that the core and the verbs name when they make one."""
    found: set[str] = set()
    for folder in ("core", "verbs"):
        for path in (ROOT / "jupyter_mlprod" / folder).glob("*.py"):
            found |= set(_measures_made(ast.parse(path.read_text("utf-8"))))
    return found


def _measures_made(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        first = node.args[0] if node.args else None
        named = next((word.value for word in node.keywords if word.arg == "name"), None)
        match node.func.id, first, named:
            case "count" | "measure" | "_ratio", ast.Constant(value=str(name)), _:
                yield name
            case "Measure", _, ast.Constant(value=str(name)):
                yield name
            case "_percentiles", ast.Constant(value=str(name)), _:
                yield from (f"{name}_{suffix}" for suffix, _ in PERCENTILES)


def test_the_measures_table_names_what_the_code_makes_and_nothing_else() -> None:
    assert {row[0] for row in measure_table()} == names_in_source()


def test_measures_that_a_project_really_takes_are_as_the_table_says(workspace_copy: Callable[[str], Path]) -> None:
    folder = workspace_copy("measured")
    words = ["--data", "x.npy"]
    for verb in (["profile", "tiny", "--budget-s", "1"], ["verify", "tiny"], ["check", "tiny", *words], ["scan", "tiny"]):
        mlprod(*verb, cwd=folder)
    mlprod("evaluate", "tiny:1", *words, "--target", "y.npy", "--slices", "side.npy", cwd=folder)
    mlprod("evaluate", "tiny@champion", *words, "--target", "y.npy", cwd=folder)
    paths = (folder / ".mlprod" / "records" / "evidence-1").glob("*/*.json")
    taken = [msgspec.json.decode(path.read_bytes(), type=Evidence) for path in paths]
    seen = {(m.name, record.kind, m.unit, ",".join(m.where), m.method) for record in taken for m in record.measures}
    assert {kind for _, kind, *_ in seen} >= {"contract", "integrity", "latency", "parity", "quality", "release", "scan"}
    assert seen <= measure_table()


# Nothing is stale.


def test_generated_files_are_fresh(generator: ModuleType) -> None:
    assert generator.stale() == [], "run: python docs/generate.py"


def test_the_generator_names_a_file_that_is_stale_missing_or_left_over(generator: ModuleType, tmp_path: Path) -> None:
    names = generator.write(tmp_path)
    assert generator.stale(tmp_path) == []
    (tmp_path / "docs" / "reference.md").write_text("old")
    (tmp_path / "jupyter_mlprod" / "schema" / "bundle.json").unlink()
    (tmp_path / "jupyter_mlprod" / "schema" / "gone.json").write_text("{}")
    stale = ["docs/reference.md", "jupyter_mlprod/schema/bundle.json", "jupyter_mlprod/schema/gone.json"]
    assert generator.stale(tmp_path) == stale
    assert generator.write(tmp_path) == stale
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()) == sorted(names)


def test_every_schema_is_of_the_named_draft_and_every_reference_in_it_resolves() -> None:
    for path in (ROOT / "jupyter_mlprod" / "schema").iterdir():
        text = path.read_text("utf-8")
        schema = json.loads(text)
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert set(re.findall(r'"\$ref": "#/\$defs/(\w+)"', text)) == schema["$defs"].keys()


def test_the_readme_gives_the_two_commands_and_ci_uses_them() -> None:
    text = README.read_text("utf-8")
    shells = [block for language, block in FENCE.findall(text) if language == "sh"]
    assert shells[:2] == [f"{RUN}\n", f"{TEST}\n"]
    script = ROOT / ".ci" / "run"
    if script.exists():
        assert all(part in script.read_text("utf-8") for part in (TEST, "mlprod gate notebooks/"))


# Nothing is dead.


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_link_resolves(page: Path) -> None:
    for link in LINK.findall(FENCE.sub("", page.read_text("utf-8"))):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        if anchor:
            assert anchor in {slug(line) for line in target.read_text("utf-8").splitlines() if line.startswith("#")}, link


def slug(heading: str) -> str:
    """The anchor that a heading gets."""
    return re.sub(r"[^\w\- ]", "", heading.lstrip("# ").lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_command_that_is_mentioned_exists(page: Path) -> None:
    for verb, rest in COMMAND.findall(code_of(page)):
        assert verb in REQUESTS, f"mlprod {verb}{rest}"
        known = EVERYWHERE | {word for option in call.options_of(REQUESTS[verb]) for word in (option.written, option.flag)}
        for option in re.findall(r"(?<!\S)\[?(--?[a-z][a-z-]*)", rest):
            assert option in known, f"mlprod {verb}{rest}"


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_no_page_names_a_path_of_a_machine(page: Path) -> None:
    assert not re.search(r"(?<![\w.…])/(?:work|tmp|home|root|Users)\b", page.read_text("utf-8"))


def test_the_map_lists_every_page() -> None:
    text = (ROOT / "docs" / "index.md").read_text("utf-8")
    assert {path.name for path in (ROOT / "docs").glob("*.md")} - {"index.md"} == set(LINK.findall(text))
