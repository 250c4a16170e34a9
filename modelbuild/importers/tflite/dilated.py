"""SPACE_TO_BATCH_ND, convolution, BATCH_TO_SPACE_ND: how TensorFlow writes a dilated convolution.

The first deals the cells of a picture out to `block` smaller ones, so that the convolution of these reads
every `block`-th cell; the last puts them together again. One Conv with dilations does the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from modelbuild.formats.tflite_schema import Padding
from modelbuild.importers.tflite.constants import Constants
from modelbuild.importers.tflite.model import Model, Operator, Spread

_STRIDES = (1, 2)  # slots, of both convolutions


def fuse(model: Model, values: Constants) -> None:
    """Makes one convolution of each such three; others stay (see `batches`)."""
    makers = {index: operator for operator in model.operators for index in operator.outputs}
    readers: dict[int, list[Operator]] = {}
    for operator in model.operators:
        for index in set(operator.inputs):
            readers.setdefault(index, []).append(operator)
    fused: dict[int, Operator] = {}
    gone: set[int] = set()
    for last in model.operators:
        three = _three(model, last, makers, readers)
        if three is None:
            continue
        spread = _spread(model, values, three)
        if spread is not None:
            first, middle, _ = three
            inputs = (first.inputs[0], *middle.inputs[1:])
            fused[id(last)] = replace(
                middle, name=last.name, inputs=inputs, outputs=last.outputs, spread=spread
            )
            gone |= {id(first), id(middle)}
    model.operators = [fused.get(id(item), item) for item in model.operators if id(item) not in gone]


def _three(
    model: Model, last: Operator, makers: dict[int, Operator], readers: dict[int, list[Operator]]
) -> tuple[Operator, Operator, Operator] | None:
    if last.op != "BATCH_TO_SPACE_ND" or len(last.inputs) != 3:
        return None
    middle = makers.get(last.inputs[0])
    if middle is None or middle.op not in ("CONV_2D", "DEPTHWISE_CONV_2D") or not middle.inputs:
        return None
    first = makers.get(middle.inputs[0])
    if first is None or first.op != "SPACE_TO_BATCH_ND" or len(first.inputs) != 3:
        return None
    links = (first.outputs, middle.outputs)
    private = all(
        len(link) == 1 and len(readers[link[0]]) == 1 and link[0] not in model.outputs for link in links
    )
    return (first, middle, last) if private else None


def _spread(model: Model, values: Constants, three: tuple[Operator, Operator, Operator]) -> Spread | None:
    first, middle, last = three
    options = middle.options
    numbers = [_numbers(model, values, operator.inputs[at]) for operator in (first, last) for at in (1, 2)]
    if options is None or any(found is None for found in numbers):
        return None
    block, pads, block_again, crops = (found or [] for found in numbers)
    plain = options.integer(0, "b") == Padding.VALID and all(options.integer(s, "i") == 1 for s in _STRIDES)
    if not plain or block != block_again or len(block) != 2 or not len(pads) == len(crops) == 4:
        return None
    rest = [pad - crop for pad, crop in zip(pads, crops, strict=True)]
    if min(rest) < 0 or min(block) < 1:
        return None
    return Spread((block[0], block[1]), (rest[0], rest[2], rest[1], rest[3]))


def _numbers(model: Model, values: Constants, index: int) -> Sequence[int] | None:
    tensor = model.tensors[index] if index >= 0 else None
    if tensor is None or tensor.span is None or tensor.type != "int32" or tensor.span[1] > 64:
        return None
    return [int(value) for value in values.stored(tensor).reshape(-1)]
