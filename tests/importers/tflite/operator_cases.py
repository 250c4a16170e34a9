"""One small model for each TFLite operator and each of its settings that change what it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.importers.tflite.builder import Options, TFLite

_RANDOM = np.random.default_rng(7)


@dataclass(frozen=True)
class Data:
    """An input of the model."""

    shape: Sequence[int]
    kind: str = "float32"
    positive: bool = False


@dataclass(frozen=True)
class Case:
    """One operator; numpy arrays among `inputs` are constants."""

    name: str
    op: str
    inputs: Sequence[Any]
    options: Options = field(default_factory=dict)
    outputs: Sequence[str] = ("float32",)
    shape: Sequence[int] = (1,)  # of the outputs as the file has them; the runtime mostly finds it itself

    def build(self, behind: str) -> tuple[bytes, dict[str, Any]]:
        """The file, and a sample. `behind` an input of the operator's own shape, a RESHAPE or a TRANSPOSE of
        another, so that the data come in another order of the axes."""
        model, feeds = TFLite(), {}
        inputs, numbers = [], []
        for index, item in enumerate(self.inputs):
            if not isinstance(item, Data):
                numbers.append(-1 if item is None else model.constant(f"c{index}", item))
                continue
            feed, number, name = _entry(model, item, behind, index)
            inputs.append(name)
            numbers.append(number)
            feeds[f"x{index}"] = feed
        outputs = [model.tensor(f"y{index}", self.shape, kind) for index, kind in enumerate(self.outputs)]
        model.add(self.op, numbers, outputs, self.options)
        return model.build(inputs, outputs), feeds


def _entry(model: TFLite, item: Data, behind: str, index: int) -> tuple[Any, int, int]:
    shape = list(item.shape)
    if behind == "TRANSPOSE" and len(shape) > 1:
        perm = list(np.roll(np.arange(len(shape)), 1))
        outer = [0] * len(shape)
        for axis, source in enumerate(perm):
            outer[source] = shape[axis]
        parameter = model.constant(f"perm{index}", np.array(perm, np.int32))
    elif behind == "RESHAPE":
        outer = [1, int(np.prod(shape))]
        parameter = model.constant(f"shape{index}", np.array(shape, np.int32))
    else:
        name = model.tensor(f"x{index}", shape, item.kind)
        return _sample(item, shape), name, name
    name = model.tensor(f"x{index}", outer, item.kind)
    number = model.tensor(f"inner{index}", shape, item.kind)
    options: Options = {0: ("v", shape)} if behind == "RESHAPE" else {}
    model.add(behind, [name, parameter], [number], options)
    return _sample(item, outer), number, name


def _sample(item: Data, shape: Sequence[int]) -> Any:
    if item.kind != "float32":
        return _RANDOM.integers(0, 5, shape).astype(item.kind)
    value = _RANDOM.standard_normal(shape).astype(np.float32) * 2
    return np.abs(value) + np.float32(0.1) if item.positive else value


def _weights(*shape: int) -> Any:
    return _RANDOM.standard_normal(shape).astype(np.float32)


def _ints(*values: int) -> Any:
    return np.array(values, np.int32)


def _window(padding: int, stride: tuple[int, int], activation: int, slot: int, **more: int) -> Options:
    options: dict[int, tuple[str, Any]] = {0: ("b", padding), 1: ("i", stride[1]), 2: ("i", stride[0])}
    options[slot] = ("b", activation)
    return {**options, **{int(key[1:]): ("i", value) for key, value in more.items()}}


IMAGE = Data((1, 7, 6, 4))
_SAME, _VALID = 0, 1


def _convolutions() -> list[Case]:
    cases = []
    for padding in (_SAME, _VALID):
        for stride in ((1, 1), (2, 2), (2, 3), (3, 1)):
            for dilation in ((1, 1), (2, 1)) if stride == (1, 1) else ((1, 1),):
                name = f"padding {padding} strides {stride} dilations {dilation}"
                conv = _window(padding, stride, 1, 3, s4=dilation[1], s5=dilation[0])
                deep = _window(padding, stride, 3, 4, s3=2, s5=dilation[1], s6=dilation[0])
                cases += [
                    Case(f"conv {name}", "CONV_2D", (IMAGE, _weights(5, 3, 2, 4), _weights(5)), conv),
                    Case(
                        f"depthwise {name}", "DEPTHWISE_CONV_2D",
                        (IMAGE, _weights(1, 3, 3, 8), _weights(8)), deep,
                    ),
                ]  # fmt: skip
    for kernel, stride, size in ((3, 2, 7), (2, 2, 6), (4, 2, 8), (3, 1, 4), (5, 3, 10)):
        for padding in (_SAME, _VALID):
            rows = -(-size // stride) if padding == _SAME else (size - kernel) // stride + 1
            data = Data((1, rows, rows, 3))
            inputs = (_ints(1, size, size, 2), _weights(2, kernel, kernel, 3), data, _weights(2))
            options = _window(padding, (stride, stride), 1, 3)
            cases.append(
                Case(f"transposed {kernel} by {stride} {padding}", "TRANSPOSE_CONV", inputs, options)
            )
    cases += [
        Case(
            "conv in groups", "CONV_2D",
            (IMAGE, _weights(6, 3, 3, 2), _weights(6)), _window(0, (1, 1), 0, 3),
        ),
        Case(
            "transposed without bias", "TRANSPOSE_CONV",
            (_ints(1, 8, 8, 2), _weights(2, 3, 3, 3), Data((1, 4, 4, 3))), _window(0, (2, 2), 0, 3),
        ),
        Case(
            "3D", "CONV_3D", (Data((1, 4, 5, 6, 2)), _weights(3, 3, 3, 2, 4), _weights(4)),
            {0: ("b", 0), 1: ("i", 1), 2: ("i", 2), 3: ("i", 2), 4: ("b", 0)},
        ),
    ]  # fmt: skip
    return cases


def _pools() -> list[Case]:
    return [
        Case(
            f"{op} padding {padding} {stride} {window}", op, (IMAGE,),
            {**_window(padding, stride, 0, 5), 3: ("i", window[1]), 4: ("i", window[0])},
        )
        for op in ("AVERAGE_POOL_2D", "MAX_POOL_2D")
        for padding in (_SAME, _VALID)
        for stride, window in (((1, 1), (3, 3)), ((2, 2), (2, 3)), ((2, 1), (5, 2)), ((2, 2), (3, 3)))
    ]  # fmt: skip


def _dense() -> list[Case]:
    weights, bias = _weights(5, 12), _weights(5)
    return [
        Case("dense", "FULLY_CONNECTED", (Data((3, 12)), weights, bias), {0: ("b", 1)}),
        Case("dense without bias", "FULLY_CONNECTED", (Data((3, 12)), weights, None)),
        Case("dense of a picture", "FULLY_CONNECTED", (Data((1, 2, 2, 3)), weights, bias)),
        Case("dense keeps axes", "FULLY_CONNECTED", (Data((2, 3, 12)), weights, bias), {2: ("B", True)}),
        Case("dense of rows", "FULLY_CONNECTED", (Data((2, 3, 12)), weights, bias), {0: ("b", 3)}),
        Case("product", "BATCH_MATMUL", (Data((2, 3, 4)), Data((2, 4, 5)))),
        Case("product x'", "BATCH_MATMUL", (Data((2, 4, 3)), Data((2, 4, 5))), {0: ("B", True)}),
        Case("product y'", "BATCH_MATMUL", (Data((1, 2, 3, 4)), Data((1, 2, 5, 4))), {1: ("B", True)}),
    ]


def _elementwise() -> list[Case]:
    row, number = _weights(4), np.float32(1.5)
    pairs: Mapping[str, Any] = {
        "row": row,
        "number": number,
        "picture": _weights(1, 7, 6, 4),
        "tensor": IMAGE,
    }
    cases = [
        Case(f"{op} {name}", op, (IMAGE, other), {0: ("b", 1)} if op == "ADD" else {})
        for op in ("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE")
        for name, other in pairs.items()
    ]
    cases += [
        Case(f"{op} activation {code}", op, (IMAGE, IMAGE), {0: ("b", code)})
        for op in ("ADD", "SUB", "MUL")
        for code in (0, 1, 2, 3)
    ]
    cases += [Case(op, op, (IMAGE,)) for op in ("RELU", "RELU6", "RELU_N1_TO_1", "TANH", "LOGISTIC")]
    cases += [Case(op, op, (IMAGE,)) for op in ("HARD_SWISH", "ELU", "EXP", "ABS", "NEG", "SQUARE", "FLOOR")]
    cases += [Case(op, op, (IMAGE,)) for op in ("CEIL", "ROUND", "SIN", "COS", "L2_NORMALIZATION")]
    cases += [Case(op, op, (IMAGE,)) for op in ("LOG_SOFTMAX", "RELU_0_TO_1", "SIGN")]
    positive = Data((1, 3, 4, 2), positive=True)
    cases += [Case(op, op, (positive,)) for op in ("LOG", "SQRT", "RSQRT")]
    comparisons = ("EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL")
    cases += [Case(op, op, (IMAGE, row), outputs=("bool",)) for op in comparisons]
    cases += [
        Case("gelu", "GELU", (IMAGE,)),
        Case("gelu by tanh", "GELU", (IMAGE,), {0: ("B", True)}),
        Case("leaky", "LEAKY_RELU", (IMAGE,), {0: ("f", 0.2)}),
        Case("prelu a channel", "PRELU", (IMAGE, _weights(1, 1, 4))),
        Case("prelu a cell", "PRELU", (IMAGE, _weights(7, 6, 4))),
        Case("softmax", "SOFTMAX", (IMAGE,), {0: ("f", 1.0)}),
        Case("softmax beta", "SOFTMAX", (Data((3, 5)),), {0: ("f", 0.5)}),
        Case("div", "DIV", (IMAGE, Data((1, 7, 6, 4), positive=True)), {0: ("b", 0)}),
        Case("pow", "POW", (positive, np.float32(2.5))),
        Case("floor div", "FLOOR_DIV", (IMAGE, row)),
        Case("floor mod", "FLOOR_MOD", (IMAGE, row)),
        Case("add three", "ADD_N", (IMAGE, IMAGE, IMAGE)),
        Case("higher rank constant", "ADD", (Data((6, 4)), _weights(1, 7, 6, 4))),
        Case("higher rank tensor", "MUL", (Data((6, 4)), IMAGE)),
        Case("cast", "CAST", (Data((1, 3, 3, 2), "int32"),), {0: ("b", 2), 1: ("b", 0)}),
        Case("select", "SELECT_V2", (np.array([True, False, True, False]), IMAGE, row)),
        Case(
            "local response", "LOCAL_RESPONSE_NORMALIZATION", (IMAGE,),
            {0: ("i", 2), 1: ("f", 1.0), 2: ("f", 0.3), 3: ("f", 0.75)},
        ),
    ]  # fmt: skip
    return cases


def _shaping() -> list[Case]:
    return [
        Case("reshape", "RESHAPE", (IMAGE, _ints(1, 6, -1)), {0: ("v", [1, 6, 28])}),
        Case("reshape by option", "RESHAPE", (IMAGE,), {0: ("v", [6, 28])}),
        Case("reshape ones", "RESHAPE", (IMAGE, _ints(7, 1, 6, 4)), {0: ("v", [7, 1, 6, 4])}),
        Case("squeeze all", "SQUEEZE", (Data((1, 7, 1, 4)),)),
        Case("squeeze one", "SQUEEZE", (Data((1, 7, 1, 4)),), {0: ("v", [2])}),
        Case("squeeze last", "SQUEEZE", (Data((1, 7, 4, 1)),), {0: ("v", [-1])}),
        *(
            Case(f"expand {axis} of {rank}", "EXPAND_DIMS", (Data((2, 7, 4)[:rank]), np.int32(axis)))
            for rank in (2, 3)
            for axis in range(-1, rank + 1)
        ),
        Case("transpose", "TRANSPOSE", (IMAGE, _ints(0, 2, 1, 3))),
        Case("transpose all", "TRANSPOSE", (IMAGE, _ints(3, 2, 0, 1))),
        Case("pad", "PAD", (IMAGE, np.array([[0, 0], [1, 2], [3, 0], [0, 1]], np.int32))),
        Case("pad by", "PADV2", (IMAGE, np.array([[0, 0], [1, 2], [3, 0], [0, 1]], np.int32), np.float32(3))),
        *(
            Case(f"mirror {mode} {size}", "MIRROR_PAD", (IMAGE, _mirror(size)), {0: ("b", mode)})
            for mode in (0, 1)
            for size in (1, 3)
        ),
        *(
            Case(f"concat {axis}", "CONCATENATION", (IMAGE, IMAGE, _weights(1, 7, 6, 4)), {0: ("i", axis)})
            for axis in (0, 1, 2, 3, -1)
        ),
        Case("slice", "SLICE", (IMAGE, _ints(0, 1, 2, 1), _ints(1, 3, -1, 2)), shape=(1, 3, 4, 2)),
        Case("split", "SPLIT", (np.int32(3), IMAGE), {0: ("i", 2)}, ("float32",) * 2),
        Case("split rows", "SPLIT", (np.int32(-2), IMAGE), {0: ("i", 3)}, ("float32",) * 3),
        Case("split by", "SPLIT_V", (IMAGE, _ints(2, -1), np.int32(1)), {0: ("i", 2)}, ("float32",) * 2),
        *(
            Case(f"pack {axis}", "PACK", (Data((2, 3, 4)),) * 2, {0: ("i", 2), 1: ("i", axis)})
            for axis in (0, 1, 2, 3, -1)
        ),
        Case("unpack", "UNPACK", (Data((1, 3, 2, 4)),), {0: ("i", 3), 1: ("i", 1)}, ("float32",) * 3),
        Case("gather", "GATHER", (IMAGE, _ints(2, 0, 2)), {0: ("i", 3)}),
        Case("gather a grid", "GATHER", (IMAGE, np.array([[2, 0], [1, 1]], np.int32)), {0: ("i", 2)}),
        Case("gather one", "GATHER", (IMAGE, np.int32(3)), {0: ("i", 1)}),
        Case("gather nd", "GATHER_ND", (IMAGE, np.array([[0, 1], [0, 5]], np.int32))),
        Case("tile", "TILE", (IMAGE, _ints(1, 2, 1, 3))),
        Case("broadcast", "BROADCAST_TO", (Data((1, 1, 6, 1)), _ints(2, 3, 6, 4))),
        Case("reverse", "REVERSE_V2", (IMAGE, _ints(2))),
        Case("depth to space", "DEPTH_TO_SPACE", (Data((1, 3, 2, 8)),), {0: ("i", 2)}),
        Case("space to depth", "SPACE_TO_DEPTH", (Data((1, 4, 6, 3)),), {0: ("i", 2)}),
    ]


def _mirror(size: int) -> Any:
    return np.array([[0, 0], [size, size - 1], [0, size], [0, 0]], np.int32)


def _strided(name: str, begin: Any, end: Any, stride: Any, *masks: int) -> Case:
    options: Options = {slot: ("i", mask) for slot, mask in enumerate(masks)}
    return Case(f"strided {name}", "STRIDED_SLICE", (IMAGE, begin, end, stride), options)


def _slices() -> list[Case]:
    """Masks: begin, end, ellipsis, new axis, shrink."""
    return [
        _strided("plain", _ints(0, 1, 0, 0), _ints(1, 5, 6, 3), _ints(1, 2, 1, 1)),
        _strided("open", _ints(0, 3, 0, 0), _ints(0, 0, 0, 2), _ints(1, 1, 2, 1), 0b0101, 0b0111),
        _strided("from behind", _ints(0, -3, 0, -2), _ints(1, -1, 6, 4), _ints(1, 1, 1, 1)),
        _strided("backwards", _ints(0, 6, 0, 0), _ints(1, 1, 6, 4), _ints(1, -2, 1, 1)),
        _strided("all backwards", _ints(0, 0, 0, 0), _ints(1, 0, 6, 4), _ints(1, -1, 1, 1), 0b10, 0b10),
        _strided("fewer entries", _ints(0, 2), _ints(1, 5), _ints(1, 1)),
        _strided("index", _ints(0, 2, 0, 1), _ints(1, 3, 6, 2), _ints(1, 1, 1, 1), 0, 0, 0, 0, 0b1010),
        _strided("last", _ints(0, 0, 0, -1), _ints(1, 7, 6, 0), _ints(1, 1, 1, 1), 0, 0, 0, 0, 0b1000),
        _strided("ellipsis", _ints(0, 1), _ints(0, 3), _ints(1, 1), 0, 0, 0b01),
        _strided("past the end", _ints(0, 0, 2, 0), _ints(9, 99, 99, 9), _ints(1, 1, 1, 1)),
    ]


def _reductions() -> list[Case]:
    ops = ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD")
    cases = [
        Case(f"{op} {axes} keep {keep}", op, (Data((1, 3, 2, 4)), _ints(*axes)), {0: ("B", keep)})
        for op in ops
        for axes in ((1, 2), (3,), (-3,), (1, 3))
        for keep in (False, True)
    ]
    cases += [
        Case(f"{op} {axis} {kind}", op, (IMAGE, np.int32(axis)), {0: ("b", code)}, (kind,))
        for op in ("ARG_MAX", "ARG_MIN")
        for axis, kind, code in ((-1, "int32", 2), (1, "int64", 4))
    ]
    cases.append(Case("top", "TOPK_V2", (IMAGE, np.int32(2)), {}, ("float32", "int32")))
    return cases


def _resizes() -> list[Case]:
    cases = []
    for size in ((14, 12), (3, 2), (11, 7), (1, 1), (21, 6)):
        for align, half in ((False, False), (True, False), (False, True)):
            name = f"{size} align {align} half {half}"
            cases += [
                Case(
                    f"bilinear {name}", "RESIZE_BILINEAR", (IMAGE, _ints(*size)),
                    {2: ("B", align), 3: ("B", half)},
                ),
                Case(
                    f"nearest {name}", "RESIZE_NEAREST_NEIGHBOR", (IMAGE, _ints(*size)),
                    {0: ("B", align), 1: ("B", half)},
                ),
            ]  # fmt: skip
    return cases


CASES: Sequence[Case] = (
    *_convolutions(),
    *_pools(),
    *_dense(),
    *_elementwise(),
    *_shaping(),
    *_slices(),
    *_reductions(),
    *_resizes(),
)
