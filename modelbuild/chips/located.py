"""YAML as values that remember where they stand, so that every error can say file:line:column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import yaml

from modelbuild.errors import ModelbuildError

Scalar = str | int | float | bool | None
_MAX_CHARACTERS = 1_000_000
_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Located:
    """A scalar, list or mapping of a YAML file with its `file:line:column`."""

    value: Scalar | tuple[Located, ...] | dict[str, Located]
    where: str

    @property
    def entries(self) -> dict[str, Located]:
        """The keys and values of a mapping; nothing for anything else."""
        return self.value if isinstance(self.value, dict) else {}


@lru_cache(maxsize=64)  # a process reads each recipe many times: chips extend each other
def parse(text: str, name: str) -> Located:
    """Reads one YAML document, the same text once. Refuses duplicate keys, anchors, and keys that
    are not text."""
    if len(text) > _MAX_CHARACTERS:
        raise ModelbuildError(f"the file has more than {_MAX_CHARACTERS} characters", where=name)
    try:
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
            if root is None:
                raise ModelbuildError("the file is empty", where=name)
            return _Reader(loader, name).read(root)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        raise ModelbuildError("this is not YAML", where=where, why=error.problem or "") from None
    except (yaml.YAMLError, ValueError) as error:
        raise ModelbuildError("this is not YAML", where=name, why=str(error).splitlines()[0]) from None
    except RecursionError:
        raise ModelbuildError("the file is nested too deeply", where=name) from None


class _Reader:
    """Turns the nodes of one document into `Located` values."""

    def __init__(self, loader: yaml.SafeLoader, name: str) -> None:
        self.loader = loader
        self.name = name
        self.seen: set[int] = set()

    def read(self, node: yaml.Node) -> Located:
        where = f"{self.name}:{node.start_mark.line + 1}:{node.start_mark.column + 1}"
        if id(node) in self.seen:
            raise ModelbuildError("anchors and aliases (&name, *name) are not known here", where=where)
        self.seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            return Located(self._mapping(node), where)
        if isinstance(node, yaml.SequenceNode):
            return Located(tuple(self.read(item) for item in node.value), where)
        value = self.loader.construct_object(node)
        known = value is None or isinstance(value, str | int | float | bool)
        return Located(value if known else str(node.value), where)

    def _mapping(self, node: yaml.MappingNode) -> dict[str, Located]:
        found: dict[str, Located] = {}
        for key_node, value_node in node.value:
            key = self.read(key_node)
            if not isinstance(key.value, str):
                raise ModelbuildError("a key must be text", where=key.where, advice="put it in quotes")
            if key.value in found:
                raise ModelbuildError(f"the key `{key.value}` stands here twice", where=key.where)
            found[key.value] = Located(self.read(value_node).value, key.where)
        return found


def plain(located: Located) -> object:
    """The value without its places: scalars, lists and dicts."""
    if isinstance(located.value, tuple):
        return [plain(item) for item in located.value]
    if isinstance(located.value, dict):
        return {key: plain(value) for key, value in located.value.items()}
    return located.value


def merge(base: Located, over: Located) -> Located:
    """`over` laid on `base`: mappings merge key by key, a null removes the key, all else replaces. A fact
    (a mapping with `value`) replaces as a whole, since its source belongs to its value."""
    if not isinstance(base.value, dict) or not isinstance(over.value, dict) or "value" in over.value:
        return over
    merged = dict(base.value)
    for key, value in over.value.items():
        if value.value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged[key], value) if key in merged else value
    return Located(merged, over.where)


def place(located: Located, path: Sequence[str | int]) -> str:
    """Where the value at `path` stands, or the nearest thing around it that is there."""
    for step in path:
        inner: dict[str | int, Located] = {}
        if isinstance(located.value, dict):
            inner.update(located.value)
        elif isinstance(located.value, tuple):
            inner.update(enumerate(located.value))
        if step not in inner:
            break
        located = inner[step]
    return located.where
