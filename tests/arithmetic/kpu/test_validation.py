"""What kpu@1 does not allow is refused with the operator's name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from modelbuild.arithmetic.fixed_model import FixedModel, float_tensor
from modelbuild.arithmetic.kpu import KpuSession, run
from modelbuild.arithmetic.sessions import SESSIONS, session
from modelbuild.arithmetic.validation import validate
from modelbuild.errors import ModelbuildError
from tests.arithmetic.dice import Dice
from tests.arithmetic.kpu import cases
from tests.arithmetic.kpu.made import byte_tensor, one
from tests.arithmetic.random_models import BUILDERS as OTHERS

Change = Callable[[FixedModel], FixedModel]
MODELS = {kind: build(Dice(3)) for kind, build in cases.BUILDERS.items()}
MODELS["kpu_conv"] = cases.layer(
    Dice(3), shape=(1, 4, 5, 6), outputs=5, kernel=3, depthwise=0, pool="max_2_s2"
)


def parameters(**changed: Any) -> Change:
    def change(model: FixedModel) -> FixedModel:
        operator = model.operators[0]
        return replace(model, operators=(replace(operator, parameters={**operator.parameters, **changed}),))

    return change


def constant(role: str, values: Any) -> Change:
    return lambda model: replace(model, constants={**model.constants, f"c/{role}": np.asarray(values)})


def tensor(name: str, **changed: Any) -> Change:
    return lambda m: replace(m, tensors={**m.tensors, name: replace(m.tensors[name], **changed)})


def stored(role: str, at: int, value: int) -> Change:
    """One number of a constant changed."""

    def change(model: FixedModel) -> FixedModel:
        values = model.constants[f"c/{role}"].copy()
        values[at] = value
        return constant(role, values)(model)

    return change


@pytest.mark.parametrize("kind", sorted(MODELS))
def test_models_are_valid(kind: str) -> None:
    validate(MODELS[kind])


@pytest.mark.parametrize(
    ("kind", "change", "text"),
    [
        ("kpu_conv", parameters(kernel=5), "kernel must be 1 or 3"),
        ("kpu_conv", parameters(kernel=1), r"weights must end in \[1, 1\]"),
        ("kpu_conv", parameters(depthwise=1), "weights are for 4 channels, not 1"),
        ("kpu_conv", parameters(depthwise=2), "depthwise must lie in 0...1"),
        ("kpu_conv", parameters(pool="max_3_s3"), "'max_3_s3' is none of bypass, max_2_s2"),
        ("kpu_conv", parameters(pool=3), "pool must be a text"),
        ("kpu_conv", parameters(pool="bypass"), r"it makes \[1, 5, 5, 6\]"),
        ("kpu_conv", parameters(pad_value=256), "pad_value must lie in 0...255"),
        ("kpu_conv", parameters(arg_x=1 << 23), "arg_x must lie in"),
        ("kpu_conv", parameters(shift_w=16), "shift_w must lie in 0...15"),
        ("kpu_conv", parameters(arg_add=1 << 39), "arg_add must lie in"),
        ("kpu_conv", parameters(arg_add=(1 << 35) // 2), "sum of channel 0 may reach .* 36 bits"),
        ("kpu_conv", constant("weight", np.zeros((5, 4, 3, 3), np.int8)), "weight must hold uint8"),
        ("kpu_conv", constant("weight", np.zeros((5, 4), np.uint8)), "weight must have 4 axes"),
        ("kpu_conv", constant("bn_shift", np.zeros(4, np.uint8)), "bn_shift must have 5 entries"),
        ("kpu_conv", stored("bn_shift", 1, 16), "bn_shift leaves 0...15"),
        ("kpu_conv", stored("bn_multiplier", 1, 1 << 23), "bn_multiplier leaves"),
        ("kpu_conv", stored("segment_shift", 15, 44), "segment_shift leaves 0...43"),
        ("kpu_conv", stored("segment_start", 0, -(1 << 35) - 1), "segment_start leaves"),
        ("kpu_conv", stored("segment_start", 15, -(1 << 35)), "segment_start must not descend"),
        ("kpu_conv", tensor("x", signed=True), "must hold bytes without a sign"),
        ("kpu_conv", tensor("x", bits=16), "integers have 8 bits"),
        ("quantize", tensor("x", scale=2.0), "floats have 32 bits, the scale 1"),
        ("quantize", constant("factor", np.float32(np.inf)), "factor holds numbers that are not finite"),
        ("quantize", constant("factor", np.float64(1)), "factor must hold float32"),
        ("lookup", constant("table", np.zeros(255, np.uint8)), "table must have 256 entries"),
        ("pad", parameters(mode="wrap"), "mode 'wrap' is none of constant"),
        ("binary", parameters(op="mod"), "op 'mod' is none of add"),
        ("binary", constant("low", np.float32(9)), "low lies above high"),
        ("unary", parameters(op="gelu"), "op 'gelu' is none of"),
        ("reduce", parameters(keep=2), "keep must lie in 0...1"),
        ("reduce", parameters(axes=(9,)), "axis is out of range"),
        ("softmax", parameters(axis=3), "axis is out of range"),
        ("resize_bilinear", parameters(align_corners=1, half_pixel=1), "corners or half pixels"),
        ("window", parameters(strides=(1,)), "strides must hold 2"),
        ("conv", parameters(group=0), "do not divide into the groups"),
        ("gather", constant("indices", np.zeros(1, np.int64)), "indices must hold int32"),
    ],
)
def test_what_is_wrong_is_named(kind: str, change: Change, text: str) -> None:
    with pytest.raises(ModelbuildError, match=text) as caught:
        validate(change(MODELS[kind]))
    assert caught.value.exit_code == 2 and caught.value.problems[0].where


def test_formats_are_checked() -> None:
    def concat(*tensors: Any) -> FixedModel:
        return one("concat", list(tensors), {"axis": 0})

    x, y = byte_tensor("x", (1,)), byte_tensor("y", (2,))
    validate(concat(x, byte_tensor("z", (1,)), y))
    for other in (byte_tensor("z", (1,), 0.25), byte_tensor("z", (1,), 0.125, 8), float_tensor("z", (1,))):
        with pytest.raises(ModelbuildError, match="'z' and the output must share type, scale and zero point"):
            validate(concat(x, other, y))
    plain = {"factor": np.array(1, np.float32), "offset": np.array(0, np.float32)}
    for kind, text in (("quantize", "'x' must hold float32"), ("dequantize", "output must hold float32")):
        wrong = one(kind, [x, byte_tensor("y", (1,))], {}, plain)
        with pytest.raises(ModelbuildError, match=text):
            validate(wrong)
    widths = {"before": (0,), "after": (1,), "mode": "edge"}
    moved = one("pad", [x, y], widths, {"value": np.array(0, np.float32)})
    with pytest.raises(ModelbuildError, match="value must hold uint8"):
        validate(moved)


def test_values_below_all_segments_are_refused() -> None:
    model = MODELS["kpu_conv"]
    starts = model.constants["c/segment_start"].copy()
    starts[0] = starts[1] - 1
    with pytest.raises(ModelbuildError, match=r"a value may be -\d+, and the first segment begins above"):
        validate(constant("segment_start", starts)(model))


def test_a_cpu_has_no_kpu_layers() -> None:
    validate(replace(MODELS["conv"], arithmetic="float32"))
    with pytest.raises(ModelbuildError, match="no such kind"):
        validate(replace(MODELS["kpu_conv"], arithmetic="float32"))


def test_the_session_is_chosen_by_the_arithmetic() -> None:
    assert set(SESSIONS) == {"multiplier_shift@1", "kpu@1", "float32"}
    assert isinstance(session(MODELS["binary"]), KpuSession)
    assert isinstance(session(replace(MODELS["binary"], arithmetic="float32")), KpuSession)
    assert not isinstance(session(OTHERS["add"](Dice(1))), KpuSession)
    with pytest.raises(ModelbuildError, match="no arithmetic 'kpu@2'"):
        session(replace(MODELS["binary"], arithmetic="kpu@2"))
    with pytest.raises(ModelbuildError, match="'multiplier_shift@1' is not 'kpu@1'"):
        KpuSession(OTHERS["add"](Dice(1)))


def test_inputs_must_fit_their_tensors() -> None:
    model = MODELS["quantize"]
    shape = model.tensors["x"].shape
    for values, text in (
        (np.zeros(shape, np.int64), "takes floats of shape"),
        (np.zeros((9, 9, 9), np.float32), "takes floats of shape"),
    ):
        with pytest.raises(ModelbuildError, match=text):
            run(model, {"x": values})
    with pytest.raises(ModelbuildError, match="integers from 0 to 255"):
        run(MODELS["kpu_conv"], {"x": np.full((1, 4, 5, 6), 256)})
