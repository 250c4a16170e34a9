"""Calls of the functions that compute."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tests.kpu.simulator.calls import CODES, F32, I8, I32, I64, U8, Case, case, floats, wholes
from tests.kpu.simulator.handmade import dense

THROUGH = ("i0", "o0")
ODD = (0.0, -0.0, np.nan, np.inf, -np.inf, 0.5, 1.5, 2.5, -0.5, -1.5, 1e-40, 3.4e38)
ROUGH = {1, 2, 4, 5, 7, 12, 15, 18}  # unary functions of the C library, not rounded alike everywhere
LINE = {"rstride_src": (1,), "rstride_dest": (1,)}


def elements(random: np.random.Generator) -> Iterator[Case]:
    """Unary, binary, compare, ternary, sigmoid."""
    x = np.concatenate([floats(random, 40, low=-9, high=9), np.array(ODD, np.float32)])
    given = {1: floats(random, 52, low=-1, high=1), 2: floats(random, 52, low=-1, high=1)}
    given |= {number: np.abs(x) for number in (7, 10, 13)}
    for number in (*range(16), 17, 18):
        yield case(
            "unary", [given.get(number, x)], [(F32, (52,))], THROUGH, exact=number not in ROUGH, datatype=F32,
            rshape_src=(52,), **LINE, unary_op=number,
        )  # fmt: skip
    yield case("sigmoid", [x], [(F32, (52,))], THROUGH, exact=False, datatype=F32, rshape_src=(52,), **LINE)
    a, b = floats(random, 3, 4, 1), floats(random, 4, 5)
    a[0, 0, 0], b[1] = 0.0, -0.0
    pair = {
        "rshape_src1": (3, 4, 1),
        "rstride_src1": (4, 1, 1),
        "rshape_src2": (4, 5),
        "rstride_src2": (5, 1),
    }
    both = {**pair, "rshape_dest": (3, 4, 5), "rstride_dest": (20, 5, 1)}
    out, stack = (3, 4, 5), ("i0", "i1", "o0")
    for number in (0, 1, 2, 3, 4, 5, 6, 12):
        for dtype in ("float32", "int32", "int64"):
            first, second = (a * 50).astype(dtype), (b * 50).astype(dtype)
            if number == 3 and dtype != "float32":
                second = np.where(second == 0, 3, second).astype(dtype)
            if number == 6:
                first, second = (np.abs(first) % 5 + 1).astype(dtype), (np.abs(second) % 4).astype(dtype)
            low, high = (-np.inf, np.inf) if number % 2 else (-20.0, 33.0)
            yield case(
                "binary", [first, second], [(CODES[dtype], out)], stack, exact=number != 6,
                datatype=CODES[dtype],
                **both, binary_op=number, fused_clamp_low=low, fused_clamp_high=high,
            )  # fmt: skip
    huge = wholes(random, "int64", 3, 4, 1, low=-(1 << 62), high=1 << 62)
    same = {"rshape_dest": (3, 4, 1), "rstride_dest": (4, 1, 1), "rshape_src2": (1,), "rstride_src2": (1,)}
    yield case(
        "binary", [huge, np.array([5], np.int64)], [(I64, (3, 4, 1))], stack, datatype=I64, **{**both,
        **same},
        binary_op=2, fused_clamp_low=-np.inf, fused_clamp_high=np.inf,
    )  # fmt: skip
    for number in range(6):
        for dtype in ("uint8", "float32", "int32", "int64"):
            first, second = (np.abs(a) * 3).astype(dtype), (np.abs(b) * 3).astype(dtype)
            yield case(
                "compare",
                [first, second],
                [(U8, out)],
                stack,
                datatype=CODES[dtype],
                **both,
                compare_op=number,
            )
    zeros = np.where(a > 0, a, 0).astype(np.float32)
    yield case(
        "ternary", [zeros, b, floats(random, 1)], [(F32, out)], ("i0", "i1", "i2", "o0"), datatype=F32,
        **pair,
        rshape_src3=(1,), rstride_src3=(1,), rstride_dest=(20, 5, 1),
    )  # fmt: skip


def types(random: np.random.Generator) -> Iterator[Case]:
    """Convert, quantize, dequantize."""
    odd = [0.0, -0.0, np.nan, np.inf, -np.inf, 2.5, -2.5, 255.5, 256, -129, 3e9, -3e9, 5e9, 1e19, -1e19, 1e30]
    x = np.concatenate([floats(random, 40, low=-300, high=300), np.array(odd, np.float32)])
    sources = {"float32": x}
    for dtype in ("uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64"):
        info = np.iinfo(dtype)
        sources[dtype] = wholes(random, dtype, 56, low=int(info.min), high=int(info.max))
    for name, values in sources.items():
        for target in range(12):
            if target != 10 and (target != 8 or name == "float32"):
                held = 5 if target in (8, 11) else target  # arrays of the judge have no such types
                yield case(
                    "convert", [values], [(held, (56,))], THROUGH, in_datatype=CODES[name],
                    dst_datatype=target,
                    rshape_src=(56,), **LINE,
                )  # fmt: skip
    ties = np.concatenate(
        [np.arange(-40, 40, dtype=np.float32) / 2, floats(random, 20, low=-400, high=400), x]
    )
    for target in (U8, I8):
        for gap in (1, 2):
            for scale, bias in ((1.0, 0.0), (0.37, 128.0), (23.7, -3.0), (1e7, 1.0)):
                count = len(ties) // gap
                yield case(
                    "quantize", [ties], [(target, (count,))], (*THROUGH, scale, bias), in_datatype=F32,
                    dst_datatype=target, rshape_src=(count,), rstride_src=(gap,), rstride_dest=(1,),
                )  # fmt: skip
    for dtype in ("uint8", "int8"):
        for scale, bias in ((0.0123, -1.7), (1e-3, 0.3)):
            yield case(
                "dequantize", [np.arange(256).astype(np.uint8).view(dtype)], [(F32, (256,))],
                (*THROUGH, scale, bias), in_datatype=CODES[dtype], dst_datatype=F32, rshape_src=(256,),
                **LINE,
            )  # fmt: skip


def short(random: np.random.Generator) -> Iterator[Case]:
    """float16 (8) and bfloat16 (11), which arrays of the judge do not have: made by the first call."""
    shape, x = (1, 2, 4, 5), floats(random, 1, 2, 4, 5, low=-70, high=70)
    x[0, 0, 0] = [0.0, -0.0, np.inf, 1e-7, 65520]
    line = {"rshape_src": shape, "rstride_src": dense(shape), "rstride_dest": dense(shape)}
    for code in (8, 11):
        make = ("convert", THROUGH, {"in_datatype": F32, "dst_datatype": code, **line})
        for target in (F32, I32, U8, 11):
            held = 5 if target == 11 else target
            back = ("convert", ("o0", "o1"), {"in_datatype": code, "dst_datatype": target, **line})
            yield Case(f"convert {code} {target}", (x,), ((5, shape), (held, shape)), (make, back))
    for height, width, corners, mode in ((8, 10, 0, 0), (3, 7, 1, 0), (8, 10, 0, 1), (6, 3, 1, 1)):
        out = (1, 2, height, width)
        operands = {
            "datatype": 11, "rshape_src": shape, "rstride_src": dense(shape), "rstride_dest": dense(out),
            "align_corners": corners, "half_pixel_centers": 0, "image_resize_mode": mode,
        }  # fmt: skip
        make = ("convert", THROUGH, {"in_datatype": F32, "dst_datatype": 11, **line})
        calls = (make, ("resize_image", (height, width, "o0", "o1"), operands))
        yield Case(
            f"resize_image of bfloat16 {out} {mode}",
            (np.nan_to_num(x, posinf=3),),
            ((5, shape), (5, out)),
            calls,
        )


def sums(random: np.random.Generator) -> Iterator[Case]:
    """Reductions, sums, products of matrices."""
    shape = (3, 4, 5, 6)
    x = floats(random, *shape, low=-50, high=50)
    x[0, 0, 0] = [0.0, -0.0, 0.0, -0.0, np.nan, 1.0]
    plain = np.nan_to_num(x)
    source = {"rshape_src": shape, "rstride_src": dense(shape)}
    for operation in range(4):
        for axes, keep, out in (
            ((1,), 1, (3, 1, 5, 6)), ((2, 3), 0, (3, 4)), ((0, 1, 2, 3), 0, (1,)), ((3, 0), 1, (1, 4, 5, 1)),
        ):  # fmt: skip
            for dtype, start in (("float32", 0.5), ("int32", 3), ("int64", 3)):
                values = plain.astype(dtype) if dtype != "float32" else x
                yield case(
                    "reduce", [values], [(CODES[dtype], out)], (*THROUGH, start), datatype=CODES[dtype],
                    **source,
                    rstride_dest=dense(out), reduce_op=operation, rshape_axis=axes, keep_dims=keep,
                )  # fmt: skip
    for dtype in ("float32", "int32"):
        code, values = CODES[dtype], (plain / 20).astype(dtype)
        yield case(
            "reduce_prod", [values], [(code, (3, 6))], THROUGH, datatype=code, **source, rstride_dest=(6, 1),
            rshape_axes=(1, 2), keep_dims=0,
        )  # fmt: skip
        for flags in range(4):
            yield case(
                "cumsum", [values], [(code, shape)], THROUGH, datatype=code, rshape_src=shape, axis=2,
                exclusive=flags & 1, reverse=flags >> 1,
            )  # fmt: skip
    for axis in (1, 3, -1):
        yield case(
            "softmax", [plain], [(F32, shape)], THROUGH, exact=False, datatype=F32, **source,
            rstride_dest=dense(shape), axis=axis, beta=0.7,
        )  # fmt: skip
    yield case(
        "layer_normalization", [plain, floats(random, 30), floats(random, 30)], [(F32, shape)],
        ("i0", "i1", "i2", "o0"), datatype=F32, input_shape=shape, axis=2, epsilon=1e-5,
    )  # fmt: skip
    for rows, inner, columns in ((1, 300, 7), (9, 31, 40), (5, 1, 3), (20, 64, 30)):
        sizes = ((2, rows, inner), (1, inner, columns), (2, rows, columns))
        operands = {}
        for name, size in zip(("src1", "src2", "dest"), sizes, strict=True):
            operands |= {f"rshape_{name}": size, f"rstride_{name}": dense(size)}
        values = [floats(random, *sizes[0]), floats(random, *sizes[1]), floats(random, columns)]
        yield case(
            "matmul", values, [(F32, sizes[2])], ("i0", "i1", "i2", "o0"), **operands, fused_clamp_low=-3.0,
            fused_clamp_high=30.0,
        )  # fmt: skip


def choices(random: np.random.Generator) -> Iterator[Case]:
    """The largest and the least."""
    shape = (3, 7, 8)
    x = np.round(floats(random, *shape), 1)
    x[0, 3, 2] = x[0, 1, 2] + np.float32(5e-7)
    source = {"rshape_src": shape, "rstride_src": dense(shape)}
    for axes, out in (((1,), (3, 8)), ((2,), (3, 7)), ((0, 2), (7,)), ((2, 1), (3,))):
        for flags in range(8):
            code = (I32, I64)[flags >> 2]
            yield case(
                "reduce_arg", [x], [(code, out)], THROUGH, datatype_src=F32, **source, datatype_dest=code,
                rstride_dest=dense(out), reduce_arg_op=flags & 1, rshape_axis=axes, keep_dims=0,
                select_last_idx=flags >> 1 & 1,
            )  # fmt: skip
    for axis in (0, 1, 2):
        yield case("hardmax", [x - 1], [(F32, shape)], THROUGH, datatype=F32, **source, axis=axis)
        out = tuple(3 if place == axis else size for place, size in enumerate(shape))
        for flags in range(4):
            yield case(
                "topk", [x], [(F32, out), (I64, out)], ("i0", "o0", "o1"), datatype=F32, **source,
                rshape_dest1=out,
                rstride_dest1=dense(out), rshape_dest2=out, rstride_dest2=dense(out), k=3, axis=axis,
                largest=flags & 1, sorted=flags >> 1,
            )  # fmt: skip


def windows(random: np.random.Generator) -> Iterator[Case]:
    """Convolutions and pools."""
    shape, outer = (2, 6, 10, 11), 12
    source = {"datatype": F32, "rshape_src": shape, "rstride_src": dense(shape)}
    for groups, kernel, stride, dilation, pads in (
        (1, (3, 3), (1, 1), (1, 1), (1, 1, 1, 1)),
        (1, (1, 1), (1, 1), (1, 1), (0, 0, 0, 0)),
        (1, (1, 1), (2, 2), (1, 1), (0, 0, 0, 0)),
        (2, (3, 2), (2, 1), (1, 2), (2, 0, 1, 3)),
        (6, (3, 3), (1, 2), (1, 1), (1, 1, 0, 0)),
        (1, (5, 5), (2, 2), (1, 1), (2, 2, 2, 2)),
        (3, (2, 4), (3, 1), (2, 1), (-1, 3, 4, -1)),
    ):
        reach = [(size - 1) * step + 1 for size, step in zip(kernel, dilation, strict=True)]
        height = (10 + pads[0] + pads[1] - reach[0]) // stride[0] + 1
        width = (11 + pads[2] + pads[3] - reach[1]) // stride[1] + 1
        weights, out = (outer, 6 // groups, *kernel), (2, outer, height, width)
        moving = {
            "stride_h": stride[0],
            "stride_w": stride[1],
            "dilation_h": dilation[0],
            "dilation_w": dilation[1],
        }
        borders = (pads[0], pads[1], 0, pads[2], pads[3], 0)
        values = [floats(random, *shape), floats(random, *weights), floats(random, outer)]
        yield case(
            "conv2d", values, [(F32, out)], ("i0", "i1", "i2", "o0", *borders), **source,
            rshape_kernel=weights,
            rstride_kernel=dense(weights), rstride_bias=(1,), rstride_dest=dense(out), groups=groups,
            **moving,
            fused_clamp_low=-1.5, fused_clamp_high=np.inf,
        )  # fmt: skip
        out = (2, 6, height, width)
        for operation in range(4 if max(pads) < 3 else 0):
            yield case(
                "reduce_window2d", values[:1], [(F32, out)], ("i0", 0.125, "o0", *borders), **source,
                reduce_op=operation, rstride_dest=dense(out), filter_h=kernel[0], filter_w=kernel[1],
                **moving,
                fused_clamp_low=-1.0, fused_clamp_high=0.75,
            )  # fmt: skip


def images(random: np.random.Generator) -> Iterator[Case]:
    """Resizing and regions."""
    shape = (2, 3, 5, 7)
    for dtype in ("float32", "uint8", "int8", "int32"):
        code, x = CODES[dtype], (floats(random, *shape) * 60).astype(dtype)
        x = np.abs(x) if dtype == "int32" else x
        for height, width in ((10, 14), (3, 4), (5, 1), (11, 9)):
            for flags in range(6):
                out = (2, 3, height, width)
                yield case(
                    "resize_image", [x], [(code, out)], (height, width, *THROUGH), datatype=code,
                    rshape_src=shape,
                    rstride_src=dense(shape), rstride_dest=dense(out), align_corners=flags % 3 == 1,
                    half_pixel_centers=flags % 3 == 2, image_resize_mode=flags // 3,
                )  # fmt: skip
    rois = np.array([[0, 0, 6, 4], [1.5, 0.5, 3, 9], [-3, -2, 2, 2], [5, 5, 1, 1]], np.float32)
    values = [floats(random, *shape), rois, np.array([0, 1, 1, 0], np.int64)]
    for mode, ratio in ((0, 0), (0, 2), (1, 0), (1, 2)):
        yield case(
            "roi_align", values, [(F32, (4, 3, 3, 2))], ("i0", "i1", "i2", "o0"), datatype=F32,
            rshape_src=shape,
            rshape_dest=(4, 3, 3, 2), mode=mode, spatial_scale=0.9, sampling_ratio=ratio,
        )  # fmt: skip


def others(random: np.random.Generator) -> Iterator[Case]:
    """GRU, random numbers, detections."""
    for direction, count, linear in ((0, 1, 0), (1, 1, 1), (2, 2, 0), (2, 2, 1)):
        sizes = ((4, 2, 3), (count, 15, 3), (count, 15, 5), (count, 30), (count, 2, 5))
        yield case(
            "gru", [floats(random, *size) for size in sizes], [(F32, (4, count, 2, 5)), (F32, (count, 2, 5))],
            ("i0", "i1", "i2", "i3", "i4", "o0", "o1"), exact=False, input_shape_src=(4, 2, 3),
            w_shape_src=(count, 15, 3), direction=direction, linear_before_reset=linear,
        )  # fmt: skip
    draw = {"datatype_dest": F32, "rshape_dest": (3, 7), "seed": 42.0}
    yield case("random_uniform", [], [(F32, (3, 7))], ("o0",), **draw, low=-1.5, high=2.5)
    yield case("random_normal", [], [(F32, (3, 7))], ("o0",), exact=False, **draw, mean=-1.5, std=2.5)
    values = (
        floats(random, 1, 12, 4),
        floats(random, 1, 12, 4, low=0, high=1),
        floats(random, 12, 4, low=0.2),
    )
    outputs = ((F32, (1, 10, 4)), (F32, (1, 10)), (F32, (1, 10)), (F32, (1,)))
    zeros = np.zeros(40, np.float32)
    for regular in (0, 1):
        # The fast way writes only the boxes that it keeps: all are filled before.
        fill: list[tuple[str, tuple[float | str, ...], dict[str, object]]] = [
            ("copy", ("i3", f"o{place}"), {"datatype": F32, "rshape": (size,), **LINE})
            for place, size in enumerate((40, 10, 10))
        ]
        detect = {
            "box_shape_src": (1, 12, 4), "score_shape_src": (1, 12, 4), "anchor_shape_src": (12, 4),
            "max_detections": 10, "max_classes_per_detection": 1, "detections_per_class": 10,
            "use_regular_non_max_suppression": regular, "nms_score_threshold": 0.3, "nms_iou_threshold": 0.4,
            "num_classes": 3, "y_scale": 10.0, "x_scale": 10.0, "h_scale": 5.0, "w_scale": 5.0,
        }  # fmt: skip
        stack = ("i0", "i1", "i2", "o0", "o1", "o2", "o3")
        calls = (*fill, ("tflite_detection_postprocess", stack, detect))
        yield Case(f"tflite_detection_postprocess {regular}", (*values, zeros), outputs, calls)
