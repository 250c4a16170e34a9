"""`graph`: forms, files, and what is said beside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command


def test_mermaid_unless_told(small: Path, command: Command) -> None:
    said = command(small, "graph", "small@nef")
    assert said.code == 0 and said.err == ""
    assert said.lines[0] == "flowchart LR" and '["small@nef:quantize"]' in said.out


def test_json_is_the_documented_object(small: Path, command: Command) -> None:
    said = command(small, "graph", "--json", "--status")
    assert set(said.json) == {"level", "nodes", "edges"}
    assert set(said.json["nodes"][0]) == {"id", "kind", "name", "actions", "files", "state"}
    assert set(said.json["edges"][0]) == {"from", "to", "soft"}
    assert {node["state"] for node in said.json["nodes"] if node["actions"]} == {"up to date"}
    assert command(small, "graph", "--format", "json", "--status").json == said.json


def test_a_file_in_the_form_that_its_name_says(small: Path, command: Command, tmp_path: Path) -> None:
    for name, begins in (
        ("g.dot", "digraph"),
        ("g.mmd", "flowchart"),
        ("g.json", "{"),
    ):
        said = command(small, "graph", "-o", str(tmp_path / name))
        assert said.code == 0 and said.lines == [f"wrote {tmp_path / name}"]
        assert (tmp_path / name).read_text(encoding="utf-8").startswith(begins)
    assert json.loads((tmp_path / "g.json").read_text(encoding="utf-8"))["level"] == "action"


def test_two_forms_for_one_output_are_refused(small: Path, command: Command, tmp_path: Path) -> None:
    assert command(small, "graph", "--json", "--format", "dot").code == 2
    both = command(small, "graph", "--json", "--format", "dot", "-o", str(tmp_path / "g"))
    assert both.code == 0 and both.json["level"] == "action"
    assert (tmp_path / "g").read_text(encoding="utf-8").startswith("digraph")


def test_a_large_graph_is_by_models_and_says_so(
    small: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelbuild.project.graphing.MANY", 3)
    said = command(small, "graph")
    assert "a node a model" in said.err and '"small@nef<br/>' in said.out
    assert '"small@nef:lower"' in command(small, "graph", "-v").out


def test_a_folder_that_is_not_there(small: Path, command: Command) -> None:
    assert command(small, "graph", "-o", "nowhere/g.dot").code == 2


@pytest.mark.parametrize("name", ["models.yaml", "net.onnx", "notes.mmd"])
def test_nobodys_file_is_overwritten(copied: Path, command: Command, name: str) -> None:
    (copied / "net.onnx").write_bytes(b"\x08\x08model")
    (copied / "notes.mmd").write_bytes(b"my own drawing")
    before = (copied / name).read_bytes()
    said = command(copied, "graph", "-o", name, "--format", "mermaid")
    assert said.code == 2 and "would overwrite" in said.err and name in said.err
    assert (copied / name).read_bytes() == before


def test_an_earlier_graph_is_overwritten_in_whatever_form(copied: Path, command: Command) -> None:
    for form in ("mermaid", "dot", "json", "mermaid"):
        assert command(copied, "graph", "-o", "g", "--format", form).code == 0


@pytest.mark.parametrize("name", ["g.png", "g.svg", "g"])
def test_an_ending_that_names_no_form(copied: Path, command: Command, name: str) -> None:
    said = command(copied, "graph", "-o", name)
    assert said.code == 2 and "known endings are .mmd" in said.err and not (copied / name).exists()


def test_nothing_is_written_among_what_builds_keep(copied: Path, command: Command) -> None:
    assert "cannot write into .modelbuild" in command(copied, "graph", "-o", ".modelbuild/g.dot").err


def test_a_dash_is_standard_output(copied: Path, command: Command) -> None:
    assert command(copied, "graph", "-o", "-").lines[0] == "flowchart LR" and not (copied / "-").exists()
