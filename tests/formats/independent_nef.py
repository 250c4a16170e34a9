"""A NEF reader written from the layout facts alone. It imports nothing of modelbuild and trusts nothing:
every rule that the layout states is asserted on the way."""

from __future__ import annotations

import struct
import zlib
from typing import Any

TARGETS_OLD = {0: "520", 1: "720", 2: "530", 3: "730", 4: "630", 5: "540"}
TARGETS_NEW = {1: "520", 2: "720", 3: "530", 4: "730", 5: "630", 6: "540"}
SEGMENTS = {1: "input", 2: "output", 3: "buf", 4: "cmd", 5: "weight", 6: "setup"}
REGIONS = ("input", "output", "buf", "cmd", "weight", "setup")
RECORD_FIELDS = ("id", "version", *(f"{region}_{word}" for region in REGIONS for word in ("addr", "len")))


class Walk:
    """The few FlatBuffer rules: tables, strings, vectors. Positions are absolute."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def u(self, place: int, layout: str = "I") -> Any:
        assert place >= 0
        return struct.unpack_from("<" + layout, self.data, place)[0]

    def root(self) -> int:
        return int(self.u(0))

    def slot(self, table: int, number: int) -> int | None:
        vtable = table - self.u(table, "i")
        assert self.u(vtable, "H") % 2 == 0
        if 4 + 2 * number >= self.u(vtable, "H"):
            return None
        inside = self.u(vtable + 4 + 2 * number, "H")
        assert inside < self.u(vtable + 2, "H")
        return table + inside if inside else None

    def number(self, table: int, number: int, layout: str = "I", default: float = 0) -> Any:
        place = self.slot(table, number)
        if place is None:
            return default
        assert place % struct.calcsize(layout) == 0, "a scalar must be aligned to its size"
        return self.u(place, layout)

    def follow(self, table: int, number: int) -> int | None:
        place = self.slot(table, number)
        return None if place is None else place + self.u(place)

    def vector(self, table: int, number: int, size: int = 1) -> tuple[int, int]:
        start = self.follow(table, number)
        if start is None:
            return 0, 0
        assert start % 4 == 0
        count = self.u(start)
        assert start + 4 + count * size <= len(self.data)
        return start + 4, count

    def octets(self, table: int, number: int) -> bytes:
        start, count = self.vector(table, number)
        return self.data[start : start + count]

    def text(self, table: int, number: int) -> str | None:
        if self.slot(table, number) is None:
            return None
        start, count = self.vector(table, number)
        assert self.data[start + count] == 0, "a string must end in a zero byte"
        return self.data[start : start + count].decode()

    def numbers(self, table: int, number: int, layout: str) -> list[Any]:
        size = struct.calcsize(layout)
        start, count = self.vector(table, number, size)
        return [self.u(start + size * i, layout) for i in range(count)]

    def tables(self, table: int, number: int) -> list[int]:
        start, count = self.vector(table, number, 4)
        return [start + 4 * i + self.u(start + 4 * i) for i in range(count)]


def parse(data: bytes) -> dict[str, Any]:
    """The whole file, every CRC checked."""
    assert struct.unpack("<I", data[-4:])[0] == zlib.crc32(data[:-4]), "trailing CRC-32"
    walk = Walk(data[:-4])
    root = walk.root()
    assert walk.number(root, 0, "I", 19840308) == 19840308
    header, binary = walk.follow(root, 1), walk.follow(root, 3)
    assert header is not None and binary is not None
    firmware, all_models = walk.octets(binary, 0), walk.octets(binary, 1)
    assert walk.number(header, 2) == zlib.crc32(all_models), "header.crc"
    version = walk.follow(header, 7)
    assert version is not None
    schema = tuple(walk.number(version, slot) for slot in range(3))
    # the vendor's reader looks at each number by itself
    shifted = schema[0] >= 2 and schema[1] >= 2 and schema[2] >= 1
    if schema >= (1, 0, 0):
        assert walk.vector(binary, 1)[0] % 32 == 0, "all_models starts on a multiple of 32"
    result: dict[str, Any] = {
        "schema": schema,
        "target": (TARGETS_NEW if shifted else TARGETS_OLD)[walk.number(header, 1, "i")],
        "toolchain": walk.text(header, 6),
        "compiler": walk.text(header, 5),
        "uuid": walk.number(header, 8),
        "encryption": walk.number(header, 4, "i"),
        "infos": [
            {"name": walk.text(t, 0), "id": walk.number(t, 1, "i"), "version": walk.text(t, 2)}
            for t in walk.tables(root, 2)
        ],
    }
    result["models"] = (
        firmware_models(firmware, all_models, result["target"]) if firmware else kne(all_models)
    )
    return result


def firmware_models(firmware: bytes, all_models: bytes, target: str) -> list[dict[str, Any]]:
    count = struct.unpack_from("<I", firmware)[0]
    assert len(firmware) == 4 + 56 * count + 12 + 4 * count + 4
    models = [
        dict(zip(RECORD_FIELDS, struct.unpack_from("<14I", firmware, 4 + 56 * i), strict=True))
        for i in range(count)
    ]
    end, total, checksum, *each, own = struct.unpack_from(f"<{3 + count + 1}I", firmware, 4 + 56 * count)
    assert total == len(all_models) and checksum == zlib.crc32(all_models)
    assert own == zlib.crc32(firmware[:-4])
    base = models[0]["cmd_addr"]
    starts = [m["cmd_addr"] - base for m in models] + [len(all_models)]
    for crc, start, stop in zip(each, starts, starts[1:], strict=False):
        assert crc == zlib.crc32(all_models[start:stop]), "per-model CRC runs to the next model's command"
    assert end == base + len(all_models)
    check_dram_map(models)
    for model in models:
        for part in ("cmd", "weight", "setup"):
            place = model[f"{part}_addr"] - base
            assert place >= 0 and place + model[f"{part}_len"] <= len(all_models)
            model[part] = all_models[place : place + model[f"{part}_len"]]
        assert model["weight_addr"] == model["cmd_addr"] + -(-model["cmd_len"] // 16) * 16, "cmd padded to 16"
        model["io"] = setup(model["setup"], target, model)
    return models


def check_dram_map(models: list[dict[str, Any]]) -> None:
    """Shared input, an output each in sequence, shared work buffer, then the binaries; nothing overlaps."""
    assert len({m["input_addr"] for m in models}) == 1 and len({m["buf_addr"] for m in models}) == 1
    place = models[0]["input_addr"] + max(m["input_len"] for m in models)
    for model in models:
        assert model["output_addr"] >= place
        place = model["output_addr"] + model["output_len"]
    assert models[0]["buf_addr"] >= place
    place = models[0]["buf_addr"] + max(m["buf_len"] for m in models)
    for model in models:
        assert model["cmd_addr"] >= place and model["cmd_addr"] % 16 == 0
        place = model["setup_addr"] + model["setup_len"]


def setup(data: bytes, target: str, record: dict[str, Any]) -> dict[str, Any]:
    if struct.unpack_from("<I", data)[0] == 0x8EB5A462:
        found = legacy_setup(data, target)
        check_legacy_addresses(found, target, record)
        return found
    walk = Walk(data)
    root = walk.root()
    assert walk.number(root, 0, "I", 19840308) == 19840308
    header = walk.follow(root, 1)
    assert header is not None
    assert TARGETS_NEW[walk.number(header, 1, "i")] == target
    found = {
        "inputs": [setup_tensor(walk, t) for t in walk.tables(root, 2)],
        "outputs": [setup_tensor(walk, t) for t in walk.tables(root, 3)],
        "cpu": [walk.text(t, 0) for t in walk.tables(root, 4)],
        "mode": walk.number(header, 5, "b"),
        "segments": {
            SEGMENTS[walk.number(t, 0, "b")]: (walk.number(t, 1), walk.number(t, 2))
            for t in walk.tables(header, 3)
        },
    }
    check_segments(found, record)
    return found


def check_segments(found: dict[str, Any], record: dict[str, Any]) -> None:
    """Segments are the record's regions, or begin at 0; tensors lie inside theirs."""
    starts = {name: start for name, (start, _) in found["segments"].items()}
    counted = any(starts.values())
    for name, (start, size) in found["segments"].items():
        assert start == (record[f"{name}_addr"] if counted else 0) and size == record[f"{name}_len"]
    for tensor in (*found["inputs"], *found["outputs"]):
        start, size = found["segments"][SEGMENTS[tensor["segment"]]]
        entry = tensor["entry"] - (start if found["mode"] == 1 else 0)
        assert entry >= 0 and entry + tensor["size"] <= size


