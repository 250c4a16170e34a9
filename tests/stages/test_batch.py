"""`compile: {batch: N}` from the manifest to the package, the verification and the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelbuild import api
from modelbuild.build import progress
from modelbuild.formats import mpk
from modelbuild.project.options import BuildOptions
from modelbuild.stages import compile as compile_stage
from modelbuild.stages import verify_hardware
from tests.stages.built import Built, opened
from tests.stages.golden import MANIFEST, write_project

BATCH = 3


@pytest.fixture(scope="module")
def batched(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The small project with three pictures a run on the MPK's target, and weights as they are."""
    folder = tmp_path_factory.mktemp("batched")
    write_project(folder)
    compiling = f"compile: {{batch: {BATCH}, weight_compress: false}}"
    text = MANIFEST.replace("{chip: modalix}", f"{{chip: modalix, {compiling}}}")
    (folder / "models.yaml").write_text(text.replace("hardware: all", "hardware: first"), encoding="utf-8")
    return opened(folder)


def left(built: Built, action: str, name: str) -> Any:
    return json.loads(built.path(action, name).read_bytes())


def test_the_plan_says_what_was_achieved(batched: Built) -> None:
    plan = left(batched, "small@mpk:compile", "compile.json")
    assert plan["batch"] == {"desired": BATCH, "achieved": BATCH, "reasons": []}
    assert plan["cycles"] == sum(layer["cycles"] for layer in plan["layers"]) > 0
    other = left(batched, "small@nef:compile", "compile.json")
    assert other["batch"] == {"desired": None, "achieved": 1, "reasons": []}


def test_what_options_save_is_told(batched: Built, tmp_path: Path) -> None:
    """With so little on the chip, maps go through DRAM, where the output may lie in their place."""
    little: dict[str, Any] = {"sram_bytes": 1024}
    both = {**little, "dedicated_output_buffer": False, "weight_compress": True}
    plans = {}
    for name, given in (("plain", little), ("saving", both)):
        out = batched.run("small@mpk:compile", tmp_path / name, parameters={"options": given})
        plans[name] = json.loads((out / "compile.json").read_bytes())
    plain, saving = plans["plain"]["memory"], plans["saving"]["memory"]
    maps = ("input", "output", "working")
    assert saving["saved_by_shared_outputs"] == sum(plain[key] - saving[key] for key in maps) > 0
    assert saving["saved_by_packed_weights"] == plain["weights"] - saving["weights"] >= 0
    assert not [key for key in plain if key.startswith("saved")]


