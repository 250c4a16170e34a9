"""What the stage `quantize` is given for a scheme, and which file of it a lock knows."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modelbuild.build.action import FileInput
from modelbuild.project.project import open_project
from modelbuild.quantize import record as records
from modelbuild.stages import locked, quantize
from modelbuild.stages.request import ModelRequest, PackagedModel, PackageRequest
from tests.project.small_project import write_manifest, write_model, write_samples

CONCAT = {"op": "Concat", "unit": "npu"}
RECIPE = {"number_format": {"arithmetic": "multiplier_shift@1", "weights": ["int8"]}, "operators": [CONCAT]}


def request(**asked: Any) -> ModelRequest:
    settings = {"quantize": {"activations": "int8", "weights": "int8", **asked}}
    return ModelRequest("net", "net.onnx", None, {}, (), "cam", RECIPE, settings, None, None)


def test_a_scheme_is_read_as_a_file_and_its_path_enters_no_key() -> None:
    asked = request(scheme="ranges/QuantScheme.json", threads=5)
    assert quantize.inputs(asked)["scheme"] == FileInput("ranges/QuantScheme.json")
    assert quantize.parameters(asked) == quantize.parameters(request())
    assert "scheme" not in quantize.inputs(request())


def test_channels_are_divided_unasked_where_the_chip_joins_them_and_no_scheme_is_written() -> None:
    assert "split" not in quantize.parameters(request())["settings"]
    assert quantize.parameters(request(export_scheme="by_tensor"))["settings"]["split"] is False
    assert quantize.parameters(request(export_scheme="by_tensor", split=True))["settings"]["split"] is True
    without = replace(request(), recipe={**RECIPE, "operators": [{"op": "Add", "unit": "npu"}]})
    assert quantize.parameters(without)["settings"]["split"] is False
    for unit in ("fused", "cpu"):
        joins = replace(request(), recipe={**RECIPE, "operators": [{"op": "Concat", "unit": unit}]})
        assert "split" not in quantize.parameters(joins)["settings"]


def test_a_scheme_is_written_from_a_locked_record_as_well() -> None:
    asked = replace(request(export_scheme="by_channel"), record="locked/quant.txt")
    assert quantize.inputs(asked).keys() == {"record", "model"}
    assert quantize.parameters(asked) == {"export_scheme": "by_channel"}
    assert quantize.inputs(replace(request(), record="locked/quant.txt")).keys() == {"record"}


def test_what_is_written_is_a_file_of_the_package_that_a_lock_knows() -> None:
    for asked, wanted in ((request(), False), (request(export_scheme="by_tensor"), True)):
        package = PackageRequest("bell", "cam", RECIPE, (PackagedModel(asked),))
        assert ("net.QuantScheme.json" in locked.beside(package, "net")) is wanted


def built(folder: Path, asked: str, chip: str = "kl530") -> Callable[[str], Path]:
    """What `quantize` leaves of a small model on the chip with `quantize: ASKED`."""
    write_manifest(
        folder,
        f"""samples: {{some: {{files: "data/*.npy"}}}}
defaults: {{calibration: some}}
models: {{a: {{source: a.onnx}}}}
targets: {{cam: {{chip: {chip}, quantize: {asked}}}}}
""",
    )
    project = open_project(folder)
    (action,) = (each for each in project.plan.actions if each.name.endswith(":quantize"))
    result = project.builder.build(project.plan.actions, [action.name], jobs=1)
    assert result.ok, result.failures
    return lambda name: project.builder.output(result, action.name, name)


def weights_of(file: Callable[[str], Path]) -> dict[str, tuple[int, str, Any]]:
    record = records.read(file("quant.txt"))
    lines = [line for line in record.tensors if line.kind == "weight"]
    return {line.name: (line.bits, line.method, record.corrections.get("round")) for line in lines}


@pytest.mark.parametrize(
    ("asked", "bits", "rounding"),
    [("weights: int4", 4, "adaround"), ("weights: int8", 8, "adaround"), ("weights: int16", 16, "minmax")],
)
def test_weights_of_an_exported_scheme_are_rounded_as_those_that_it_was_made_of(
    tmp_path: Path, asked: str, bits: int, rounding: str
) -> None:
    write_model(tmp_path / "a.onnx")
    write_samples(tmp_path / "data", 32)  # enough to be rounded with
    exported = built(tmp_path, f"{{{asked}, export_scheme: by_tensor}}")
    before = weights_of(exported)
    assert [(line[0], line[1]) for line in before.values()] == [(bits, rounding)]
    (tmp_path / "s.json").write_bytes(exported("QuantScheme.json").read_bytes())
    assert weights_of(built(tmp_path, "{scheme: s.json}")) == before


@pytest.mark.parametrize("outputs", ["{scores: int8}", "int8"])
def test_formats_of_a_scheme_that_the_settings_set_aside_are_not_refused(
    tmp_path: Path, outputs: str
) -> None:
    write_model(tmp_path / "a.onnx")
    write_samples(tmp_path / "data", 4)
    wide = {"DataType": "i16", "DataRange": [{"Min": -3, "Max": 3, "IsFull": False}]}
    given = [{"Name": name, "DataRangeMode": "by_tensor", **wide} for name in ("w", "scores")]
    (tmp_path / "s.json").write_text(json.dumps({"Version": "1.0", "Model": None, "Outputs": given}))
    own = f"nodes: {{scores: {{weights: int8}}}}, outputs: {outputs}"
    left = records.read(built(tmp_path, f"{{scheme: s.json, {own}}}", "kl520")("quant.txt"))
    assert {line.name: line.bits for line in left.tensors} == {"image": 8, "scores": 8, "w": 8}
