"""Results that are written over what they are computed from: element by element, at its last use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from modelbuild.arithmetic.fixed_model import FixedModel, FixedOperator
from modelbuild.kpu.planning.operations import COMPUTE, Operation
from modelbuild.kpu.planning.storage import Spot, Storage

# Each element of the result depends on the elements at its own place, whose size it has.
ELEMENTWISE = ("binary", "unary", "sigmoid", "lookup")


def written_over(
    model: FixedModel,
    storage: Storage,
    executed: Sequence[Operation],
    first: Mapping[str, int],
    last: Mapping[str, int],
) -> dict[str, str]:
    """For roots that may take the memory of another: the root whose memory that was first. `first` and `last`
    are the operations in which a root's memory is used."""
    found: dict[str, str] = {}
    for number, operation in enumerate(executed):
        operator = model.operators[operation.operator]
        if operation.kind != COMPUTE or operator.kind not in ELEMENTWISE:
            continue
        (made,) = operator.outputs
        target = storage.spots[made]
        if not _alone(storage, made) or target.root in storage.pins or first[target.root] != number:
            continue
        for name in operator.inputs:
            root = storage.spots[name].root
            free = root not in storage.pins and last[root] == number
            if free and _alone(storage, name) and _element_by_element(model, storage, operator, root):
                found[target.root] = found.get(root, root)
                break
    return found


def _element_by_element(model: FixedModel, storage: Storage, operator: FixedOperator, root: str) -> bool:
    """Whether all inputs in this memory have the result's shape: elements of others are read again."""
    shape = model.tensors[operator.outputs[0]].shape
    return all(
        model.tensors[name].shape == shape for name in operator.inputs if storage.spots[name].root == root
    )


def _alone(storage: Storage, name: str) -> bool:
    """Whether the tensor is all of the memory that it lies in."""
    spot = storage.spots[name]
    return spot == Spot(spot.root, 0) and storage.sizes[spot.root] == storage.sizes[name]
