"""Compiled models by hand: borders of the model, widths and sizes at the limits, sizes of files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from modelbuild.arithmetic.kpu import run
from modelbuild.arithmetic.kpu.kinds import UNARY
from modelbuild.formats import kmodel
from modelbuild.formats.kmodel import kpu_records
from modelbuild.formats.kmodel.kpu_records import KpuConv2d, KpuOperation, KpuUpload
from modelbuild.kpu.compiler import Compiled
from modelbuild.kpu.simulator import simulate
from tests.formats.kmodel.small_networks import Network
from tests.judges import nncase
from tests.kpu.emitting import running
from tests.kpu.emitting.making import Maker
from tests.kpu.emitting.random_models import random_model

f32 = np.float32


def check(maker: Maker, outputs: list[str], **options: object) -> Compiled:
    """Compiles and runs in both simulators."""
    model = maker.model(outputs)
    values, found = maker.values(model), running.compiled(model, **options)
    running.check_simulated(model, values, found)
    running.check_judged(model, values, found)
    return found


def operations(data: bytes) -> tuple[KpuOperation, ...]:
    """Of all functions of the KPU's module."""
    module = next(item for item in kmodel.read(data).modules if item.kind == "k210")
    text = module.section(".text")
    assert text is not None
    return kpu_records.unpack(data[text.body.offset : text.body.end])


def names(found: Compiled) -> list[str]:
    return [step.name for step in found.executed]


def test_a_chain_is_one_function() -> None:
    """Four layers with a branch: one upload, and only what is read outside goes to main memory."""
    maker = Maker(1)
    a = maker.layer(maker.given((1, 3, 16, 20)), 8)
    b, c = maker.layer(a, 5), maker.layer(a, 6)
    d = maker.layer(b, 4)
    found = check(maker, [c, d])
    assert names(found) == ["kpu_upload"] + ["kpu_conv2d"] * 4
    (function,) = found.functions
    assert (function.sources, function.outputs) == (("in0",), (c, d))
    assert [step.main_memory for step in found.executed] == [("in0",), (), (), (c,), (d,)]
    upload, *layers = operations(found.kmodel)
    assert isinstance(upload, KpuUpload)
    sent = [
        isinstance(item, KpuConv2d) and (item.main_mem_output.size, item.layer.send_out) for item in layers
    ]
    assert sent == [(0, 0), (0, 0), (int(np.prod(maker.shape(c))), 1), (int(np.prod(maker.shape(d))), 1)]
    assert found.memory.sizes.working == 0  # results go straight to the outputs


def test_parts_of_a_concatenation_are_made_in_place() -> None:
    maker = Maker(2)
    x = maker.given((1, 4, 9, 11))
    a, b = maker.layer(x, 3, pool="bypass"), maker.layer(x, 7, pool="bypass")
    joined = maker.concat([a, maker.lookup(b), x], 1)
    found = check(maker, [maker.dequantize(joined)])
    # The input of the model cannot lie there and is copied.
    assert names(found) == ["kpu_upload", "kpu_conv2d", "kpu_conv2d", "lut1d", "copy", "dequantize"]
    placed = next(item for item in found.memory.placements if item.pool == "data" and joined in item.tensors)
    assert a in placed.tensors and placed.size == 14 * 99 + 6  # rounded up to 8


def test_uploads_of_the_dma_stay_aligned() -> None:
    """A map of 64 columns at an odd place of a concatenation would reach the DMA unaligned."""
    maker = Maker(3)
    x = maker.given((1, 1, 5, 9))
    y = maker.given((1, 2, 4, 64))
    flat = maker.reshape(maker.lookup(x), (45,))
    part = maker.lookup(y)
    joined = maker.concat([flat, maker.reshape(part, (512,))], 0)
    found = check(maker, [joined, maker.layer(part, 2)])
    assert names(found).count("copy") == 1


def test_the_same_tensor_twice_in_a_concatenation_is_copied_once() -> None:
    maker = Maker(4)
    a = maker.lookup(maker.given((1, 2, 4, 5)))
    found = check(maker, [maker.concat([a, a], 1)])
    assert names(found) == ["lut1d", "copy"]


