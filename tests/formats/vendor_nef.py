"""NEFs as the vendor's tools make them, from the layout facts alone: with Google's builder, none of ours."""

from __future__ import annotations

import struct
import zlib
from itertools import pairwise
from typing import Any

import flatbuffers

MAGIC = 19840308
OLD_TARGETS = {"520": 0, "720": 1, "530": 2, "730": 3, "630": 4, "540": 5}
SETUP_TARGETS = {"520": 1, "720": 2, "530": 3, "730": 4, "630": 5, "540": 6}
_ADD = {
    "u8": "PrependUint8Slot",
    "i8": "PrependInt8Slot",
    "u32": "PrependUint32Slot",
    "i32": "PrependInt32Slot",
    "u64": "PrependUint64Slot",
    "f32": "PrependFloat32Slot",
}
_SIZES = {"u8": "B", "i8": "b", "u32": "I", "i32": "i", "u64": "Q", "f32": "f"}


class Table(dict[int, Any]):
    """Slot -> value: ("u32", 5), text, bytes, ("[i32]", [1, 2]), a Table, a list of them."""


def build(root: Table, alignment: int = 1) -> bytes:
    """The bytes of a FlatBuffer; vectors of bytes begin at multiples of `alignment`."""
    builder = flatbuffers.Builder(0)
    builder.Finish(_table(builder, root, alignment))
    return bytes(builder.Output())


def _table(builder: Any, table: Table, alignment: int) -> int:
    offsets = {slot: _value(builder, value, alignment) for slot, value in table.items() if not _scalar(value)}
    builder.StartObject(max(table, default=-1) + 1)
    for slot, value in table.items():
        if _scalar(value):
            # a default that no value equals: every field that is given is present
            getattr(builder, _ADD[value[0]])(slot, value[1], None)
        else:
            builder.PrependUOffsetTRelativeSlot(slot, offsets[slot], 0)
    return int(builder.EndObject())


def _scalar(value: Any) -> bool:
    return isinstance(value, tuple) and not value[0].startswith("[")


def _value(builder: Any, value: Any, alignment: int) -> int:
    if isinstance(value, Table):
        return _table(builder, value, alignment)
    if isinstance(value, str):
        return int(builder.CreateString(value))
    if isinstance(value, bytes):
        return _vector(builder, value, 1, len(value), alignment)
    if isinstance(value, tuple):
        layout = _SIZES[value[0].strip("[]")]
        data = struct.pack(f"<{len(value[1])}{layout}", *value[1])
        return _vector(builder, data, struct.calcsize(layout), len(value[1]), struct.calcsize(layout))
    offsets = [_table(builder, item, alignment) for item in value]
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _vector(builder: Any, data: bytes, width: int, count: int, alignment: int) -> int:
    builder.StartVector(width, count, alignment)
    builder.head -= len(data)
    builder.Bytes[builder.head : builder.head + len(data)] = data
    return int(builder.EndVector())


def outer(
    platform: str,
    firmware: bytes,
    all_models: bytes,
    infos: list[Table] | None,
    *,
    schema: tuple[int, int, int] | None = (1, 0, 1),
    target: int | None = None,
    tail: bool = True,
    header: Table | None = None,
    content: Table | None = None,
    toolchain: str = "kneron/toolchain:v0.20.1\n",
) -> bytes:
    """The whole file. `header` and `content` are slots beside those of the facts, or in their place."""
    number = OLD_TARGETS[platform] if target is None else target
    fields = Table({0: "", 1: ("i32", number), 2: ("u32", zlib.crc32(all_models)), 5: "v0.9.1(e9ab1ffd6)"})
    fields |= {6: toolchain, 8: ("u32", zlib.crc32(all_models))}
    if schema is not None:
        fields[7] = Table({slot: ("u32", value) for slot, value in enumerate(schema)})
    fields |= header or {}
    binaries = Table({0: firmware, 1: all_models}) if firmware else Table({1: all_models})
    root = Table({1: fields, 3: binaries})
    if infos is not None:
        root[2] = infos
    data = build(Table(root | (content or {})), 32)
    return data + struct.pack("<I", zlib.crc32(data)) if tail else data


def info(number: int, version: str, name: str = "net.bie") -> Table:
    return Table({0: name, 1: ("i32", number), 2: version})


