"""Settings of several layers -> one tree, in which each leaf knows where it came from. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Path = tuple[str, ...]


@dataclass(frozen=True)
class Leaf:
    """A scalar or a list, and the place that set it; `spelling`: as it was written, where in other words.
    `implied`: nobody wrote it, it comes with what was."""

    value: Any
    origin: str
    spelling: str = ""
    implied: bool = False


Tree = dict[str, "Tree | Leaf"]


def layer(values: Mapping[str, Any], origin: Callable[[Path], str], path: Path = ()) -> Tree:
    """JSON values with the origin of each leaf. An empty mapping sets nothing."""
    found: Tree = {}
    for key, value in values.items():
        here = (*path, key)
        found[key] = layer(value, origin, here) if isinstance(value, Mapping) else Leaf(value, origin(here))
    return found


def merge(lower: Tree, higher: Tree) -> Tree:
    """`higher` laid over `lower`: mappings merge key by key, lists and scalars replace, and a `method` that
    changes drops the keys beside it."""
    if _changes_method(lower, higher):
        return dict(higher)
    merged = dict(lower)
    for key, value in higher.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _changes_method(lower: Tree, higher: Tree) -> bool:
    below, above = lower.get("method"), higher.get("method")
    return isinstance(below, Leaf) and isinstance(above, Leaf) and below.value != above.value


def values(tree: Tree) -> dict[str, Any]:
    """The values alone."""
    return {key: values(item) if isinstance(item, dict) else item.value for key, item in tree.items()}


def leaves(item: Tree | Leaf, path: Path = ()) -> Iterator[tuple[Path, Leaf]]:
    """Each leaf with its path, in order."""
    if isinstance(item, Leaf):
        yield path, item
    else:
        for key, below in item.items():
            yield from leaves(below, (*path, key))


def origins(tree: Tree) -> dict[Path, str]:
    """The origin of each leaf."""
    return {path: leaf.origin for path, leaf in leaves(tree)}
