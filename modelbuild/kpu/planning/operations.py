"""What is executed, in order: tensor functions of the stack machine, and operations of the KPU's module."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.kpu.planning.chains import Chain
from modelbuild.kpu.planning.maps import JOINS
from modelbuild.kpu.planning.storage import Storage

UPLOAD, LAYER, COMPUTE, PART, OUTPUT = "upload", "layer", "compute", "part", "output"


@dataclass(frozen=True)
class Operation:
    """`kind`: `upload` and `layer` of a chain, which the first upload calls; `compute`: an operator on the
    CPU, `part`: a concat's input `number` copied to its place, `output`: output `number` of the model copied
    to its own. `reads` and `writes` are tensors in main memory; `operator` is an index, that of the layer
    behind it for an upload."""

    kind: str
    operator: int
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    chain: int | None = None
    number: int = 0


def operations(model: FixedModel, chains: Sequence[Chain], storage: Storage) -> tuple[Operation, ...]:
    """A chain runs where its first layer stands among the operators, or as soon as all is there that it
    uploads."""
    found: list[Operation] = []
    for number, index in _in_order(model, chains):
        operator = model.operators[index]
        if number is not None:
            found += _of_chain(model, chains[number], number)
        elif index in storage.free:
            continue
        elif operator.kind in JOINS:
            found += _parts(operator.inputs, operator.outputs, index, storage.inside)
        else:
            found.append(Operation(COMPUTE, index, operator.inputs, operator.outputs))
    last = len(model.operators) - 1
    found += [Operation(OUTPUT, last, (name,), (), None, number) for number, name in storage.copied.items()]
    return tuple(found)


def _in_order(model: FixedModel, chains: Sequence[Chain]) -> Iterator[tuple[int | None, int]]:
    """The number of each chain, and the other operators: always the first of those whose inputs are there."""
    number_of = {index: number for number, chain in enumerate(chains) for index in chain.layers}
    made = {*model.inputs, *(name for name in model.tensors if name in model.constants)}
    waiting = [
        (number_of.get(index), index)
        for index in range(len(model.operators))
        if index not in number_of or index == min(chains[number_of[index]].layers)
    ]
    while waiting:
        place = next(
            place
            for place, (number, index) in enumerate(waiting)
            if made.issuperset(model.operators[index].inputs if number is None else chains[number].sources)
        )
        number, index = waiting.pop(place)
        members = (index,) if number is None else (*chains[number].layers, *chains[number].joins)
        made.update(name for each in members for name in model.operators[each].outputs)
        yield number, index


def _of_chain(model: FixedModel, chain: Chain, number: int) -> Iterator[Operation]:
    for index, uploaded in chain.steps():
        (written,) = model.operators[index].outputs
        if uploaded is not None:
            yield Operation(UPLOAD, index, (uploaded,), (), number)
        else:
            yield Operation(LAYER, index, (), (written,) if written in chain.outputs else (), number)


def _parts(
    inputs: Sequence[str], outputs: tuple[str, ...], index: int, inside: Mapping[int, frozenset[int]]
) -> Iterator[Operation]:
    for position, name in enumerate(inputs):
        if position not in inside[index]:
            yield Operation(PART, index, (name,), outputs, None, position)
