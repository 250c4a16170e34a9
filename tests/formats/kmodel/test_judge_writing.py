"""Kmodels made with nothing but the writing side run in the vendor's simulator, and give what they should."""

from __future__ import annotations

import numpy as np
import pytest

from modelbuild.formats import kmodel
from modelbuild.formats.kmodel import kpu_geometry, kpu_records, kpu_tables
from modelbuild.formats.kmodel.disassembly import kpu_check
from modelbuild.formats.kmodel.image import Code, Image, linked
from modelbuild.formats.kmodel.kpu_records import Copy, KpuConv2d, KpuDownload, KpuUpload, MemoryRange
from modelbuild.formats.kmodel.kpu_tables import BatchNorm, Segment
from modelbuild.formats.kmodel.model import Tensor
from modelbuild.formats.kmodel.stackvm_building import Argument, Builder, Place, row_major
from tests.judges import nncase

IN, OUT = (1, 3, 8, 10), (1, 5, 8, 10)
INSIDE, OUTSIDE = 240, 400  # bytes of both as uint8
SCALE, ZERO = 0.02, 37  # of the input
RAM = 64 * 64  # where the result lies in the KPU's RAM
RANDOM = np.random.default_rng(5)
WEIGHTS = RANDOM.integers(0, 256, (5, 3, 3, 3), dtype=np.uint8)
NORMS = [BatchNorm(mul, add, 9) for mul, add in ((3, 90), (-2, 128), (1, 0), (5, -40), (2, 300))]
# Above 0 as it is, and 255 at most; nothing below.
RAMP = [Segment(-(1 << 35), 0, 0, 0)] + [Segment(0, 1, 0, 0)] * 15


def floats(memory: str, shape: tuple[int, ...]) -> Tensor:
    return Tensor("float32", shape, memory, 0, 4 * int(np.prod(shape)))


def bytes_of(memory: str, shape: tuple[int, ...]) -> Tensor:
    return Tensor("uint8", shape, memory, 0, int(np.prod(shape)))


