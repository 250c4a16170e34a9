"""The names in a manifest, read without checking it: for the shell, while a command is being typed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from modelbuild.errors import ModelbuildError
from modelbuild.manifest import include
from modelbuild.manifest.problems import Problems
from modelbuild.manifest.tree import Items, Mapping, Node, Scalar
from modelbuild.toolchains import builtin

_OF_MODEL = ("import_source", "normalise")


def selectors(directory: str, file: str) -> list[str]:
    """Packages, models and MODEL@TARGETs, in this order; what cannot be read has no names."""
    try:
        tree = include.read(Path(directory) / file, Problems()).tree
    except ModelbuildError:
        return []
    packages = dict(_packages(tree))
    models = list(_section(tree, "models"))
    pairs = {
        f"{model}@{target}": None for target, chosen in packages.values() for model in chosen or models
    } or {f"{model}@{target}": None for target in _section(tree, "targets") for model in models}
    return list(dict.fromkeys((*packages, *models, *pairs)))


def actions(names: list[str]) -> Iterator[str]:
    """The names of actions that the selectors may have."""
    for name in names:
        if "@" in name:
            stages: tuple[str, ...] = builtin.STAGES
        else:
            stages = (*_OF_MODEL, *builtin.PACKAGE_STAGES)
        yield from (f"{name}:{stage}" for stage in stages)


def _packages(tree: Mapping) -> Iterator[tuple[str, tuple[str, tuple[str, ...]]]]:
    """Package -> target and models; no models are all."""
    for name, node in _section(tree, "packages").items():
        models = _texts(_child(node, "models"))
        yield from ((name, (target, models)) for target in _texts(_child(node, "target")))
        yield from ((f"{name}-{target}", (target, models)) for target in _texts(_child(node, "targets")))


def _section(tree: Mapping, name: str) -> dict[str, Node]:
    node = _child(tree, name)
    return {key: entry.node for key, entry in node.entries.items()} if isinstance(node, Mapping) else {}


def _child(node: Node | None, key: str) -> Node | None:
    entry = node.entries.get(key) if isinstance(node, Mapping) else None
    return entry.node if entry is not None else None


def _texts(node: Node | None) -> tuple[str, ...]:
    """The names in a scalar, a list, or the keys of a mapping."""
    if isinstance(node, Mapping):
        return tuple(node.entries)
    nodes = node.nodes if isinstance(node, Items) else (node,)
    return tuple(item.text for item in nodes if isinstance(item, Scalar))
