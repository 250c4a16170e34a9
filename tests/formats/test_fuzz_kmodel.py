"""Altered and truncated kmodels of every version: the documented error or a result, with bounded means."""

from __future__ import annotations

import json
import multiprocessing
import resource
import signal
import struct
from collections.abc import Callable
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
from tests.formats import kmodel_sources as sources
from tests.formats.test_fuzz import LONG, SHORT, survive

SECONDS = 2  # of the processor, for one input
BYTES = 200 << 20  # of memory, over what the process has before


def read_all(data: bytes) -> None:
    """Everything that is made of a file: parts, disassembly, object, listing."""
    found = kmodel.read(data)
    assert sum(part.size for part in found.parts) >= len(data)
    kpu_check(found)
    described = kmodel_code.describe(found)
    json.dumps(described, allow_nan=False)
    listing(described)


@pytest.mark.parametrize("name", sources.ALL)
def test_mutations(name: str) -> None:
    data = sources.ALL[name]()
    assert survive(read_all, data, SHORT) < SHORT


@pytest.mark.parametrize("name", sources.ALL)
def test_every_truncation(name: str) -> None:
    data = sources.ALL[name]()
    for size in range(0, len(data), max(1, len(data) // 300)):
        try:
            read_all(data[:size])
        except ModelbuildError as error:
            assert error.exit_code == 2


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


def write_again(data: bytes) -> None:
    """What is read is written again as it was, or refused."""
    assert kmodel.write(kmodel.image_of(kmodel.read(data))) == data


def take_apart(code: bytes) -> None:
    """Code of the stack machine is assembled again as it was, but for branches to its end."""
    lines = stackvm_assembly.disassemble(code)
    assert stackvm_assembly.assemble(lines) == code


def take_operations_apart(code: bytes) -> None:
    assert kpu_records.pack(kpu_records.unpack(code)) == code


WRITTEN = {
    "file": (write_again, sources.version5()),
    "stack machine": (take_apart, sources.quantized_call(0x14, 0x0B, call=sources.release_call)),
    "operations": (take_operations_apart, sources.kpu_code(kpu=64)[1]),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_mutations_are_written_as_they_were_or_refused(name: str) -> None:
    read, data = WRITTEN[name]
    read(data)
    assert 0 < survive(read, data, SHORT) < SHORT


@pytest.mark.long
@pytest.mark.parametrize("name", WRITTEN)
def test_many_mutations_are_written_as_they_were_or_refused(name: str) -> None:
    read, data = WRITTEN[name]
    assert 0 < survive(_limited(read), data, LONG) < LONG


def _limited(read: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """`read` with a limit of processor time for each input."""

    def too_long(*_: object) -> None:
        raise TimeoutError(f"an input took more than {SECONDS} s")

    signal.signal(signal.SIGPROF, too_long)

    def limited(data: bytes) -> None:
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        read(data)
        signal.setitimer(signal.ITIMER_PROF, 0)

    return limited


def _many(name: str) -> None:
    """In a process of its own, as its memory is limited."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * resource.getpagesize() + BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    survive(_limited(read_all), sources.ALL[name](), LONG)


@pytest.mark.long
@pytest.mark.parametrize("name", sources.ALL)
def test_many_mutations(name: str) -> None:
    process = multiprocessing.get_context("fork").Process(target=_many, args=(name,))
    process.start()
    process.join()
    assert process.exitcode == 0
