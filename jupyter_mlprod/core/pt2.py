"""A ``.pt2`` archive, looked into before anything loads it.

`torch.export.load` runs code in more ways than one: it unpickles the sample inputs, evaluates symbolic sizes, resolves the names of
operators by ``getattr`` from ``torch`` on, imports what a tree of arguments names, and compiles guards. So nothing is taken for granted:
whatever is not of a known form is refused, and what is left is written to an archive of its own, without pickles, guards and metadata.
"""

import ast
import io
import json
import pickletools
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from jupyter_mlprod.core.errors import Code, MlprodError

MODEL = "models/model.json"
WEIGHTS_CONFIG = "data/weights/model_weights_config.json"
CONSTANTS_CONFIG = "data/constants/model_constants_config.json"
SAMPLES = "data/sample_inputs/model.pt"
SMALL = {"archive_format", "archive_version", "byteorder", "version", ".data/version", ".data/serialization_id"}
PAYLOAD = re.compile(r"data/(weights/weight|constants/tensor)_\d+")
MAX_JSON_BYTES = 200_000_000
MAX_SAMPLES_BYTES = 1_000_000_000
MAX_EXPRESSION = 4_000

NAME = re.compile(r"[\w.+\-]*", re.ASCII)
TEXT = re.compile(r"[\w ,.\->*+:=]*", re.ASCII)
SYMBOL = re.compile(r"[a-z_]\w{0,50}", re.ASCII)
BITWISE = r"__(?:and|or|xor|lshift|rshift)__"
OPERATOR = re.compile(
    rf"torch\.ops\.(?:aten|prims)\.(?:(?!__)\w+|{BITWISE})(?:\.(?!__)\w+)?"
    r"|torch\.ops\.higher_order\.(?:cond|while_loop|scan|associative_scan|map_impl|wrap_with_set_grad_enabled|wrap_with_autocast)"
    r"|_operator\.(?:add|sub|mul|truediv|floordiv|mod|pow|neg|pos|abs|eq|ne|lt|le|gt|ge|and_|or_|not_|getitem)"
    r"|math\.(?:ceil|floor|trunc|sqrt|prod)|torch\.sym_(?:float|int|ite|max|min|not|sqrt|sum)",
    re.ASCII,
)
WRITES = re.compile(r"torch\.ops\.aten\.(?:from_file|save)\b")
"""Operators that open files."""

FUNCTIONS = {
    "Symbol", "Integer", "Rational", "Float", "Add", "Mul", "Pow", "Max", "Min", "Mod", "floor", "ceiling", "Equality", "Unequality",
    "StrictLessThan", "StrictGreaterThan", "LessThan", "GreaterThan", "Eq", "Ne", "Lt", "Le", "Gt", "Ge", "And", "Or", "Not", "FloorDiv",
    "ModularIndexing", "Where", "PythonMod", "CleanDiv", "CeilToInt", "FloorToInt", "CeilDiv", "LShift", "RShift", "PowByNatural",
    "FloatPow", "FloatTrueDiv", "IntTrueDiv", "IsNonOverlappingAndDenseIndicator", "TruncToFloat", "TruncToInt", "RoundToInt",
    "RoundDecimal", "ToFloat", "Identity",
}  # fmt: skip
ASSUMPTIONS = {"positive", "integer", "nonnegative", "negative", "nonzero", "zero", "real", "finite", "evaluate"}
ARITHMETIC = (
    ast.Expression, ast.Load, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod,
    ast.USub, ast.UAdd, ast.Not, ast.And, ast.Or, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE,
)  # fmt: skip
SYMBOL_NAME = re.compile(r"Symbol\('(\w+)'")
INPUT_TYPES = {
    1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float16", 7: "float32", 8: "float64", 12: "bool", 13: "float32",
}  # fmt: skip
"""The schema's numbers of types; 13 is bfloat16, which numpy has not, so that torch rounds to it."""
TREES = {"builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict"}