def on_kpu(*, in_main_memory: bool) -> tuple[Code, bytes]:
    """Upload, a 3x3 convolution, download, and its constants. The result may reach main memory by itself."""
    weights = WEIGHTS.tobytes()
    norms = kpu_tables.pack_batch_norm(NORMS)
    table = -(-(len(weights) + len(norms)) // 256) * 256
    rdata = (weights + norms).ljust(table, b"\0") + kpu_tables.pack_activation(RAMP)
    layer = kpu_geometry.layer(
        IN[1:], OUT[1], dst=RAM, pad_value=ZERO, arg_x=-128, arg_w=-ZERO, arg_add=9 * 128 * ZERO,
        send_out=in_main_memory,
    )  # fmt: skip
    result = MemoryRange("output", "uint8", 0, OUTSIDE)
    convolution = KpuConv2d(
        MemoryRange("rdata", "uint8", 0, len(weights)),
        MemoryRange("rdata", "uint64", len(weights), len(norms)),
        MemoryRange("rdata", "uint8", table, kpu_tables.ACTIVATION_BYTES),
        layer,
        result if in_main_memory else kpu_records.NOWHERE,
    )
    upload = KpuUpload(MemoryRange("input", "uint8", 0, INSIDE), MemoryRange("kpu", "uint8", 0, 512), IN)
    download = KpuDownload(MemoryRange("kpu", "uint8", RAM, 1024), result, OUT)
    operations = [upload, convolution] + [download] * (not in_main_memory)
    return Code((bytes_of("input", IN),), (bytes_of("output", OUT),), kpu_records.pack(operations)), rdata


def turned() -> Code:
    """A copy that exchanges rows and columns."""
    _, channels, height, width = OUT
    copy = Copy(
        MemoryRange("input", "uint8", 0, OUTSIDE),
        MemoryRange("output", "uint8", 0, OUTSIDE),
        OUT,
        row_major(OUT),
        (OUTSIDE, height * width, 1, height),
    )
    out = (1, channels, width, height)
    return Code((bytes_of("input", OUT),), (bytes_of("output", out),), kpu_records.pack([copy]))


def main(*, turn: bool) -> Code:
    """Quantize, call the KPU, maybe turn, dequantize as it is."""
    given, found = Argument(Place("data", 0), "uint8", IN), Argument(Place("data", 256), "uint8", OUT)
    builder = Builder()
    builder.tensor(
        "quantize", in_datatype="float32", dst_datatype="uint8", rshape_src=IN, rstride_src=row_major(IN),
        rstride_dest=row_major(IN), input=Place("input", 0), output=given.place, scale=1 / SCALE, bias=ZERO,
    )  # fmt: skip
    builder.call(1, 0, [given], [found])
    if turn:
        last = Argument(Place("data", 768), "uint8", (*OUT[:2], OUT[3], OUT[2]))
        builder.call(1, 1, [found], [last])
        found = last
    builder.tensor(
        "dequantize", in_datatype="uint8", dst_datatype="float32", rshape_src=found.shape,
        rstride_src=row_major(found.shape), rstride_dest=row_major(found.shape),
        input=found.place, output=Place("output", 0), scale=1, bias=0,
    )  # fmt: skip
    return Code((floats("input", IN),), (floats("output", found.shape),), builder.code())


def built(*, in_main_memory: bool = False, turn: bool = False) -> bytes:
    layer, rdata = on_kpu(in_main_memory=in_main_memory)
    stack = linked("stackvm", [main(turn=turn)], pools=[("data", 1280)])
    kpu = linked("k210", [layer, turned()], rdata, [("kpu", 2 << 20)])
    return kmodel.write(Image((stack, kpu)))


def expected(image: np.ndarray) -> np.ndarray:
    """What the layer makes of the image, in whole numbers."""
    x = np.clip(np.rint(image * np.float32(1 / SCALE) + np.float32(ZERO)), 0, 255).astype(np.int64) - ZERO
    x = np.pad(x[0], ((0, 0), (1, 1), (1, 1)))
    views = np.lib.stride_tricks.sliding_window_view(x, (3, 3), (1, 2))
    sums = np.einsum("chwij,ocij->ohw", views, WEIGHTS.astype(np.int64) - 128)
    mul, add = (np.array(item)[:, None, None] for item in zip(*((n.mul, n.add) for n in NORMS), strict=True))
    return np.clip((sums * mul >> 9) + add, 0, 255)[None].astype(np.float32)


IMAGE = RANDOM.uniform(-0.9, 4.5, IN).astype(np.float32)


def test_it_reads_clean() -> None:
    found = kmodel.read(built(turn=True))
    assert [check for check in (*found.checks, kpu_check(found)) if check.why] == []
    code = kmodel.disassemble(found)
    assert "1.9.0" in code.clean
    assert [operation.name for item in code.functions for operation in item.operations] == [
        "kpu_upload",
        "kpu_conv2d",
        "kpu_download",
        "copy",
    ]
    assert [part.what for part in found.parts if not part.known] == []
    names = [line.name for line in code.functions[0].lines if not line.name.startswith(("ld", "lea"))]
    # The strides of both sides are the same register.
    stores = ["stshape"] * 2
    assert names == [
        *stores,
        "tensor.quantize",
        *stores,
        "tensor.call",
        *stores,
        "tensor.call",
        "tensor.dequantize",
    ]


@pytest.mark.parametrize("in_main_memory", [False, True])
def test_the_simulator_runs_it(in_main_memory: bool) -> None:
    result = expected(IMAGE)
    assert len(np.unique(result)) > 50 and {0, 255} < set(result.ravel())
    (found,) = nncase.run_kmodel(built(in_main_memory=in_main_memory), [IMAGE])
    np.testing.assert_array_equal(found, result)


def test_the_simulator_copies() -> None:
    (found,) = nncase.run_kmodel(built(turn=True), [IMAGE])
    np.testing.assert_array_equal(found, expected(IMAGE).transpose(0, 1, 3, 2))


@pytest.mark.parametrize(("datatype", "start"), [("float32", 7), ("int32", 7), ("int64", -7)])
def test_a_sum_begins_with_the_number_that_is_given(datatype: str, start: int) -> None:
    """The vendor's compiler pushes a float for whole numbers, too; the runtime takes its bits."""
    shape, reduced = (2, 3), (2,)
    builder = Builder()
    builder.tensor(
        "reduce", datatype=datatype, rshape_src=shape, rstride_src=row_major(shape),
        rstride_dest=row_major(reduced), reduce_op="sum", rshape_axis=(1,), keep_dims=False,
        input=Place("input", 0), output=Place("output", 0), init_value=start,
    )  # fmt: skip
    given = np.arange(6).reshape(shape).astype(datatype)
    tensors = [
        Tensor(datatype, item, memory, 0, given.itemsize * int(np.prod(item)))
        for memory, item in (("input", shape), ("output", reduced))
    ]
    function = Code((tensors[0],), (tensors[1],), builder.code())
    (found,) = nncase.run_kmodel(kmodel.write(Image((linked("stackvm", [function]),))), [given])
    np.testing.assert_array_equal(found, given.sum(1) + start)


def test_a_table_and_a_padding_of_bytes() -> None:
    shape, padded = (1, 2, 2), (1, 2, 5)
    table = bytes(range(255, -1, -1))
    builder = Builder()
    builder.tensor(
        "lut1d", datatype="uint8", rshape_src=shape, rstride_src=row_major(shape),
        rstride_dest=row_major(shape), table_len=256, input=Place("input", 0),
        table=Place("rdata", 0), output=Place("data", 8),
        min_value=0, max_value=255,
    )  # fmt: skip
    builder.tensor(
        "pad", datatype="uint8", rshape_src=shape, rstride_src=row_major(shape),
        rstride_dest=row_major(padded), rpaddings=((0, 0, 0), (0, 0, 0), (1, 2, 0)), pad_mode="constant",
        input=Place("data", 8), output=Place("output", 0), pad_value=9,
    )  # fmt: skip
    function = Code((bytes_of("input", shape),), (bytes_of("output", padded),), builder.code())
    data = kmodel.write(Image((linked("stackvm", [function], table, [("data", 16)]),)))
    (found,) = nncase.run_kmodel(data, [np.array([[[0, 1], [254, 255]]], np.uint8)])
    np.testing.assert_array_equal(found, [[[9, 255, 254, 9, 9], [9, 1, 0, 9, 9]]])


def test_branches_go_where_labels_are() -> None:
    """Both roads of a branch, and a return before the code that would spoil the result."""
    shape = (1, 4)

    def scaled(builder: Builder, scale: float) -> None:
        builder.tensor(
            "dequantize", in_datatype="uint8", dst_datatype="float32", rshape_src=shape,
            rstride_src=row_major(shape), rstride_dest=row_major(shape),
            input=Place("input", 0), output=Place("output", 0), scale=scale, bias=0,
        )  # fmt: skip

    for taken in (0, 1):
        builder = Builder()
        builder.integer(taken)
        builder.emit("br_true", target="taken")
        scaled(builder, 2)
        builder.emit("br", target="end")
        builder.label("taken")
        scaled(builder, 3)
        builder.label("end")
        builder.emit("ret")
        scaled(builder, 9)
        function = Code((bytes_of("input", shape),), (floats("output", shape),), builder.code())
        data = kmodel.write(Image((linked("stackvm", [function]),)))
        (found,) = nncase.run_kmodel(data, [np.arange(4, dtype=np.uint8)[None]])
        np.testing.assert_array_equal(found, np.arange(4)[None] * (2 + taken))
