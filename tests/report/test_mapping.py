"""Which nodes each layer of the source became."""

from __future__ import annotations

import html

from modelbuild.report.build import ModelInputs, collect
from modelbuild.report.html import render
from modelbuild.report.mapping import layers, nodes
from tests.report.stage_files import Maker, stages

LOWERED = {
    "nodes": [
        {"name": "conv", "op": "Conv", "origin": ["image.preprocess", "conv", "norm"]},
        {"name": "half", "op": "Slice", "origin": ["split"]},
        {"name": "rest", "op": "Slice", "origin": ["split", "split"]},
    ],
    "tail": {"removed": [{"name": "soft", "op": "Softmax", "origin": ["probabilities"], "reason": "none"}]},
}
SOURCE = [
    {"name": "conv", "operators": ["Conv"]},
    {"name": "norm", "operators": ["BatchNormalization"]},
    {"name": "drop", "operators": ["Dropout"]},
    {"name": "split", "operators": ["Split"]},
    {"name": "probabilities", "operators": ["Softmax", "Reshape"]},
]


def test_each_layer_has_its_nodes_in_order() -> None:
    final = nodes(LOWERED, {"conv": "npu", "half": "npu", "rest": "cpu"})
    found = {
        layer.name: [(node.name, node.op, node.unit) for node in layer.nodes]
        for layer in layers(SOURCE, final)
    }
    assert found == {
        "conv": [("conv", "Conv", "npu")],
        "norm": [("conv", "Conv", "npu")],
        "drop": [],
        "split": [("half", "Slice", "npu"), ("rest", "Slice", "cpu")],
        "probabilities": [("soft", "Softmax", "after the chip")],
    }
    assert list(found) == [layer["name"] for layer in SOURCE]


def test_the_report_has_it_as_json_and_on_the_page(maker: Maker) -> None:
    report = maker.collect()
    told = {layer["name"]: layer for layer in report.to_json()["models"][0]["layers"]}
    assert told["Softmax_12"] == {
        "name": "Softmax_12",
        "operators": ["Softmax"],
        "nodes": [{"name": "softmax", "op": "Softmax", "unit": "cpu"}],
    }
    assert told["Dropout_3"]["nodes"] == []
    page = render(report)
    assert "Layers: what each of the source&#39;s 26 became (1 left no node)" in page or (
        "Layers: what each of the source's 26 became (1 left no node)" in page
    )
    assert "none: folded into constants, or changes no value" in page


def test_names_are_escaped_and_a_thousand_layers_fit(maker: Maker) -> None:
    maker.stages = stages(1000)
    evil = "<script>alert(1)</script>"
    maker.stages["import"]["layers"][0] = {"name": evil, "operators": [evil]}
    maker.stages["lower"]["nodes"][0]["origin"] = [evil]
    page = render(maker.collect())
    assert "<script" not in page and html.escape(evil) in page
    assert page.count("<details>") == page.count("</details>")
    assert "source&#39;s 1002 became" in page or "source's 1002 became" in page


def test_a_report_of_a_model_without_a_source_has_none(maker: Maker) -> None:
    del maker.stages["import"]
    assert maker.collect().models[0].layers == ()


def test_what_the_model_does_by_itself_stands_at_its_input(maker: Maker) -> None:
    whole = {"in_model": True, "input_layout": "NHWC", "mean": 127, "std": 128}
    report = maker.collect()
    files = maker.files()
    left = {"image": {"layout": "NHWC"}}
    inputs = ModelInputs("face_detect", files, preprocess=left, in_model={"image": whole})
    model = collect({"name": "p", "target": "t", "chip": "kl720"}, [inputs]).models[0]
    port = model.inputs[0]
    assert port.ranges == ((-127 / 128, 1.0),)
    assert port.in_model == whole and port.preprocess is not None and port.preprocess["mean"] == 0
    assert report.models[0].inputs[0].in_model is None
