"""Tensor functions against values worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.kpu.simulator import simulate
from tests.kpu.simulator.calls import CODES, F32, I32, I64, U8, Case, case, together
from tests.kpu.simulator.handmade import dense

INF = float("inf")
THROUGH = ("i0", "o0")
LINE = {"rstride_src": (1,), "rstride_dest": (1,)}
OPEN = {"fused_clamp_low": -INF, "fused_clamp_high": INF}


def result(item: Case) -> list[object]:
    """The first output."""
    data, inputs = together([item])
    found: list[object] = simulate(data, inputs).outputs[0].tolist()
    return found


def f32(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def test_quantize_rounds_ties_to_even_and_takes_the_lowest_for_what_is_too_large() -> None:
    x = f32(0.5, 1.5, -0.5, -3, 300, 3e9, -3e9, np.nan, np.inf)
    for target, wanted in (
        (U8, [0, 2, 0, 0, 255, 0, 0, 0, 0]),
        (0, [0, 2, 0, -3, 127, -128, -128, -128, -128]),
    ):
        item = case(
            "quantize", [x], [(target, (9,))], (*THROUGH, 1.0, 0.0), in_datatype=F32, dst_datatype=target,
            rshape_src=(9,), **LINE,
        )  # fmt: skip
        assert result(item) == wanted


def test_quantize_rounds_the_product_before_it_adds() -> None:
    """Two roundings to float32, then one to a whole number."""
    scale, bias = np.float32(0.1), np.float32(0.2)
    x = f32(*range(1, 40))
    item = case(
        "quantize", [x], [(U8, (39,))], (*THROUGH, float(scale), float(bias)), in_datatype=F32,
        dst_datatype=U8,
        rshape_src=(39,), **LINE,
    )  # fmt: skip
    assert result(item) == [int(np.rint(np.float32(np.float32(value * scale) + bias))) for value in x]


def test_dequantize() -> None:
    item = case(
        "dequantize", [np.array([0, 1, 255], np.uint8)], [(F32, (3,))], (*THROUGH, 0.5, -3.0), in_datatype=U8,
        dst_datatype=F32, rshape_src=(3,), **LINE,
    )  # fmt: skip
    assert result(item) == [-3.0, -2.5, 124.5]


def test_the_clamp_keeps_minus_zero_and_nan() -> None:
    x = f32(-0.0, 0.0, np.nan, -1, 7)
    item = case(
        "binary", [x, f32(1)], [(F32, (5,))], ("i0", "i1", "o0"), datatype=F32, rshape_src1=(5,),
        rstride_src1=(1,),
        rshape_src2=(1,), rstride_src2=(1,), rshape_dest=(5,), rstride_dest=(1,), binary_op=2,
        fused_clamp_low=0.0,
        fused_clamp_high=6.0,
    )  # fmt: skip
    found = np.array(result(item))
    assert np.signbit(found).tolist()[:2] == [True, False]
    assert np.isnan(found[2])
    assert found[3:].tolist() == [0, 6]


def test_large_whole_numbers_lose_bits_in_the_clamp() -> None:
    x = np.array([(1 << 24) + 1, 5, -(1 << 31)], np.int32)
    item = case(
        "binary", [x, np.array([0], np.int32)], [(I32, (3,))], ("i0", "i1", "o0"), datatype=I32,
        rshape_src1=(3,),
        rstride_src1=(1,), rshape_src2=(1,), rstride_src2=(1,), rshape_dest=(3,), rstride_dest=(1,),
        binary_op=0,
        **OPEN,
    )  # fmt: skip
    assert result(item) == [1 << 24, 5, -(1 << 31)]


def test_sums_go_from_the_first_to_the_last() -> None:
    """1e8 + 1 is 1e8 in float32: the order shows."""
    for values, wanted in ((f32(1e8, 1, -1e8, 3), 3.0), (f32(1e8, -1e8, 1, 3), 4.0)):
        item = case(
            "reduce", [values], [(F32, (1,))], (*THROUGH, 0.0), datatype=F32, rshape_src=(4,), **LINE,
            reduce_op=3,
            rshape_axis=(0,), keep_dims=1,
        )  # fmt: skip
        assert result(item) == [wanted]


def test_a_product_of_matrices_begins_with_the_bias() -> None:
    a, b = f32(1, -1).reshape(1, 2), f32(1, 1e8).reshape(2, 1)
    item = case(
        "matmul", [a, b, f32(1e8)], [(F32, (1, 1))], ("i0", "i1", "i2", "o0"), rshape_src1=(1, 2),
        rstride_src1=(2, 1), rshape_src2=(2, 1), rstride_src2=(1, 1), rshape_dest=(1, 1),
        rstride_dest=(1, 1), **OPEN,
    )  # fmt: skip
    assert result(item) == [[0.0]]  # (1e8 + 1) - 1e8, not 1


def conv(
    x: np.ndarray,
    weights: np.ndarray,
    bias: np.ndarray,
    out: Sequence[int],
    pads: Sequence[int],
    groups: int = 1,
) -> Case:
    return case(
        "conv2d", [x, weights, bias], [(F32, tuple(out))], ("i0", "i1", "i2", "o0", *pads), datatype=F32,
        rshape_src=x.shape, rstride_src=dense(x.shape), rshape_kernel=weights.shape,
        rstride_kernel=dense(weights.shape), rstride_bias=(1,), rstride_dest=dense(out), groups=groups,
        stride_h=1,
        stride_w=1, dilation_h=1, dilation_w=1, **OPEN,
    )  # fmt: skip


def test_convolution() -> None:
    x = np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2)
    weights = f32(1, 0, 0, 0, 0, 10, 0, 0).reshape(1, 2, 2, 2)
    # One row above: x0[y - 1, x] + 10 * x1[y - 1, x + 1], and what is above is left out.
    assert result(conv(x, weights, f32(0.5), (1, 1, 2, 1), (1, 0, 0, 0, 0, 0))) == [[[[0.5], [50.5]]]]
    apart = f32(1, 2, 3, 4).reshape(2, 1, 1, 2)
    assert result(conv(x, apart, f32(0, 0), (1, 2, 2, 1), (0, 0, 0, 0, 0, 0), 2)) == [
        [[[2.0], [8.0]], [[32.0], [46.0]]]
    ]


def test_a_kernel_whose_order_is_not_known_is_marked() -> None:
    x, weights = np.ones((1, 3, 1, 1), np.float32), np.ones((3, 3, 1, 1), np.float32)
    for strides, exact in (((3, 1, 1, 1), False), ((0, 1, 1, 1), True)):
        item = conv(x, weights, f32(0, 0, 0), (1, 3, 1, 1), (0, 0, 0, 0, 0, 0))
        ((function, stack, operands),) = item.calls
        changed = Case(
            "", item.inputs, item.outputs, ((function, stack, {**operands, "rstride_src": strides}),)
        )
        data, inputs = together([changed])
        assert [event.exact for event in simulate(data, inputs).events] == [exact]


def test_the_mean_of_a_window_is_over_what_is_inside() -> None:
    x = f32(1, 2, 3, 4).reshape(1, 1, 2, 2)
    item = case(
        "reduce_window2d", [x], [(F32, (1, 1, 2, 2))], ("i0", 0.0, "o0", 1, 0, 0, 1, 0, 0), datatype=F32,
        reduce_op=0,
        rshape_src=x.shape, rstride_src=dense(x.shape), rstride_dest=(4, 4, 2, 1), filter_h=2,
        filter_w=2, stride_h=1,
        stride_w=1, dilation_h=1, dilation_w=1, **OPEN,
    )  # fmt: skip
    assert result(item) == [[[[1.0, 1.5], [2.0, 2.5]]]]


@pytest.mark.parametrize(
    ("mode", "corners", "centres", "wanted"),
    [
        (0, 0, 0, [0.0, 5.0, 10.0, 10.0]),
        (0, 0, 1, [0.0, 2.5, 7.5, 10.0]),
        (0, 1, 0, [0.0, 10 / 3, 20 / 3, 10.0]),
        (1, 0, 0, [0.0, 0.0, 10.0, 10.0]),
        (1, 1, 0, [0.0, 0.0, 10.0, 10.0]),
    ],
)
def test_resizing(mode: int, corners: int, centres: int, wanted: list[float]) -> None:
    item = case(
        "resize_image", [f32(0, 10).reshape(1, 1, 1, 2)], [(F32, (1, 1, 1, 4))], (1, 4, *THROUGH),
        datatype=F32,
        rshape_src=(1, 1, 1, 2), rstride_src=(2, 2, 2, 1), rstride_dest=(4, 4, 4, 1), align_corners=corners,
        half_pixel_centers=centres, image_resize_mode=mode,
    )  # fmt: skip
    assert np.allclose(np.array(result(item)).reshape(-1), wanted, atol=1e-6)


def test_paddings() -> None:
    for mode, wanted in (
        (0, [9, 9, 1, 2, 3, 9]),
        (1, [3, 2, 1, 2, 3, 2]),
        (2, [2, 1, 1, 2, 3, 3]),
        (3, [1, 1, 1, 2, 3, 3]),
    ):
        item = case(
            "pad", [np.array([1, 2, 3], np.uint8)], [(U8, (6,))], (*THROUGH, 9), datatype=U8,
            rshape_src=(3,), **LINE,
            rpaddings=[(2, 1, 0)], pad_mode=mode,
        )  # fmt: skip
        assert result(item) == wanted


def test_slices() -> None:
    x = np.arange(6, dtype=np.uint8)
    for begin, end, step, wanted in ((1, 6, 2, [1, 3, 5]), (5, -1, -3, [5, 2]), (4, 1, -1, [4, 3, 2])):
        item = case(
            "slice", [x], [(U8, (len(wanted),))], THROUGH, datatype=U8, rshape_src=(6,), **LINE,
            rbegins=(begin,),
            rends=(end,), rstrides=(step,),
        )  # fmt: skip
        assert result(item) == wanted


def test_the_largest_of_equal_ones() -> None:
    x = f32(3, 1, 3, 2)
    item = case(
        "topk", [x], [(F32, (3,)), (I64, (3,))], ("i0", "o0", "o1"), datatype=F32, rshape_src=(4,),
        rstride_src=(1,),
        rshape_dest1=(3,), rstride_dest1=(1,), rshape_dest2=(3,), rstride_dest2=(1,), k=3, axis=0,
        largest=1, sorted=1,
    )  # fmt: skip
    data, inputs = together([item])
    assert [found.tolist() for found in simulate(data, inputs).outputs] == [[3, 3, 2], [2, 0, 3]]


def test_what_differs_by_less_than_a_millionth_is_equal() -> None:
    x = f32(1, 0.9999995, 0.5)
    for last, wanted in ((0, 0), (1, 1)):
        item = case(
            "reduce_arg", [x], [(I32, (1,))], THROUGH, datatype_src=F32, rshape_src=(3,), rstride_src=(1,),
            datatype_dest=I32, rstride_dest=(1,), reduce_arg_op=1, rshape_axis=(0,), keep_dims=1,
            select_last_idx=last,
        )  # fmt: skip
        assert result(item) == [wanted]


def test_no_maximum_among_negative_values() -> None:
    item = case(
        "hardmax", [f32(-1, -2, 3, 3).reshape(2, 2)], [(F32, (2, 2))], THROUGH, datatype=F32,
        rshape_src=(2, 2),
        rstride_src=(2, 1), axis=1,
    )  # fmt: skip
    assert result(item) == [[0.0, 0.0], [1.0, 0.0]]


@pytest.mark.parametrize(
    ("dtype", "wanted"), [("uint8", [4, 44, 255]), ("int8", [4, 44, -1]), ("int64", [4, 300, -1])]
)
def test_conversions_cut(dtype: str, wanted: list[int]) -> None:
    item = case(
        "convert", [f32(4.9, 300.7, -1.9)], [(CODES[dtype], (3,))], THROUGH, in_datatype=F32,
        dst_datatype=CODES[dtype], rshape_src=(3,), **LINE,
    )  # fmt: skip
    assert result(item) == wanted


def indexed(index: int) -> Case:
    return case(
        "gather", [f32(1, 2, 3), np.array([index], np.int32)], [(F32, (1,))], ("i0", "o0", "i1"),
        datatype=F32,
        rshape_src=(3,), rshape_dest=(1,), **LINE, rshape_indices=(1,), axis=0,
    )  # fmt: skip


def test_indices_must_lie_inside() -> None:
    assert result(indexed(2)) == [3]
    for index in (3, -1):
        with pytest.raises(ModelbuildError, match="outside of a dimension of 3"):
            result(indexed(index))


def test_kernels_that_the_runtime_does_not_have() -> None:
    for operation, why in ((16, "no operation 16"), (99, "no operation 99")):
        item = case(
            "unary",
            [f32(1)],
            [(F32, (1,))],
            THROUGH,
            datatype=F32,
            rshape_src=(1,),
            **LINE,
            unary_op=operation,
        )
        with pytest.raises(ModelbuildError, match=why):
            result(item)
    item = case(
        "hardmax", [f32(1)], [(F32, (1,))], THROUGH, datatype=U8, rshape_src=(1,), rstride_src=(1,), axis=0
    )
    with pytest.raises(ModelbuildError, match="no kernel for uint8"):
        result(item)