def check_legacy_addresses(found: dict[str, Any], target: str, record: dict[str, Any]) -> None:
    """KL520's addresses are those of the record, KL720's count from 0; supers lie in buffers of the model."""
    names = ("working", "cmd", "weight", "input")
    places = dict(zip(names, (5, 10, 12, 14) if target == "520" else (5, 7, 9, 11), strict=True))
    for name, place in places.items():
        region = "buf" if name == "working" else name
        assert found["header"][place] == (record[f"{region}_addr"] if target == "520" else 0)
        assert found["header"][place + 1] == record[f"{region}_len"]
    if target == "520":
        buffers = [(record[f"{name}_addr"], record[f"{name}_len"]) for name in ("output", "buf", "input")]
        assert all(any(a <= super_ < a + n for a, n in buffers) for super_ in found["supers"])
    else:
        assert all(0 <= super_ < record["output_len"] for super_ in found["supers"])


def setup_tensor(walk: Walk, table: int) -> dict[str, Any]:
    quantization, buffer = walk.follow(table, 4), walk.follow(table, 5)
    assert quantization is not None and buffer is not None
    point = walk.tables(quantization, 0)[0]
    return {
        "name": walk.text(table, 0),
        "format": walk.number(table, 1),
        "shape": walk.numbers(table, 3, "i") or walk.numbers(table, 2, "i"),
        "scale": walk.number(point, 0, "f", 0.0),
        "radix": walk.number(point, 1, "i"),
        "entry": walk.number(buffer, 0, "I", 0xFFFFFFFF),
        "size": walk.number(buffer, 1, "i"),
        "segment": walk.number(buffer, 2, "b"),
    }


