"""What `quantize.json` notes of a source's own quantization, where channels are divided."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from modelbuild.chips.load import load_recipe
from modelbuild.graph import onnx_io
from modelbuild.graph.kept_quantization import Kept, keep
from modelbuild.quantize.observe import observe
from modelbuild.stages import quantize
from tests.quantize.cases import samples_of
from tests.quantize.test_split import network


def test_weights_that_keep_their_scales_in_another_order_are_not_noted(tmp_path: Path) -> None:
    graph = network()
    for name in ("w2", "w3"):
        codes = np.clip(np.rint(64 * np.asarray(graph.constants[name], np.float32)), -127, 127)
        graph.constants[name] = codes / np.float32(64)
        keep(graph, {name: Kept("int8", (1 / 64,), (0,))})
    model, observations = tmp_path / "model.onnx", tmp_path / "observations.npz"
    onnx_io.write(graph, model)
    samples = samples_of(graph, 6)
    observe(graph, samples).save(observations)
    form = load_recipe("modalix").number_format.model_dump(mode="json")
    settings = {"activations": "int8", "weights": "int8", "range": {"method": "output_error"}}
    parameters = {"settings": settings, "number_format": form}
    quantize.run({"model": model, "observations": observations}, parameters, tmp_path)
    found = json.loads((tmp_path / "quantize.json").read_text())
    methods = {line["name"]: line["method"] for line in found["tensors"] if line["kind"] == "weight"}
    assert methods["w2_ordered"] == methods["w3_ordered"] == "source"
    others = len(methods) - 3
    (note,) = found["notes"]
    assert note.startswith(f"the weights `w0_part0` and {others} others are quantized here")
