"""A package that computes anything else than the fixed-point model is found, told of, and stopped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelbuild.arithmetic.fixed_model import FixedModel, float_tensor
from modelbuild.arithmetic.multiplier_shift import run as run_fixed
from modelbuild.arithmetic.number import quantize_array
from modelbuild.build.action import OutputOf
from modelbuild.chips.load import load_recipe
from modelbuild.errors import ModelbuildError
from modelbuild.npu.compiler import compile_model
from modelbuild.npu.simulator import Simulation, simulate
from modelbuild.quantize import fixed_onnx
from tests.npu.sealing import seal
from tests.stages.built import Built

STAGE, GATE, MODEL = "all-nef/small:verify_hardware", "all-nef:gate", "small@nef:apply"
SAMPLES = 8
GENERATED_FIRST = 79  # pinned: generated inputs are the same on any machine, with any numpy


def fixed_of(built: Built) -> FixedModel:
    return fixed_onnx.read(built.path(MODEL, "model.fixed.onnx"))


def changed(model: FixedModel, role: str, change: Any) -> FixedModel:
    """The model with one constant of one operator changed; `role` is `operator/weight`."""
    name, _, what = role.rpartition("/")
    (operator,) = (one for one in model.operators if name in (one.name, *one.origin))
    key = operator.constants[what]
    return replace(model, constants={**model.constants, key: change(model.constants[key])})


def program_files(model: FixedModel, folder: Path) -> dict[str, Path]:
    """The model compiled, as the inputs of the stage."""
    compiled = compile_model(model, load_recipe("kl720"), {})
    parts = {"command": compiled.command, "weights": compiled.weights, "host": compiled.host}
    return written(parts, folder)


def written(parts: Mapping[str, bytes], folder: Path) -> dict[str, Path]:
    for name, data in parts.items():
        (folder / f"{name}.bin").write_bytes(data)
    return {name: folder / f"{name}.bin" for name in parts}


def fixed_file(model: FixedModel, folder: Path) -> dict[str, Path]:
    fixed_onnx.write(model, folder / "fixed.onnx")
    return {"fixed": folder / "fixed.onnx"}


def measured(built: Built, folder: Path, inputs: Mapping[str, Path]) -> dict[str, Any]:
    """hardware.json, with these inputs instead of the built ones."""
    out = built.run(STAGE, folder / "out", inputs)
    found: dict[str, Any] = json.loads((out / "hardware.json").read_bytes())
    return found


def counted(built: Built, fixed: FixedModel, parts: Mapping[str, Path]) -> dict[str, int]:
    """Tensor -> values that differ between a program and a model, over all samples."""
    found: dict[str, int] = {}
    for index in range(SAMPLES):
        image = np.load(built.project.root / f"data/{index}.npy")
        integers = {"image": quantize_array(image, fixed.tensors["image"])}
        expected = run_fixed(fixed, integers, "all")
        sections = (parts[part].read_bytes() for part in ("command", "weights", "host"))
        done = simulate(*sections, integers, keep_layers=True)
        for name, values in {**done.layers, **done.outputs}.items():
            found[name] = found.get(name, 0) + int((values != expected[name]).sum())
    return found


def judged(built: Built, folder: Path) -> ModelbuildError:
    """What the gate says to the hardware.json in `folder`/out."""
    with pytest.raises(ModelbuildError) as caught:
        hardware = {"measured/small/hardware": folder / "out/hardware.json"}
        built.run(GATE, folder / "gate", hardware)
    assert not (folder / "gate/gate.json").exists()
    return caught.value


def assert_stopped(error: ModelbuildError) -> None:
    assert error.exit_code == 1
    (problem,) = error.problems
    assert problem.what == "gate: hardware equals fixed is false, the bound is true"
    assert problem.where == "model small"


def test_what_was_built_is_equal_in_outputs_and_layers(built: Built, tmp_path: Path) -> None:
    found = measured(built, tmp_path, {})
    assert found["equal"] is True and found["samples"] == SAMPLES and found["random"] is False
    assert found["outputs"] == [{"name": "scores", "equal": True, "differing": 0}]
    assert {layer["name"] for layer in found["layers"] if "equal" in layer} >= {"b", "d", "scores"}
    assert all(layer.get("equal", True) and not layer.get("differing") for layer in found["layers"])
    assert found["cycles"] > 0
    built.run(GATE, tmp_path / "gate", {"measured/small/hardware": tmp_path / "out/hardware.json"})
    checks = json.loads((tmp_path / "gate/gate.json").read_bytes())["checks"]
    assert {"check": "hardware equals fixed", "measured": True}.items() <= checks[-1].items()


def test_an_altered_weight_in_the_package(built: Built, tmp_path: Path) -> None:
    """Sealed again, so that no checksum tells of it: only the numbers do."""
    parts = {part: built.inputs(STAGE)[part].read_bytes() for part in ("command", "weights", "host")}
    weights = bytes(byte ^ 0x40 for byte in parts["weights"][:27]) + parts["weights"][27:]
    sealed = {**parts, "command": seal(parts["command"], weights, parts["host"]), "weights": weights}
    files = written(sealed, tmp_path)
    found = measured(built, tmp_path, files)
    expected = counted(built, fixed_of(built), files)
    assert expected["scores"] > 0
    assert found["equal"] is False
    assert found["outputs"] == [{"name": "scores", "equal": False, "differing": expected["scores"]}]
    own = {layer["name"]: layer["differing"] for layer in found["layers"] if "through" not in layer}
    assert own == expected
    for layer in found["layers"]:  # a Flatten, whose integers are those of the pool
        assert "through" not in layer or [expected[part] for part in layer["through"]] == [layer["differing"]]
    assert_stopped(judged(built, tmp_path))


def test_a_program_of_another_model(built: Built, tmp_path: Path) -> None:
    """Only the last layer differs, so only it is named."""
    other = changed(fixed_of(built), "head/weight", lambda weight: np.flip(weight, 0))
    found = measured(built, tmp_path, fixed_file(other, tmp_path))
    assert found["equal"] is False
    assert [output["name"] for output in found["outputs"] if not output["equal"]] == ["scores"]
    assert [layer["name"] for layer in found["layers"] if layer.get("equal") is False] == ["scores"]
    assert_stopped(judged(built, tmp_path))


def test_a_difference_in_an_inner_layer_alone(built: Built, tmp_path: Path) -> None:
    """A head of zeros hides what the stem does; the package still is not the model."""
    fixed = changed(fixed_of(built), "head/weight", np.zeros_like)
    program = changed(fixed, "stem/weight", lambda weight: np.flip(weight, -1))
    found = measured(built, tmp_path, {**fixed_file(fixed, tmp_path), **program_files(program, tmp_path)})
    assert found["outputs"] == [{"name": "scores", "equal": True, "differing": 0}]
    assert "b" in [layer["name"] for layer in found["layers"] if layer.get("equal") is False]
    assert found["equal"] is False
    assert_stopped(judged(built, tmp_path))


def test_a_difference_in_an_output_alone(
    built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What leaves the chip counts, even where every layer was right inside."""

    def spoiled(*given: Any, **options: Any) -> Simulation:
        found = simulate(*given, **options)
        return replace(found, outputs={name: value + 1 for name, value in found.outputs.items()})

    monkeypatch.setattr("modelbuild.stages.backends.npu.simulate", spoiled)
    found = measured(built, tmp_path, {})
    assert found["outputs"] == [{"name": "scores", "equal": False, "differing": 5 * SAMPLES}]
    assert all(layer.get("equal", True) for layer in found["layers"])
    assert found["equal"] is False


