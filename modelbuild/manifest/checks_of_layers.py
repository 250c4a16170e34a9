"""What a target sets, and every model on it sets again nearer: a setting that says nothing."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

from modelbuild.manifest.manifest import Manifest
from modelbuild.manifest.merge import Leaf, Path, Tree, leaves, merge
from modelbuild.manifest.problems import Problems
from modelbuild.manifest.settings import Examiner
from modelbuild.manifest.tree import Position

_COUNTED = ("calibration", "evaluation")


def warn_overridden(
    manifest: Manifest, examiner: Examiner, pairs: Iterable[tuple[str, str]], problems: Problems
) -> None:
    """Settings of targets that no model on them has. What holds for one run alone does not count."""
    nearer: dict[str, list[Tree]] = {}
    for model, target in pairs:
        nearer.setdefault(target, []).append(reduce(merge, examiner.of_model(model, target)))
    for target, models in nearer.items():
        own = examiner.of_target(target)
        for path, leaf in leaves(own):
            found = [_replacing(path, leaf, own, tree) for tree in models]
            others = [one for one in found if one is not None]
            if len(others) == len(found) and not leaf.implied:
                what = leaf.spelling or f"`{'.'.join(path)}`"
                whose = (
                    "the model has its" if len(others) == 1 else f"all {len(others)} models on it have their"
                )
                problems.warn(
                    "MB010",
                    f"{what} of the target `{target}` has no effect: {whose} own, at {others[0].origin}",
                    _position(leaf.origin),
                    _advice(path, models[0]),
                )


def _replacing(path: Path, leaf: Leaf, own: Tree | Leaf, tree: Tree | Leaf) -> Leaf | None:
    """What takes the place of the leaf at `path` of `own` when `tree` is laid over it."""
    for step in path:
        if isinstance(tree, Leaf) or not isinstance(own, dict):
            break
        if step != "method" and _other_method(own, tree):
            return None  # which goes with its method, and that is told
        if step not in tree:
            return None
        own, tree = own[step], tree[step]
    found = next((one for _, one in leaves({"": tree})), None)
    return found if found is not None and (tree != found or found.value != leaf.value) else None


def _other_method(own: Tree, tree: Tree) -> bool:
    ours, theirs = own.get("method"), tree.get("method")
    return isinstance(ours, Leaf) and isinstance(theirs, Leaf) and ours.value != theirs.value


def _advice(path: Path, tree: Tree) -> str:
    chosen = tree.get(path[0])
    if path[0] in _COUNTED and path[-1] == "count" and isinstance(chosen, dict):
        count, name = chosen.get("count"), chosen.get("set")
        if isinstance(count, Leaf) and count.value is None and isinstance(name, Leaf):
            short = f"`{path[0]}: {name.value}` means all samples"
            return f"{short}: write `{path[0]}: {{set: {name.value}}}` there, or remove the target's"
    return "remove one of the two: what is nearer to the model holds"


def _position(origin: str) -> Position:
    file, line, column = origin.rsplit(":", 2)
    return Position(file, int(line), int(column))
