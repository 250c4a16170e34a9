"""What of a TFLite model is needed: what is cut away, or read by nothing, is never looked at."""

from __future__ import annotations

from collections.abc import Sequence

from modelbuild.graph.edits import CONSTANT, INPUT, Edit, leading_cuts, resolve
from modelbuild.importers.tflite.model import Model


def cut_away(model: Model, edits: Sequence[Edit]) -> None:
    """Makes the outputs, and the inputs whose shape the file fixes, of leading `cut` edits the model's, and
    drops the operators that no output needs."""
    named: set[int] = set()
    cuts = list(leading_cuts(edits))
    for cut in cuts:
        with cut.numbered:
            if cut.outputs:
                model.outputs = _ends(model, cut.outputs)
            if cut.inputs:
                named.update(_begin_at(model, cut.inputs))
    read = _drop_unread(model)
    if cuts:
        model.inputs = [index for index in model.inputs if index in read | named]


def _ends(model: Model, outputs: Sequence[str]) -> list[int]:
    made = {operator.name: model.names(operator.outputs) for operator in model.operators}
    others = {**_constants(model), **dict.fromkeys(model.names(model.inputs), INPUT)}
    return _numbers(
        model, resolve(outputs, [name for group in made.values() for name in group], made, others)
    )


def _constants(model: Model) -> dict[str, str]:
    return {tensor.name: CONSTANT for tensor in model.tensors if tensor.span is not None}


def _begin_at(model: Model, inputs: Sequence[str]) -> list[int]:
    read = {
        operator.name: [
            model.tensors[i].name for i in operator.inputs if i >= 0 and model.tensors[i].span is None
        ]
        for operator in model.operators
    }
    made = [name for operator in model.operators for name in model.names(operator.outputs)]
    chosen = resolve(inputs, [*model.names(model.inputs), *made], read, _constants(model))
    fixed = [i for i in _numbers(model, chosen) if -1 not in model.tensors[i].signature]
    model.inputs = list(dict.fromkeys([*fixed, *model.inputs]))
    return fixed


def _drop_unread(model: Model) -> set[int]:
    """Keeps the operators that the outputs need, back to the inputs; the numbers of the tensors in use."""
    needed, kept = set(model.outputs), []
    for operator in reversed(model.operators):
        wanted = needed.intersection(operator.outputs) - set(model.inputs)
        if wanted:
            needed.update(operator.inputs)
            kept.append(operator)
    model.operators = kept[::-1]
    return needed


def _numbers(model: Model, names: Sequence[str]) -> list[int]:
    by_name = {tensor.name: index for index, tensor in enumerate(model.tensors)}
    return [by_name[name] for name in names]
