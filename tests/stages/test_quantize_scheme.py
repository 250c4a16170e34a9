"""What the stage `quantize` is given for a scheme, and which file of it a lock knows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from modelbuild.build.action import FileInput
from modelbuild.stages import locked, quantize
from modelbuild.stages.request import ModelRequest, PackagedModel, PackageRequest

CONCAT = {"op": "Concat", "unit": "npu"}
RECIPE = {"number_format": {"weights": ["int8"]}, "operators": [CONCAT]}


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
    without = replace(request(), recipe={**RECIPE, "operators": [{"op": "Concat", "unit": "cpu"}]})
    assert quantize.parameters(without)["settings"]["split"] is False
    fused = replace(request(), recipe={**RECIPE, "operators": [{"op": "Concat", "unit": "fused"}]})
    assert "split" not in quantize.parameters(fused)["settings"]


def test_a_scheme_is_written_from_a_locked_record_as_well() -> None:
    asked = replace(request(export_scheme="by_channel"), record="locked/quant.txt")
    assert quantize.inputs(asked).keys() == {"record", "model"}
    assert quantize.parameters(asked) == {"export_scheme": "by_channel"}
    assert quantize.inputs(replace(request(), record="locked/quant.txt")).keys() == {"record"}


def test_what_is_written_is_a_file_of_the_package_that_a_lock_knows() -> None:
    for asked, wanted in ((request(), False), (request(export_scheme="by_tensor"), True)):
        package = PackageRequest("bell", "cam", RECIPE, (PackagedModel(asked),))
        assert ("net.QuantScheme.json" in locked.beside(package, "net")) is wanted
