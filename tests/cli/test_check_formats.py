"""`check --format`: SARIF, GitHub's annotations and JSON, of models and of a manifest that cannot be read."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest

from modelbuild.cli import github, sarif
from modelbuild.graph.codes import CODES
from tests.cli.conftest import Command, edit

FINDING = {
    "code": "MB104",
    "severity": "warning",
    "message": "100% of it,\nat last",
    "advice": "cut it",
    "node": "a:b, c",
    "model": "net",
    "target": "cam",
}


def add_sin(folder: Path) -> None:
    """A node at the end that no unit of kl720 runs."""
    model = onnx.load(folder / "small.onnx")
    model.graph.node.append(
        onnx.helper.make_node("Sin", [model.graph.output[0].name], ["sin_out"], name="sin")
    )
    model.graph.output.append(onnx.helper.make_tensor_value_info("sin_out", onnx.TensorProto.FLOAT, None))
    onnx.save(model, folder / "small.onnx")


def test_an_annotation_escapes_what_would_end_it() -> None:
    line = github.text([FINDING], lambda _: ("a,b:c/100%.yaml", 3, 7))
    assert line == (
        "::warning file=a%2Cb%3Ac/100%25.yaml,line=3,col=7,title=MB104 net@cam"
        "::100%25 of it,%0Aat last%0Acut it\n"
    )
    assert github.text([{**FINDING, "severity": "note", "advice": ""}], lambda _: None) == (
        "::notice title=MB104 net@cam::100%25 of it,%0Aat last\n"
    )


def test_sarif_has_what_its_schema_requires() -> None:
    text = sarif.text([FINDING], [{**FINDING, "reason": "as wanted"}], lambda _: ("models/my net.yaml", 3, 7))
    log = json.loads(text)
    assert log["version"] == "2.1.0" and "sarif-2.1.0" in log["$schema"]
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"] == "modelbuild" and [rule["id"] for rule in driver["rules"]] == list(CODES)
    for result in run["results"]:
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"] == "MB104"
        assert result["level"] == "warning" and result["message"]["text"].startswith("net@cam: 100% of it")
        (location,) = result["locations"]
        assert location["physicalLocation"]["artifactLocation"]["uri"] == "models/my%20net.yaml"
        assert location["physicalLocation"]["region"] == {"startLine": 3, "startColumn": 7}
        assert location["logicalLocations"] == [{"name": "a:b, c", "fullyQualifiedName": "net/a:b, c"}]
    assert [result.get("suppressions") for result in run["results"]] == [
        [],
        [{"kind": "external", "justification": "as wanted"}],
    ]
    assert {rule["defaultConfiguration"]["level"] for rule in driver["rules"]} <= {"error", "warning", "note"}
    kept = json.loads(sarif.text([FINDING], [], lambda _: None))
    assert "suppressions" not in kept["runs"][0]["results"][0]
    nowhere = json.loads(sarif.text([{**FINDING, "node": ""}], [], lambda _: None))
    assert "locations" not in nowhere["runs"][0]["results"][0]


def test_the_command_prints_each_form(copied: Path, command: Command) -> None:
    add_sin(copied)
    words = ("check", "small@nef", "--format")
    said = command(copied, *words, "github")
    (line,) = said.lines
    assert said.code == 1 and line.startswith("::error file=") and "title=MB101 small@nef::Sin `sin`:" in line
    place = line.removeprefix("::error ").split(",title")[0]
    text = command(copied, *words, "sarif").out
    (result,) = json.loads(text)["runs"][0]["results"]
    region = result["locations"][0]["physicalLocation"]["region"]
    assert f"line={region['startLine']},col={region['startColumn']}" in place
    assert text == command(copied, *words, "sarif").out
    as_json = command(copied, *words, "json")
    assert as_json.code == 1 and as_json.out == command(copied, "check", "small@nef", "--json").out
    assert as_json.json["placement"]["small@nef"][-1] == {
        "node": "sin",
        "op": "Sin",
        "unit": "none",
        "reason": "the NPU has no Sin on kl720",
    }


def test_v_lists_every_node(small: Path, command: Command) -> None:
    lines = command(small, "check", "small@nef", "-v").lines
    start = lines.index("small@nef: 6 npu, 1 fused")
    assert lines[start + 1].split() == ["node", "operator", "unit", "because"]
    assert sorted(line.split()[2] for line in lines[start + 2 : start + 9]) == ["fused", *["npu"] * 6]


def test_a_manifest_that_cannot_be_read_is_told_as_json_too(copied: Path, command: Command) -> None:
    edit(copied, "source: small.onnx", "source: small.onnx, sauce: 1")
    said = command(copied, "check", "--format", "json")
    assert said.code == 2 and "unknown key `sauce`" in said.err
    assert said.json["ok"] is False
    (finding,) = said.json["findings"]
    assert (finding["code"], finding["severity"]) == ("MB009", "error")
    again = command(copied, "check", "--json")
    assert (again.out, again.code) == (said.out, 2)
    assert command(copied, "check", "--json", "--format", "json").out == said.out


@pytest.mark.parametrize("form", ["github", "sarif"])
def test_a_manifest_that_cannot_be_read_has_findings_too(form: str, copied: Path, command: Command) -> None:
    edit(copied, "source: small.onnx", "source: small.onnx, sauce: 1")
    said = command(copied, "check", "--format", form)
    assert said.code == 2 and "unknown key `sauce`" in said.out
    assert ("line=" if form == "github" else "startLine") in said.out
    assert "MB009" in said.out and "MB100 " not in said.out
    assert said.err == "1 error\n"  # what they are stands on standard output


def test_an_error_has_one_code_in_every_form(copied: Path, command: Command) -> None:
    edit(copied, "source: small.onnx", "source: none.onnx")
    said = command(copied, "check")
    assert said.code == 2 and "the model none.onnx does not exist [MB009]" in said.err
    said = command(copied, "check", "--json")
    assert [finding["code"] for finding in said.json["findings"]] == ["MB009"]
    said = command(copied, "check", "nobody", "--json")
    assert [finding["code"] for finding in said.json["findings"]] == ["MB009"]


def test_paths_are_told_as_the_user_writes_them(
    copied: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit(copied, "source: small.onnx", "source: none.onnx")
    for here, shown in ((copied, "none.onnx"), (copied.parent, f"{copied.name}/none.onnx")):
        monkeypatch.chdir(here)
        for words in ((), ("--json",), ("--format", "github"), ("--format", "sarif")):
            said = command(copied, "check", *words)
            assert str(copied) not in said.out + said.err
        assert f"why: looked for {shown}\n" in command(copied, "check").err


def test_another_edition_of_the_operator_tables(copied: Path, command: Command) -> None:
    model = onnx.load(copied / "small.onnx")
    name = model.graph.output[0].name
    node = onnx.helper.make_node("Exp", [name], ["grown"], name="grown")
    model.graph.node.append(node)
    model.graph.output[0].name = "grown"
    onnx.save(model, copied / "small.onnx")
    units = {
        edition: command(copied, "check", "small@nef", "--json", *words).json["units"]["small@nef"]
        for edition, words in (("newest", ()), ("old", ("--edition", "v0.15.5")))
    }
    assert (units["newest"]["grown"], units["old"]["grown"]) == ("npu", "cpu")
    before = command(copied, "check", "small@nef", "--json")
    assert before.json["units"]["small@nef"] == units["newest"]  # nothing of it stays
    said = command(copied, "check", "small@nef", "--edition", "v9")
    assert said.code == 2 and "models.yaml:" in said.err and "v0.15.5" in said.err


def test_two_forms_are_refused(small: Path, command: Command) -> None:
    said = command(small, "check", "--json", "--format", "sarif")
    assert said.code == 2 and "two different texts" in said.err