@pytest.mark.parametrize(("samples", "equal"), [(0, None), (1, True)])
def test_nothing_asked_for_is_not_measured(
    built: Built, tmp_path: Path, samples: int, equal: bool | None
) -> None:
    out = built.run(STAGE, tmp_path, parameters={"samples": samples})
    found = json.loads((out / "hardware.json").read_bytes())
    assert (found["samples"], found["equal"], found["cycles"] is None) == (samples, equal, equal is None)


def test_without_samples_integers_are_generated_up_to_the_ends_of_the_range(
    built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fed: list[Any] = []

    def noted(command: bytes, weights: bytes, host: bytes, inputs: Any, **options: Any) -> Simulation:
        fed.append(inputs["image"])
        return simulate(command, weights, host, inputs, **options)

    monkeypatch.setattr("modelbuild.stages.backends.npu.simulate", noted)
    for run in ("first", "second"):
        built.run(STAGE, tmp_path / run, parameters={"samples": 0, "random": True})
    whole, ends, halves = fed[:3]
    assert [bool((a == b).all()) for a, b in zip(fed[:3], fed[3:], strict=True)] == [True] * 3
    assert len(np.unique(whole)) > 100 and int(whole[0, 0, 0, 0]) == GENERATED_FIRST
    assert set(np.unique(ends)) == {-128, 127} and 0.3 < float((ends > 0).mean()) < 0.7
    assert (halves.reshape(2, -1) == [[-128], [127]]).all()


def test_generated_floats_lie_between_minus_one_and_one() -> None:
    from modelbuild.stages import verify_hardware

    whole, ends, halves = (made["x"] for made in verify_hardware._generated([float_tensor("x", (2, 500))]))
    assert {made.dtype for made in (whole, ends, halves)} == {np.dtype(np.float32)}
    assert -1 <= whole.min() < -0.9 and 0.9 < whole.max() <= 1 and len(np.unique(whole)) > 900
    assert set(np.unique(ends)) == {-1.0, 1.0} and halves[0, 0] == -1 and halves[1, -1] == 1


def test_without_samples_generated_integers_are_the_input(built: Built, tmp_path: Path) -> None:
    random = {"samples": 0, "random": True}
    out = built.run(STAGE, tmp_path / "same", parameters=random)
    found = json.loads((out / "hardware.json").read_bytes())
    assert (found["samples"], found["random"], found["equal"]) == (3, True, True)
    other = changed(fixed_of(built), "stem/weight", lambda weight: np.flip(weight, -1))
    out = built.run(STAGE, tmp_path / "other", fixed_file(other, tmp_path), random)
    assert json.loads((out / "hardware.json").read_bytes())["equal"] is False


def test_the_setting_picks_the_samples(built: Built) -> None:
    from modelbuild.stages import verify_hardware

    request = built.project.plan.packages["all-nef"]
    (model,) = request.models
    taken = {}
    for wanted in ("none", "first", "all"):
        settings = {**model.request.settings, "verify": {"hardware": wanted}}
        changed_model = replace(model, request=replace(model.request, settings=settings))
        inputs = verify_hardware.inputs(request, changed_model)
        parameters = verify_hardware.parameters(request, changed_model)
        assert parameters["random"] is False
        assert parameters["samples"] == sum(role.startswith("sample/") for role in inputs)
        taken[wanted] = parameters["samples"]
    assert taken == {"none": 0, "first": 1, "all": SAMPLES}
    alone = replace(model, request=replace(model.request, evaluation=None))
    assert verify_hardware.parameters(request, alone)["random"] is True


def test_the_sections_verified_are_the_packages(built: Built) -> None:
    """Not the compiler's: what is verified is what is shipped."""
    inputs = built.action(STAGE).inputs
    for part in ("command", "weights", "host"):
        assert inputs[part] == OutputOf("all-nef:package", f"programs/small.{part}.bin")
