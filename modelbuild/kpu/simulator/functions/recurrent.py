"""The gated recurrent unit."""

from __future__ import annotations

import numpy as np

from modelbuild.kpu.simulator.call import Call
from modelbuild.kpu.simulator.functions.elementwise import exp, tanh
from modelbuild.kpu.simulator.functions.sums import in_order
from modelbuild.kpu.simulator.memory import Array

_ONE = np.float32(1)
_REVERSE = 1


def gru(call: Call) -> None:
    """GRU over a sequence, each sum one product after the other. The initial state is overwritten with the
    last one, where it lies: in the constants too."""
    shape, weights_shape = call.sizes("input_shape_src"), call.sizes("w_shape_src")
    if len(shape) != 3 or len(weights_shape) != 3 or weights_shape[1] % 3:
        raise call.fail(f"from {list(shape)} with weights {list(weights_shape)}")
    (steps, batch, inputs), (directions, triple) = shape, weights_shape[:2]
    hidden = triple // 3
    call.inexact()
    call.spend(steps * directions * batch * triple * (inputs + hidden), steps * directions * 20)
    x, w = call.load("input", shape), call.load("w", (directions, 3, hidden, inputs))
    r, b = call.load("r", (directions, 3, hidden, hidden)), call.load("b", (directions, 6, hidden))
    state = call.load("initial_h", (directions, batch, hidden)).copy()
    found = np.zeros((steps, directions, batch, hidden), np.float32)
    order = range(steps)
    if call.number("direction") == _REVERSE:
        order = order[::-1]
    for direction in range(directions):
        if direction == 1:
            order = order[::-1]
        for step in order:
            state[direction] = _step(
                x[step],
                state[direction],
                w[direction],
                r[direction],
                b[direction],
                linear=call.flag("linear_before_reset"),
            )
            found[step, direction] = state[direction]
    call.store("output", found)
    call.store("output_h", state)
    call.store("initial_h", state, anywhere=True)


def _step(x: Array, state: Array, w: Array, r: Array, b: Array, *, linear: bool) -> Array:
    """The next state of (batch, hidden)."""

    def sums(values: Array, factors: Array, bias: Array) -> Array:
        return np.asarray(in_order(values.T[:, :, None] * factors.T[:, None, :], 0) + bias)

    update, reset = (
        _logistic(sums(x, w[gate], b[gate]) + sums(state, r[gate], b[3 + gate])) for gate in (0, 1)
    )
    own = sums(x, w[2], b[2])
    if linear:
        candidate = tanh(own + reset * sums(state, r[2], b[5]))
    else:
        candidate = tanh(own + sums(reset * state, r[2], b[5]))
    return np.asarray((_ONE - update) * candidate + update * state)


def _logistic(values: Array) -> Array:
    return np.asarray(_ONE / (_ONE + exp(-values)))