def test_moves_that_move_nothing_cost_nothing() -> None:
    maker = Maker(5)
    x = maker.lookup(maker.given((1, 6, 4, 5)))
    y = maker.transpose(maker.slice(x, (0, 2, 0, 0), (1, 5, 4, 5), (1, 1, 1, 1)), (1, 0, 2, 3))
    found = check(maker, [maker.lookup(maker.reshape(y, (60,)))])
    assert names(found) == ["lut1d", "lut1d"]
    assert len(found.free) == 3


def test_outputs_that_are_inputs_or_each_other() -> None:
    maker = Maker(6)
    x = maker.given((1, 6, 4, 5), floating=True)
    view = maker.reshape(x, (6, 20))
    y = maker.unary("neg", x)
    z = maker.reshape(y, (4, 30))
    found = check(maker, [view, y, z, y])
    assert names(found) == ["copy", "unary", "copy", "copy"]


def test_constants_that_are_tensors() -> None:
    maker = Maker(7)
    x = maker.given((1, 3, 4), floating=True)
    k = maker.reshape(maker.constant(maker.floats(12)), (1, 3, 4))
    same = maker.constant(maker.constants["k0"].reshape(1, 3, 4))
    y = maker.concat([maker.binary("mul", x, k), same], 1)
    found = check(maker, [y])
    assert found.memory.sizes.constants == 48  # the same bytes are stored once


def test_a_result_does_not_overwrite_what_is_read_again() -> None:
    """`x - x[:, :1]` looks at the first channel for every other one."""
    maker = Maker(8)
    x = maker.unary("neg", maker.given((1, 3, 2, 2), floating=True))
    first = maker.slice(x, (0, 0, 0, 0), (1, 1, 2, 2), (1, 1, 1, 1))
    y = maker.unary("abs", maker.binary("sub", x, first))
    found = check(maker, [y])
    assert found.memory.sizes.working == 96
    maker = Maker(9)
    x = maker.unary("neg", maker.given((1, 3, 2, 2), floating=True))
    y = maker.unary("abs", maker.unary("floor", maker.binary("add", x, x)))
    assert check(maker, [y]).memory.sizes.working == 48


@pytest.mark.parametrize(
    ("shape", "outputs", "kernel", "pool"),
    [
        ((3, 240, 320), 4, 3, "bypass"),  # more bytes a channel than its register counts
        ((2, 256, 512), 2, 3, "left_top_2_s2"),
        ((1024, 4, 4), 1024, 1, "bypass"),  # 35 loads of weights
        ((64, 8, 64), 60, 3, "mean_2_s2"),
        ((5, 4, 4), 3, 3, "max_4_s4"),
        ((5, 7, 33), 3, 1, "mean_2_s1"),
    ],
)
def test_layers_at_the_limits(shape: tuple[int, int, int], outputs: int, kernel: int, pool: str) -> None:
    maker = Maker(10)
    check(maker, [maker.layer(maker.given((1, *shape)), outputs, kernel=kernel, pool=pool)])


def test_a_convolution_whose_order_would_hang_on_the_processor() -> None:
    """Weights and result with the same inner sizes: nncase would choose another kernel."""
    maker = Maker(11)
    x = maker.given((1, 40, 3, 3), floating=True)
    check(maker, [maker.conv(x, 40, (3, 3), pads=(1, 1, 1, 1))])


def test_functions_that_are_not_exact_in_every_bit() -> None:
    """Close in the vendor's simulator; what they take is where it should be."""
    maker = Maker(16)
    x = maker.add("sigmoid", [maker.given((2, 3, 4, 5), floating=True)], (2, 3, 4, 5), True)
    made = [maker.unary(op, x) for op in UNARY]
    made += [maker.add("softmax", [x], maker.shape(x), True, {"axis": axis}) for axis in range(4)]
    made.append(maker.binary("pow", x, maker.constant(maker.floats(4, 5))))
    over = maker.add("sigmoid", [maker.unary("neg", x)], maker.shape(x), True)
    made.append(maker.reduce(over, "max", (1,), 1))
    model = maker.model([x, *made])
    values, found = maker.values(model), running.compiled(model)
    assert found.memory.sizes.working == 480  # the sigmoid lies where what it takes lay
    wanted = run(model, values)
    for outputs in (
        simulate(found.kmodel, [values["in0"]]).outputs,
        nncase.run_kmodel(found.kmodel, [values["in0"]]),
    ):
        for name, output in zip(model.outputs, outputs, strict=True):
            np.testing.assert_allclose(output, wanted[name], rtol=2e-6, atol=1e-7)


