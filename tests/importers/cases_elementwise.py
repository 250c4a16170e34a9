"""Element-wise operators, constants, normalisations and products."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, numpy_helper

from tests.importers.operator_cases import BOOL, I32, I64, Case, F, X, each, ints, w

_V = X((2, 3))
_B = X((2, 3), BOOL)


def _elementwise() -> list[Case]:
    return [
        *each(
            "Abs Acos Acosh Asin Asinh Atan Atanh Ceil Celu Cos Cosh Elu Erf Exp Floor HardSigmoid HardSwish "
            "Identity LeakyRelu Log Mish Neg Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh "
            "Softplus Softsign Sqrt Swish Tan Tanh ThresholdedRelu Gelu"
        ),
        *each("Celu Elu HardSigmoid LeakyRelu ThresholdedRelu", alpha=0.3),
        Case("Swish", (X(),), {"alpha": 0.5}),
        Case("Gelu", (X(),), {"approximate": "tanh"}),
        Case("Selu", (X(),), {"alpha": 1.1, "gamma": 0.9}),
        Case("Shrink", (X(),), {"lambd": 0.4, "bias": 0.2}),
        Case("PRelu", (X(), w(2, 1, 1))),
        Case("PRelu", (X(), w(1))),
        Case("Clip", (X(),), {"min": -0.5, "max": 0.5}, until=11),
        Case("Clip", (X(),), {"max": 0.5}, until=11),
        Case("Clip", (X(),), until=11),
        Case("Clip", (X(), F(-0.5), F(0.5)), since=11),
        Case("Clip", (X(), None, F(0.5)), since=11),
        Case("Clip", (X((2, 3), I32), I32(0), I32(1)), since=12),
        *(Case(op, (X(), w(2, 1, 1))) for op in ["Add", "Sub", "Mul", "Div"]),
        *(Case(op, (X(), X())) for op in ["Add", "Sub", "Mul", "Div"]),
        *(Case(op, (X((2, 3), I64), np.full((3,), 2, I64))) for op in ["Add", "Sub", "Mul", "Div"]),
        Case("Pow", (X(), F(2))),
        Case("Pow", (X(), F(0.5))),
        Case("Pow", (X(), X())),
        Case("Mod", (X((2, 3), I64), I64(2))),
        Case("Mod", (X(), F(0.4)), {"fmod": 1}),
        *(Case(op, (X(), X(), w(4, 4)), since=8) for op in ["Max", "Min", "Mean", "Sum"]),
        *(Case(op, (_V, _V, w(2, 3))) for op in ["Max", "Min", "Mean", "Sum"]),
        *(Case(op, (X(),)) for op in ["Max", "Min", "Mean", "Sum"]),
        *(Case(op, (X(), F(0.2))) for op in ["Greater", "GreaterOrEqual", "Less", "LessOrEqual"]),
        Case("Equal", (X((2, 3), I64), I64(1))),
        Case("Equal", (X(), F(0.2)), since=11),
        *(Case(op, (_B, _B)) for op in ["And", "Or", "Xor"]),
        Case("Not", (_B,)),
        Case("BitShift", (X((2, 3), np.uint8), np.uint8(1)), {"direction": "LEFT"}),
        *each("IsInf IsNaN"),
        Case("Cast", (X(),), {"to": TensorProto.INT32}),
        Case("Cast", (X((2, 3), I64),), {"to": TensorProto.FLOAT}),
        Case("CastLike", (X((2, 3), I64), F(1))),
        Case("Constant", (), {"value": numpy_helper.from_array(w(2, 2))}),
        Case("Constant", (), {"value_floats": [1.0, 2.0]}, since=12),
        Case("Constant", (), {"value_int": 3}, since=12),
        Case("ConstantOfShape", (ints(2, 3),)),
        Case("ConstantOfShape", (ints(2, 3),), {"value": numpy_helper.from_array(np.array([7], I64))}),
        *each("Shape Size"),
        Case("Shape", (X(),), {"start": 1, "end": -1}, since=15),
        *(Case(op, (I64(8),)) for op in ["BlackmanWindow", "HammingWindow", "HannWindow"]),
        Case("SwiGLU", (X((1, 4)), X((1, 4)))),
    ]


def _normalisations() -> list[Case]:
    four = (w(2), w(2), w(2), np.array([0.5, 2], F))
    return [
        Case("BatchNormalization", (X(), *four), {"epsilon": 1e-3}),
        Case("BatchNormalization", (X((2, 2)), *four)),
        Case("InstanceNormalization", (X(), w(2), w(2))),
        Case("GroupNormalization", (X((1, 4, 3, 3)), w(4), w(4)), {"num_groups": 2}),
        Case("LayerNormalization", (X(), w(4), w(4)), {"axis": -1}),
        Case("LayerNormalization", (X(), w(4, 4)), {"axis": 2}),
        Case("RMSNormalization", (X(), w(4)), {"axis": -1}),
        Case("LpNormalization", (X(),), {"axis": 1}),
        Case("LpNormalization", (X(),), {"axis": 1, "p": 1}),
        Case("MeanVarianceNormalization"),
        Case("MeanVarianceNormalization", (X(),), {"axes": [2, 3]}),
        Case("LRN", (X(),), {"size": 3}),
        Case("Dropout", outputs=1),
        Case("Dropout", (X(), F(0.3)), since=12),
        Case("Dropout", (X(), F(0.3), np.bool_(False)), since=12),
        Case("Dropout", (X(),), {"ratio": 0.3}, until=12),
        *(Case(op, (X(),), {"axis": axis}) for op in ("Softmax", "LogSoftmax", "Hardmax") for axis in (1, 3)),
        *(Case(op) for op in ("Softmax", "LogSoftmax", "Hardmax")),
        *(Case(op, (X(),), {"axis": -2}, since=11) for op in ("Softmax", "LogSoftmax", "Hardmax")),
    ]


def _linear() -> list[Case]:
    return [
        Case("Gemm", (_V, w(3, 4), w(4))),
        Case("Gemm", (X((3, 2)), w(4, 3), w(1, 4)), {"transA": 1, "transB": 1, "alpha": 0.5, "beta": 2.0}),
        Case("Gemm", (_V, w(3, 4)), since=11),
        Case("MatMul", (X((1, 2, 4, 4)), w(4, 3))),
        Case("MatMul", (X((2, 3, 4)), X((2, 4, 3)))),
        Case("MatMul", (X((4,)), w(4, 3))),
        Case("Einsum", (X((2, 3)), X((3, 4))), {"equation": "ij,jk->ik"}),
        Case("Det", (X((2, 3, 3)),)),
        Case("Attention", (X((1, 2, 3, 4)), X((1, 2, 5, 4)), X((1, 2, 5, 4)))),
        Case("Attention", (X((1, 3, 8)), X((1, 5, 8)), X((1, 5, 8))), {"q_num_heads": 2, "kv_num_heads": 2}),
    ]


CASES = (*_elementwise(), *_normalisations(), *_linear())
