"""What `modelbuild init` writes is a manifest that loads."""

from __future__ import annotations

from typing import Any

import pytest

from modelbuild.manifest.scaffold import ChipFacts, InputFacts, manifest_text, model_name
from modelbuild.manifest.settings import effective
from modelbuild.samples.preprocess import from_settings, resulting_range

PICTURE = InputFacts("input", (1, 3, 240, 320))
NEF = ChipFacts("kl720", "nef")


def test_with_samples_it_builds_at_once(project: Any) -> None:
    text = manifest_text("net.onnx", [PICTURE], ["boxes", "scores"], [NEF], ["faces/*.png"], count=3)
    manifest = project.load(text)
    assert manifest.warnings == ()
    settings = effective(manifest, "net", "kl720")
    assert settings.values["calibration"] == {"set": "calibration", "count": 3}
    assert "count: 3}      # 64 or more are better\n" in text
    assert settings.values["accept"] == {"snr_db": 10.0}
    (packaged,) = manifest.packages["net"].models
    assert (packaged.id, packaged.version) == (32768, "0001")
    assert manifest.spec.models["net"].inputs["input"].shape == (1, 3, 240, 320)


def test_without_samples_it_says_which_folder_to_fill(project: Any) -> None:
    text = manifest_text("net.onnx", [PICTURE], ["out"], [NEF])
    assert "put 64 or more typical inputs into the folder samples/" in text
    ((_, what),) = project.errors(text)
    assert what == "no sample file matches"
    project.write("samples/a.jpg", "x")
    assert project.load(text).warnings == ()


def test_several_chips_and_inputs_with_odd_names(project: Any) -> None:
    inputs = [InputFacts("serving:0", (None, 10)), InputFacts("yes", (1, 4, 4, 3)), InputFacts('a"b\\', (1,))]
    chips = [ChipFacts("kl520", "nef"), ChipFacts("modalix", "mpk")]
    for index in range(2):
        project.write(f"samples/{index}.npz", "x")
    manifest = project.load(manifest_text("net.onnx", inputs, ["1.10", "{x}"], chips))
    assert manifest.warnings == ()
    assert set(manifest.packages) == {"net-kl520", "net-modalix"}
    read = manifest.spec.models["net"].inputs
    assert list(read) == ["serving:0", "yes", 'a"b\\']
    assert read["serving:0"].shape == (1, 10)
    assert read["yes"].settings()["layout"] == "NHWC"


def test_open_sizes_are_filled_and_pointed_out(project: Any) -> None:
    text = manifest_text("net.onnx", [InputFacts("x", (None, 1, None, None))], ["y"], [NEF], ["faces/*.png"])
    assert "leaves sizes of this input open" in text
    given = project.load(text).spec.models["net"].inputs["x"]
    assert given.shape == (1, 1, 224, 224)
    assert given.settings()["colour"] == "gray"


@pytest.mark.parametrize(
    ("dtype", "low", "high"), [("uint8", 0, 255), ("int8", -128, 127), ("float32", 0, 1)]
)
def test_pictures_fit_the_inputs_element_type(project: Any, dtype: str, low: float, high: float) -> None:
    text = manifest_text("net.onnx", [InputFacts("x", (1, 3, 8, 8), dtype)], ["y"], [NEF], ["faces/*.png"])
    settings = project.load(text).spec.models["net"].inputs["x"].settings()
    assert resulting_range(from_settings(settings)) == (pytest.approx((low, high)),)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("models/ultra face-320.onnx", "ultra_face_320"),
        ("net.fixed.onnx", "net"),
        ("ütf.onnx", "tf"),
        ("é.onnx", "model"),
        ("x" * 300 + ".onnx", "x" * 100),
    ],
)
def test_names(source: str, name: str) -> None:
    assert model_name(source) == name


def test_many_sample_patterns(project: Any) -> None:
    text = manifest_text("net.onnx", [PICTURE], ["out"], [NEF], ["faces/*.png", "street/*.png"])
    assert project.load(text).spec.samples["calibration"].files == ("faces/*.png", "street/*.png")
