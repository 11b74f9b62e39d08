"""A live object written down as data, and made again from it: what brings a trainable module back without a pickle.

An object is its class, by import path, and its state; it is made again by ``cls.__new__`` and its state, so that no constructor
argument is needed, and what is shared stays shared. An import path is resolved by ``getattr`` and never evaluated; still it could name
any function that is installed, so a reader must have established trust before it reads.
"""

import collections
import enum
import functools
import importlib
import json
import math
import types
from collections.abc import Callable, Mapping
from typing import Any

from jupyter_mlprod.core.source_class import Carried, UnwritableError, import_path

PLAIN = (type(None), bool, int, str)
FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType, type)
BY_STATE = (collections.OrderedDict, types.SimpleNamespace)
"""Their own code for pickle does what is done here."""
OWN = ":"
"""An import path that begins with it names something of the classes that the bundle carries itself."""

Leaf = Callable[[Any, str], Any]
"""What an adapter writes of a value that is none of Python's own: its JSON, or None when it knows none either."""
State = Callable[[Any, str], Mapping[str, Any] | None]
"""What an adapter says is the state of an object, or None when it is no object of its kind."""


class Writer:
    """Writes objects down; ``objects`` and ``carried`` fill on the way.

    Parameters
    ----------
    leaf, state : what the owner of a heavy library knows of its values and objects
    hidden : keys of a state that are no step of a path
    """

    def __init__(self, leaf: Leaf, state: State, *, hidden: tuple[str, ...]) -> None:
        self.leaf = leaf
        self.state = state
        self.hidden = hidden
        self.carried = Carried()
        self.objects: list[Any] = []
        self.numbers: dict[int, int] = {}
        self.kept: list[Any] = []

    def value(self, value: Any, path: str) -> Any:
        """The JSON of a value.

        Raises
        ------
        UnwritableError : naming the path and the type.
        """
        if type(value) in PLAIN:
            return value
        if isinstance(value, enum.Enum):
            return {"enum": [self.name(type(value), path), value.name]}
        if isinstance(value, FUNCTIONS):
            return {"import": self.name(value, path)}
        for write in (self._number, self._container, self.leaf, self._reference):
            written = write(value, path)
            if written is not None:
                return written
        raise AssertionError("a reference is always written, or refused")

    def _number(self, value: Any, path: str) -> Any:  # noqa: ARG002  one signature
        match value:
            case float() if type(value) is float:
                return value if math.isfinite(value) else {"float": str(value)}
            case complex() if type(value) is complex:
                return {"complex": str(value)}
            case bytes() if type(value) is bytes:
                return {"bytes": value.hex()}
            case _:
                return None

    def _container(self, value: Any, path: str) -> Any:
        kind = type(value)
        if kind is list:
            return self._items(value, path)
        if kind is tuple:
            return {"tuple": self._items(value, path)}
        if kind in (set, frozenset):
            return {kind.__name__: sorted(self._items(value, path), key=json.dumps)}
        if kind is dict:
            return {"dict": self._pairs(value, path)}
        if kind is slice:
            return {"slice": self._items((value.start, value.stop, value.step), path)}
        if kind is functools.partial:
            return {"partial": self._items((value.func, value.args, value.keywords), path)}
        if isinstance(value, tuple) and hasattr(kind, "_make"):
            return {"named": [self.name(kind, path), self._items(value, path)]}
        return None

    def _items(self, values: Any, path: str) -> list[Any]:
        return [self.value(item, f"{path}[{index}]") for index, item in enumerate(values)]

    def _pairs(self, values: Mapping[Any, Any], path: str) -> list[Any]:
        """In their own order: that of a module's parts is that of its layers."""
        return [[self.value(key, path), self.value(item, f"{path}.{key}".removeprefix("."))] for key, item in values.items()]

    def _reference(self, value: Any, path: str) -> Any:
        if id(value) not in self.numbers:
            state = self._state(value, path)
            self.numbers[id(value)] = len(self.objects)
            self.kept.append(value)  # an object that only its state made must not be collected, or its id would name another
            node: dict[str, Any] = {"class": self.name(type(value), path)}
            self.objects.append(node)
            if isinstance(value, dict):
                node["items"] = self._pairs(value, path)
            node["state"] = {key: self.value(state[key], self._step(path, key)) for key in sorted(state)}
        return {"ref": self.numbers[id(value)]}

    def _step(self, path: str, key: str) -> str:
        return path if key in self.hidden else f"{path}.{key}".removeprefix(".")

    def _state(self, value: Any, path: str) -> Mapping[str, Any]:
        known = self.state(value, path)
        if known is not None:
            return known
        kind = type(value)
        if kind in BY_STATE or (hasattr(value, "__dict__") and has_plain_state(kind)):
            return dict(vars(value))
        raise UnwritableError(f"{path or 'the module'} is a {kind.__module__}.{kind.__qualname__}, which cannot be written down")

    def name(self, value: Any, path: str) -> str:
        """The import path of a class or function; one that is not installed is carried as source."""
        if found := import_path(value):
            return ":".join(found)
        if isinstance(value, types.BuiltinFunctionType):
            raise UnwritableError(f"{path or 'the module'} is {value.__qualname__}, which no module holds")
        try:
            return OWN + self.carried.add(value)
        except UnwritableError as fault:
            raise UnwritableError(f"{path or 'the module'}: {fault}") from None