def legacy_setup(data: bytes, target: str) -> dict[str, Any]:
    words = list(struct.unpack(f"<{len(data) // 4}I", data[: len(data) // 4 * 4]))
    header = 18 if target == "520" else 15
    result: dict[str, Any] = {"header": words[:header], "inputs": [], "outputs": [], "supers": []}
    place = header
    while place < len(words):
        kind = words[place]
        size = {0: 2, 1: 53 if target == "520" else 15, 2: 12, 3: 11, 4: 8, 5: 9}[kind]
        node = words[place : place + size]
        place += size
        if kind == 2:
            radix, scale = struct.unpack("<if", struct.pack("<2I", node[10], node[11]))
            row, column, channel = node[6:9]
            result["outputs"].append(
                {"format": node[2], "shape": [1, channel, row, column], "radix": radix, "scale": scale}
            )
        if kind == 4:
            result["supers"].append(node[1])
        if kind == 1 and target == "520":
            assert node[15] == node[34] == 3 and node[26] == node[45] == 4, "data and super, twice, inline"
            result["supers"] += [node[27], node[46]]
        if kind == 5:
            row, column, channel = node[3:6]
            radix = struct.unpack("<i", struct.pack("<I", node[8]))[0]
            result["inputs"].append({"format": node[2], "shape": [1, channel, row, column], "radix": radix})
    if target == "520":
        row, column, channel = words[7:10]
        radix = struct.unpack("<i", struct.pack("<I", words[16]))[0]
        result["inputs"].append({"format": 16, "shape": [1, channel, row, column], "radix": radix})
        assert words[17] == len(result["outputs"])
    else:
        assert words[13] == len(result["inputs"]) and words[14] == len(result["outputs"])
    return result


def kne(data: bytes) -> list[dict[str, Any]]:
    walk = Walk(data)
    root = walk.root()
    assert walk.number(root, 0) == 19840308
    header = walk.follow(root, 1)
    assert header is not None and walk.number(header, 0, "b") == 1, "KNE target of the 730"
    models = []
    for table in walk.tables(root, 2):
        head = walk.follow(table, 0)
        assert head is not None
        cores = walk.tables(table, 1)
        assert walk.number(head, 3, "i") == len(cores)
        model: dict[str, Any] = {"id": walk.number(head, 0, "i"), "cpu": [], "io": {}}
        for core in cores:
            kne_core(walk, core, model)
        model["buffers"] = {
            walk.number(t, 0, "b"): (walk.number(t, 1, "Q"), walk.number(t, 2, "Q"))
            for t in walk.tables(head, 9)
        }
        model["io"] = {
            "inputs": [kne_tensor(walk, t) for t in walk.tables(head, 1)],
            "outputs": [kne_tensor(walk, t) for t in walk.tables(head, 2)],
        }
        models.append(model)
    for buffer in walk.tables(header, 3):
        kind, start, size = (
            walk.number(buffer, 0, "b"),
            walk.number(buffer, 1, "Q"),
            walk.number(buffer, 2, "Q"),
        )
        for model in models:
            begin, length = model["buffers"][kind]
            assert start <= begin and begin + length <= start + size, (
                "the whole file's buffers hold each model's"
            )
    return models


def kne_core(walk: Walk, core: int, model: dict[str, Any]) -> None:
    """Add the binaries and CPU nodes of a core and of those inside it."""
    kind, parameters = walk.number(core, 2, "B"), walk.follow(core, 3)
    assert parameters is not None
    if kind == 3:
        parameters = walk.follow(parameters, 2)
        assert parameters is not None
    if kind in (1, 3):
        for slot in (0, 1):
            assert walk.vector(parameters, slot)[0] % 64 == 0, "command and weight lie on multiples of 64"
        model["cmd"] = model.get("cmd", b"") + walk.octets(parameters, 0)
        model["weight"] = model.get("weight", b"") + walk.octets(parameters, 1)
    if kind == 2:
        model["cpu"] += [walk.text(item, 0) for item in walk.tables(parameters, 0)]
    for inner in walk.tables(core, 1):
        kne_core(walk, inner, model)


def kne_tensor(walk: Walk, table: int) -> dict[str, Any]:
    quantization = walk.follow(table, 7)
    assert quantization is not None
    count = walk.number(quantization, 2)
    assert len(walk.octets(quantization, 1)) == 4 * count and walk.number(quantization, 3, "b") == 9
    shape, inverse = walk.numbers(table, 5, "i"), walk.numbers(table, 11, "b")
    assert walk.number(table, 2, "B") == len(shape)
    return {
        "name": walk.text(table, 0),
        "format": walk.number(table, 1, "B"),
        "shape": [shape[axis] for axis in inverse],
        "radix": walk.numbers(quantization, 0, "b")[0],
        "scale": struct.unpack_from("<f", walk.octets(quantization, 1))[0],
        "size": walk.number(table, 3),
        "entry": walk.number(table, 9, "Q"),
    }