def firmware(
    models: list[dict[str, Any]], base: int, *, short: bool = False, gap: int = 0
) -> tuple[bytes, bytes, list[dict[str, int]]]:
    """(fw_info, all_models, records): a shared input and working buffer, an output each, binaries behind.

    A model has id, version, input, output, working (sizes), command, weight, and `setup`, which is called
    with its record. `gap` bytes lie between the buffers and the binaries."""
    place = base + _up(max(model["input"] for model in models))
    outputs = []
    for model in models:
        outputs.append(place)
        place += _up(model["output"])
    working = place
    place += _up(max(model["working"] for model in models)) + gap
    start, all_models, records = place, b"", []
    for model, output in zip(models, outputs, strict=True):
        record = {"id": model["id"], "version": model["version"]}
        record |= {"input": base, "input_size": model["input"]}
        record |= {"output": output, "output_size": model["output"]}
        record |= {"working": working, "working_size": model["working"]}
        command = start + len(all_models)
        record |= {"command": command, "command_size": len(model["command"])}
        all_models += model["command"] + bytes(-len(model["command"]) % 16)
        record |= {"weight": start + len(all_models), "weight_size": len(model["weight"])}
        all_models += model["weight"]
        record |= {"setup": start + len(all_models), "setup_size": 0}
        block = model["setup"](record)
        record["setup_size"] = len(block)
        all_models += block + bytes(-len(block) % 16)
        records.append(record)
    block = struct.pack("<I", len(models)) + b"".join(struct.pack("<14I", *r.values()) for r in records)
    block += struct.pack("<2I", start + len(all_models), len(all_models))
    if not short:
        starts = [record["command"] - start for record in records] + [len(all_models)]
        spans = [all_models[a:b] for a, b in pairwise(starts)]
        block += struct.pack("<I", zlib.crc32(all_models))
        block += b"".join(struct.pack("<I", zlib.crc32(span)) for span in spans)
        block += struct.pack("<I", zlib.crc32(block))
    return block, all_models, records


