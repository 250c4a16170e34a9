"""Outputs of whole numbers: in the JSON beside a kmodel, and what runs it gives them as they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from modelbuild.artifacts import firmware
from modelbuild.artifacts.kmodel_runner import open_kmodel
from modelbuild.artifacts.packing.kmodel import described
from modelbuild.artifacts.packing.program import Program
from modelbuild.artifacts.runner import FixedRunner, run_real
from modelbuild.chips.load import load_recipe
from modelbuild.graph.model import Node
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
