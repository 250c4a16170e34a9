"""What is executed, in order: tensor functions of the stack machine, and operations of the KPU's module."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.kpu.planning.chains import Chain
from modelbuild.kpu.planning.storage import Storage

UPLOAD, LAYER, COMPUTE, PART, OUTPUT = "upload", "layer", "compute", "part", "output"


@dataclass(frozen=True)
class Operation:
    """`kind`: `upload` and `layer` of a chain, `compute`: an operator on the CPU, `part`: a concat's input
    `number` copied to its place, `output`: output `number` of the model copied to its own. `reads` and
    `writes` are tensors in main memory; `operator` is an index, that of the first layer for an upload."""

    kind: str
    operator: int
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    chain: int | None = None
    number: int = 0


def operations(model: FixedModel, chains: Sequence[Chain], storage: Storage) -> tuple[Operation, ...]:
    """A chain runs where its first layer stands among the operators."""
    starts = {min(chain.layers): number for number, chain in enumerate(chains)}
    in_chains = {index for chain in chains for index in chain.layers}
    found: list[Operation] = []
    for index, operator in enumerate(model.operators):
        if index in starts:
            found += _of_chain(model, chains[starts[index]], starts[index])
        if index in in_chains or index in storage.free:
            continue
        if operator.kind == "concat":
            found += _parts(operator.inputs, operator.outputs, index, storage.inside)
        else:
            found.append(Operation(COMPUTE, index, operator.inputs, operator.outputs))
    last = len(model.operators) - 1
    found += [Operation(OUTPUT, last, (name,), (), None, number) for number, name in storage.copied.items()]
    return tuple(found)


def _of_chain(model: FixedModel, chain: Chain, number: int) -> Iterator[Operation]:
    yield Operation(UPLOAD, chain.layers[0], (chain.source,), (), number)
    for index in chain.layers:
        (written,) = model.operators[index].outputs
        yield Operation(LAYER, index, (), (written,) if written in chain.outputs else (), number)


def _parts(
    inputs: Sequence[str], outputs: tuple[str, ...], index: int, inside: Mapping[int, frozenset[int]]
) -> Iterator[Operation]:
    for position, name in enumerate(inputs):
        if position not in inside[index]:
            yield Operation(PART, index, (name,), outputs, None, position)
