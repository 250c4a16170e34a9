"""What is inside a kmodel, shown by any simulator: the same layers with inner tensors as outputs.

The vendor's simulator shows outputs alone. A fixed model whose outputs are inner tensors is compiled by the
same compiler from the same operators; several, where one would not fit into the chip's memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from modelbuild.arithmetic.fixed_model import FixedModel

ROOM = 1 << 20  # bytes of inner tensors that are shown at once


def variants(model: FixedModel) -> Iterator[FixedModel]:
    """Models that between them show every uint8 tensor that an operator makes."""
    made = [name for operator in model.operators for name in operator.outputs]
    names = [name for name in made if not model.tensors[name].floating]
    group: list[str] = []
    for name in names:
        if group and sum(math.prod(model.tensors[one].shape) for one in (*group, name)) > ROOM:
            yield _shown(model, group)
            group = []
        group.append(name)
    if group:
        yield _shown(model, group)


def _shown(model: FixedModel, names: list[str]) -> FixedModel:
    """The operators that make these tensors."""
    needed, kept = set(names), []
    for operator in reversed(model.operators):
        if needed & set(operator.outputs):
            needed |= set(operator.inputs)
            kept.append(operator)
    tensors = {name for operator in kept for name in (*operator.inputs, *operator.outputs)}
    constants = tensors | {name for operator in kept for name in operator.constants.values()}
    return replace(
        model,
        inputs=tuple(name for name in model.inputs if name in needed),
        outputs=tuple(names),
        tensors={name: tensor for name, tensor in model.tensors.items() if name in tensors},
        constants={name: values for name, values in model.constants.items() if name in constants},
        operators=tuple(reversed(kept)),
    )
