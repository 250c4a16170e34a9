"""Which outputs of a window see which cells, against counting; a picture with zeros between its cells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.npu.program import Instruction, LayerPlace, ProgramInterface
from modelbuild.npu.program import setups as s
from modelbuild.npu.program import tiles as t
from modelbuild.npu.program.transfers import Layer, Load, Store
from modelbuild.npu.simulator import simulate
from modelbuild.npu.simulator.windows import overlap, taps
from tests.npu.constant_loads import raw_constants
from tests.npu.simulator.hand_written import tensor, tiny

small = st.integers(1, 7)


@given(small, small, small, st.integers(-9, 9), st.integers(0, 12), small)
def test_outputs_and_cells_against_counting(
    outputs: int, inputs: int, stride: int, pad: int, reach: int, step: int
) -> None:
    cells = {index * step: index for index in range(inputs)}
    expected = [
        (output, cells[output * stride - pad + reach])
        for output in range(outputs)
        if output * stride - pad + reach in cells
    ]
    found = overlap(outputs, inputs, stride, pad, reach, step)
    pairs = []
    if found:
        pairs = [(int(a), int(b)) for a, b in zip(*(np.arange(99)[part] for part in found), strict=True)]
    assert pairs == expected


@given(small, small, small, small, small, st.integers(-3, 9), small)
def test_no_tap_that_sees_a_cell_is_left_out(
    kernel: int, dilation: int, outputs: int, inputs: int, stride: int, pad: int, step: int
) -> None:
    found = list(taps(kernel, dilation, outputs, inputs, stride, pad, step))
    expected = [
        (tap, *seen)
        for tap in range(kernel)
        if (seen := overlap(outputs, inputs, stride, pad, tap * dilation, step))
    ]
    assert found == expected


SIZE = 4  # rows and columns of the picture


def stepped(setup: s.ConvolutionSetup, rows: int, outputs: int, pad_top: int, x: np.ndarray) -> np.ndarray:
    """The convolution of two channels `x` [2, rows, columns] to two."""
    draw = np.random.default_rng(5)
    kernel = setup.kernel_height * setup.kernel_width
    weights = draw.integers(-9, 9, 2 * 2 * kernel).astype(np.int8).tobytes()
    weights += ((7).to_bytes(4, "little") + (5).to_bytes(4, "little") + b"\4") * 2
    size = 2 * outputs * setup.output_width
    places = (tensor("x", 0, x.size), tensor("y", x.size, size))
    start = len(weights)
    tile = t.Convolution(
        input=start,
        input_slots=rows,
        input_first=0,
        weights=0,
        output=start + x.size,
        output_slots=outputs,
        output_first=0,
        groups=1,
        group_outputs=2,
        input_rows=rows,
        output_rows=outputs,
        pad_top=pad_top,
    )
    stream: tuple[Instruction, ...] = (
        Layer(0),
        setup,
        raw_constants(0, 0, start),
        Load(0, start, x.size),
        tile,
        Store(x.size, start + x.size, size),
    )
    layer = LayerPlace("l0", "conv", "npu", (places[1],))
    interface = ProgramInterface("step", "multiplier_shift@1", "test", places[:1], places[1:], (layer,), {})
    program = tiny(stream, weights, interface=interface, dram_size=x.size + size, sram_size=1 << 14)
    return simulate(*program, {"x": x.reshape(-1)}).outputs["y"]


@given(st.data())
def test_a_stepped_picture_is_one_with_zeros_between(data: st.DataObject) -> None:
    def pick(low: int, high: int) -> int:
        return data.draw(st.integers(low, high))

    step, kernel = (pick(1, 4), pick(1, 4)), (pick(1, 4), pick(1, 4))
    dilation = tuple(1 if size == 1 else pick(1, 2) for size in kernel)
    wide = tuple((SIZE - 1) * each + 1 for each in step)
    pad_top = pick(0, 5)
    outputs, width = pick(2, 9), pick(2, 9)
    setup = s.ConvolutionSetup(
        input_type=1,
        weight_type=1,
        output_type=1,
        kernel_height=kernel[0],
        kernel_width=kernel[1],
        stride_height=pick(1, 3),
        stride_width=pick(1, 3),
        dilation_height=dilation[0],
        dilation_width=dilation[1],
        input_step_height=step[0],
        input_step_width=step[1],
        pad_left=pick(0, 5),
        input_width=SIZE,
        output_width=width,
        group_inputs=2,
        input_zero=-3,
        output_zero=2,
        low=-128,
        high=127,
    )
    x = np.random.default_rng(pick(0, 99)).integers(-128, 128, (2, SIZE, SIZE)).astype(np.int8)
    spread = np.full((2, *wide), setup.input_zero, np.int8)
    spread[:, :: step[0], :: step[1]] = x
    plain = replace(setup, input_step_height=1, input_step_width=1, input_width=wide[1])
    expected = stepped(plain, wide[0], outputs, pad_top, spread)
    assert np.array_equal(stepped(setup, SIZE, outputs, pad_top, x), expected)
