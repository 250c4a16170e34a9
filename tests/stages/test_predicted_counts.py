"""Through a manifest: what `evaluate` predicts is what `compile` makes, where nothing hangs on numbers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from modelbuild.npu.program import interface
from modelbuild.project.project import open_project
from modelbuild.report.predicted import differences
from tests.stages.built import Built
from tests.stages.golden import write_project

TARGETS = {
    "kneron": "{chip: kl720}",
    "kneron_deep": "{chip: kl720, compile: {tiling: deep, sram_bytes: 600}}",
    "sima": "{chip: modalix, compile: {weight_compress: false}}",
    "sima_deep": "{chip: modalix, compile: {tiling: deep, batch: 3, dedicated_output_buffer: false, "
    "weight_compress: false}}",
}
MANIFEST = """\
modelbuild: 1
samples: {integers: {files: data/*.npy}}
models: {small: {source: small.onnx, calibration: integers}}
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("counts")
    write_project(folder)
    targets = "".join(f"  {name}: {target}\n" for name, target in TARGETS.items())
    (folder / "models.yaml").write_text(f"{MANIFEST}targets:\n{targets}", encoding="utf-8")
    project = open_project(folder)
    goals = [f"small@{name}:{stage}" for name in TARGETS for stage in ("compile", "evaluate", "quantize")]
    result = project.builder.build(project.plan.actions, goals, jobs=1)
    assert result.ok, result.failures
    return Built(project, result)


def left(built: Built, target: str, stage: str) -> Any:
    return json.loads(built.path(f"small@{target}:{stage}", f"{stage}.json").read_bytes())


@pytest.mark.parametrize("target", TARGETS)
def test_counts_are_those_predicted(built: Built, target: str) -> None:
    evaluated, compiled = left(built, target, "evaluate"), left(built, target, "compile")
    assert evaluated["batch"] == compiled["batch"]["achieved"] == (3 if target == "sima_deep" else 1)
    assert evaluated["cycles"] == compiled["cycles"] > 0
    assert evaluated["groups"] == len(compiled["groups"])
    for name, key in (("read", "dram_read"), ("write", "dram_write"), ("weights", "weight_bytes")):
        assert evaluated["dram"][name] == sum(layer[key] for layer in compiled["layers"]) > 0
    predicted, made = evaluated["memory"], compiled["memory"]
    assert predicted["sram_peak"] == made["sram_peak"]
    assert predicted["weights"] == made["weights"]
    # Of the program in DRAM only what it says of itself is not known before: names and preprocessing.
    said = interface(built.path(f"small@{target}:compile", "command.bin").read_bytes())
    text = sum(len(key) + len(value) for key, value in said.metadata.items())
    assert 0 <= made["dram_peak"] - predicted["dram_peak"] <= 2 * text + 64
    assert differences(evaluated, compiled, left(built, target, "quantize")) == []


def test_what_became_of_deep_tiling(built: Built) -> None:
    for target in TARGETS:
        evaluated, compiled = left(built, target, "evaluate"), left(built, target, "compile")
        if "deep" not in target:
            assert evaluated["deep"] is compiled["deep"] is None
            continue
        assert compiled["deep"]["taken"] == evaluated["deep"]["taken"] == (compiled["tiling"] == "deep")
        assert bool(compiled["deep"]["reason"]) == (not compiled["deep"]["taken"])


def test_each_deep_plan_differs_from_the_default(built: Built) -> None:
    taken = [left(built, target, "compile")["deep"]["taken"] for target in TARGETS if "deep" in target]
    assert any(taken)
