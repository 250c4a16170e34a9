"""The operations of a K210's module: upload, download, layer, copy."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from modelbuild.errors import ModelbuildError
from modelbuild.formats.kmodel import kpu_operations, kpu_registers, kpu_tables, types
from modelbuild.formats.kmodel.model import Span
from modelbuild.kpu.simulator import layer, pooling, rows
from modelbuild.kpu.simulator.events import Access
from modelbuild.kpu.simulator.limits import refused
from modelbuild.kpu.simulator.memory import Array, Region, elements, row_major
from modelbuild.kpu.simulator.rows import Shape
from modelbuild.kpu.simulator.run import DATA, INPUT, KPU, OUTPUT, RDATA, Frame
from modelbuild.kpu.simulator.types import U8, raw

Values = Mapping[str, object]
BLOCK = 1 << 21  # sums of a layer that are held at once
KINDS = kpu_operations.kinds(types.LOCATIONS)


def run(frame: Frame) -> None:
    """All operations of the function, one after the other."""
    data, span = frame.run.model.data, frame.function.code
    place = span.offset
    while place < span.end:
        frame.run.budget.step()
        if data[place] not in KINDS:
            raise refused(f"there is no operation {data[place]}", frame.where(place))
        name, record = KINDS[data[place]]
        values = record.read(data, place, span.end)
        recorder = frame.run.recorder
        recorder.begin()
        try:
            fields = _OPERATIONS[name](frame, values, name in recorder.keep or "*" in recorder.keep)
        except ModelbuildError as error:
            raise _placed(error, frame.where(place)) from None
        recorder.end(name, (*frame.place, place), "k210", fields)
        place += record.size


def _placed(error: ModelbuildError, where: str) -> ModelbuildError:
    """The error with the place of the operation, unless it has one."""
    problem = error.problems[0]
    if problem.where:
        return error
    return ModelbuildError(problem.what, where=where, why=problem.why, advice=problem.advice)


def _range(values: Values, name: str) -> Mapping[str, int]:
    found = values[name]
    assert isinstance(found, dict)
    return found


def _numbers(values: Values, name: str) -> tuple[int, ...]:
    found = values[name]
    assert isinstance(found, list)
    return tuple(found)


def _shape(values: Values) -> Shape:
    batches, channels, height, width = _numbers(values, "in_shape")
    return batches, channels, height, width


def _ram(frame: Frame) -> Region:
    assert frame.module.ram is not None
    return frame.module.ram


def _address(frame: Frame, place: Mapping[str, int], size: int, what: str) -> int:
    """The address of a range in main memory or of the KPU's RAM, `size` bytes of which are used. Inputs and
    outputs are named by where they start."""
    location, start = place["location"], place["start"]
    ports = {INPUT: (frame.function.inputs, frame.inputs), OUTPUT: (frame.function.outputs, frame.outputs)}
    if location in ports:
        for port, address in zip(*ports[location], strict=True):
            if port.start == start:
                if size > port.size:
                    raise refused(f"{what} has {size} bytes, and its tensor {port.size}")
                return address
        raise refused(f"{what} begins at {start} of the {types.LOCATIONS[location]}s, where none begins")
    regions = {RDATA: frame.module.rdata, DATA: frame.module.data, KPU: _ram(frame)}
    if location not in regions:
        raise refused(f"{what} lies in location {location}, which the KPU's module does not have")
    region = regions[location]
    if start + size > region.size:
        raise refused(f"{what} ends at {start + size} of {region.size} bytes of {region.name}")
    return region.base + start


def _place(place: Mapping[str, int], what: str) -> int:
    if place["location"] != KPU:
        raise refused(f"{what} lies in location {place['location']}, not in the KPU's RAM")
    return place["start"]


def _upload(frame: Frame, values: Values, keep: bool) -> Values:
    shape = _shape(values)
    address = _address(frame, _range(values, "input"), elements(shape), "what is uploaded")
    found = frame.run.load("input", keep, address, U8, shape, row_major(shape))
    _to_ram(frame, keep, _place(_range(values, "output"), "the upload's result"), found)
    return {"shape": shape}


def _download(frame: Frame, values: Values, keep: bool) -> Values:
    shape = _shape(values)
    elements(shape)
    found = _from_ram(frame, keep, _place(_range(values, "input"), "what is downloaded"), shape)
    address = _address(frame, _range(values, "output"), found.size, "the download's result")
    frame.run.store("output", keep, address, found, row_major(shape))
    return {"shape": shape}


def _copy(frame: Frame, values: Values, keep: bool) -> Values:
    shape = _numbers(values, "in_shape")
    dtype = raw(_range(values, "input")["datatype"])
    elements(shape)
    found = {}
    for what in ("input", "output"):
        found[what] = _address(frame, _range(values, what), 0, f"the copy's {what}")
    own = frame.run.load("input", keep, found["input"], dtype, shape, _numbers(values, "in_strides"))
    frame.run.store("output", keep, found["output"], own.copy(), _numbers(values, "out_strides"))
    return {"shape": shape}


def _from_ram(frame: Frame, keep: bool, place: int, shape: Shape) -> Array:
    frame.run.budget.spend(elements(shape))
    found = rows.load(_ram(frame), place, shape)
    frame.run.recorder.reads.append(_ram_access(frame, "input", keep, place, found))
    return found


def _to_ram(frame: Frame, keep: bool, place: int, values: Array) -> None:
    frame.run.budget.spend(values.size)
    rows.store(_ram(frame), place, values)
    frame.run.recorder.writes.append(_ram_access(frame, "output", keep, place, values))


def _ram_access(frame: Frame, what: str, keep: bool, place: int, values: Array) -> Access:
    return frame.run.access(what, keep, _ram(frame).base + place, values, row_major(values.shape))


def _table(frame: Frame, values: Values, name: str, size: int) -> bytes:
    """The bytes of a table, which lies in the constants or in what the module computed."""
    address = _address(frame, _range(values, name), size, name.replace("_", " "))
    return frame.run.memory.load(address, U8, (size,), (1,)).tobytes()


def _conv2d(frame: Frame, values: Values, keep: bool) -> Values:
    fields = kpu_registers.decode(_numbers(values, "layer"))
    problems = kpu_registers.problems(_numbers(values, "layer"))
    if problems:
        raise refused(f"a layer that the KPU cannot run: {problems[0]}")
    _check_layout(fields)
    batches = values["batches"]
    assert isinstance(batches, int)
    macs = batches * fields["ih"] * fields["iw"] * kpu_registers.weight_count(fields)
    frame.run.budget.spend(macs + 32 * batches * fields["oc"] * fields["ih"] * fields["iw"])
    shape = (batches, fields["ic"], fields["ih"], fields["iw"])
    elements((batches, fields["oc"], fields["ih"], fields["iw"]))
    x = _from_ram(frame, keep, fields["src_addr"] * kpu_registers.RAM_UNIT, shape)
    found = _layer(frame, values, fields, x)
    _to_ram(frame, keep, fields["dst_addr"] * kpu_registers.RAM_UNIT, found)
    if _range(values, "main_mem_output")["size"]:
        address = _address(frame, _range(values, "main_mem_output"), found.size, "the layer's result")
        frame.run.store("main_mem_output", keep, address, found, row_major(found.shape))
    return {**fields, "batches": batches, "macs": macs}


def _check_layout(fields: Mapping[str, int]) -> None:
    """That the registers tell the layout of both maps as it follows from their widths: silicon goes by them,
    the vendor's simulator does not look."""
    for names, width, height in (
        (("coef_group", "row_switch", "ch_switch"), fields["iw"], fields["ih"]),
        (("wb_group", "wb_row", "wb_ch_switch"), fields["ow"], fields["oh"]),
    ):
        group, row = kpu_registers.row_layout(width)
        for name, wanted in zip(names, (group, row, row * height), strict=True):
            if fields[name] != wanted:
                raise refused(
                    f"a layer's {name} is {fields[name]}, and maps of {height} by {width} want {wanted}",
                    why="the KPU goes by it, and would take other bytes",
                )


