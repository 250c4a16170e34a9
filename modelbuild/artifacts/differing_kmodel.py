"""The weights of a kmodel: as numbers where its version tells what lies where, else as bytes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from modelbuild.artifacts.differing_weights import Array, Weight
from modelbuild.formats import kmodel
from modelbuild.formats.kmodel import kpu_registers, kpu_tables
from modelbuild.formats.kmodel.disassembly import disassemble
from modelbuild.formats.kmodel.kpu_operations import RDATA
from modelbuild.formats.kmodel.model import Convolution, Kmodel, Layer, Module, Span
from modelbuild.formats.kmodel.stackvm_values import Address, Line, Register

Weights = dict[str, Weight]
_WITH_CODE = 5
_CURVE = "the pieces of a curve, which are no numbers of one scale"
_NORM = "fields of several widths; `factor` and `add` have them as numbers"
_SIXTEEN = "of layers of 16 bits nobody tells the layout"
_CLOSED = "the layout of this section is not public"
_CODE = "instructions, no numbers"
_RDATA = "constants of several kinds; those that instructions read stand as numbers under their own names"
# Tails of layers of version 4 and 3 that hold numbers: (layer, tail) -> type.
_TAILS: Mapping[tuple[str, str], str] = {
    **{
        (layer, tail): "<f4"
        for layer in ("conv2d", "conv2d_transpose", "cpu_conv2d", "cpu_depthwise_conv2d", "fully_connected")
        for tail in ("weights", "bias", "biases")
    },
    ("matmul", "bias"): "<f4",
    **{
        (layer, tail): dtype
        for layer in ("quantized_conv2d", "cpu_quantized_conv2d", "cpu_quantized_depthwise_conv2d")
        for tail, dtype in (("weights", "u1"), ("bias", "<i4"))
    },
    ("quantized_matmul", "bias"): "<i4",
}
# Arguments of tensor functions that may be constants -> the operand with their shape, and whether all of it.
_ARGUMENTS: Mapping[str, Mapping[str, tuple[str, int | None]]] = {
    "conv2d": {"weights": ("rshape_kernel", None), "bias": ("rshape_kernel", 0)},
    "matmul": {
        "input_a": ("rshape_src1", None),
        "input_b": ("rshape_src2", None),
        "bias": ("rshape_src2", 1),
    },
    "binary": {"input_a": ("rshape_src1", None), "input_b": ("rshape_src2", None)},
}
_PUBLIC = frozenset({("stackvm", ".rdata"), ("k210", ".rdata")})  # of version 5
_TYPES = frozenset({"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"}) | frozenset(
    {"float16", "float32", "float64"}
)


def weights(data: bytes) -> Weights:
    """Name -> weight. Codes of the KPU are told less their zero point. Errors: ModelbuildError."""
    found = kmodel.read(data)
    made: Weights = {}
    for index, layer in enumerate(found.layers):
        if layer.convolution is not None:
            made |= _of_convolution(f"layer {index}", layer.convolution, data)
        made |= _of_tails(f"layer {index}", layer, data)
    for index, module in enumerate(found.modules):
        for section in module.sections:
            name = f"module {index} ({module.kind})/{section.name}"
            made[name] = _blob(data, section.body, _reason(found, module, section.name))
    if found.version == _WITH_CODE:
        made |= _of_code(found)
    return made


def _reason(found: Kmodel, module: Module, section: str) -> str:
    if section == ".text":
        return _CODE
    return _RDATA if found.version == _WITH_CODE and (module.kind, section) in _PUBLIC else _CLOSED


def _blob(data: bytes, span: Span, closed: str) -> Weight:
    return Weight(lambda: data[span.offset : span.end], closed=closed)


def _of_convolution(name: str, layer: Convolution, data: bytes) -> Weights:
    """Codes [outputs, inputs, rows, columns], what batch normalization multiplies by and adds, the curve."""
    fields = kpu_registers.decode(layer.registers)
    made: Weights = {f"{name}/weights": _blob(data, layer.weights, "" if layer.eight_bit else _SIXTEEN)}
    count = kpu_registers.weight_count(fields)
    if layer.eight_bit and not fields["bypass"] and layer.weights.size == count:
        size = kpu_registers.kernel_size(fields)
        shape = fields["oc"], 1 if fields["depthwise"] else fields["ic"], size, size
        zero = np.float64(-fields["arg_x"]) / np.exp2(np.float64(fields["shr_x"]))
        made[f"{name}/weights"] = _array(data, layer.weights, "u1", shape, zero)
    if layer.batch_norm.size == kpu_tables.BATCH_NORM_BYTES * fields["oc"]:
        table = kpu_tables.batch_norm(data, layer.batch_norm)
        factor = np.array([math.ldexp(one.mul, -one.shift) for one in table])
        added = np.array([one.add for one in table], np.int32)
        made[f"{name}/factor"] = Weight(lambda: factor)
        made[f"{name}/add"] = Weight(lambda: added)
    made[f"{name}/batch_norm"] = _blob(data, layer.batch_norm, _NORM)
    made[f"{name}/activation"] = _blob(data, layer.activation, _CURVE)
    return made


def _array(
    data: bytes, span: Span, dtype: str, shape: tuple[int, ...], zero: np.float64 | None = None
) -> Weight:
    def load() -> Array:
        return np.frombuffer(data, dtype, math.prod(shape), span.offset).reshape(shape)

    each = (1,) * len(shape)
    return Weight(load, None if zero is None else (np.ones(each), np.full(each, zero)))


def _of_tails(name: str, layer: Layer, data: bytes) -> Weights:
    """The numbers behind the fields of a layer for the CPU, in a row."""
    made: Weights = {}
    for key, place in layer.shown.items():
        dtype = _TAILS.get((layer.name, key))
        if dtype is not None and isinstance(place, dict) and place.keys() == {"offset", "size"}:
            span = Span(place["offset"], place["size"])
            count = span.size // np.dtype(dtype).itemsize
            made[f"{name} ({layer.name})/{key}"] = _array(data, span, dtype, (count,))
    return made


def _of_code(found: Kmodel) -> Weights:
    """What instructions of version 5 read from .rdata."""
    made: Weights = {}
    for code in disassemble(found).functions:
        name = f"module {code.module} function {code.function}"
        for index, operation in enumerate(code.operations):
            if operation.convolution is not None:
                made |= _of_convolution(f"{name} operation {index}", operation.convolution, found.data)
        rdata = found.modules[code.module].section(".rdata")
        tensors = [line for line in code.lines if line.name.startswith("tensor.")]
        for index, line in enumerate(tensors if rdata else ()):
            assert rdata is not None
            for role, place, dtype, shape in _constants(line):
                size = math.prod(shape) * np.dtype(dtype).itemsize
                if place + size <= rdata.body.size:
                    label = f"{name} {index} ({line.name.removeprefix('tensor.')})/{role}"
                    span = Span(rdata.body.offset + place, size)
                    made[label] = _array(found.data, span, dtype, shape)
    return made


def _constants(line: Line) -> Iterator[tuple[str, int, str, tuple[int, ...]]]:
    """(argument, offset in .rdata, type, shape) of those of an instruction whose layout it tells."""
    operands, arguments = dict(line.operands), dict(line.stack)
    dtype = operands.get("datatype", "float32")
    for role, (shape, axis) in _ARGUMENTS.get(line.name.removeprefix("tensor."), {}).items():
        place, held = arguments.get(role), operands.get(shape)
        if not isinstance(place, Address) or place.location != RDATA or dtype not in _TYPES:
            continue
        if not isinstance(held, Register) or held.value is None:
            continue
        dims = tuple(dim for dim in held.value if isinstance(dim, int) and 0 <= dim < 1 << 31)
        if len(dims) == len(held.value) and (axis is None or axis < len(dims)):
            yield role, place.offset, str(dtype), dims if axis is None else (dims[axis],)
