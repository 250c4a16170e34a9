"""The head of a kmodel (nncase, versions 3 to 7): its version, what it is for, and its modules or layers."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from modelbuild.formats.flatbuffer import damaged

MAGIC = b"LDMK"
_NAME = "kmodel"
_MAX_LAYERS = 4096
_MAX_MODULES = 256
_V4_DTYPES = {0: "float32", 1: "uint8"}
_V4_TARGETS = {0: "cpu", 1: "k210"}


@dataclass(frozen=True)
class KmodelTensor:
    """An input or output. `shape` and `dtype` are empty where this version does not store them."""

    dtype: str
    shape: tuple[int, ...]
    address: int
    size: int


@dataclass(frozen=True)
class KmodelModule:
    """One module of versions 5 to 7; `size` in bytes with its header."""

    kind: str
    offset: int
    size: int
    functions: int
    sections: int


@dataclass(frozen=True)
class KmodelHeader:
    """The head. Versions 3 and 4 have layers, the later ones modules."""

    version: int
    layout: str  # "" or, for the two containers of version 5, "release" | "development"
    flags: int
    target: str
    inputs: tuple[KmodelTensor, ...] = ()
    outputs: tuple[KmodelTensor, ...] = ()
    layers: int = 0
    main_memory: int = 0
    constants: int = 0
    modules: tuple[KmodelModule, ...] = ()
    unread: int = 0  # bytes after the last module or layer


def is_kmodel(data: bytes) -> bool:
    """Whether the bytes are a kmodel: the magic, or the sizes of version 3, which has none, adding up."""
    return (data[:4] == MAGIC and len(data) >= 8) or _v3_rest(data) is not None


def decode(data: bytes) -> KmodelHeader:
    """Read the head. Errors: ModelbuildError with the offset, also for versions that are not known."""
    if data[:4] != MAGIC:
        return _v3(data)
    version = _words(data, 4, 1)[0]
    reader = _READERS.get(version)
    if reader is None:
        raise damaged(f"its version is {version}; known are 3 to 7", _NAME, 4)
    return reader(data)


def _v3(data: bytes) -> KmodelHeader:
    rest = _v3_rest(data)
    if rest is None:
        raise damaged("it has no magic, and the sizes of version 3 do not add up", _NAME, 0)
    _, flags, _, layers, _, main_memory, outputs = _words(data, 0, 7)
    pairs = _words(data, 28, 2 * outputs)
    tensors = tuple(KmodelTensor("", (), pairs[2 * i], pairs[2 * i + 1]) for i in range(outputs))
    return KmodelHeader(
        3, "", flags, "k210", outputs=tensors, layers=layers, main_memory=main_memory, unread=rest
    )


def _v3_rest(data: bytes) -> int | None:
    """Bytes after the last layer of a version 3 file; None if it is none. One real file has 8."""
    if len(data) < 28:
        return None
    version, flags, arch, layers, _, _, outputs = struct.unpack_from("<7I", data)
    if version != 3 or flags > 0xFF or arch or not 1 <= layers <= _MAX_LAYERS or not 1 <= outputs <= 64:
        return None
    table = 28 + 8 * outputs
    end = table + 8 * layers
    if end > len(data):
        return None
    end += sum(struct.unpack_from(f"<{2 * layers}I", data, table)[1::2])
    return len(data) - end if 0 <= len(data) - end <= 64 else None


def _v4(data: bytes) -> KmodelHeader:
    flags, target, constants, memory, nodes, inputs, outputs, _ = _words(data, 8, 8)
    if max(inputs, outputs) > 64 or nodes > _MAX_LAYERS:
        raise damaged(f"it claims {inputs} inputs, {outputs} outputs and {nodes} nodes", _NAME, 24)
    place = 40
    entering = [_words(data, place + 16 * i, 4) for i in range(inputs)]
    place += 16 * inputs
    shapes = [_words(data, place + 16 * i, 4) for i in range(inputs)]
    place += 16 * inputs
    leaving = [_words(data, place + 16 * i, 4) for i in range(outputs)]
    place += 16 * outputs + constants + 8 * nodes
    if place > len(data):
        raise damaged(f"its constants and nodes end at {place}, after its {len(data)} bytes", _NAME, 16)
    return KmodelHeader(
        4,
        "",
        flags,
        _V4_TARGETS.get(target, f"unknown ({target})"),
        tuple(_v4_tensor(words, shape) for words, shape in zip(entering, shapes, strict=True)),
        tuple(_v4_tensor(words, ()) for words in leaving),
        nodes,
        memory,
        constants,
    )


def _v4_tensor(words: tuple[int, ...], shape: tuple[int, ...]) -> KmodelTensor:
    return KmodelTensor(_V4_DTYPES.get(words[1], f"unknown ({words[1]})"), shape, words[2], words[3])


def _v5(data: bytes) -> KmodelHeader:
    header_size = _words(data, 8, 1)[0]
    if header_size != 32:  # the layout before nncase 1.0: magic, version, flags, alignment, modules, main
        flags, _, count, _ = _words(data, 8, 4)
        modules, end = _modules(data, 24, count, _v5_development_module)
        return _with_modules(data, 5, "development", flags, modules, end)
    flags, _, count, _, _ = _words(data, 12, 5)
    modules, end = _modules(data, 32, count, _v5_module)
    return _with_modules(data, 5, "release", flags, modules, end)


def _later(data: bytes) -> KmodelHeader:
    version, flags, _, count, _, _, _ = _words(data, 4, 7)
    modules, end = _modules(data, 32, count, _v6_module if version == 6 else _v7_module)
    return _with_modules(data, version, "", flags, modules, end)


def _with_modules(
    data: bytes, version: int, layout: str, flags: int, modules: tuple[KmodelModule, ...], end: int
) -> KmodelHeader:
    kinds = [module.kind for module in modules if module.kind != "stackvm"]
    target = kinds[0] if kinds else "cpu"
    return KmodelHeader(version, layout, flags, target, modules=modules, unread=len(data) - end)


def _v5_module(data: bytes, place: int) -> tuple[int, int, int]:
    _, _, size, _, _, sections, functions, _ = _words(data, place + 16, 8)
    return size, functions, sections


def _v5_development_module(data: bytes, place: int) -> tuple[int, int, int]:
    size, _, _, _, sections, _ = _words(data, place + 16, 6)
    return size, 0, sections


def _v6_module(data: bytes, place: int) -> tuple[int, int, int]:
    _, size, sections, functions = _words(data, place + 16, 4)
    return size, functions, sections


def _v7_module(data: bytes, place: int) -> tuple[int, int, int]:
    _, sections, functions, _, low, high = _words(data, place + 16, 6)
    return low | high << 32, functions, sections


def _modules(
    data: bytes, place: int, count: int, read: Callable[[bytes, int], tuple[int, int, int]]
) -> tuple[tuple[KmodelModule, ...], int]:
    """The modules one after the other, and where the last one ends."""
    if not 1 <= count <= _MAX_MODULES:
        raise damaged(f"it claims {count} modules", _NAME, 16)
    found = []
    for _ in range(count):
        size, functions, sections = read(data, place)
        if size < 24 or place + size > len(data):
            raise damaged(f"a module of {size} bytes lies outside its {len(data)} bytes", _NAME, place)
        kind = data[place : place + 16].split(b"\0", 1)[0].decode("ascii", "backslashreplace")
        found.append(KmodelModule(kind, place, size, functions, sections))
        place += size
    return tuple(found), place


def _words(data: bytes, place: int, count: int) -> tuple[int, ...]:
    if place + 4 * count > len(data):
        raise damaged(f"it ends after {len(data)} bytes", _NAME, place)
    return struct.unpack_from(f"<{count}I", data, place)


_READERS: dict[int, Callable[[bytes], KmodelHeader]] = {4: _v4, 5: _v5, 6: _later, 7: _later}