def test_a_chain_that_does_not_fit_is_cut() -> None:
    """The map before two branches waits for the second: it is uploaded again."""
    maker = Maker(12)
    a = maker.layer(maker.given((1, 4, 32, 32)), 4, pool="bypass")
    b = maker.layer(maker.layer(a, 4, pool="bypass"), 4, pool="bypass")
    c = maker.layer(a, 4, pool="bypass")
    needed = running.least_ram(maker.model([b, c]))
    found = check(maker, [b, c], sram_bytes=needed)
    assert names(found).count("kpu_upload") == 2
    assert [function.sources[0] for function in found.functions] == ["in0", a]
    assert len(found.findings) == 1 and a in found.findings[0]
    assert f"the {needed:,} bytes of the KPU's RAM that `sram_bytes` leaves" in found.findings[0]
    assert max(function.ram_bytes for function in found.functions) <= needed
    assert len(check(maker, [b, c]).functions) == 1


def test_bytes_depend_on_the_model_alone() -> None:
    """Also not on the order of sets of texts."""
    code = (
        "import hashlib; from tests.kpu.emitting import running;"
        "from tests.kpu.emitting.random_models import random_model;"
        "print([hashlib.sha256(running.compiled(random_model(s)[1]).kmodel).hexdigest() for s in range(12)])"
    )
    root = Path(__file__).resolve().parents[3]
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=root,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(told) == 1


def test_the_file_is_as_the_vendor_writes_files() -> None:
    """Every byte is known, every check holds, the code reads as that of 1.9, and as nothing but that."""
    for seed in range(10):
        data = running.compiled(random_model(seed)[1]).kmodel
        found = kmodel.read(data)
        assert kmodel.write(kmodel.image_of(found)) == data
        assert all(check.ok for check in found.checks) and not found.unknown
        assert all(part.known for part in found.parts)
        code = kmodel.disassemble(found)
        assert "1.9.0" in code.clean
        assert not any(function.unread for function in code.functions)


def test_what_lives_at_a_time_does_not_overlap() -> None:
    """Of every pool, and each function's RAM; the ends are the pools'."""
    for seed in range(40):
        _, model = random_model(seed)
        plan = running.compiled(model, sram_bytes=running.least_ram(model)).memory
        for index, item in enumerate(plan.placements):
            for other in plan.placements[:index]:
                if (item.pool, item.function) != (other.pool, other.function):
                    continue
                together = item.first <= other.last and other.first <= item.last
                beside = item.offset + item.size <= other.offset or other.offset + other.size <= item.offset
                assert beside or not together
        for pool, size in (("data", plan.sizes.working), ("kpu", plan.sizes.kpu_ram)):
            ends = [item.offset + item.size for item in plan.placements if item.pool == pool]
            assert max(ends, default=0) == size


def test_files_are_no_larger_than_the_vendors(tmp_path: Path) -> None:
    """Twelve layers with depthwise ones between, and a mean over the map."""
    network, maker = Network(), Maker(15)
    x, y = "x", maker.quantize(maker.given((1, 3, 32, 32), floating=True))
    channels = 3
    for number, outputs in enumerate((16, 24, 32, 48, 64, 96)):
        if number:
            x = network.step("Relu", network.conv(x, channels, channels, 3, groups=channels))
            y = maker.layer(y, channels, kernel=3, depthwise=True, pool="bypass")
        x = network.step("Relu", network.conv(x, channels, outputs, 1))
        y = maker.layer(y, outputs, kernel=1, pool="bypass")
        channels = outputs
    network.save(tmp_path / "x.onnx", {"x": (1, 3, 32, 32)}, (network.step("GlobalAveragePool", x),))
    samples = [[np.random.default_rng(0).normal(0, 1, (1, 3, 32, 32)).astype(f32)]]
    theirs = nncase.compile_onnx(tmp_path / "x.onnx", "k210", {}, samples)
    ours = running.compiled(maker.model([maker.reduce(maker.dequantize(y), "mean", (2, 3), 1)]))
    assert sum(isinstance(item, KpuConv2d) for item in operations(theirs)) == 11
    assert len(ours.kmodel) < len(theirs)
