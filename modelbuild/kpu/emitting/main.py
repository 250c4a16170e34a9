"""The main function: tensor functions in order, calls of the KPU's functions between them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from modelbuild.arithmetic.binding import bind
from modelbuild.arithmetic.fixed_model import FixedModel, QuantizedTensor
from modelbuild.formats.kmodel.image import Code, Module, linked
from modelbuild.formats.kmodel.model import Tensor
from modelbuild.formats.kmodel.stackvm_building import Argument, Place
from modelbuild.kpu.emitting.moves import copied, part
from modelbuild.kpu.emitting.tensor_functions import EMITTERS
from modelbuild.kpu.emitting.writer import Writer, datatype
from modelbuild.kpu.planning.chains import Chain
from modelbuild.kpu.planning.maps import dense_bytes
from modelbuild.kpu.planning.memory import MainMemory
from modelbuild.kpu.planning.operations import LAYER, OUTPUT, PART, UPLOAD, Operation
from modelbuild.kpu.planning.storage import Storage

KIND = "stackvm"
KPU_MODULE = 1


def main_module(
    model: FixedModel,
    chains: Sequence[Chain],
    storage: Storage,
    memory: MainMemory,
    executed: Sequence[Operation],
) -> Module:
    """The module of the stack machine with its one function."""
    values = {name: model.constants[name] for name in model.tensors if name in model.constants}
    writer = Writer(memory.places, storage.spots, values)
    for operation in executed:
        _emit(writer, model, chains, memory, operation)
    inputs = _ports(model, model.inputs, "input", memory.inputs)
    outputs = _ports(model, model.outputs, "output", memory.outputs)
    main = Code(inputs, outputs, writer.builder.code())
    return linked(KIND, [main], bytes(writer.constants.data), [("data", memory.data)])


def _ports(model: FixedModel, names: Sequence[str], pool: str, offsets: Sequence[int]) -> tuple[Tensor, ...]:
    tensors = (model.tensors[name] for name in names)
    return tuple(
        Tensor(datatype(tensor), tensor.shape, pool, offset, dense_bytes(tensor))
        for tensor, offset in zip(tensors, offsets, strict=True)
    )


def _emit(
    writer: Writer, model: FixedModel, chains: Sequence[Chain], memory: MainMemory, operation: Operation
) -> None:
    """A layer needs no code of its own: its chain is called where its first upload stands."""
    if operation.kind == LAYER:
        return
    if operation.kind == UPLOAD:
        assert operation.chain is not None
        chain = chains[operation.chain]
        if operation.operator == chain.layers[0] and operation.reads == chain.sources[:1]:
            _call(writer, model, chain, operation.chain)
    elif operation.kind == OUTPUT:
        tensor = model.tensors[operation.reads[0]]
        cells = math.prod(tensor.shape)
        target = Place("output", memory.outputs[operation.number])
        copied(writer, datatype(tensor), writer.place(tensor), target, (1, cells), (cells, 1))
    else:
        bound = bind(model, model.operators[operation.operator])
        if operation.kind == PART:
            part(writer, bound, operation.number)
        else:
            EMITTERS[bound.operator.kind](writer, bound)


def _call(writer: Writer, model: FixedModel, chain: Chain, number: int) -> None:
    def argument(tensor: QuantizedTensor) -> Argument:
        return Argument(writer.place(tensor), "uint8", tensor.shape)

    inputs, outputs = (
        [argument(model.tensors[name]) for name in names] for names in (chain.sources, chain.outputs)
    )
    writer.builder.call(KPU_MODULE, number, inputs, outputs)
