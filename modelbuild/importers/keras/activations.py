"""Activations: as layers, and as the argument `activation` of others. Source: Keras's `activations`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from modelbuild.errors import did_you_mean
from modelbuild.graph.model import Attribute
from modelbuild.importers import channels_last_operators as ops
from modelbuild.importers.formulas import gelu_factors
from modelbuild.importers.keras.call import CUT, Call

Function = Callable[[Call, str, str], None]  # call, input, output


def finish(call: Call, write: Callable[[str], None]) -> None:
    """Lets `write` make the layer's output, or a tensor before it where the layer has an activation."""
    given = call.setting("activation", "linear")
    if given == "linear" or _name(given) == "linear":
        write(call.output)
        return
    before = call.scratch("linear")
    write(before)
    activate(call, given, before)


def activate(call: Call, given: Any, data: str) -> None:
    """Makes the layer's output from `data` with the activation that a configuration names."""
    name = _name(given)
    if isinstance(given, dict) and name in LAYERS and isinstance(given.get("config"), dict):
        LAYERS[name](call.configured(given["config"]), data, call.output)
        return
    function = FUNCTIONS.get(name)
    if function is None:
        call.fail(
            f"has the activation `{name}`, which is not known",
            why="an activation of somebody's own is Python code, which is not in the file",
            advice=did_you_mean(name, FUNCTIONS) or CUT,
        )
    function(call, data, call.output)


def layer(function: Function) -> Callable[[Call], None]:
    """A layer that is the activation `function`."""
    return lambda call: function(call, call.input, call.output)


def activation(call: Call) -> None:
    """The layer Activation."""
    activate(call, call.setting("activation", "linear"), call.input)


def _name(given: Any) -> str:
    if isinstance(given, dict):
        inner = given.get("config")
        given = inner if isinstance(inner, str) else given.get("class_name")
    return str(given)


def _plain(op: str, **attributes: Attribute) -> Function:
    return lambda call, data, output: ops.elementwise(call.writer, op, [data], output, attributes)


def _relu6(call: Call, data: str, output: str) -> None:
    ops.clip(call.writer, data, output, 0.0, 6.0)


def _hard_sigmoid(call: Call, data: str, output: str) -> None:
    """Of Keras 3 relu6(x + 3) / 6, before it clip(0.2 x + 0.5, 0, 1)."""
    slope = 1.0 / 6.0 if call.version >= 3 else 0.2
    ops.elementwise(call.writer, "HardSigmoid", [data], output, {"alpha": slope, "beta": 0.5})


def _hard_swish(call: Call, data: str, output: str) -> None:
    ops.elementwise(call.writer, "HardSwish", [data], output)


def _swish(call: Call, data: str, output: str) -> None:
    call.elementwise("Mul", [data, call.elementwise("Sigmoid", [data])], output)


def _mish(call: Call, data: str, output: str) -> None:
    soft = call.elementwise("Softplus", [data])
    call.elementwise("Mul", [data, call.elementwise("Tanh", [soft])], output)


def _gelu(call: Call, data: str, output: str) -> None:
    """The product of `gelu_factors`."""

    def make(op: str, *inputs: str) -> str:
        return call.elementwise(op, inputs)

    number = partial(call.number, "gelu")
    factors = gelu_factors(make, number, data, call.setting("approximate") is True)
    call.elementwise("Mul", factors, output)


def _softmax(call: Call, data: str, output: str) -> None:
    ops.along(call.writer, "Softmax", [data], [output], len(call.shape(data)) - 1)


def _log_softmax(call: Call, data: str, output: str) -> None:
    ops.along(call.writer, "LogSoftmax", [data], [output], len(call.shape(data)) - 1)


FUNCTIONS: Mapping[str, Function] = {
    "elu": _plain("Elu", alpha=1.0),
    "exponential": _plain("Exp"),
    "gelu": _gelu,
    "hard_sigmoid": _hard_sigmoid,
    "hard_silu": _hard_swish,
    "hard_swish": _hard_swish,
    "leaky_relu": _plain("LeakyRelu", alpha=0.2),
    "linear": _plain("Identity"),
    "log_softmax": _log_softmax,
    "mish": _mish,
    "relu": _plain("Relu"),
    "relu6": _relu6,
    "selu": _plain("Selu"),
    "sigmoid": _plain("Sigmoid"),
    "silu": _swish,
    "softmax": _softmax,
    "softplus": _plain("Softplus"),
    "softsign": _plain("Softsign"),
    "swish": _swish,
    "tanh": _plain("Tanh"),
}


def _relu_layer(call: Call, data: str, output: str) -> None:
    """ReLU: x above `threshold`, at most `max_value`; below it negative_slope * (x - threshold)."""
    highest = None if call.setting("max_value") is None else call.real("max_value", 0.0)
    threshold, slope = call.real("threshold", 0.0), call.real("negative_slope", 0.0)
    if threshold == 0.0 and slope == 0.0:
        ops.clip(call.writer, data, output, 0.0, highest)
        return
    above = call.scratch("above")
    passed: dict[str, Attribute] = {"alpha": threshold}
    last = above if slope or highest is not None else output
    ops.elementwise(call.writer, "ThresholdedRelu", [data], last, passed)
    if highest is not None:
        last = call.scratch("limited") if slope else output
        ops.clip(call.writer, above, last, 0.0, highest)
    if slope:
        below = call.elementwise("Sub", [call.number("threshold", threshold), data])
        below = call.elementwise("Relu", [below])
        scaled = call.elementwise("Mul", [below, call.number("slope", slope)])
        call.elementwise("Sub", [last, scaled], output)


def _leaky_relu(call: Call, data: str, output: str) -> None:
    slope = call.real("negative_slope", call.real("alpha", 0.3))
    ops.elementwise(call.writer, "LeakyRelu", [data], output, {"alpha": slope})


def _elu(call: Call, data: str, output: str) -> None:
    ops.elementwise(call.writer, "Elu", [data], output, {"alpha": call.real("alpha", 1.0)})


def _thresholded_relu(call: Call, data: str, output: str) -> None:
    ops.elementwise(call.writer, "ThresholdedRelu", [data], output, {"alpha": call.real("theta", 1.0)})


def _softmax_layer(call: Call, data: str, output: str) -> None:
    axis = call.setting("axis", -1)
    rank = len(call.shape(data))
    if isinstance(axis, list) and len(axis) == 1:
        axis = axis[0]
    if type(axis) is not int or not -rank <= axis < rank:
        call.fail(f"has the axis {axis} on {rank} axes")
    ops.along(call.writer, "Softmax", [data], [output], axis % rank)


def prelu(call: Call) -> None:
    """PReLU: a slope for each number of a sample, or shared along axes."""
    shape, shared = call.shape(), call.setting("shared_axes", [])
    if not isinstance(shared, list) or not all(type(a) is int and 0 < a < len(shape) for a in shared):
        call.fail(f"has `shared_axes: {str(shared)[:60]}`")
    slopes = [1 if axis in shared else size for axis, size in enumerate(shape)][1:]
    weights = np.asarray(call.weight("alpha", slopes))[None]
    ops.elementwise(call.writer, "PRelu", [call.input, call.values("alpha", weights)], call.output)


LAYERS: Mapping[str, Function] = {
    "ELU": _elu,
    "LeakyReLU": _leaky_relu,
    "ReLU": _relu_layer,
    "Softmax": _softmax_layer,
    "ThresholdedReLU": _thresholded_relu,
}
