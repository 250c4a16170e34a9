"""Calls of the functions that move and pick elements."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tests.kpu.simulator.calls import CODES, F32, U8, Case, case, floats, wholes
from tests.kpu.simulator.handmade import dense

THROUGH = ("i0", "o0")


def moves(random: np.random.Generator) -> Iterator[Case]:
    """Copies, transpositions, slices and the like, from tensors with gaps."""
    shape, big = (2, 3, 4, 5), (2, 5, 6, 7)
    gaps, x = dense(big), floats(random, *big)
    source = {"rshape_src": big, "rstride_src": gaps}
    for dtype in ("uint8", "int16", "float32", "int64"):
        values, code = x.astype(dtype), CODES[dtype]
        yield case(
            "copy", [values], [(code, shape)], THROUGH,
            datatype=code, rshape=shape, rstride_src=gaps, rstride_dest=dense(shape),
        )  # fmt: skip
        out = (4, 2, 5, 3)
        yield case(
            "transpose", [values], [(code, out)], THROUGH, datatype=code, rshape_src=shape, rstride_src=gaps,
            rstride_dest=dense(out), rshape_perm=(2, 0, 3, 1),
        )  # fmt: skip
        for steps, out in (
            ((1, 1, 1, 1), (1, 2, 3, 4)),
            ((1, 1, 2, 1), (1, 2, 2, 4)),
            ((1, 1, 1, 3), (1, 2, 3, 2)),
        ):
            yield case(
                "slice", [values], [(code, out)], THROUGH, datatype=code, **source, rstride_dest=dense(out),
                rbegins=(1, 2, 1, 0), rends=(2, 4, 4, 4), rstrides=steps,
            )  # fmt: skip
    out = (2, 2, 6, 3)
    yield case(
        "slice", [x], [(F32, out)], THROUGH, datatype=F32, **source, rstride_dest=dense(out), rbegins=(0,
        3, 0, 6),
        rends=(2, -1, 6, 0), rstrides=(1, -2, 1, -2),
    )  # fmt: skip
    five, out = (2, 5, 2, 3, 7), (1, 3, 1, 3, 2)
    yield case(
        "slice", [x], [(F32, out)], THROUGH, datatype=F32, rshape_src=five, rstride_src=dense(five),
        rstride_dest=dense(out), rbegins=(1, 0, 1, 0, 1), rends=(2, 5, 2, 3, 6), rstrides=(1, 2, 1, 1, 3),
    )  # fmt: skip
    yield case(
        "broadcast", [x], [(F32, shape)], THROUGH, datatype=F32, rshape_src=(3, 1, 5), rstride_src=(35, 7, 1),
        rshape_dest=shape, rstride_dest=dense(shape),
    )  # fmt: skip
    first = {"datatype": F32, "rshape": big, "rstride_src": gaps, "rstride_dest": gaps}
    for place, strides in (("o0+8", dense(shape)), ("o0", (60, 1, 3, 12))):
        then = {"datatype": F32, "rshape": shape, "rstride_src": strides, "rstride_dest": gaps}
        calls = (("copy", THROUGH, first), ("copy", ("i1", place), then))
        yield Case(f"copy into {place}", (x, floats(random, *shape)), ((F32, big),), calls)
    six = (2, 1, 1, 3, 2, 5)
    yield case(
        "copy", [x], [(F32, six)], THROUGH, datatype=F32, rshape=six, rstride_src=(60, 60, 60, 14, 7, 1),
        rstride_dest=dense(six),
    )  # fmt: skip
    for upper, k in ((0, -1), (0, 0), (0, 2), (1, -1), (1, 0), (1, 2)):
        x = floats(random, 2, 4, 5)
        yield case(
            "trilu", [x], [(F32, x.shape)], THROUGH, datatype=F32, rshape_src=x.shape, upper=upper, k=k
        )


def borders(random: np.random.Generator) -> Iterator[Case]:
    """Paddings and blocks."""
    for dtype, value in (("float32", 0.25), ("uint8", 7), ("int8", -3), ("int16", -700)):
        code, x = CODES[dtype], (floats(random, 2, 4, 3) * 60).astype(dtype)
        for mode in range(4):
            yield case(
                "pad", [x], [(code, (3, 5, 6))], (*THROUGH, value), datatype=code, rshape_src=(2, 4, 3),
                rstride_src=dense((2, 4, 3)), rstride_dest=dense((3, 5, 6)),
                rpaddings=[(1, 0, 0), (-1, 2, 0), (2, 1, 0)], pad_mode=mode,
            )  # fmt: skip
    yield case(
        "pad", [floats(random, 2, 3, 4)], [(F32, (2, 8, 8))], (*THROUGH, 0.5), datatype=F32,
        rshape_src=(2, 3, 4),
        rstride_src=dense((2, 3, 4)), rstride_dest=dense((2, 8, 8)),
        rpaddings=[(0, 0, 0), (1, 0, 2), (0, 1, 1)], pad_mode=0,
    )  # fmt: skip
    shape = (4, 2, 3, 5)
    for dtype in ("float32", "uint8"):
        code, x = CODES[dtype], (floats(random, *shape) * 60).astype(dtype)
        for name, out, crops in (
            ("batch_to_space", (1, 2, 5, 8), [(0, 1, 0), (1, 1, 0)]),
            ("space_to_batch", (16, 2, 2, 3), [(0, 1, 0), (1, 0, 0)]),
        ):
            yield case(
                name, [x], [(code, out)], THROUGH, datatype=code, rshape_src=shape, rstride_src=dense(shape),
                rstride_dest=dense(out), rshape_block=(2, 2), rpad_crops=crops,
            )  # fmt: skip


def picks(random: np.random.Generator) -> Iterator[Case]:
    """Elements by indices."""
    big = (4, 5, 6)
    x, index = floats(random, *big), wholes(random, "int32", 2, 3, high=5)
    for inner in (6, 3):
        out = (4, 2, 3, inner)
        yield case(
            "gather", [x, index], [(F32, out)], ("i0", "o0", "i1"), datatype=F32, rshape_src=(4, 5, inner),
            rshape_dest=out, rstride_src=(30, 6, 1), rstride_dest=dense(out), rshape_indices=(2, 3), axis=1,
        )  # fmt: skip
    pairs = np.stack([wholes(random, "int32", 7, high=4), wholes(random, "int32", 7, high=5)], axis=1)
    for indices, out, batches in (
        (pairs, (7, 6), 0),
        (wholes(random, "int32", 4, 3, 1, high=5), (4, 3, 6), 1),
    ):
        yield case(
            "gather_nd", [x, indices], [(F32, out)], ("i0", "o0", "i1"), datatype=F32, rshape_src=big,
            rshape_dest=out, rstride_src=dense(big), rstride_dest=dense(out), rshape_indices=indices.shape,
            batch_dims=batches,
        )  # fmt: skip
    yield case(
        "gather_elements", [x, wholes(random, "int64", 3, 5, 6, low=-4, high=4)], [(F32, (3, 5, 6))],
        ("i0", "i1", "o0"), input_shape_src=big, indices_shape_src=(3, 5, 6), axis=0,
    )  # fmt: skip
    depth = np.array([6], np.int64)
    for dtype, axis, out in (("float32", 0, (6, 4, 3)), ("uint8", 1, (4, 6, 3)), ("int32", 2, (4, 3, 6))):
        for mode in (0, 1):
            values = (np.array([3], dtype), np.array([1], dtype))
            where = wholes(random, "int32", 4, 3, low=-2, high=6)
            yield case(
                "onehot", [where, depth, *values], [(CODES[dtype], out)], ("i0", "i1", "i2", "i3", "o0"),
                datatype=CODES[dtype], rshape_indices=(4, 3), rshape_dest=out, rstride_dest=dense(out),
                axis=axis,
                onehot_mode=mode,
            )  # fmt: skip
    flags = np.array([1, 0, 1, 0, 1], np.uint8)
    for axis, out in ((1, (4, 3, 6)), (2, (4, 5, 3)), (3, (3,))):
        yield case(
            "compress", [x, flags], [(F32, out)], ("i0", "i1", "o0"), input_shape_src=big,
            condition_shape_src=(5,),
            axis=float(axis),
        )  # fmt: skip
    table, own = wholes(random, "uint8", 256, high=256), wholes(random, "uint8", 3, 7, high=256)
    yield case(
        "lut1d", [own, table], [(U8, (3, 7))], ("i0", "i1", "o0", 0, 255), datatype=U8, rshape_src=(3, 7),
        rstride_src=(7, 1), rstride_dest=(7, 1), table_len=256,
    )  # fmt: skip
