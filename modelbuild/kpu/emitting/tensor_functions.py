"""Operators on the CPU as calls of the stack machine's tensor functions, one table for all kinds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from modelbuild.arithmetic.binding import Bound
from modelbuild.formats.kmodel.stackvm_building import Given, Padding, row_major
from modelbuild.kpu.emitting.moves import MOVES, through
from modelbuild.kpu.emitting.writer import Shape, Writer, datatype, ranked, shape_of

LOWEST = float(np.finfo(np.float32).min)
Emitter = Callable[[Writer, Bound], None]


def _number(bound: Bound, role: str) -> float:
    return float(bound.constant(role)[()])


def _clamp(bound: Bound) -> dict[str, Given]:
    return {f"fused_clamp_{role}": _number(bound, role) for role in ("low", "high")}


def _converted(writer: Writer, bound: Bound) -> dict[str, Given]:
    """Places, types and shape of a tensor that another type is made of."""
    source, made = bound.inputs[0], bound.output
    shape = shape_of(source)
    return {
        "in_datatype": datatype(source),
        "dst_datatype": datatype(made),
        "rshape_src": shape,
        "rstride_src": row_major(shape),
        "rstride_dest": row_major(shape),
        "input": writer.place(source),
        "output": writer.place(made),
    }


def _line(name: str) -> Emitter:
    """`quantize` or `dequantize`: a factor, then an offset."""

    def emit(writer: Writer, bound: Bound) -> None:
        scale, bias = _number(bound, "factor"), _number(bound, "offset")
        writer.builder.tensor(name, **_converted(writer, bound), scale=scale, bias=bias)

    return emit


def _lookup(writer: Writer, bound: Bound) -> None:
    table = writer.constant(bound.constant("table"))
    through(writer, bound, "lut1d", table_len=256, table=table, min_value=0, max_value=255)


def _unary(writer: Writer, bound: Bound) -> None:
    through(writer, bound, "unary", unary_op=bound.text("op"))


def _sigmoid(writer: Writer, bound: Bound) -> None:
    through(writer, bound, "sigmoid")


def _softmax(writer: Writer, bound: Bound) -> None:
    axis = bound.number("axis") % max(1, len(bound.output.shape))
    through(writer, bound, "softmax", axis=axis, beta=1.0)


def _reduce(writer: Writer, bound: Bound) -> None:
    op = bound.text("op")
    start = {"min": -LOWEST, "max": LOWEST}.get(op, 0.0)
    axes = tuple(sorted(bound.numbers("axes")))
    through(
        writer,
        bound,
        "reduce",
        reduce_op=op,
        rshape_axis=axes,
        keep_dims=bool(bound.number("keep")),
        init_value=start,
    )


def _of_two(writer: Writer, bound: Bound, one: Shape, two: Shape, made: Shape) -> dict[str, Given]:
    """Places and shapes of two inputs and of what is made of them, without gaps."""
    return {
        "rshape_src1": one,
        "rstride_src1": row_major(one),
        "rshape_src2": two,
        "rstride_src2": row_major(two),
        "rshape_dest": made,
        "rstride_dest": row_major(made),
        "input_a": writer.place(bound.inputs[0]),
        "input_b": writer.place(bound.inputs[1]),
        "output": writer.place(bound.output),
    }


def _binary(writer: Writer, bound: Bound) -> None:
    made = shape_of(bound.output)
    one, two = (ranked(shape_of(tensor), len(made)) for tensor in bound.inputs)
    writer.builder.tensor(
        "binary",
        datatype="float32",
        **_of_two(writer, bound, one, two, made),
        binary_op=bound.text("op"),
        **_clamp(bound),
    )


def _window(bound: Bound) -> dict[str, Given]:
    """Strides, dilations and paddings as the machine has them; ours are top, left, bottom, right."""
    strides, dilations = bound.numbers("strides"), bound.numbers("dilations")
    top, left, bottom, right = bound.numbers("pads")
    rows: Padding = (top, bottom, 0)
    columns: Padding = (left, right, 0)
    return {
        "stride_h": strides[0],
        "stride_w": strides[1],
        "dilation_h": dilations[0],
        "dilation_w": dilations[1],
        "padding_h": rows,
        "padding_w": columns,
    }


def _conv(writer: Writer, bound: Bound) -> None:
    source, made, weight = shape_of(bound.inputs[0]), shape_of(bound.output), bound.constant("weight")
    kernel = weight.shape
    writer.builder.tensor(
        "conv2d",
        datatype="float32",
        rshape_src=source,
        rstride_src=_in_order(source, kernel, made),
        rshape_kernel=kernel,
        rstride_kernel=row_major(kernel),
        rstride_bias=(1,),
        rstride_dest=row_major(made),
        groups=bound.number("group"),
        input=writer.place(bound.inputs[0]),
        weights=writer.constant(weight),
        bias=writer.constant(bound.constant("bias")),
        output=writer.place(bound.output),
        **_window(bound),
        **_clamp(bound),
    )


def _in_order(source: Shape, kernel: Shape, made: Shape) -> Shape:
    """Strides of a convolution's input for which the runtime adds in the order of docs/arithmetic.md: where
    weights and result have the same inner sizes, it would take a kernel whose order hangs on the processor,
    were the strides those of a tensor without gaps. That of a single picture is never used."""
    strides = row_major(source)
    if source[0] == 1 and kernel[1:] == made[1:]:
        return (strides[0] + 1, *strides[1:])
    return strides


def _pool(writer: Writer, bound: Bound) -> None:
    op = bound.text("op")
    height, width = bound.numbers("kernel")
    through(
        writer,
        bound,
        "reduce_window2d",
        reduce_op=op,
        filter_h=height,
        filter_w=width,
        init_value=LOWEST if op == "max" else 0.0,
        **_window(bound),
        **_clamp(bound),
    )


def _matmul(writer: Writer, bound: Bound) -> None:
    """Leading axes as one, the runtime goes from one matrix to the next by the first stride."""
    one, two, made = (_batched(shape_of(tensor)) for tensor in (*bound.inputs, bound.output))
    writer.builder.tensor(
        "matmul",
        **_of_two(writer, bound, one, two, made),
        bias=writer.constant(bound.constant("bias")),
        **_clamp(bound),
    )


def _batched(shape: Shape) -> Shape:
    batches = math.prod(shape[:-2])
    return (batches, *shape[-2:]) if batches > 1 else shape[-2:]


def _arg(writer: Writer, bound: Bound) -> None:
    source, made = bound.inputs[0], bound.output
    shape = shape_of(source)
    writer.builder.tensor(
        "reduce_arg",
        datatype_src=datatype(source),
        rshape_src=shape,
        rstride_src=row_major(shape),
        datatype_dest=datatype(made),
        rstride_dest=row_major(shape_of(made)),
        reduce_arg_op=bound.text("op"),
        rshape_axis=(bound.number("axis"),),
        keep_dims=bool(bound.number("keep")),
        select_last_idx=False,
        input=writer.place(source),
        output=writer.place(made),
    )


def _topk(writer: Writer, bound: Bound) -> None:
    """The least: of equal ones among these the runtime takes the first, among the largest it does not."""
    source, made = bound.inputs[0], bound.output
    shape, left = shape_of(source), shape_of(made)
    writer.builder.tensor(
        "topk",
        datatype=datatype(source),
        rshape_src=shape,
        rstride_src=row_major(shape),
        rshape_dest1=left,
        rstride_dest1=row_major(left),
        rshape_dest2=left,
        rstride_dest2=row_major(left),
        k=bound.number("k"),
        axis=bound.number("axis"),
        largest=False,
        sorted=True,
        input=writer.place(source),
        output_a=writer.place(made),
        output_b=writer.place(bound.operator.outputs[1]),
    )


def _convert(writer: Writer, bound: Bound) -> None:
    writer.builder.tensor("convert", **_converted(writer, bound))


EMITTERS: Mapping[str, Emitter] = {
    **MOVES,
    "quantize": _line("quantize"),
    "dequantize": _line("dequantize"),
    "lookup": _lookup,
    "binary": _binary,
    "unary": _unary,
    "sigmoid": _sigmoid,
    "conv": _conv,
    "matmul": _matmul,
    "window": _pool,
    "reduce": _reduce,
    "softmax": _softmax,
    "arg": _arg,
    "topk": _topk,
    "convert": _convert,
}