def has_plain_state(kind: type) -> bool:
    """Whether objects of a class are their ``__dict__``, and no code of the class's own takes them apart or puts them together."""
    slots = any(slot not in ("__weakref__", "__dict__") for base in kind.__mro__ for slot in vars(base).get("__slots__", ()))
    return not slots and not hasattr(kind, "__setstate__") and is_default(kind, "__getstate__", "__reduce__", "__reduce_ex__")


def is_default(kind: type, *names: str) -> bool:
    return all(getattr(kind, name) is getattr(object, name) for name in names)


class Reader:
    """Makes objects again.

    Parameters
    ----------
    own : name → class or function that the bundle carries
    leaf : kind, body → the value, for what an adapter wrote
    fill : object, state → whether the adapter has taken over its state
    """

    def __init__(self, own: Mapping[str, Any], leaf: Callable[[str, Any], Any], fill: Callable[[Any, dict[str, Any]], bool]) -> None:
        self.own = own
        self.leaf = leaf
        self.fill = fill
        self.shells: list[Any] = []

    def objects(self, nodes: list[Any]) -> Any:
        """The first of the objects, all of them made; parts before what they are part of."""
        kinds = [self.named(node["class"]) for node in nodes]
        odd = next((node["class"] for node, kind in zip(nodes, kinds, strict=True) if not isinstance(kind, type)), None)
        if odd is not None:
            raise ValueError(f"{odd} is no class")
        self.shells = [kind.__new__(kind) for kind in kinds]
        for node, shell in reversed(list(zip(nodes, self.shells, strict=True))):
            state = {key: self.value(item) for key, item in node["state"].items()}
            if "items" in node:
                shell.update(self._pairs(node["items"]))
            if not self.fill(shell, state):
                vars(shell).update(state)
        return self.shells[0]

    def named(self, path: str) -> Any:
        """What an import path names, found by attribute after attribute."""
        module, _, own = path.partition(":")
        if not module:
            return functools.reduce(getattr, own.split(".")[1:], self.own[own.split(".")[0]])
        return functools.reduce(getattr, own.split("."), importlib.import_module(module))

    def value(self, written: Any) -> Any:
        if isinstance(written, list):
            return [self.value(item) for item in written]
        if not isinstance(written, dict):
            return written
        ((kind, body),) = written.items()
        match kind:
            case "ref":
                return self.shells[body]
            case "import":
                return self.named(body)
            case "dict":
                return dict(self._pairs(body))
            case "tuple":
                return tuple(self.value(body))
            case "set" | "frozenset":
                return {"set": set, "frozenset": frozenset}[kind](self.value(body))
            case _:
                return self._rare(kind, body)

    def _rare(self, kind: str, body: Any) -> Any:
        match kind:
            case "float":
                return float(body)
            case "complex":
                return complex(body)
            case "bytes":
                return bytes.fromhex(body)
            case "slice":
                return slice(*self.value(body))
            case "partial":
                function, arguments, keywords = self.value(body)
                return functools.partial(function, *arguments, **keywords)
            case "named":
                return self.named(body[0])._make(self.value(body[1]))
            case "enum":
                return self.named(body[0])[body[1]]
            case _:
                return self.leaf(kind, body)

    def _pairs(self, pairs: list[Any]) -> list[tuple[Any, Any]]:
        return [(self.value(key), self.value(item)) for key, item in pairs]
