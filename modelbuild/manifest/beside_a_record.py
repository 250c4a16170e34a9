"""A quantization record says how a model is quantized: what else is said of it has no effect."""

from __future__ import annotations

from collections.abc import Sequence

from modelbuild.chips.recipe import Recipe
from modelbuild.errors import Problem
from modelbuild.manifest.merge import Leaf, Tree, leaves
from modelbuild.manifest.quantize_options import NONE

RECORD = "record"
_BESIDE = frozenset({RECORD, "export_scheme"})  # what is made from a record


def beside_a_record(recipe: Recipe) -> frozenset[str]:
    """The keys that have an effect all the same: formats of ports too, where no record has them."""
    return _BESIDE | (frozenset({"inputs", "outputs"}) if recipe.number_format.ports else frozenset())


def names_record(quantize: Tree) -> bool:
    """Whether the settings start from a record."""
    found = quantize.get(RECORD)
    return isinstance(found, Leaf) and found.value not in (None, NONE)


def without_effect(layers: Sequence[Tree], recipe: Recipe) -> list[Problem]:
    """Of settings that start from a record, the `layers` from the lowest on: the keys that are written where
    the record is or nearer to the model. Those of places below are meant for models without a record."""
    sections = [found for layer in layers if isinstance(found := layer.get("quantize"), dict)]
    last = max((index for index, found in enumerate(sections) if RECORD in found), default=len(sections))
    allowed = beside_a_record(recipe)
    told: dict[tuple[str, str], Problem] = {}
    for section in sections[last:]:
        for path, leaf in leaves(section):
            if path[0] not in allowed:
                named = leaf.spelling or f"`{'.'.join(path)}`"
                told.setdefault(
                    (leaf.origin, named),
                    Problem(
                        f"{named} has no effect beside a quantization record",
                        leaf.origin,
                        "the record says how each tensor becomes integers; nothing is chosen",
                        "remove it, or remove `record`",
                    ),
                )
    return list(told.values())
