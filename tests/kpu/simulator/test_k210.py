"""Operations of the KPU's module by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.formats.kmodel import kpu_geometry, kpu_tables
from modelbuild.formats.kmodel.kpu_tables import BatchNorm, Segment
from modelbuild.kpu.simulator import Simulation, simulate
from tests.kpu.simulator.handmade import (
    DATA,
    F32,
    INPUT,
    KPU,
    OUTPUT,
    RDATA,
    U8,
    Code,
    Module,
    Shape,
    at,
    conv2d,
    copied,
    download,
    kmodel,
    one,
    upload,
)

SEGMENTS = (Segment(-(1 << 35), 0, 0, 0), *(Segment(-1, 1, 0, 0),) * 15)
TABLES = kpu_tables.pack_activation(SEGMENTS).ljust(256, b"\0") + kpu_tables.pack_batch_norm(
    [BatchNorm(1, 0, 0)] * 2
)
WEIGHTS = len(TABLES)
LAYER = kpu_geometry.layer((1, 4, 4), 2, kernel=1, src=0, dst=1024)
X = np.arange(16, dtype=np.uint8).reshape(1, 1, 4, 4)


def made(
    text: bytes,
    source: Shape = (1, 1, 4, 4),
    target: Shape = (1, 2, 4, 4),
    weights: bytes = b"\2\3",
    data: int = 0,
) -> bytes:
    """Operations between bytes, called by a stack machine."""
    ports = (U8, source), (U8, target)
    code = Code().call(1, [((INPUT, 0), ports[0])], [((OUTPUT, 0), ports[1])])
    return kmodel(
        Module("stackvm", bytes(code.data), [ports[0]], [ports[1]]),
        Module("k210", text, [ports[0]], [ports[1]], TABLES + weights, data),
    )


def run(text: bytes) -> Simulation:
    """Operations on X."""
    return simulate(made(text), [X], keep=["kpu_conv2d"])


def layer(changed: object = LAYER, main: bytes = bytes(12)) -> bytes:
    return conv2d(WEIGHTS, 256, 0, changed, main)  # type: ignore[arg-type]


def test_a_layer_and_what_is_recorded() -> None:
    """Twice and three times the input, less 1 for the start of the segment, and 1 for 0 above it."""
    text = (
        upload(at(INPUT, 0, 16), 0, (1, 1, 4, 4)) + layer() + download(1024, at(OUTPUT, 0, 32), (1, 2, 4, 4))
    )
    found = run(text)
    wanted = np.stack([X[0, 0] * 2 + 1, X[0, 0] * 3 + 1])
    assert np.array_equal(found.outputs[0][0], wanted)
    assert [event.name for event in found.events] == ["kpu_upload", "kpu_conv2d", "kpu_download"]
    (event,) = found.of("kpu_conv2d")
    assert (event.fields["macs"], event.fields["oc"], event.kind) == (32, 2, "k210")
    assert (event.reads[0].memory, event.reads[0].offset, event.reads[0].shape) == (
        "module 1: kpu",
        0,
        X.shape,
    )
    assert event.writes[0].offset == 1024
    assert np.array_equal(event.reads[0].values, X)
    assert np.array_equal(event.writes[0].values, found.outputs[0])
    assert found.events[0].reads[0].values is None


def test_the_layer_writes_main_memory_itself() -> None:
    text = upload(at(INPUT, 0, 16), 0, (1, 1, 4, 4)) + layer(main=at(OUTPUT, 0, 32))
    assert run(text).outputs[0][0, 0].tolist() == (X[0, 0] * 2 + 1).tolist()


def copies() -> bytes:
    """From the input to the data of the module with gaps, and from there, turned."""
    text = copied(at(INPUT, 0, 16), at(DATA, 0, 32), (1, 1, 4, 4), (16, 16, 4, 1), (0, 0, 8, 2))
    text += copied(at(DATA, 0, 32), at(OUTPUT, 0, 16), (1, 1, 4, 4), (0, 0, 8, 2), (16, 16, 1, 4))
    return made(text, target=(1, 1, 4, 4), data=32)


def test_copies() -> None:
    assert simulate(copies(), [X]).outputs[0][0, 0].tolist() == X[0, 0].T.tolist()


READY = upload(at(INPUT, 0, 16), 0, (1, 1, 4, 4))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (layer(), "nothing wrote all of it"),
        (READY + layer(replace(LAYER, ch_switch=5)), "ch_switch is 5"),
        (READY + layer(replace(LAYER, wb_group=1)), "wb_group is 1"),
        (READY + layer(replace(LAYER, pool=12)), "pool 12"),
        (READY + layer(replace(LAYER, kernel=2)), "kernel 2"),
        (READY + layer(replace(LAYER, para_size=7)), "a load has 7 bytes"),
        (READY + layer(replace(LAYER, ow=2)), "ow is 2"),
        (READY + layer(replace(LAYER, dst_addr=32_767)), "ends at"),
        (READY + layer(replace(LAYER, depthwise=1)), "depthwise from 1 to 2"),
        (READY + conv2d(WEIGHTS + 1, 256, 0, LAYER), "weights ends at"),
        (READY + conv2d(WEIGHTS, 0, 300, LAYER), "activation ends at"),
        (READY + layer(main=at(OUTPUT, 16, 32)), "where none begins"),
        (READY + layer(main=at(RDATA, 0, 32)), "constants"),
        (upload(at(INPUT, 4, 16), 0, (1, 1, 4, 4)), "where none begins"),
        (upload(at(INPUT, 0, 16), 0, (1, 2, 4, 4)), "has 32 bytes, and its tensor 16"),
        (upload(at(7, 0, 16), 0, (1, 1, 4, 4)), "location 7"),
        (upload(at(INPUT, 0, 16), (2 << 20) - 64, (1, 1, 4, 4)), "ends at"),
        (upload(at(DATA, 0, 16), 0, (1, 1, 4, 4)), "of 0 bytes"),
        (download(0, at(OUTPUT, 0, 32), (1, 3, 4, 4)), "nothing wrote all of it"),
        (download(0, at(OUTPUT, 0, 32), (1, 0, 4, 4)), "is empty"),
        (copied(at(KPU, 0, 16), at(OUTPUT, 0, 16), *[(1, 1, 4, 4), *[(16, 16, 4, 1)] * 2]), "nothing wrote"),
        (b"\x04" + bytes(43), "there is no operation 4"),
        (READY[:-1], "bytes are expected"),
    ],
)  # fmt: skip
def test_what_is_refused(text: bytes, why: str) -> None:
    with pytest.raises(ModelbuildError, match=why) as caught:
        run(text)
    assert "0x" in str(caught.value)


def test_a_call_must_fit_its_function() -> None:
    port = (F32, (4,))
    code = Code().call(1, [((INPUT, 0), port)], [])
    data = kmodel(Module("stackvm", bytes(code.data), [port], []), Module("k210", b"", [(U8, (4,))], []))
    with pytest.raises(ModelbuildError, match="input 0 of a call is float32, and uint8 is wanted"):
        simulate(data, [np.zeros(4, np.float32)])


def test_other_files_are_refused() -> None:
    data = bytearray(one(Code(), [], []))
    data[4] = 7
    with pytest.raises(ModelbuildError):
        simulate(bytes(data), [])
    strange = kmodel(Module("k510", b"", [], []))
    with pytest.raises(ModelbuildError, match="module 0 is of k510"):
        simulate(strange, [])