def _layer(frame: Frame, values: Values, fields: Mapping[str, int], x: Array) -> Array:
    """The layer's result of the maps, after its pool."""
    kernel, depthwise = kpu_registers.kernel_size(fields), bool(fields["depthwise"])
    sizes = pooling.pool_sizes(fields["pool"], fields["ih"], fields["iw"])
    if sizes != (fields["oh"], fields["ow"]):
        raise refused(
            f"a layer's result is {fields['oh']} by {fields['ow']}, and its pool makes {sizes[0]} by "
            f"{sizes[1]}"
        )
    norms = _table(frame, values, "batch_norm", kpu_tables.BATCH_NORM_BYTES * fields["oc"])
    table = _table(frame, values, "activation", kpu_tables.ACTIVATION_BYTES)
    weights = np.frombuffer(
        _table(frame, values, "weights", kpu_registers.weight_count(fields)), np.uint8
    ).reshape(fields["oc"], 1 if depthwise else fields["ic"], kernel, kernel)
    how = layer.Arithmetic(
        fields["pad_value"],
        fields["arg_x"],
        fields["shr_x"],
        fields["arg_w"],
        fields["shr_w"],
        fields["arg_add"],
    )
    entries = kpu_tables.batch_norm(norms, Span(0, len(norms)))
    segments = kpu_tables.activation(table, Span(0, len(table)))
    found = np.empty((len(x), fields["oc"], *sizes), np.uint8)
    step = max(1, BLOCK // (fields["ih"] * fields["iw"]))
    for batch, target in zip(x, found, strict=True):
        for start in range(0, fields["oc"], step):
            part = slice(start, start + step)
            own = batch[part] if depthwise else batch
            total = layer.sums(own, weights[part], how, depthwise=depthwise)
            target[part] = pooling.pooled(layer.activated(total, entries[part], segments), fields["pool"])
    return found


_OPERATIONS: Mapping[str, Callable[[Frame, Values, bool], Values]] = {
    "kpu_upload": _upload,
    "kpu_download": _download,
    "kpu_conv2d": _conv2d,
    "copy": _copy,
}
