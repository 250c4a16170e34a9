"""Files that were altered: a ModelbuildError, or a run that ends; never anything else."""

from __future__ import annotations

import math

import numpy as np
import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.kpu.simulator import load, simulate
from tests.kpu.simulator import all_calls, calls, layers
from tests.kpu.simulator.handmade import DATA, F32, INPUT, OUTPUT, Code, one

NUMBERS = (0, 1, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 65_536, 1 << 20, 1 << 27)
HUGE = 1 << 26  # elements of inputs; more are not made here


def originals() -> list[bytes]:
    """Small files of every function, and layers."""
    found = [calls.together([case])[0] for group in all_calls.GROUPS for case in all_calls.cases(group)[::7]]
    made = [layers.random_layer(np.random.default_rng(seed)) for seed in range(12)]
    return found + [layers.chain(layer, main=index % 2 == 0) for index, layer in enumerate(made)]


def altered(data: bytes, random: np.random.Generator) -> bytes:
    """One to four bytes or numbers changed."""
    found = bytearray(data)
    for _ in range(int(random.choice([1, 1, 2, 4]))):
        place = int(random.integers(min(len(found), 1500)))
        if random.integers(2):
            found[place] = int(random.integers(256))
        else:
            number = int(random.choice(NUMBERS))
            found[place : place + 4] = number.to_bytes(4, "little")
    return bytes(found)


def attempt(data: bytes) -> bool:
    """Whether the file runs."""
    try:
        machine = load(data)
        if any(math.prod(port.shape) > HUGE for port in machine.inputs):
            return False
        machine.run([np.zeros(port.shape, port.dtype) for port in machine.inputs])
    except ModelbuildError:
        return False
    return True


def test_altered_files() -> None:
    files = originals()
    ran = 0
    for seed in range(400):
        random = np.random.default_rng(seed)
        ran += attempt(altered(files[seed % len(files)], random))
    assert 40 < ran < 360


@pytest.mark.long
@pytest.mark.parametrize("start", range(400, 20_000, 400))
def test_more_altered_files(start: int) -> None:
    files = originals()
    for seed in range(start, start + 400):
        attempt(altered(files[seed % len(files)], np.random.default_rng(seed)))


@pytest.mark.parametrize("cut", [1, 9, 40, 300])
def test_cut_files(cut: int) -> None:
    data = layers.chain(layers.random_layer(np.random.default_rng(1)))
    assert not attempt(data[:-cut])


def run(code: Code, shape: tuple[int, ...] = (4,), data: int = 64) -> None:
    simulate(one(code, [(F32, shape)], [(F32, shape)], b"", data), [np.zeros(shape, np.float32)])


def test_a_tensor_that_strides_make_huge() -> None:
    code = Code().tensor(
        "copy", [(INPUT, 0), (DATA, 0)], datatype=F32, rshape=(30_000, 30_000), rstride_src=(0, 0),
        rstride_dest=(0, 0),
    )  # fmt: skip
    with pytest.raises(ModelbuildError, match="more than 67108864 elements"):
        run(code)


def test_work_has_a_bound() -> None:
    """A window as large as it can be, over an input whose strides repeat one element."""
    shape = (1, 1, 5000, 5000)
    code = Code().tensor(
        "reduce_window2d", [(INPUT, 0), 0.0, (DATA, 0), 0, 0, 0, 0, 0, 0], datatype=F32, reduce_op=3,
        rshape_src=shape, rstride_src=(0, 0, 0, 0), rstride_dest=(0, 0, 0, 0), filter_h=2500, filter_w=2500,
        stride_h=1, stride_w=1, dilation_h=1, dilation_w=1, fused_clamp_low=0.0, fused_clamp_high=1.0,
    )  # fmt: skip
    with pytest.raises(ModelbuildError, match="operations"):
        run(code)


def test_output_past_its_end() -> None:
    code = Code().tensor(
        "copy", [(INPUT, 0), (OUTPUT, 8)], datatype=F32, rshape=(4,), rstride_src=(1,), rstride_dest=(1,)
    )
    with pytest.raises(ModelbuildError, match="of output 0 ends at 24"):
        run(code)