def test_how_far_the_compiler_is_is_told(
    batched: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[tuple[int, int, str]] = []
    monkeypatch.setattr(progress, "INTERVAL", 0.0)
    progress.listen(lambda *told: heard.append(told))
    try:
        batched.run("small@mpk:compile", tmp_path)
    finally:
        progress.listen(None)
    count = len(heard)
    assert count > 1 and [step for step, _, _ in heard] == list(range(count))
    assert {what for _, _, what in heard} == {"group of operators"}
    assert all(step < steps for step, steps, _ in heard)


def test_the_package_takes_as_many(batched: Built) -> None:
    read = mpk.read(batched.path("all-mpk:package", "files/small_mpk.sim.tar.gz").read_bytes())
    assert (read.desired_batch, read.actual_batch) == (BATCH, BATCH)
    told = left(batched, "all-mpk:package", "models/small.json")
    assert told["batch"] == {"desired": BATCH, "achieved": BATCH}
    assert told["inputs"][0]["shape"] == [BATCH, 3, 8, 8]
    assert left(batched, "all-nef:package", "models/small.json")["inputs"][0]["shape"] == [1, 3, 8, 8]


def test_the_first_run_takes_several_samples(batched: Built) -> None:
    hardware = left(batched, "all-mpk/small:verify_hardware", "hardware.json")
    assert (hardware["samples"], hardware["equal"]) == (BATCH, True)
    assert hardware["cycles"] == hardware["cycles_predicted"] > 0
    assert hardware["first_difference"] is None
    assert left(batched, "all-nef/small:verify_hardware", "hardware.json")["samples"] == 1


def test_all_samples_and_their_accuracy(batched: Built, tmp_path: Path) -> None:
    """Eight samples in three runs, the last of them with one repeated."""
    request = batched.project.plan.packages["all-mpk"]
    (model,) = request.models
    settings = {**model.request.settings, "verify": {"hardware": "all", "timeout_seconds": 60.0}}
    every = model.__class__(model.request.__class__(**{**vars(model.request), "settings": settings}))
    parameters = verify_hardware.parameters(request, every)
    assert "runs" not in parameters and parameters["samples"] == 8
    roles = {role: batched._file(source) for role, source in verify_hardware.inputs(request, every).items()}
    verify_hardware.run(roles, parameters, tmp_path)
    found = json.loads((tmp_path / "hardware.json").read_bytes())
    fixed = left(batched, "small@mpk:verify_fixed", "fixed.json")
    assert (found["samples"], found["equal"]) == (8, True)
    assert found["accuracy"] == fixed["accuracy"]["fixed"]


def test_generated_inputs_fill_a_run(batched: Built, tmp_path: Path) -> None:
    out = batched.run("all-mpk/small:verify_hardware", tmp_path, parameters={"samples": 0, "random": True})
    assert json.loads((out / "hardware.json").read_bytes())["equal"] is True


def test_a_wrong_weight_is_found_in_its_layer(batched: Built, tmp_path: Path) -> None:
    from tests.npu.sealing import seal

    stage = "all-mpk/small:verify_hardware"
    parts = {part: batched.inputs(stage)[part].read_bytes() for part in ("command", "weights", "host")}
    weights = bytes(byte ^ 0x40 for byte in parts["weights"][:27]) + parts["weights"][27:]
    command = seal(parts["command"], weights, parts["host"])
    (tmp_path / "command.bin").write_bytes(command)
    (tmp_path / "weights.bin").write_bytes(weights)
    changed = {part: tmp_path / f"{part}.bin" for part in ("command", "weights")}
    out = batched.run(stage, tmp_path / "out", changed)
    first = json.loads((out / "hardware.json").read_bytes())["first_difference"]
    assert (first["in"], first["name"], first["element"][0]) == ("layers", "b", 0)
    assert first["found"] != first["expected"]


def test_other_cycles_than_the_plans_stop_the_build(batched: Built, tmp_path: Path) -> None:
    plan = left(batched, "small@mpk:compile", "compile.json")
    (tmp_path / "plan.json").write_text(json.dumps({**plan, "cycles": plan["cycles"] + 1}))
    with pytest.raises(api.ModelbuildError, match="the compiler predicted"):
        batched.run("all-mpk/small:verify_hardware", tmp_path / "out", {"plan": tmp_path / "plan.json"})
    assert not (tmp_path / "out/hardware.json").exists()


def test_a_batch_is_the_compilers_and_the_packages_alone(batched: Built) -> None:
    """What comes before them is built once for all batches."""
    request = batched.project.plan.models[("small", "mpk")]
    assert compile_stage.parameters(request)["batch"] == BATCH
    assert compile_stage.parameters(request)["options"] == {}
    for name in ("lower", "observe", "quantize", "apply", "verify_fixed"):
        parameters = batched.action(f"small@mpk:{name}").parameters
        assert "batch" not in json.dumps({k: v for k, v in parameters.items() if k != "recipe"})


def test_run_and_compare_take_one_sample(batched: Built) -> None:
    name = "small@mpk"
    runner = api.open_form(batched.project, name, "hardware")
    fixed = api.open_form(batched.project, name, "fixed")
    given = {"image": np.full((1, 3, 8, 8), 3, np.int8)}
    np.testing.assert_array_equal(runner.run(given)["scores"], fixed.run(given)["scores"])


def test_the_build_and_the_report_tell_of_it(batched: Built) -> None:
    report = api.build(batched.project, (), BuildOptions())
    by_name = {package.name: package for package in report.packages}
    told = {"model": "small", "desired": BATCH, "achieved": BATCH, "reasons": []}
    assert by_name["all-mpk"].batches == (told,)
    assert by_name["all-nef"].batches == ()
    page = (batched.project.root / "reports/all-mpk/report.html").read_text(encoding="utf-8")
    assert "for 3 pictures" in page and "Batch" in page
