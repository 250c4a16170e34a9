"""Outputs of whole numbers: in the JSON beside a kmodel, and what runs it gives them as they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from modelbuild import api
from modelbuild.artifacts import firmware
from modelbuild.artifacts.kmodel_runner import open_kmodel
from modelbuild.artifacts.packing.kmodel import described
from modelbuild.artifacts.packing.program import Program
from modelbuild.artifacts.runner import FixedRunner, run_real
from modelbuild.chips.load import load_recipe
from modelbuild.graph.kept_quantization import Kept
from modelbuild.graph.model import Node
from modelbuild.graph.quantized_border import dequantize_input, quantize_output
from modelbuild.stages.backends.kpu import compile_fixed
from tests.kpu.lowering.made import lowered
from tests.quantize.cases import F, graph_of


def test_a_kmodel_and_its_json_tell_places(tmp_path: Path) -> None:
    nodes = [
        Node("ArgMax", "a", ["x"], ["place"], {"axis": 1}),
        Node("Cast", "c", ["x"], ["cut"], {"to": 6}),
    ]
    sample = {"x": np.array([[0.5, 3.25, 3.25, -7.9]], F)}
    fixed = lowered(graph_of(nodes, {"x": (1, 4)}, ["place", "cut"]), "nncase-cpu", [sample]).fixed
    made = compile_fixed(fixed, load_recipe("nncase-cpu"), {}, None, lambda *_: None)
    plan = json.loads(json.dumps(made.plan))
    program = Program("net", made.command, b"", b"")
    told = firmware.describe(program, described(plan), None, None, True, {"desired": None, "achieved": 1})
    assert [(each["dtype"], each["size"]) for each in told["outputs"]] == [("int64", 8), ("int32", 16)]
    (tmp_path / "net.kmodel").write_bytes(made.command)
    (tmp_path / "net.json").write_text(json.dumps(told), encoding="utf-8")
    runner = open_kmodel(tmp_path / "net.kmodel", made.command, "net")
    for form in (runner, FixedRunner(fixed)):
        found = run_real(form, sample, layers=True)
        assert str(found["place"].dtype) == "int64" and found["place"].tolist() == [[1]]
        assert str(found["cut"].dtype) == "int32" and found["cut"].tolist() == [[0, 3, 3, -7]]


def test_ports_of_the_sources_codes_tell_what_these_stand_for(tmp_path: Path) -> None:
    graph = graph_of([Node("Relu", "r", ["x"], ["y"])], {"x": (1, 4)}, ["y"])
    dequantize_input(graph, "x", Kept("int8", (0.5,), (-3,)))
    quantize_output(graph, "y", Kept("int8", (0.25,), (-128,)))
    codes = np.array([[-128, -3, 7, 19]], np.int8)
    fixed = lowered(graph, "nncase-cpu", [{"x": codes}]).fixed
    made = compile_fixed(fixed, load_recipe("nncase-cpu"), {}, None, lambda *_: None)
    program, plan = Program("net", made.command, b"", b""), json.loads(json.dumps(made.plan))
    told = firmware.describe(program, described(plan), None, None, True, {"desired": None, "achieved": 1})
    ports = [told[side][0] for side in ("inputs", "outputs")]
    assert [(port["dtype"], port["scale"], port["zero_point"]) for port in ports] == [("int8", 1.0, 0)] * 2
    assert [port["codes"] for port in ports] == [
        {"scale": 0.5, "zero_point": -3},
        {"scale": 0.25, "zero_point": -128},
    ]
    (tmp_path / "net.kmodel").write_bytes(made.command)
    (tmp_path / "net.json").write_text(json.dumps(told), encoding="utf-8")
    np.save(tmp_path / "x.npy", codes)
    answer = api.run(tmp_path / "net.kmodel", str(tmp_path / "x.npy")).outputs["y"]
    assert answer.dtype == np.int8 and answer.tolist() == [[-128, -128, -108, -84]]
