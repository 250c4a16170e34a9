"""Building through the manifest: what is shipped, what is reported, what is withdrawn and cleaned away."""

from __future__ import annotations

from pathlib import Path

from modelbuild.project.project import open_project
from tests.project.small_project import write_manifest, write_model, write_samples

TWINS = """\
samples: {some: {files: "data/*.npy"}}
defaults: {calibration: some}
models: {left: {source: left/m.onnx}, right: {source: right/m.onnx}}
targets: {cam: {chip: kl720}}
packages: {both: {target: cam, models: {left: {id: 32768}, right: {id: 32769}}}}
"""


def test_equal_model_files_with_other_weights_beside_them_are_other_models(tmp_path: Path) -> None:
    for seed, name in enumerate(("left", "right")):
        write_model(tmp_path / name / "m.onnx", seed, external=True)
    files = [(tmp_path / name / "m.onnx").read_bytes() for name in ("left", "right")]
    assert files[0] == files[1]
    write_samples(tmp_path / "data")
    write_manifest(tmp_path, TWINS)
    project = open_project(tmp_path)

    def imported() -> list[str]:
        actions = [f"{name}:import_source" for name in ("left", "right")]
        result = project.builder.build(project.plan.actions, actions, jobs=1)
        return [result.outputs[action]["model.onnx"] for action in actions]

    first = imported()
    assert first[0] != first[1]
    write_model(tmp_path / "right/m.onnx", 7, external=True)
    second = imported()
    assert second[0] == first[0] and second[1] not in first
