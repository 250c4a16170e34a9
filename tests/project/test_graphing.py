"""The plan as a graph: what stands for what at each level, and the files of the user's."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelbuild.project.building import build
from modelbuild.project.graphing import Graph, graph
from modelbuild.project.project import Project, open_project
from tests.project.small_project import write_manifest, write_model, write_samples

MANIFEST = """
samples: {numbers: {files: samples/*.npy}}
models: {net: {source: net.onnx, labels: names.txt, calibration: {set: numbers, count: 2}}}
targets: {cam: {chip: kl720}, gate: {chip: modalix}}
packages: {net: {target: cam, models: {net: {id: 32768}}}, other: {target: gate, models: [net]}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    write_model(tmp_path / "net.onnx")
    write_samples(tmp_path / "samples", 3)
    (tmp_path / "names.txt").write_text("a\n" * 32, encoding="utf-8")
    write_manifest(tmp_path, MANIFEST)
    return open_project(tmp_path)


def edges(found: Graph) -> dict[tuple[str, str], bool]:
    return {(edge.source, edge.reader): edge.soft for edge in found.edges}


def test_a_node_an_action_with_what_it_reads(project: Project) -> None:
    found = graph(project, ["net@cam"])
    assert found.level == "action"
    reads = edges(found)
    assert reads["file:net.onnx", "action:net:import_source"] is False
    assert reads["action:net:import_source", "action:net:normalise"] is False
    assert reads["samples:numbers (2)", "action:net@cam:observe"] is False
    assert not any("gate" in node.id or "modalix" in node.id for node in found.nodes)


def test_samples_are_one_node_with_the_files_that_were_chosen(project: Project) -> None:
    node = next(node for node in graph(project).nodes if node.kind == "samples")
    assert node.name == "numbers (2)"
    assert len(node.files) == 2 and set(node.files) < {f"samples/{index}.npy" for index in range(3)}


def test_what_is_read_even_if_it_failed_is_soft_unless_it_is_also_needed(project: Project) -> None:
    reads = edges(graph(project))
    assert reads["action:net@cam:quantize", "action:net:report"] is True
    assert reads["action:net:package", "action:net:gate"] is False
    assert edges(graph(project, level="model"))["model:net@cam", "package:net"] is False


def test_a_package_and_a_model_of_one_name_are_two_nodes(project: Project) -> None:
    found = graph(project, level="model")
    assert {node.id for node in found.nodes if node.actions} == {
        *("model:net", "model:net@cam", "model:net@gate", "package:net", "package:other")
    }
    package = next(node for node in found.nodes if node.id == "package:net")
    assert set(package.actions) == {"net:package", "net:gate", "net:report", "net/net:verify_hardware"}
    assert ("package:net", "package:net") not in edges(found)


def test_a_node_a_stage(project: Project) -> None:
    found = graph(project, level="stage")
    lower = next(node for node in found.nodes if node.id == "stage:lower")
    assert lower.actions == ("net@cam:lower", "net@gate:lower")


@pytest.mark.parametrize("level", ["action", "model", "stage"])
def test_every_node_comes_after_what_it_reads_and_every_action_is_in_one(
    project: Project, level: str
) -> None:
    found = graph(project, level=level)
    place = {node.id: index for index, node in enumerate(found.nodes)}
    assert len(place) == len(found.nodes)
    assert all(place[edge.source] < place[edge.reader] for edge in found.edges)
    actions = [action for node in found.nodes for action in node.actions]
    built = {action.name for action in project.plan.actions if not action.name.endswith(":check_samples")}
    assert sorted(actions) == sorted(built)


def test_large_plans_are_drawn_by_models(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelbuild.project.graphing.MANY", 5)
    assert graph(project).level == "model"
    assert graph(project, level="action").level == "action"


def test_states_where_they_are_asked_for_the_worst_of_a_node(project: Project) -> None:
    assert {node.state for node in graph(project).nodes} == {None}
    assert build(project, ["net@cam"]).ok
    states = {node.id: node.state for node in graph(project, level="model", status=True).nodes}
    assert states["model:net@cam"] == "up to date" and states["file:net.onnx"] is None
    assert states["model:net@gate"] in {"out of date", "unknown"}


def test_the_order_is_the_same_each_time(project: Project) -> None:
    assert graph(project).to_json() == graph(open_project(project.root)).to_json()
