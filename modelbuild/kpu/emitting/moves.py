"""Operators that move elements of either type, as calls of tensor functions; resizing is among them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from modelbuild.arithmetic.binding import Bound
from modelbuild.formats.kmodel.stackvm_building import Given, Place, row_major
from modelbuild.kpu.emitting.writer import Shape, Writer, datatype, ranked, shape_of
from modelbuild.kpu.planning.maps import dense_bytes


def through(writer: Writer, bound: Bound, name: str, **given: Given) -> None:
    """A function of one tensor: shapes without gaps, of the first input and the output."""
    source, made = shape_of(bound.inputs[0]), shape_of(bound.output)
    writer.builder.tensor(
        name,
        datatype=datatype(bound.inputs[0]),
        rshape_src=source,
        rstride_src=row_major(source),
        rstride_dest=row_major(made),
        input=writer.place(bound.inputs[0]),
        output=writer.place(bound.output),
        **given,
    )


def copied(writer: Writer, kind: str, source: Place, target: Place, lines: Shape, pitches: Shape) -> None:
    """`lines`, a count and the elements of one, from where they have no gaps; `pitches` are those of the
    target."""
    writer.builder.tensor(
        "copy",
        datatype=kind,
        rshape=lines,
        rstride_src=row_major(lines),
        rstride_dest=pitches,
        input=source,
        output=target,
    )


def copy(writer: Writer, bound: Bound) -> None:
    """All of the input as it lies."""
    cells = math.prod(bound.inputs[0].shape)
    source, target = writer.place(bound.inputs[0]), writer.place(bound.output)
    copied(writer, datatype(bound.output), source, target, (1, cells), (cells, 1))


def part(writer: Writer, bound: Bound, position: int) -> None:
    """The input of a concat at `position` to its place in the output."""
    shape, axis = bound.output.shape, bound.number("axis") % len(bound.output.shape)
    before = bound.inputs[:position]
    source, target = bound.inputs[position], writer.place(bound.output)
    outer = math.prod(shape[:axis])
    inner = math.prod(source.shape[axis:])
    start = sum(dense_bytes(tensor) for tensor in before) // outer
    place = Place(target.location, target.offset + start)
    pitches = (math.prod(shape[axis:]), 1)
    copied(writer, datatype(bound.output), writer.place(source), place, (outer, inner), pitches)


def _transpose(writer: Writer, bound: Bound) -> None:
    through(writer, bound, "transpose", rshape_perm=bound.numbers("permutation"))


def _slice(writer: Writer, bound: Bound) -> None:
    registers = zip(("rbegins", "rends", "rstrides"), ("starts", "ends", "steps"), strict=True)
    through(writer, bound, "slice", **{name: bound.numbers(ours) for name, ours in registers})


def _pad(writer: Writer, bound: Bound) -> None:
    value = bound.constant("value")[()]
    sides = zip(bound.numbers("before"), bound.numbers("after"), strict=True)
    through(
        writer,
        bound,
        "pad",
        rpaddings=tuple((before, after, 0) for before, after in sides),
        pad_mode=bound.text("mode"),
        pad_value=float(value) if bound.output.floating else int(value),
    )


def _expand(writer: Writer, bound: Bound) -> None:
    made = shape_of(bound.output)
    source = ranked(shape_of(bound.inputs[0]), len(made))
    writer.builder.tensor(
        "broadcast",
        datatype=datatype(bound.output),
        rshape_src=source,
        rstride_src=row_major(source),
        rshape_dest=made,
        rstride_dest=row_major(made),
        input=writer.place(bound.inputs[0]),
        output=writer.place(bound.output),
    )


def _gather(writer: Writer, bound: Bound) -> None:
    indices = bound.constant("indices")
    through(
        writer,
        bound,
        "gather",
        rshape_dest=shape_of(bound.output),
        rshape_indices=indices.shape,
        axis=bound.number("axis") % len(bound.output.shape),
        indices=writer.constant(indices),
    )


def _resize(mode: str) -> Callable[[Writer, Bound], None]:
    def emit(writer: Writer, bound: Bound) -> None:
        through(
            writer,
            bound,
            "resize_image",
            align_corners=bool(bound.number("align_corners")),
            half_pixel_centers=bool(bound.number("half_pixel")),
            image_resize_mode=mode,
            h=bound.output.shape[2],
            w=bound.output.shape[3],
        )

    return emit


MOVES: Mapping[str, Callable[[Writer, Bound], None]] = {
    "reshape": copy,
    "transpose": _transpose,
    "slice": _slice,
    "pad": _pad,
    "expand": _expand,
    "gather": _gather,
    "resize_nearest": _resize("nearest_neighbor"),
    "resize_bilinear": _resize("bilinear"),
}
