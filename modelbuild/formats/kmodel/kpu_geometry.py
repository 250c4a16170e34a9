"""The sizes that a layer may have, and the registers that follow from them, as nncase 1.9 sets them."""

from __future__ import annotations

from modelbuild.errors import ModelbuildError
from modelbuild.formats.kmodel.kpu_registers import (
    KERNELS,
    POOL_STRIDES,
    POOLS,
    RAM_UNIT,
    Layer,
    row_layout,
)
from modelbuild.formats.kmodel.records import number

# Of one layer (nncase v1.9.0, kpu_utils.h, and the widths of the registers)
LOAD_BYTES = 30 << 10  # of the weights that are loaded at a time
MOST_LOADS = 64  # of weights
MOST_CHANNELS = 1024  # of its input, and of its output
LEAST, TALLEST, WIDEST = 4, 256, 512  # rows and columns of its input; the least of both


def layer(
    source: tuple[int, int, int],
    oc: int,
    *,
    kernel: int = 3,
    depthwise: bool = False,
    pool: str = "bypass",
    src: int = 0,
    dst: int = 0,
    pad_value: int = 0,
    arg_w: int = 0,
    arg_x: int = 0,
    arg_add: int = 0,
    shr_w: int = 0,
    shr_x: int = 0,
    send_out: bool = False,
) -> Layer:
    """A layer from `source`, (channels, height, width), to `oc` channels; `src` and `dst` are bytes of the
    KPU's RAM, `pool` a name of POOLS. The other fields are as `kpu_registers` has them. ModelbuildError where
    the KPU has no such layer; whether it fits the RAM, `kpu_registers.problems` says."""
    ic, height, width = source
    if src % RAM_UNIT or dst % RAM_UNIT:
        raise ModelbuildError(f"maps at {src} and {dst} do not begin at multiples of {RAM_UNIT} bytes")
    if depthwise and ic != oc:
        raise ModelbuildError(f"a depthwise layer goes from {ic} to {oc} channels")
    kinds = [code for code, size in KERNELS.items() if size == kernel]
    if not kinds:
        raise ModelbuildError(f"the KPU has no kernel of {kernel}x{kernel}")
    pooling = number(POOLS, pool, "pool of a layer")
    out_height, out_width = height // POOL_STRIDES[pooling], width // POOL_STRIDES[pooling]
    one = kernel**2 * (1 if depthwise else ic)
    at_once = oc if depthwise else min(oc, LOAD_BYTES // one)
    if not at_once:
        raise ModelbuildError(f"a channel has {one} bytes of weights, and {LOAD_BYTES} are loaded at a time")
    (groups, row), (out_groups, out_row) = row_layout(width), row_layout(out_width)
    return Layer(
        src_addr=src // RAM_UNIT,
        dst_addr=dst // RAM_UNIT,
        ic=ic,
        oc=oc,
        oc_per_load=at_once,
        iw=width,
        ih=height,
        ow=out_width,
        oh=out_height,
        kernel=kinds[0],
        pool=pooling,
        pad_value=pad_value,
        load_time=-(-oc // at_once),
        para_size=one * at_once,
        ch_switch=row * height,
        row_switch=row,
        coef_group=groups,
        wb_ch_switch=out_row * out_height,
        wb_row=out_row,
        wb_group=out_groups,
        arg_w=arg_w,
        arg_x=arg_x,
        arg_add=arg_add,
        channel_bytes=out_height * out_width,
        total_bytes=out_height * out_width * oc,
        depthwise=int(depthwise),
        shr_w=shr_w,
        shr_x=shr_x,
        send_out=int(send_out),
    )
