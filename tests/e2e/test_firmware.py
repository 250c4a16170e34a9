"""`<model>.json`: with it alone, firmware feeds a packaged model and reads what it answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from modelbuild import api
from modelbuild.quantize import fixed_onnx

FILES = {
    "kl720": "models_720.sim.nef",
    "kl520": "models_520.sim.nef",
    "modalix": "digits_mpk.sim.tar.gz",
}


def told(folder: Path, chip: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / f"dist/digits-{chip}/digits.json").read_bytes())
    return found


@pytest.mark.parametrize("chip", FILES)
def test_it_says_what_the_manifest_and_the_model_say(built_once: Path, chip: str) -> None:
    found = told(built_once, chip)
    fixed = fixed_onnx.read(built_once / f"dist/digits-{chip}/digits.fixed.onnx")
    assert found["chip"] == fixed.chip == chip and found["arithmetic"] == fixed.arithmetic
    assert (found["model"], found["version"], found["silicon"]) == ("digits", "0001", False)
    assert found["id"] == (None if chip == "modalix" else 32769)  # an MPK has no ids
    (image,), (probabilities,) = found["inputs"], found["outputs"]
    assert (image["name"], image["shape"], image["layout"]) == ("image", [1, 1, 16, 16], "NCHW")
    assert (probabilities["name"], probabilities["shape"]) == ("probabilities", [1, 10])
    assert (image["size"], probabilities["size"]) == (256, 10)
    declared = {"resize": "stretch", "colour": "gray", "mean": 127.5, "std": 127.5}  # models.yaml
    assert declared.items() <= image["preprocess"].items()
    assert (image["preprocess"]["scale"], image["preprocess"]["layout"]) == (1.0, "NCHW")
    assert "preprocess" not in probabilities
    for place in (image, probabilities):
        tensor = fixed.tensors[place["name"]]
        assert place["dtype"] == "int8" == str(tensor.dtype) and place["bits"] == tensor.bits == 8
        assert place["scale"] == tensor.scale and place["zero_point"] == tensor.zero_point
    asymmetric = {"kl720": 0, "kl520": 0, "modalix": -128}  # a probability is never below 0
    assert probabilities["zero_point"] == asymmetric[chip]


@pytest.mark.parametrize("chip", FILES)
def test_the_radix_form_is_the_same_number(built_once: Path, chip: str) -> None:
    found = told(built_once, chip)
    for place in (*found["inputs"], *found["outputs"]):
        form = place["radix_form"]
        assert form["formula"] == "real = (q - zero_point) / (scale * 2^radix)"
        assert 1 <= form["scale"] < 2 and isinstance(form["radix"], int)
        if chip != "modalix":  # there it is what a NEF keeps, exactly
            assert np.float32(form["scale"]) == form["scale"]
            assert 1 / (form["scale"] * 2.0 ** form["radix"]) == place["scale"]
        assert 1 / (form["scale"] * 2.0 ** form["radix"]) == pytest.approx(place["scale"], rel=1e-15)


@pytest.mark.parametrize("chip", FILES)
def test_feeding_by_hand_gives_what_run_gives(built_once: Path, chip: str, tmp_path: Path) -> None:
    found = told(built_once, chip)
    (image,), (probabilities,) = found["inputs"], found["outputs"]
    package = api.open_file(built_once / f"dist/digits-{chip}/{FILES[chip]}")
    for picture in sorted((built_once / "data/test").glob("*.png"))[:3]:
        settings = image["preprocess"]
        with Image.open(picture) as opened:
            # 8x8, stretched to 16x16 by the declared filter
            scaled = opened.convert("L").resize((16, 16), Image.Resampling.BILINEAR)
        real = (np.asarray(scaled, np.float64) * settings["scale"] - settings["mean"]) / settings["std"]
        integers = np.rint(real / image["scale"]) + image["zero_point"]
        np.save(tmp_path / "x.npy", np.clip(integers, -128, 127).astype(np.int8).reshape(image["shape"]))
        raw = api.run_opened(package, [str(tmp_path / "x.npy")], raw=True).outputs["probabilities"]
        by_hand = (raw.astype(np.float64) - probabilities["zero_point"]) * probabilities["scale"]
        run = api.run_opened(package, [str(picture)]).outputs["probabilities"]
        assert np.allclose(by_hand, run, rtol=1e-6, atol=0)