REBUILDS = {"torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter", "collections OrderedDict"} | {
    f"torch {kind}Storage"
    for kind in ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool", "ComplexFloat")
}
PICKLE_WORDS = {
    "PROTO", "STOP", "MARK", "GLOBAL", "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET", "BINUNICODE", "BINPERSID", "REDUCE", "TUPLE",
    "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_TUPLE", "EMPTY_LIST", "EMPTY_DICT", "APPEND", "APPENDS", "SETITEM", "SETITEMS", "BININT",
    "BININT1", "BININT2", "LONG1", "BINFLOAT", "NEWTRUE", "NEWFALSE", "NONE",
}  # fmt: skip
"""What a pickle of tensors is made of; no word among them builds an object in a way of its own."""


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """What a program takes.

    Attributes
    ----------
    shapes : input → its shape, with a name for each dimension that may vary
    types : input → its type by numpy's name
    ranges : dimension → its least and its greatest size, as far as the program has them
    """

    shapes: dict[str, tuple[int | str, ...]]
    types: dict[str, str]
    ranges: dict[str, tuple[int, int | None]] = {}


def read_program(file: Path, clean: Path) -> Program:
    """Look into an archive and write to ``clean`` what of it may be loaded.

    Raises
    ------
    MlprodError : ``bad-model`` with the first thing that is not as `torch.export.save` writes a plain program.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            entries = _entries(archive, size=file.stat().st_size)
            model = _json(archive, entries, MODEL)
            configs = {name: _config(_json(archive, entries, name), entries) for name in (WEIGHTS_CONFIG, CONSTANTS_CONFIG)}
            if SAMPLES in entries:
                _check_samples(archive, entries[SAMPLES])
            program = _checked(model)
            _write(archive, entries, clean, {MODEL: model, **configs})
    except (zipfile.BadZipFile, KeyError, TypeError, IndexError, ValueError, RecursionError, EOFError, NotImplementedError) as error:
        raise MlprodError(Code.BAD_MODEL, f"{file.name} is no .pt2 archive of torch.export.save: {str(error)[:200]}", hint=HINT) from None
    except _RefusedError as refusal:
        raise MlprodError(Code.BAD_MODEL, f"{file.name}: {refusal}, so it is not loaded", hint=HINT) from None
    return program


HINT = "load it yourself where you trust it and package the module, or export .onnx"


class _RefusedError(Exception):
    """Something that loading would execute, or that is of no known form."""


def _entries(archive: zipfile.ZipFile, *, size: int) -> dict[str, zipfile.ZipInfo]:
    """The entries by their path under the archive's own folder; stored, as torch writes them, so that none unpacks to more."""
    infos = archive.infolist()
    found: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        path = info.filename.partition("/")[2]
        if info.compress_type != zipfile.ZIP_STORED or path in found:
            raise _RefusedError(f"the entry {info.filename[:100]!r} is packed, or there twice")
        found[path] = info
    if sum(info.file_size for info in infos) > size:
        raise _RefusedError("its entries overlap")
    odd = next((p for p in found if not (p in {*SMALL, MODEL, WEIGHTS_CONFIG, CONSTANTS_CONFIG, SAMPLES} or _harmless(p))), None)
    if odd is not None:
        raise _RefusedError(f"it holds {odd[:100]!r}, which no plain program has")
    return found


def _harmless(path: str) -> bool:
    return bool(PAYLOAD.fullmatch(path)) or path.startswith("extra/")


def _json(archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], path: str) -> Any:
    if entries[path].file_size > MAX_JSON_BYTES:
        raise _RefusedError(f"{path} has {entries[path].file_size:,} bytes")
    return json.loads(archive.read(entries[path]))


def _config(config: Any, entries: dict[str, zipfile.ZipInfo]) -> Any:
    """Where the tensors lie; each as plain bytes."""
    for name, payload in config["config"].items():
        path = payload["path_name"]
        if payload["use_pickle"] or not {f"data/weights/{path}", f"data/constants/{path}"} & entries.keys():
            raise _RefusedError(f"the tensor {name[:100]!r} is pickled or absent")
    _check_strings(config, "")
    return config


