"""What calibration samples tell: each check finds what it is for, and nothing in pictures that are right."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from modelbuild.graph import onnx_io
from modelbuild.graph.model import Graph, Node
from modelbuild.graph.session import FloatSession
from modelbuild.quantize import calibration_checks
from modelbuild.quantize.calibration_checks import Examined, is_blank
from modelbuild.quantize.first_layers import Fit
from modelbuild.samples.health import SetLook
from modelbuild.stages import check_calibration
from tests.quantize.cases import graph_of, normal

SIDE, COUNT = 32, 12


def scene(seed: int, size: tuple[int, int] = (SIDE, SIDE)) -> np.ndarray[Any, Any]:
    """A picture as smooth as a photograph, more red than blue, [height, width, 3] of uint8."""
    draw = np.random.default_rng(seed)
    coarse = draw.uniform(0, 255, (5, 5, 3)) * [1.0, 0.8, 0.45]
    small = Image.fromarray(coarse.astype(np.uint8))
    picture = np.asarray(small.resize(size[::-1], Image.Resampling.BICUBIC)).astype(np.float64)
    return np.clip(picture + draw.normal(0, 4, picture.shape), 0, 255).astype(np.uint8)


def network(normalised: str, *, folded: bool = False) -> Graph:
    """A convolution and a BatchNormalization whose statistics are those of scenes; `folded` into a bias."""
    weight = normal(8, 3, 3, 3, seed=3).astype(np.float32)
    parts = {"scale": np.ones(8, np.float32), "shift": np.zeros(8, np.float32)}
    nodes = [Node("Conv", "conv", ["x", "w"], ["made"], {"pads": [1, 1, 1, 1]})]
    session = FloatSession(graph_of(nodes, {"x": (1, 3, SIDE, SIDE)}, ["made"], {"w": weight}))
    seen = np.array([session.run({"x": given(scene(100 + i), normalised)})["made"] for i in range(16)])
    mean, var = (np.float32(found) for found in (seen.mean((0, 1, 3, 4)), seen.var((0, 1, 3, 4))))
    if folded:
        column = np.sqrt(var).reshape(-1, 1, 1, 1)
        constants = {"w": weight / column, "b": (-mean / np.sqrt(var) + 0.5).astype(np.float32)}
        nodes = [Node("Conv", "conv", ["x", "w", "b"], ["y"], {"pads": [1, 1, 1, 1]})]
        return graph_of(nodes, {"x": (1, 3, SIDE, SIDE)}, ["y"], constants)
    nodes.append(Node("BatchNormalization", "bn", ["made", "scale", "shift", "mean", "var"], ["y"]))
    constants = {"w": weight, **parts, "mean": mean, "var": var}
    return graph_of(nodes, {"x": (1, 3, SIDE, SIDE)}, ["y"], constants)


NORMALISED: dict[str, dict[str, Any]] = {
    "unit": {"preset": "unit"},
    "imagenet": {"preset": "imagenet"},
    "pixels": {},
}


def given(picture: np.ndarray[Any, Any], normalised: str) -> np.ndarray[Any, Any]:
    from modelbuild.samples.preprocess import apply, from_settings

    p = from_settings(NORMALISED[normalised])
    return apply(Image.fromarray(picture), p, (1, 3, SIDE, SIDE))


def found(
    folder: Path,
    graph: Graph,
    samples: Sequence[np.ndarray[Any, Any]],
    preprocess: dict[str, Any],
    labels: Sequence[int] | None = None,
) -> list[tuple[str, str]]:
    """(code, message) of each finding. Pictures are [H, W, 3] of uint8; anything else is saved as it is."""
    onnx_io.write(graph, folder / "model.onnx")
    inputs = {"model": folder / "model.onnx"}
    for index, sample in enumerate(samples):
        path = folder / f"{index:02d}.{'png' if sample.dtype == np.uint8 else 'npy'}"
        if sample.dtype == np.uint8:
            Image.fromarray(sample).save(path)
        else:
            np.save(path, sample)
        inputs[f"sample/{index:06d}/"] = path
    parameters = {
        "preprocess": {"x": preprocess},
        "in_model": {},
        "names": [f"{index:02d}" for index in range(len(samples))],
        "labels": labels,
    }
    check_calibration.run(inputs, parameters, folder)
    told = json.loads((folder / "calibration.json").read_bytes())["findings"]
    assert all(one["severity"] == "warning" and one["advice"] for one in told)
    return [(one["code"], one["message"]) for one in told]


SCENES = [scene(seed) for seed in range(COUNT)]


@pytest.mark.parametrize("normalised", NORMALISED)
@pytest.mark.parametrize("folded", [False, True])
def test_nothing_is_said_of_what_is_right(tmp_path: Path, normalised: str, folded: bool) -> None:
    graph = network(normalised, folded=folded)
    assert found(tmp_path, graph, SCENES, NORMALISED[normalised], [0, 1] * 6) == []


def test_too_few(tmp_path: Path) -> None:
    [(code, message)] = found(tmp_path, network("unit"), SCENES[:7], NORMALISED["unit"])
    assert code == "MB201" and message.startswith("7 calibration samples")


@pytest.mark.parametrize("channels", [(0, 0, 0), (10, 200, 30)])
def test_samples_without_content(tmp_path: Path, channels: tuple[int, int, int]) -> None:
    flat = np.full((SIDE, SIDE, 3), channels, np.uint8)
    told = found(tmp_path, network("unit"), [*SCENES[:8], flat], NORMALISED["unit"])
    assert [code for code, _ in told] == ["MB207"]
    assert told[0][1].startswith("1 of 9 calibration samples holds one value alone") and "`08`" in told[0][1]
    assert json.loads((tmp_path / "calibration.json").read_bytes())["blank"] == 1


def test_where_no_sample_has_content_nothing_else_is_guessed_from_them(tmp_path: Path) -> None:
    nothing = np.zeros((1, 3, SIDE, SIDE), np.float32)
    told = found(tmp_path, network("unit"), [nothing], {"preset": "unit"})
    assert [code for code, _ in told] == ["MB201", "MB207"]
    assert told[0][1] == "1 calibration sample: too few to see the range of each tensor"
    assert told[1][1].startswith("1 of 1 calibration sample holds one value alone")


def test_an_input_of_one_value_is_not_without_content() -> None:
    gain, picture = np.ones((1, 1), np.float32), np.arange(4, dtype=np.float32).reshape(1, 4)
    assert not is_blank({"gain": gain, "x": picture}) and not is_blank({"gain": gain})
    assert is_blank({"gain": gain, "x": np.zeros((1, 4), np.float32)})
    assert not is_blank({"mask": np.ones((1, 9), np.float32), "x": picture})


def test_what_is_without_content_of_any_type() -> None:
    mixed = np.array([[True, False]])
    assert is_blank({"mask": np.zeros((1, 4), np.bool_)}) and not is_blank({"mask": mixed})
    assert is_blank({"ids": np.full((1, 4), 2**60)}) and not is_blank({"ids": 2**60 + np.arange(2)})
    assert is_blank({"mask": np.ones((1, 3, SIDE, SIDE), np.bool_), "none": np.zeros((1, 0))})
    assert not is_blank({"none": np.zeros((1, 0))}) and not is_blank({"x": np.full((1, 4), np.nan)})


def test_an_input_of_truth_values(tmp_path: Path) -> None:
    graph = Graph("small", [Node("Not", "not", ["x"], ["y"])], ["x"], ["y"], {}, opset=17)
    graph.shapes = {"x": (1, 4), "y": (1, 4)}
    graph.dtypes = dict.fromkeys("xy", np.dtype(np.bool_))
    told = found(tmp_path, graph, [np.zeros((1, 4), np.bool_)] * 8, {})
    assert [code for code, _ in told] == ["MB202", "MB207"]


def test_copies(tmp_path: Path) -> None:
    samples = [*SCENES[:8], SCENES[2], SCENES[2]]
    [(code, message)] = found(tmp_path, network("unit"), samples, NORMALISED["unit"])
    assert code == "MB202" and "2 of 10" in message and "copies of others: `08` and `02`" in message


def test_near_copies(tmp_path: Path) -> None:
    frames = [np.clip(SCENES[0] * 0.9 + shade, 0, 255).astype(np.uint8) for shade in (3, 6, 9)]
    [(code, message)] = found(tmp_path, network("unit"), [*SCENES[:8], *frames], NORMALISED["unit"])
    assert code == "MB202" and "3 of 11" in message and "nearly others: `08` and `00`" in message


def test_many_channels_are_compared_in_little_memory() -> None:
    rng = np.random.default_rng(0)
    look = SetLook({"x": (1, 256, 32, 32)})
    kinds = [rng.standard_normal((1, 256, 4, 4)).repeat(8, 2).repeat(8, 3).astype(np.float32) for _ in "abc"]
    for kind in (*kinds, kinds[1] + np.float32(0.001)):
        look.add({"x": kind})
    assert [(one.sample, one.earlier) for one in look.near_copies()] == [(3, 1)]
    assert all(each.nbytes <= 4096 for each in look.inputs["x"].small)


def test_noise(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    samples = [draw.integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8) for _ in range(8)]
    told = dict(found(tmp_path, network("unit"), samples, NORMALISED["unit"]))
    assert "8 of 8" in told["MB203"] and "in common in `00`" in told["MB203"]


def test_one_sample_of_noise_among_pictures(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)
    told = found(tmp_path, network("unit"), [*SCENES, noise], NORMALISED["unit"])
    assert told == [("MB203", told[0][1])] and "1 of 13" in told[0][1] and "`12`" in told[0][1]


def test_arrays_that_were_not_preprocessed(tmp_path: Path) -> None:
    arrays = [given(picture, "pixels") for picture in SCENES]
    told = dict(found(tmp_path, network("unit"), arrays, NORMALISED["unit"]))
    assert "the declared preprocessing gives 0 to 1" in told["MB204"]
    assert "with `preset: unit` (x / 255)" in told["MB205"]
    right = [given(picture, "unit") for picture in SCENES]
    assert found(tmp_path, network("unit"), right, NORMALISED["unit"]) == []


def test_what_no_normalisation_explains(tmp_path: Path) -> None:
    night = [(picture // 40).astype(np.uint8) for picture in SCENES]
    graph = network("unit")
    graph.constants["mean"] = graph.constants["mean"] + 40 * np.sqrt(graph.constants["var"])
    told = dict(found(tmp_path, graph, night, NORMALISED["unit"]))
    assert "did not see in training" in told["MB204"] and "MB205" not in told


@pytest.mark.parametrize("trained", NORMALISED)
@pytest.mark.parametrize("declared", NORMALISED)
def test_another_normalisation_than_the_models(tmp_path: Path, trained: str, declared: str) -> None:
    told = dict(found(tmp_path, network(trained), SCENES, NORMALISED[declared]))
    assert ("MB205" in told) == (trained != declared)
    if trained != declared:
        wanted = {"unit": "`preset: ", "imagenet": "`preset: imagenet`", "pixels": "pixels as they are"}
        assert "the normalisation is probably wrong" in told["MB205"] and wanted[trained] in told["MB205"]


@pytest.mark.parametrize(("trained", "declared"), [("unit", "pixels"), ("pixels", "unit")])
def test_a_scale_that_only_biases_tell_of(tmp_path: Path, trained: str, declared: str) -> None:
    told = dict(found(tmp_path, network(trained, folded=True), SCENES, NORMALISED[declared]))
    assert "times its biases instead of" in told["MB205"]


UNIT, ONE, IMAGENET = "`preset: unit` (x / 255)", "`mean: 127.5, std: 127.5` (-1..1)", "`preset: imagenet`"


def said(own: Fit, others: dict[str, Fit]) -> str:
    """The message of MB205 for a network whose first layer is suited so."""
    look = SetLook({"x": (1, 3, SIDE, SIDE)})
    examined = Examined(look, [], layer="conv", fits={"": own, **others})
    return "".join(one.message for one in calibration_checks.findings(examined) if one.code == "MB205")


# (ratio, offset) as they were measured, pictures as declared first
@pytest.mark.parametrize(
    ("own", "others", "wanted", "unwanted"),
    [  # SqueezeNet 1.1, which wants `imagenet`, fed 0..255: the scale alone can be told
        ((91, 0.2), {UNIT: (0.85, 1.6), ONE: (0.72, 0.7), IMAGENET: (1.6, 0.31)}, (UNIT, ONE, IMAGENET), ()),
        # MobileNetV2, which wants `imagenet` too, fed 0..255
        ((26, 1.4), {UNIT: (0.12, 9.2), ONE: (0.23, 4.3), IMAGENET: (0.5, 2.0)}, (IMAGENET,), (UNIT, ONE)),
        # and as `unit`, were that advice followed
        ((0.12, 9.2), {UNIT: (0.12, 9.2), IMAGENET: (0.5, 2.0)}, (IMAGENET,), (UNIT,)),
        ((0.5, 2.0), {UNIT: (0.12, 9.2), IMAGENET: (0.5, 2.0)}, (), (UNIT, IMAGENET)),
        # VWW, which wants `unit`: nothing fits so much better
        ((0.59, 1.1), {ONE: (0.98, 1.2), IMAGENET: (2.2, 0.54)}, (), (ONE, IMAGENET)),
    ],
)
def test_of_normalisations_the_likeliest_is_named_and_those_like_it(
    own: tuple[float, float],
    others: dict[str, tuple[float, float]],
    wanted: Sequence[str],
    unwanted: Sequence[str],
) -> None:
    fits = {name: Fit(ratio=ratio, offset=offset) for name, (ratio, offset) in others.items()}
    message = said(Fit(ratio=own[0], offset=own[1]), fits)
    assert all(name in message for name in wanted) and not any(name in message for name in unwanted)
    assert bool(message) == bool(wanted) and ("fits about as well" in message) == (len(wanted) > 1)


def test_what_a_batch_normalization_cannot_tell_apart_is_said() -> None:
    """UltraFace, which wants (x - 127) / 128, fed 0..255: divergences as they were measured."""
    fits = {ONE: Fit(0.204, 0.194, 0.019), IMAGENET: Fit(0.151, 0.273, 0.04), UNIT: Fit(0.834, 0.803, 0.143)}
    message = said(Fit(3612.0, 50.0, 31.7), fits)
    assert f"with {ONE} (or {IMAGENET}, which fits about as well)" in message and UNIT not in message


def test_the_normalisation_of_a_folded_network_comes_first(tmp_path: Path) -> None:
    graph = network("imagenet", folded=True)
    told = dict(found(tmp_path, graph, SCENES, NORMALISED["pixels"]))
    assert "with `preset: imagenet`" in told["MB205"]


def test_colours_the_other_way_round(tmp_path: Path) -> None:
    told = dict(found(tmp_path, network("unit"), SCENES, {"preset": "unit", "colour": "bgr"}))
    assert "the order of colours is probably wrong" in told["MB205"]


def test_a_layout_that_was_reshaped(tmp_path: Path) -> None:
    arrays = [np.float32(picture / 255).reshape(1, 3, SIDE, SIDE) for picture in SCENES]
    told = [one for one in found(tmp_path, network("unit"), arrays, {}) if "layout" in one[1]]
    assert [code for code, _ in told] == ["MB205"]


@pytest.mark.parametrize(("labels", "told"), [([3] * COUNT, ["MB206"]), ([3] * 11 + [4], [])])
def test_one_class_alone(tmp_path: Path, labels: list[int], told: list[str]) -> None:
    assert [code for code, _ in found(tmp_path, network("unit"), SCENES, NORMALISED["unit"], labels)] == told


def test_a_classifier_that_sees_one_class(tmp_path: Path) -> None:
    head = {"w": np.zeros((3 * SIDE * SIDE, 10), np.float32), "b": np.arange(10, dtype=np.float32) - 4.5}
    nodes = [Node("Flatten", "flat", ["x"], ["f"]), Node("Gemm", "head", ["f", "w", "b"], ["y"])]
    graph = graph_of(nodes, {"x": (1, 3, SIDE, SIDE)}, ["y"], head)
    told = dict(found(tmp_path, graph, SCENES, NORMALISED["unit"]))
    assert "the model sees the class 9 in 12 calibration samples of 12" in told["MB206"]


def test_the_same_findings_whatever_the_order_of_memory(tmp_path: Path) -> None:
    first = found(tmp_path, network("unit"), SCENES[:4], {"preset": "unit", "colour": "bgr"})
    text = (tmp_path / "calibration.json").read_bytes()
    assert (
        first and found(tmp_path, network("unit"), SCENES[:4], {"preset": "unit", "colour": "bgr"}) == first
    )
    assert (tmp_path / "calibration.json").read_bytes() == text
