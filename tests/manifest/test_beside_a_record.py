"""What else stands under `quantize:` beside a record: an error where it would be ignored."""

from __future__ import annotations

from typing import Any

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.manifest.settings import effective

TEXT = """\
modelbuild: 1
defaults: {quantize: {range: {method: mse}, equalize: false}}
models:
  net:
    source: net.onnx
    quantize: {MODEL}
    targets:
      cam: {quantize: {CAM}}
targets:
  cam: {chip: kl720, quantize: {bias_correction: none, mode: auto, activations: int16}}
"""


def settings(project: Any, model: str = "", cam: str = "", *options: str) -> Any:
    manifest = project.load(TEXT.replace("MODEL", model).replace("CAM", cam), *options)
    return effective(manifest, "net", "cam")


@pytest.fixture(autouse=True)
def record(project: Any) -> None:
    project.write("r.quant.txt", "any")


@pytest.mark.parametrize(
    "key",
    [
        *("activations: int16", "weights: int8", "range: {method: minmax}", "rounding: adaround"),
        *("equalize: true", "bias_correction: none", "output_function: sigmoid", "scheme: s.json"),
        *("mode: auto", "threads: 3", "nodes: {a: {weights: int8}}", "ranges: {x: [0, 1]}"),
        "calibration_method: mse",
    ],
)
def test_a_key_beside_a_record_is_refused_with_its_place(project: Any, key: str) -> None:
    with pytest.raises(ModelbuildError, match="has no effect beside a quantization record") as caught:
        settings(project, f"record: r.quant.txt, {key}")
    (problem,) = caught.value.problems
    assert problem.where.startswith("models.yaml:6:") and f"`{key.partition(':')[0]}" in problem.what


def test_a_nearer_key_is_refused(project: Any) -> None:
    with pytest.raises(ModelbuildError, match=r"`range.method` has no effect") as caught:
        settings(project, "record: r.quant.txt", "range: {method: minmax}")
    assert caught.value.problems[0].where.startswith("models.yaml:8:")


def test_what_is_inherited_gives_way_and_is_not_shown_as_effective(project: Any) -> None:
    for model, cam in (("record: r.quant.txt", ""), ("rounding: adaround", "record: r.quant.txt")):
        found = settings(project, model, cam)
        assert found.values["quantize"] == {"record": "r.quant.txt"}
        assert found.record == "r.quant.txt"


def test_a_scheme_is_made_from_a_record(project: Any) -> None:
    found = settings(project, "record: r.quant.txt, export_scheme: by_tensor")
    assert found.values["quantize"] == {"export_scheme": "by_tensor", "record": "r.quant.txt"}


def test_a_record_for_one_run_stands_above_the_manifest(project: Any) -> None:
    found = settings(project, "rounding: adaround", "", "quantize.record=r.quant.txt")
    assert found.values["quantize"] == {"record": "r.quant.txt"}
    with pytest.raises(ModelbuildError, match="has no effect beside") as caught:
        settings(project, "record: r.quant.txt", "", "quantize.equalize=true")
    assert "--set" in caught.value.problems[0].where


def test_formats_of_ports_count_where_no_record_has_them(project: Any) -> None:
    text = TEXT.replace(
        "chip: kl720, quantize: {bias_correction: none, mode: auto, activations: int16}", "chip: k210"
    )
    written = text.replace("MODEL", "record: r.quant.txt, outputs: uint8, inputs: float32").replace("CAM", "")
    found = effective(project.load(written), "net", "cam").values["quantize"]
    assert found == {"record": "r.quant.txt", "outputs": {"*": "uint8"}}
