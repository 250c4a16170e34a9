"""Runs compiled models in the simulator, and in the vendor's, and holds them against the fixed model."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.arithmetic.kpu import run
from modelbuild.chips.load import load_recipe
from modelbuild.kpu.compiler import Compiled, compile_model
from modelbuild.kpu.planning.maps import LAYER, ram_bytes
from modelbuild.kpu.simulator import load
from tests.judges import nncase

Arrays = Mapping[str, np.ndarray]


def compiled(model: FixedModel, **options: object) -> Compiled:
    chip = "k210" if model.arithmetic == "kpu@1" else "nncase-cpu"
    return compile_model(model, load_recipe(chip), options)


def least_ram(model: FixedModel) -> int:
    """Bytes without which a layer does not fit alone."""
    layers = [operator for operator in model.operators if operator.kind == LAYER]
    needs = [sum(ram_bytes(model.tensors[name]) for name in (*it.inputs, *it.outputs)) for it in layers]
    return max(needs, default=64)


def check_simulated(model: FixedModel, values: Arrays, found: Compiled) -> None:
    """Every operation is told by the simulator as the plan has it, and leaves what the fixed model has."""
    wanted = run(model, values, keep="all")
    simulation = load(found.kmodel).run([values[name] for name in model.inputs], ("*",))
    equal(model, wanted, simulation.outputs)
    assert [(event.name, event.module, event.function) for event in simulation.events] == [
        (step.name, step.module, step.function) for step in found.executed
    ]
    for event, step in zip(simulation.events, found.executed, strict=True):
        if event.name == "copy":  # a part of its tensor
            continue
        for name, access in zip(step.writes, event.writes, strict=False):
            assert access.values is not None
            assert access.values.tobytes() == wanted[name].tobytes(), step.operator


def check_judged(model: FixedModel, values: Arrays, found: Compiled) -> None:
    equal(model, run(model, values), nncase.run_kmodel(found.kmodel, [values[name] for name in model.inputs]))


def check_near(model: FixedModel, values: Arrays, found: Compiled) -> None:
    """Bytes to the bit; floats, which functions of the C library may be in, within 1e-5 of their range."""
    wanted = run(model, values)
    outputs = nncase.run_kmodel(found.kmodel, [values[name] for name in model.inputs])
    for name, output in zip(model.outputs, outputs, strict=True):
        expected = wanted[name]
        if expected.dtype.kind == "f":
            most = 1e-5 * max(float(np.ptp(expected)), float(np.abs(expected).max()), 1e-30)
            np.testing.assert_allclose(output.reshape(expected.shape), expected, rtol=0, atol=most)
        else:
            np.testing.assert_array_equal(output.reshape(expected.shape), expected)


def equal(model: FixedModel, wanted: Arrays, outputs: list[np.ndarray] | tuple[np.ndarray, ...]) -> None:
    """Bit by bit, zeros with their signs."""
    assert len(outputs) == len(model.outputs)
    for name, output in zip(model.outputs, outputs, strict=True):
        assert output.dtype == wanted[name].dtype
        np.testing.assert_array_equal(output.reshape(wanted[name].shape), wanted[name])
        assert output.tobytes() == wanted[name].tobytes()
