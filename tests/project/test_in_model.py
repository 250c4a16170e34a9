"""A model that preprocesses by itself, from the manifest to the package, beside one that its host feeds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from modelbuild import api
from modelbuild.cli.main import main
from modelbuild.project.options import BuildOptions
from modelbuild.samples.preprocess import apply, from_settings
from tests.judges import nncase

SHARED = "resize: stretch, colour: bgr, mean: [100, 110, 120], std: 64"
MANIFEST = f"""\
modelbuild: 1
samples: {{pictures: {{files: data/*.png}}}}
defaults: {{calibration: pictures, accept: {{cpu_nodes: 9, snr_db: 20}}, verify: {{hardware: all}}}}
models:
  fed: {{source: net.onnx, inputs: {{image: {{preprocess: {{{SHARED}}}}}}}}}
  raw:
    source: net.onnx
    inputs: {{image: {{preprocess: {{{SHARED}, in_model: true, input_layout: NHWC}}}}}}
  boxed:
    source: net.onnx
    inputs:
      image:
        preprocess: {{in_model: true, resize: letterbox, fill: 114, input_shape: [1, 3, 20, 14], std: 255,
          output_layout: NHWC}}
  real:
    source: net.onnx
    inputs: {{image: {{preprocess: {{{SHARED}, in_model: true, input_type: float32}}}}}}
targets: {{nef: {{chip: kl720}}, mpk: {{chip: modalix}}, kmodel: {{chip: k210}}}}
packages:
  some:
    targets: [nef, mpk, kmodel]
    models: {{fed: {{id: 32768}}, raw: {{id: 32769}}, boxed: {{id: 32770}}, real: {{id: 32771}}}}
"""


TARGETS = ["nef", "mpk", "kmodel"]


def write_model(path: Path) -> None:
    draw = np.random.default_rng(3)
    constants = {"w": draw.normal(size=(4, 3, 3, 3)), "v": draw.normal(size=(2, 4, 1, 1))}
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["a"], name="stem", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"], name="relu"),
        helper.make_node("Conv", ["b", "v"], ["scores"], name="head"),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 10, 12])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 2, 10, 12])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("in_model")
    write_model(folder / "net.onnx")
    (folder / "data").mkdir()
    draw = np.random.default_rng(5)
    for index in range(4):
        small = Image.fromarray(draw.integers(0, 256, (5, 4, 3), np.uint8))
        small.resize((14, 20), Image.Resampling.BICUBIC).save(folder / f"data/{index}.png")
    (folder / "models.yaml").write_text(MANIFEST, encoding="utf-8")
    result = api.build(api.open_project(folder), (), BuildOptions(jobs=1))
    assert result.ok, [str(error) for _, error in result.failures]
    return folder


def outputs(folder: Path, pair: str, level: str) -> Any:
    runner = api.open_form(api.open_project(folder), pair, level)
    return api.run_opened(runner, [str(folder / "data/1.png")]).outputs["scores"]


@pytest.mark.parametrize("target", TARGETS)
def test_it_computes_what_the_fed_model_does(built: Path, target: str) -> None:
    fed, raw = outputs(built, f"fed@{target}", "float"), outputs(built, f"raw@{target}", "float")
    np.testing.assert_allclose(raw, fed, atol=1e-4 * np.abs(fed).max())
    real = outputs(built, f"real@{target}", "float")
    np.testing.assert_allclose(real, fed, atol=1e-4 * np.abs(fed).max())
    span = fed.max() - fed.min()
    for name in ("fed", "raw", "real"):
        assert np.abs(outputs(built, f"{name}@{target}", "fixed") - fed).max() < 0.1 * span


def compared(folder: Path, first: Any, second: Any, sample: str = "data/1.png") -> float:
    runners = [
        api.open_form(api.open_project(folder), word, "fixed")
        if "@" in word
        else api.open_file(folder / word)
        for word in (first, second)
    ]
    found = api.compare(*runners, [str(folder / sample)], base=folder)
    return float(found.outputs[0]["snr_db"])


@pytest.mark.parametrize("model", ["raw", "boxed", "real"])
@pytest.mark.parametrize("form", ["{}@nef", "dist/some-nef/{}.fixed.onnx"])
def test_it_is_compared_with_its_source_as_the_host_would_feed_that(
    built: Path, model: str, form: str
) -> None:
    word = form.format(model)
    for pair in ((word, "net.onnx"), ("net.onnx", word)):
        assert compared(built, *pair) > 20


def test_an_array_cannot_be_both_raw_pixels_and_the_sources_numbers(built: Path) -> None:
    np.save(built / "both.npy", np.zeros((1, 3, 10, 12), np.float32))
    with pytest.raises(api.ModelbuildError, match="an array cannot feed `image` of both") as caught:
        compared(built, "real@nef", "net.onnx", "both.npy")
    assert caught.value.problems[0].advice == "give a picture"


def test_the_source_may_be_told_its_own_preprocessing(
    built: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["-C", str(built), "compare", "raw@nef", "net.onnx", "--input", "data/1.png", "--json"]
    assert main([*words, "--preprocess", f"{{{SHARED}}}"]) == 0
    told = json.loads(capsys.readouterr().out)["outputs"][0]["snr_db"]
    assert main([*words, "--preprocess", "{resize: stretch, std: 255}"]) == 0
    other = json.loads(capsys.readouterr().out)["outputs"][0]["snr_db"]
    assert told > 20 > other


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("model", ["raw", "boxed"])
def test_the_packaged_program_is_the_fixed_model(built: Path, model: str, target: str) -> None:
    fixed, hardware = (outputs(built, f"{model}@{target}", level) for level in ("fixed", "hardware"))
    np.testing.assert_array_equal(fixed, hardware)


@pytest.mark.parametrize("target", TARGETS)
def test_firmware_is_told_to_hand_over_raw_pictures(built: Path, target: str) -> None:
    told = json.loads((built / f"dist/some-{target}/raw.json").read_bytes())["inputs"][0]
    assert (told["dtype"], told["shape"], told["layout"]) == ("uint8", [1, 10, 12, 3], "NHWC")
    assert (told["scale"], told["zero_point"]) == (1.0, 0)
    left = told["preprocess"]
    assert (left["scale"], left["mean"], left["std"], left["resize"]) == (1.0, 0.0, 1.0, "stretch")
    assert told["in_model"]["mean"] == [100.0, 110.0, 120.0] and told["in_model"]["colour"] == "bgr"
    fed = json.loads((built / f"dist/some-{target}/fed.json").read_bytes())["inputs"][0]
    assert "in_model" not in fed
    assert fed["dtype"] == {"nef": "int8", "mpk": "int8", "kmodel": "float32"}[target]
    [scores] = json.loads((built / f"dist/some-{target}/boxed.json").read_bytes())["outputs"]
    assert (scores["layout"], scores["shape"]) == ("NHWC", [1, 10, 12, 2])


def test_the_vendors_simulator_takes_the_pixels(built: Path) -> None:
    """As `run` hands them over, and gives the same bits."""
    shipped = built / "dist/some-kmodel/raw.kmodel"
    told = json.loads(shipped.with_suffix(".json").read_bytes())["inputs"][0]
    left = from_settings(told["preprocess"])
    pixels = apply(Image.open(built / "data/1.png"), left, tuple(told["shape"])).astype(told["dtype"])
    (judged,) = nncase.run_kmodel(shipped.read_bytes(), [pixels])
    found = api.run(shipped, str(built / "data/1.png")).outputs["scores"]
    assert judged.tobytes() == found.tobytes() and judged.dtype == np.float32


def test_no_picture_passes_the_cpu_as_floats(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = {}
    for model in ("fed", "raw"):
        assert main(["-C", str(built), "evaluate", f"{model}@kmodel", "--json"]) == 0
        ran[model] = [each["op"] for each in json.loads(capsys.readouterr().out)["cpu_nodes"]]
    assert ran["fed"] == ["quantize", "dequantize"]
    assert ran["raw"] == ["transpose", "pad", "dequantize"]  # of bytes; the last one is the output's


def test_firmware_can_follow_it(built: Path) -> None:
    """What raw.json says, done by hand, is what `run` does with the picture."""
    picture = Image.open(built / "data/1.png").convert("RGB").resize((12, 10), Image.Resampling.BILINEAR)
    np.save(built / "raw.npy", np.asarray(picture)[None])
    runner = api.open_form(api.open_project(built), "raw@nef", "hardware")
    by_hand = api.run_opened(runner, [str(built / "raw.npy")], raw=True).outputs["scores"]
    of_picture = api.run_opened(runner, [str(built / "data/1.png")]).outputs["scores"]
    scale = runner.outputs[0].quantized
    assert scale is not None
    np.testing.assert_allclose(by_hand * np.float32(scale.scale), of_picture, atol=scale.scale * 2)


def test_letterbox_in_the_model_takes_the_cameras_size(built: Path) -> None:
    told = json.loads((built / "dist/some-nef/boxed.json").read_bytes())["inputs"][0]
    assert told["shape"] == [1, 3, 20, 14] and told["dtype"] == "uint8"


def test_the_report_tells_both_parts(built: Path) -> None:
    report = json.loads((built / "reports/some-nef/report.json").read_bytes())
    model = next(model for model in report["models"] if model["name"] == "raw")
    [port] = model["inputs"]
    assert port["in_model"]["in_model"] is True and port["dtype"] == "uint8"
    assert port["ranges"][0] == pytest.approx([-100 / 64, 155 / 64])
    layers = {layer["name"]: [node["name"] for node in layer["nodes"]] for layer in model["layers"]}
    assert list(layers) == ["stem", "relu", "head"] and all(layers.values())
    page = (built / "reports/some-nef/report.html").read_text(encoding="utf-8")
    assert "then in the model:" in page


def test_changing_it_imports_nothing_again(built: Path) -> None:
    text = MANIFEST.replace("std: 255", "std: 128")
    try:
        (built / "models.yaml").write_text(text, encoding="utf-8")
        status = api.status(api.open_project(built))
    finally:
        (built / "models.yaml").write_text(MANIFEST, encoding="utf-8")
    states = {name: found.state for name, found in status.items()}
    assert states["boxed:import_source"] == states["raw:normalise"] == "up to date"
    assert states["boxed:normalise"] != "up to date"
