"""Inputs and outputs: shapes, element types, and whether the file has them channels-first already."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from modelbuild.errors import ModelbuildError, Problem
from modelbuild.formats import tflite_schema as schema
from modelbuild.graph import kept_quantization, quantized_border
from modelbuild.graph.kept_quantization import Kept
from modelbuild.graph.model import Graph, Shape
from modelbuild.importers import input_shapes
from modelbuild.importers.channels_last import BORDER_RANKS, channels_first, source_order
from modelbuild.importers.source import Source
from modelbuild.importers.tflite import constants
from modelbuild.importers.tflite.layer import State
from modelbuild.importers.tflite.model import Operator, Tensor

_TYPES = ("float32", "int8", "uint8", "int16", "int32", "int64", "bool")


def channels_first_already(state: State) -> set[str]:
    """The names of inputs that only a TRANSPOSE to channels-last reads, and of outputs that one back makes:
    converters from PyTorch leave the border as it was there. QUANTIZE and DEQUANTIZE may stand between."""
    model, found = state.model, set()
    readers: dict[int, list[Operator]] = {}
    for operator in model.operators:
        for index in set(operator.inputs):
            readers.setdefault(index, []).append(operator)
    makers = {index: operator for operator in model.operators for index in operator.outputs}
    for index in model.inputs:
        number, name = index, model.tensors[index].name
        while len(readers.get(number, ())) == 1 and _is_neutral(readers[number][0]):
            number = readers.pop(number)[0].outputs[0]
        first = channels_first(len(model.tensors[number].shape))
        back = tuple(first.index(axis) for axis in source_order(len(first)))
        if readers.get(number) and all(_perm(state, operator) == back for operator in readers[number]):
            found.add(name)
    for index in model.outputs:
        maker = makers.get(index)
        while maker is not None and _is_neutral(maker):
            maker = makers.pop(maker.inputs[0], None)
        if maker is not None and _perm(state, maker) == channels_first(len(model.tensors[index].shape)):
            found.add(model.tensors[index].name)
    return found


def _is_neutral(operator: Operator) -> bool:
    return operator.op in ("QUANTIZE", "DEQUANTIZE") and len(operator.inputs) == len(operator.outputs) == 1


def _perm(state: State, operator: Operator) -> tuple[int, ...] | None:
    if operator.op != "TRANSPOSE" or len(operator.inputs) != 2:
        return None
    tensor = state.model.tensors[operator.inputs[1]]
    if tensor.span is None or tensor.type != "int32" or len(tensor.shape) != 1:
        return None
    return tuple(int(axis) for axis in state.values.stored(tensor))


def add_inputs(
    state: State, given: Mapping[str, Shape], keep_order: Collection[str], notes: list[str]
) -> None:
    """Writes the model's inputs. An open batch is 1 unless `given` says otherwise; other open sizes must be
    given. Raises naming all that are missing or do not fit, in the graph's layout."""
    problems: list[Problem] = []
    for index in dict.fromkeys(state.model.inputs):
        tensor = state.model.tensors[index]
        rank, name = len(tensor.shape), tensor.name
        moved = rank in BORDER_RANKS and name not in keep_order
        order = channels_first(rank) if moved else source_order(rank)
        dims = [_dim(tensor, axis) for axis in order]
        shape = given.get(name)
        if shape is None and dims[:1] == [""] and rank > 1:
            dims[0] = 1
            notes.append(f"the input `{name}` takes any number of samples: made for 1")
        found = input_shapes.problems_of(name, dims, shape)
        problems += found
        if not found:
            chosen = [int(size) for size in (dims if shape is None else shape)]
            own = tuple(chosen[order.index(axis)] for axis in range(rank))
            state.writer.input(name, own, _type(tensor), keep_order=not moved)
            entry = constants.kept(tensor)
            if entry is not None:
                state.kept[name] = entry
    if problems:
        raise ModelbuildError.of(problems)


def add_constant_outputs(state: State) -> None:
    """Reads the constants that are outputs of the model."""
    for index in dict.fromkeys(state.model.outputs):
        tensor = state.model.tensors[index]
        if tensor.span is not None and not state.writer.has(tensor.name):
            state.writer.constant(tensor.name, state.values.value(tensor))


def _dim(tensor: Tensor, axis: int) -> int | str:
    size = tensor.signature[axis]
    return "" if size == -1 else size


def _type(tensor: Tensor) -> str:
    if constants.is_quantized(tensor) or tensor.type in schema.OTHER_FLOATS:
        return "float32"
    if tensor.type not in _TYPES or tensor.unsupported:
        why = tensor.unsupported or f"its elements are {tensor.type}"
        raise ModelbuildError(f"the input `{tensor.name}` is not supported", why=why)
    return tensor.type


def restore_types(graph: Graph, state: State, own: Sequence[int], source: Source) -> None:
    """Gives the file's `own` inputs and outputs that hold codes of 8 bits these again; notes other types
    that became float32."""
    for index in dict.fromkeys(own):
        tensor = state.model.tensors[index]
        name, entry = tensor.name, constants.kept(tensor)
        if name not in (*graph.inputs, *graph.outputs):
            continue
        if entry is not None and entry.dtype in quantized_border.CODE_TYPES and entry.axis is None:
            kept_quantization.dropped(graph, name)  # the float tensor beside it gets the entry
            if name in graph.inputs:
                quantized_border.dequantize_input(graph, name, entry)
            else:
                quantized_border.quantize_output(graph, name, entry)
        elif str(graph.dtypes[name]) != tensor.type:
            source.dtypes[name] = tensor.type
            if tensor.type in schema.OTHER_FLOATS:
                source.notes.append(f"`{name}` of {tensor.type} became float32")


def quantized_names(state: State) -> dict[str, Kept]:
    """Tensor of the graph -> its quantization, its axis counted in the stored order."""
    found, entries = {}, dict(state.kept)
    for wide, name in state.writer.widened.items():
        if name in entries and entries[name].axis is None:
            entries[wide] = entries[name]
    for name, entry in entries.items():
        for order, tensor in state.writer.forms(name).items():
            axis = None if entry.axis is None else order.index(entry.axis)
            found[tensor] = Kept(entry.dtype, entry.scale, entry.zero_point, axis)
    return found