def _check_samples(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
    """Sample inputs are left out; what they import is looked at all the same, since a hostile file shows here first."""
    if info.file_size > MAX_SAMPLES_BYTES:
        raise _RefusedError(f"its sample inputs have {info.file_size:,} bytes")
    if not info.file_size:
        return
    with zipfile.ZipFile(io.BytesIO(archive.read(info))) as inner:
        pickles = [entry for entry in inner.infolist() if entry.filename.endswith(".pkl")]
        if len(pickles) != 1 or any(entry.compress_type != zipfile.ZIP_STORED for entry in inner.infolist()):
            raise _RefusedError("its sample inputs are not as torch.save writes them")
        fault = pickle_fault(inner.read(pickles[0]))
    if fault:
        raise _RefusedError(f"its sample inputs are a pickle that {fault}")


def pickle_fault(data: bytes) -> str:
    """What in a pickle is more than tensors put together again; nothing is imported or executed to find out."""
    for operation, argument, _ in pickletools.genops(data):
        if operation.name == "GLOBAL" and argument not in REBUILDS:
            return f"imports {str(argument)[:100]!r}"
        if operation.name not in PICKLE_WORDS:
            return f"holds {operation.name}"
    return ""


def _checked(model: dict[str, Any]) -> Program:
    """Hold the program against the forms that are known, and take out of it what loading does not need."""
    module = model["graph_module"]
    graph = module["graph"]
    model["guards_code"], module["metadata"] = [], {}
    module["module_call_graph"] = [call for call in module["module_call_graph"] if call["fqn"] == ""]
    for call in module["module_call_graph"]:
        call["signature"]["out_spec"] = _as_dicts(call["signature"]["out_spec"])
    if graph["custom_obj_values"] or module["treespec_namedtuple_fields"]:
        raise _RefusedError("it holds objects of classes of its own")
    _check_strings(model, "")
    inputs = [spec["user_input"]["arg"] for spec in module["signature"]["input_specs"] if "user_input" in spec]
    odd = next((arg for arg in inputs if "as_tensor" not in arg), None)
    if odd is not None:
        raise _RefusedError(f"an input is no tensor: {json.dumps(odd)[:100]}")
    names = [arg["as_tensor"]["name"] for arg in inputs]
    tensors = {name: graph["tensor_values"][name] for name in names}
    odd_type = next((name for name, tensor in tensors.items() if tensor["dtype"] not in INPUT_TYPES), None)
    if odd_type is not None or not tensors:
        what = f"its input {odd_type[:80]!r} is no tensor of real numbers" if odd_type is not None else "it takes no input"
        raise MlprodError(Code.BAD_MODEL, f"the program cannot be asked: {what}", hint="package a program over real tensors")
    shapes, known = _shapes({name: tensor["sizes"] for name, tensor in tensors.items()})
    symbols = {found[1]: name for text, name in known.items() if (found := SYMBOL_NAME.match(text))}
    spans = {symbols[symbol]: span for symbol, span in model["range_constraints"].items() if symbol in symbols}
    return Program(
        shapes=shapes,
        types={name: INPUT_TYPES[tensor["dtype"]] for name, tensor in tensors.items()},
        ranges={name: (int(span["min_val"] or 0), span["max_val"] and int(span["max_val"])) for name, span in spans.items()},
    )


def _shapes(sizes: dict[str, list[dict[str, Any]]]) -> tuple[dict[str, tuple[int | str, ...]], dict[str, str]]:
    """Varying dimensions by name: the first is the batch, the others are numbered in the order in which they appear.

    Returns
    -------
    The shapes, and the names by what the program calls them.
    """
    known: dict[str, str] = {}
    shapes: dict[str, tuple[int | str, ...]] = {}
    for name, dimensions in sizes.items():
        shape: list[int | str] = []
        for index, size in enumerate(dimensions):
            if "as_int" in size:
                shape.append(int(size["as_int"]))
                continue
            text = size["as_expr"]["expr_str"]
            shape.append(known.setdefault(text, "batch" if index == 0 and "batch" not in known.values() else f"length_{len(known)}"))
        if not shape or shape[0] != "batch":
            what = f"the program's input {name!r} has the fixed shape {tuple(shape)}; its first dimension must be the batch, and vary"
            raise MlprodError(Code.BAD_MODEL, what, hint="export it with dynamic_shapes, on an example of two or more rows")
        shapes[name] = tuple(shape)
    return shapes, known


def _check_strings(value: Any, key: str) -> None:
    """Every text of the document, each by the rule of its place; ``metadata`` goes, since traces of the author's machine lie there."""
    if isinstance(value, dict):
        if "metadata" in value:
            value["metadata"] = {}
        for name, item in value.items():
            if not NAME.fullmatch(name):
                raise _RefusedError(f"it names something {name[:100]!r}")
            _check_strings(item, name)
    elif isinstance(value, list):
        for item in value:
            _check_strings(item, key)
    elif isinstance(value, str):
        check = RULES.get(key, _is_name)
        if not check(value):
            raise _RefusedError(f"{key or 'a text'} is {value[:100]!r}, which is of no known form")


def _is_name(text: str) -> bool:
    return bool(NAME.fullmatch(text))


def _is_operator(text: str) -> bool:
    return bool(OPERATOR.fullmatch(text)) and not WRITES.match(text)


def is_arithmetic(text: str) -> bool:
    """Whether a symbolic size is arithmetic on symbols and numbers: sympy evaluates it as Python."""
    if len(text) > MAX_EXPRESSION:
        return False
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    return all(_is_part(node) for node in _parts(tree))


def _parts(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of an expression, but for the two whose meaning their parent decides: a function's name and a symbol's."""
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(node, ast.Call) and (child is node.func or (child in node.args and _function(node) == "Symbol")):
            continue
        yield from _parts(child)


def _function(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _is_part(node: ast.AST) -> bool:
    match node:
        case ast.Call():
            symbols = [arg.value if isinstance(arg, ast.Constant) else None for arg in node.args] if _function(node) == "Symbol" else []
            return _function(node) in FUNCTIONS and all(isinstance(name, str) and SYMBOL.fullmatch(name) for name in symbols)
        case ast.keyword():
            return node.arg in ASSUMPTIONS
        case ast.Constant():
            return isinstance(node.value, bool | float) or (isinstance(node.value, int) and abs(node.value) < 1 << 63)
        case ast.Name():
            return bool(re.fullmatch(r"[suz]\d+|True|False|true|false", node.id))
        case _:
            return isinstance(node, ARITHMETIC)


def _as_dicts(text: str) -> str:
    """A tree of results in which a class of some package, a mapping of names to tensors, is a dict: nobody has to import it then."""
    version, tree = json.loads(text)

    def plain(branch: dict[str, Any]) -> dict[str, Any]:
        children = [plain(child) for child in branch["children_spec"]]
        keys = json.loads(branch["context"]) if branch["type"] and branch["type"] not in TREES else None
        named = isinstance(keys, list) and len(keys) == len(children) and all(isinstance(key, str) for key in keys)
        return {**branch, "children_spec": children, **({"type": "builtins.dict"} if named else {})}

    return json.dumps([version, plain(tree)])


def _is_tree(text: str) -> bool:
    """Whether a tree of arguments is made of tuples, lists and dicts with plain keys alone."""
    version, tree = json.loads(text)
    return version == 1 and _is_branch(tree)


def _is_branch(tree: dict[str, Any]) -> bool:
    if tree["type"] is None:
        return tree["context"] is None and not tree["children_spec"]
    keys = json.loads(tree["context"])
    plain = keys is None or (isinstance(keys, list) and all(isinstance(key, str | int) for key in keys))
    return tree["type"] in TREES and plain and all(map(_is_branch, tree["children_spec"]))


RULES: dict[str, Callable[[str], bool]] = {
    "expr_str": is_arithmetic,
    "target": _is_operator,
    "as_operator": _is_operator,
    "in_spec": _is_tree,
    "out_spec": _is_tree,
    "as_string": lambda text: bool(TEXT.fullmatch(text)),
    "as_strings": lambda text: bool(TEXT.fullmatch(text)),
}


def _write(archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], clean: Path, documents: dict[str, Any]) -> None:
    """An archive of what was looked at, so that no other reader of zip files can see anything else in it."""
    with zipfile.ZipFile(clean, "w", zipfile.ZIP_STORED) as made:
        for path, document in documents.items():
            made.writestr(f"model/{path}", json.dumps(document))
        made.writestr(f"model/{SAMPLES}", b"")
        for path, info in entries.items():
            if path in SMALL or PAYLOAD.fullmatch(path):
                with archive.open(info) as source, made.open(f"model/{path}", "w", force_zip64=True) as target:
                    while piece := source.read(1 << 22):
                        target.write(piece)
