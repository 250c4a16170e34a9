"""Altered and truncated kmodels of every version: the documented error or a result, with bounded means."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from modelbuild.artifacts.inspectors import kmodel_code
from modelbuild.artifacts.inspectors.kmodel_listing import listing
from modelbuild.errors import ModelbuildError
from modelbuild.formats import kmodel
from modelbuild.formats.kmodel import (
    kpu_operations,
    kpu_records,
    stackvm,
    stackvm_assembly,
    version5_modules,
)
from modelbuild.formats.kmodel.disassembly import kpu_check
from tests.formats import fuzzing
from tests.formats import kmodel_sources as sources
from tests.formats.fuzzing import LONG, SHORT, Case
from tests.formats.test_fuzz import survive


def read_all(data: bytes) -> None:
    """Everything that is made of a file: parts, disassembly, object, listing."""
    found = kmodel.read(data)
    assert sum(part.size for part in found.parts) >= len(data)
    kpu_check(found)
    described = kmodel_code.describe(found)
    json.dumps(described, allow_nan=False)
    listing(described)


def write_again(data: bytes) -> None:
    """What is read is written again as it was, or refused."""
    assert kmodel.write(kmodel.image_of(kmodel.read(data))) == data


def take_apart(code: bytes) -> None:
    """Code of the stack machine is assembled again as it was, but for branches to its end."""
    lines = stackvm_assembly.disassemble(code)
    assert stackvm_assembly.assemble(lines) == code


def take_operations_apart(code: bytes) -> None:
    assert kpu_records.pack(kpu_records.unpack(code)) == code


CASES = {
    **{f"kmodel {name}": Case(read_all, make) for name, make in sources.ALL.items()},
    "kmodel written": Case(write_again, sources.version5),
    "kmodel written, stack machine": Case(
        take_apart, lambda: sources.quantized_call(0x14, 0x0B, call=sources.release_call)
    ),
    "kmodel written, operations": Case(take_operations_apart, lambda: sources.kpu_code(kpu=64)[1]),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("count", [SHORT, pytest.param(LONG, marks=pytest.mark.long)], ids=["short", "long"])
def test_mutations(name: str, count: int) -> None:
    assert 0 < fuzzing.check(CASES[name], count).read < count


@pytest.mark.parametrize("name", CASES)
def test_every_truncation(name: str) -> None:
    fuzzing.truncated(CASES[name])


@pytest.mark.parametrize(
    "name", ["v3_face_detect", "v4_mobilenet_025", "v5_small_k210", "v7_face_detection_320"]
)
def test_mutations_of_real_heads(name: str, shared_data: Path) -> None:
    data = (shared_data / f"artifacts/kmodel/{name}.kmodel").read_bytes()
    rest = data[400:]
    survive(kmodel.read, data[:400], 300, lambda changed: changed + rest)


def test_the_work_on_claims_is_bounded() -> None:
    """What a small file may claim without having it, and how much is done for it."""
    code = sources.version5()
    for place, value in (
        (20, 0xFFFFFFFF),
        (32 + 28, 0xFFFFFFFF),
        (32 + 36, 0xFFFFFFFF),
        (32 + 40, 0xFFFFFFFF),
    ):
        changed = bytearray(code)
        struct.pack_into("<I", changed, place, value)
        with pytest.raises(ModelbuildError, match="claims"):
            kmodel.read(bytes(changed))
    assert version5_modules.MAX_FUNCTIONS * 32 < 1 << 20
    assert kpu_operations.MAX_OPERATIONS <= 10_000 and stackvm.MAX_WORK <= 200_000


def test_functions_that_share_their_code_do_not_multiply_it() -> None:
    """Two thousand functions of one module that all have the same code of a K210."""
    data = bytearray(sources.version5())
    (first,) = struct.unpack_from("<I", data, 32 + 24)
    start = 32 + first  # of the K210's module
    (size,) = struct.unpack_from("<I", data, start + 24)
    (pools,) = struct.unpack_from("<I", data, start + 28)
    function = start + 48 + 8 * pools
    (length,) = struct.unpack_from("<I", data, function + 4)
    copies = 2000
    grown = bytearray(
        data[:function] + data[function : function + length] * copies + data[function + length :]
    )
    struct.pack_into("<I", grown, start + 24, size + length * (copies - 1))
    struct.pack_into("<I", grown, start + 40, copies)
    code = kmodel.disassemble(kmodel.read(bytes(grown)))
    operations = sum(len(item.operations) for item in code.functions)
    assert len(code.functions) == copies + 1 and 0 < operations <= kpu_operations.MAX_OPERATIONS