def _up(size: int) -> int:
    return -(-size // 16) * 16


def words(*values: float) -> bytes:
    return b"".join(
        struct.pack("<f" if isinstance(value, float) else "<i" if value < 0 else "<I", value)
        for value in values
    )


def setup_520(record: dict[str, int]) -> bytes:
    """One input of 3x8x10, a CPU node, and one output of 1x4x2x3."""
    head = words(
        0x8EB5A462, 1, 1, 7, 0, record["working"], record["working_size"], 8, 10, 3,
        record["command"], record["command_size"], record["weight"], record["weight_size"],
        record["input"], record["input_size"], 7, 1,
    )  # fmt: skip
    data = words(3, 1, 8, 5, 1.5, 0, 0, 0, 2, 3, 4)
    cpu = words(1, 1, 100, 2, 3, 4, 2, 3, 4, 0, 0, 1, 1, 1, 1)
    cpu += data + words(4, record["output"], 0, 0, 0, 2, 3, 4)
    cpu += data + words(4, record["working"] + 16, 0, 0, 0, 2, 3, 4)
    return head + words(0, 1) + cpu + output_node(record["output"])


def output_node(address: int, index: int = 0, code: int = 8) -> bytes:
    node = words(2, 1, code, 0, 0, 0, 2, 3, 4, index, -2, 1.25)
    return node + words(4, address, 0, 0, 0, 2, 3, 4)


def setup_720(record: dict[str, int]) -> bytes:
    """Two inputs and two outputs, addresses 0-relative."""
    head = words(0x8EB5A462, 1, 1, 7, 0, 0, record["working_size"], 0, record["command_size"])
    head += words(0, record["weight_size"], 0, record["input_size"], 2, 2)
    inputs = words(5, 0, 4, 8, 10, 3, 0, 384, 8) + words(5, 1, 0, 1, 1, 16, 384, 256, -1)
    return head + inputs + words(0, 1) + output_node(0, 0, 5) + output_node(96, 1, 5)


def setup_tensor(
    name: str, segment: int, entry: int, points: tuple[tuple[float, int], ...], **extra: Any
) -> Table:
    """A tensor of ONNX shape 1x4x2x3, whose NPU shape has rows and channels the other way round."""
    table = Table({0: name, 1: ("u32", 0), 2: ("[i32]", [1, 2, 4, 3]), 3: ("[i32]", [1, 4, 2, 3])})
    table[4] = Table({0: [Table({0: ("f32", scale), 1: ("i32", radix)}) for scale, radix in points]})
    table[5] = Table({0: ("u32", entry), 1: ("i32", 96), 2: ("i8", segment)})
    table |= {7: ("[i32]", [0, 2, 1, 3]), 8: ("[i32]", [0, 2, 1, 3])}
    return Table(table | extra.get("slots", {}))


def setup_flatbuffer(platform: str, mode: int, *, zero: bool = False, slots: Any = None) -> Any:
    """A function from a record to a KneronSetup: `mode` 1 absolute, 2 relative; `zero` for segments that
    start at 0; `slots` are more slots of the first input tensor."""

    def make(record: dict[str, int]) -> bytes:
        names = ("input", "output", "working", "command", "weight")
        segments = [
            Table(
                {0: ("i8", code), 1: ("u32", 0 if zero else record[name]), 2: ("u32", record[f"{name}_size"])}
            )
            for code, name in enumerate(names, 1)
        ]
        header = Table({0: f"KL{platform}", 1: ("i32", SETUP_TARGETS[platform])})
        header |= {2: Table({0: ("u32", 1), 1: ("u32", 2), 2: ("u32", 35)}), 3: segments}
        header |= {4: Table({0: ("i8", 1)}), 5: ("i8", mode), 6: Table({0: ("u32", 1)}), 7: ("u32", 9)}
        start = record if mode == 1 else {"input": 0, "output": 0}
        inputs = [setup_tensor("in", 1, start["input"], ((1.0, 8),), slots=slots or {})]
        outputs = [setup_tensor("out", 2, start["output"], ((1.5, 3), (1.25, 4)))]
        options = Table({0: ("f32", -1.0), 1: ("f32", 6.0)})
        node = Table({0: "clip_1", 1: ("u32", 12), 2: ("u32", 996759611), 3: ("u8", 1), 4: options})
        node |= {5: [setup_tensor("a", 3, 0, ((1.0, 1),))], 6: [setup_tensor("b", 2, 0, ((1.0, 1),))]}
        node[8] = [Table({0: "k", 1: ("[i32]", [2]), 2: ("i8", 9), 3: ("[f32]", [0.5, 0.25])})]
        other = Table({0: "mystery", 2: ("u32", 0xDEADBEEF)})
        constant = setup_tensor("const", 0, 0xFFFFFFFF, ((1.0, 5),), slots={6: bytes(range(1, 97))})
        root = Table({1: header, 2: inputs, 3: outputs, 4: [node, other], 5: [constant]})
        return build(root)

    return make


def model(number: int, setup: Any, **changes: Any) -> dict[str, Any]:
    found = {
        "id": number,
        "version": 0xB08D + number % 7,
        "input": 640 + number % 16,
        "output": 192,
        "working": 1000,
        "command": bytes(1 + (number + i) % 255 for i in range(37)),
        "weight": bytes(1 + (3 * number + i) % 251 for i in range(64)),
        "setup": setup,
    }
    return found | changes


def simple(
    platform: str, setup: Any, base: int, numbers: tuple[int, ...] = (32770,), **changes: Any
) -> bytes:
    """A file with fw_info, of a model for each number; `changes` go to `outer`."""
    models = [model(number, setup) for number in numbers]
    block, all_models, _ = firmware(
        models, base, short=changes.pop("short", False), gap=changes.pop("gap", 0)
    )
    infos = [info(one["id"], str(one["version"]), f"net_{one['id']}.bie") for one in models]
    return outer(platform, block, all_models, changes.pop("infos", infos), **changes)


def kne_tensor(name: str, location: int, start: int, *, old: bool = False, slots: Any = None) -> Table:
    """A tensor of ONNX shape 1x4x2x3 with two scales; `old` is the layout before schema 3.0.4."""
    one = int(old)
    table = Table({0: name, 1: ("u8", 8), 2: ("u8", 4), 3: ("u32", 96), 4: ("u32", 128)})
    table[5] = ("[i32]", [1, 2, 4, 3])
    if old:
        table[6] = ("[u32]", [24, 12, 3, 1])
    table[6 + one] = ("[u32]", [64, 32, 8, 1])
    table[7 + one] = Table(
        {0: ("[i8]", [5, -6]), 1: struct.pack("<2f", 1.5, 1.25), 2: ("u32", 2), 3: ("i8", 9)}
    )
    table |= {8 + one: ("i8", location), 9 + one: ("u32" if old else "u64", start)}
    table |= {10 + one: ("[i8]", [0, 2, 1, 3]), 11 + one: ("[i8]", [0, 2, 1, 3]), 12 + one: ("u8", 1)}
    return Table(table | (slots or {}))


def kne_model(number: int, *, old: bool = False, header: Table | None = None, slots: Any = None) -> Table:
    """Two NPU cores, one inside a loop, and a CPU core."""
    wide = "u32" if old else "u64"
    command = bytes(1 + (number + i) % 200 for i in range(50))

    def tensor(name: str, location: int) -> Table:
        return kne_tensor(name, location, 0x100, old=old, slots=slots)

    def core(index: int, kind: int, unit: int, parameters: Table, **more: Any) -> Table:
        head = Table({0: ("i32", index), 1: ("[i32]", [index - 1]), 6: ("i8", kind)})
        head |= {2: [tensor("in", 1)], 3: [tensor("out", 2)], 4: ("[i32]", [0]), 5: ("[i32]", [7])}
        table = Table({0: head, 2: ("u8", unit), 3: parameters})
        return Table(table | more.get("inner", {}))

    npu = Table({0: command, 1: b"w" * 70})
    loop = Table({0: ("u32", 3), 1: tensor("condition", 3), 2: Table({0: b"loop" * 4, 1: b"W" * 9})})
    options = Table({0: ("f32", -1.0), 1: ("f32", 6.0)})
    clip = Table({0: "clip", 1: ("u32", 996759611), 2: ("u8", 1), 3: options})
    clip |= {4: [tensor("a", 3)], 5: [tensor("b", 6)]}
    clip[6] = [Table({0: "k", 1: ("[i32]", [4]), 2: ("i8", 5), 3: b"\1\2\3\4"})]
    inner = core(2, 0, 1, Table({0: b"inner" * 3, 1: b"x"}))
    cores = [
        core(0, 0, 1, npu),
        core(1, 2, 3, loop, inner={1: [inner]}),
        core(3, 1, 2, Table({0: [clip]})),
    ]
    version = (3, 0, 3) if old else (3, 0, 7)
    head = Table({0: ("i32", number), 1: [tensor("image", 1)], 2: [tensor("scores", 2)], 3: ("i32", 3)})
    head |= {4: ("u32", 17), 5: [Table({0: ("i8", 1), 1: ("i8", 1), 2: ("i8", 1)})]}
    head |= {6: Table({0: ("i8", 1), 1: b"\xaa" * 16}), 7: "v1.0"}
    head[8] = Table({slot: ("u32", value) for slot, value in enumerate(version)})
    head[9] = [Table({0: ("i8", code), 1: (wide, 0x1000 * code), 2: (wide, 0x300)}) for code in (1, 2, 3)]
    return Table({0: Table(head | (header or {})), 1: cores, 2: b"const" * 5})


def kne_block(*models: Table, target: int = 1, old: bool = False, header: Table | None = None) -> bytes:
    wide = "u32" if old else "u64"
    version = (3, 0, 3) if old else (3, 0, 7)
    head = Table({0: ("i8", target), 1: "v1.0"})
    head[2] = Table({slot: ("u32", value) for slot, value in enumerate(version)})
    head[3] = [Table({0: ("i8", code), 1: (wide, 0x1000 * code), 2: (wide, 0x300)}) for code in (1, 2, 3)]
    return build(Table({0: ("u32", MAGIC), 1: Table(head | (header or {})), 2: list(models)}), 64)


def kne(numbers: tuple[int, ...] = (211,), *, old: bool = False, **changes: Any) -> bytes:
    block = kne_block(*(kne_model(number, old=old) for number in numbers), old=old)
    infos = [info(number, f"{number:04x}") for number in numbers]
    return outer("730", b"", block, infos, **{"schema": (2, 0, 1), **changes})
