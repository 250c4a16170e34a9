"""The simulator against that of nncase 1.9: files of its compiler, calls and layers by hand, bit for bit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest

from modelbuild.kpu.simulator import simulate
from tests.judges.nncase import compile_onnx, judge, run_kmodel
from tests.kpu.simulator import all_calls, calls, layers, networks, test_k210, test_stackvm
from tests.kpu.simulator.handmade import I64, OUTPUT, Code, one

TOLERANCE = 1e-6  # relative to the larger of 1 and the value, where the C library rounds otherwise


def compare(data: bytes, inputs: Sequence[np.ndarray], exact: Sequence[bool] | None = None) -> None:
    """Both simulators on one file; where `exact` is not given, the events tell what must be equal."""
    wanted = run_kmodel(data, inputs)
    found = simulate(data, inputs)
    assert len(found.outputs) == len(wanted)
    alike = all(event.exact for event in found.events)
    for place, (ours, theirs) in enumerate(zip(found.outputs, wanted, strict=True)):
        assert ours.dtype == theirs.dtype
        assert ours.shape == theirs.shape
        if exact[place] if exact is not None else alike:
            assert ours.tobytes() == theirs.tobytes(), place
        else:
            np.testing.assert_allclose(ours, theirs, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("group", all_calls.GROUPS)
def test_tensor_functions(group: str, seed: int) -> None:
    judge()
    cases = all_calls.cases(group, seed)
    data, inputs = calls.together(cases)
    compare(data, inputs, [case.exact for case in cases for _ in case.outputs])


def test_instructions() -> None:
    code = Code()
    for place, (steps, _) in enumerate(test_stackvm.NUMBERS):
        code.push((OUTPUT, 8 * place))
        for step in steps:
            code.op(*step)  # type: ignore[arg-type]
        code.op("stind_i")
    compare(one(code, [], [(I64, (len(test_stackvm.NUMBERS),))]), [])


def test_copies_of_the_kpus_module() -> None:
    compare(test_k210.copies(), [test_k210.X])


def compiled(make: networks.Maker, target: str, folder: Path) -> tuple[bytes, list[np.ndarray]]:
    """The vendor's kmodel of a network, and inputs for it."""
    model = networks.built(make)
    onnx.save(model, folder / "model.onnx")
    given = networks.samples(model, count=2)
    data = compile_onnx(folder / "model.onnx", target, samples=given if target == "k210" else ())
    return data, given[0]


@pytest.mark.parametrize("name", networks.CPU)
def test_networks_of_the_cpu(name: str, tmp_path: Path) -> None:
    judge()
    data, inputs = compiled(networks.CPU[name], "cpu", tmp_path)
    if name == "convolutions_like_weights":
        # Which kernel the runtime takes for these hangs on the processor.
        outputs, wanted = simulate(data, inputs), run_kmodel(data, inputs)
        assert not all(event.exact for event in outputs.of("conv2d"))
        for ours, theirs in zip(outputs.outputs, wanted, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
        return
    compare(data, inputs)


@pytest.mark.parametrize("name", networks.K210)
def test_networks_of_the_kpu(name: str, tmp_path: Path) -> None:
    judge()
    data, inputs = compiled(networks.K210[name], "k210", tmp_path)
    assert simulate(data, inputs).of("kpu_conv2d")
    compare(data, inputs)


@pytest.mark.parametrize(
    ("width", "channels", "height"),
    [
        (4, 6, 5),
        (16, 5, 7),
        (17, 5, 7),
        (32, 3, 5),
        (33, 6, 4),
        (64, 2, 5),
        (65, 2, 5),
        (320, 3, 8),
        (8, 300, 6),
    ],
)
def test_widths(width: int, channels: int, height: int, tmp_path: Path) -> None:
    judge()
    data, inputs = compiled(networks.wide(width, channels, height), "k210", tmp_path)
    assert len(simulate(data, inputs).of("kpu_conv2d")) == 2
    compare(data, inputs)


def layer(seed: int, **sizes: int) -> tuple[bytes, np.ndarray]:
    """A random layer that fits, and bytes for it."""
    random = np.random.default_rng([seed, *sizes.values()])
    while True:
        found = layers.random_layer(random, **sizes)
        if layers.fits(found):
            break
    return layers.chain(found, main=seed % 2 == 0), random.integers(0, 256, found.shape).astype(np.uint8)


@pytest.mark.parametrize("seed", range(12))
def test_layers(seed: int) -> None:
    data, x = layer(seed)
    compare(data, [x])


@pytest.mark.parametrize("seed", range(2))
def test_layers_of_many_loads(seed: int) -> None:
    data, x = layer(seed, width=8, channels=200)
    compare(data, [x])


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 300))
def test_more_layers(seed: int) -> None:
    test_layers(seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 12))
@pytest.mark.parametrize("group", all_calls.GROUPS)
def test_more_tensor_functions(group: str, seed: int) -> None:
    test_tensor_functions(group, seed)
