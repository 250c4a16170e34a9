"""What samples and a scheme tell: in `check`, in a build with its JSON and report, and how it is ignored."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Command, edit

FEW = "{set: integers, count: 4}"


def test_check_tells_and_can_be_told_not_to(copied: Path, command: Command) -> None:
    edit(copied, "calibration: integers", f"calibration: {FEW}")
    said = command(copied, "check", "small@nef")
    assert said.code == 0
    assert "warning MB201: small@nef: 4 calibration samples" in said.lines[0]
    (finding,) = command(copied, "check", "small@nef", "--json").json["findings"]
    assert (finding["code"], finding["model"], finding["target"]) == ("MB201", "small", "nef")
    edit(copied, "small: {source", "small: {checks: {ignore: [MB201]}, source")
    lines = command(copied, "check", "small@nef").lines
    assert "1 finding ignored, as the manifest says" in lines and not any("MB201" in line for line in lines)


def test_a_build_tells_whether_it_has_work_or_not(copied: Path, command: Command) -> None:
    edit(copied, "calibration: integers", f"calibration: {FEW}")
    first, again = (command(copied, "build", "all-nef") for _ in range(2))
    for said in (first, again):
        assert said.code == 0 and said.err.count("warning MB201: small@nef: 4 calibration samples") == 1
    packages = command(copied, "build", "all-nef", "--json").json["packages"]
    (finding,) = packages[0]["findings"]
    assert finding["code"] == "MB201" and finding["advice"].startswith("calibrate on 64")
    assert finding["file"] == "models.yaml" and finding["line"]
    (check,) = [one for one in packages[0]["checks"] if one["check"].startswith("snr_db")]
    assert check["passed"] is True and check["measured"] >= check["bound"] == 5
    told = json.loads((copied / "reports/all-nef/report.json").read_bytes())["models"][0]["findings"]
    assert "MB201" in [one["code"] for one in told]
    assert "too few to see" in (copied / "reports/all-nef/report.html").read_text(encoding="utf-8")


def test_what_is_ignored_is_in_no_build_and_rebuilds_the_report_alone(copied: Path, command: Command) -> None:
    edit(copied, "calibration: integers", f"calibration: {FEW}")
    assert command(copied, "build", "all-nef").code == 0
    edit(copied, "small: {source", "small: {checks: {ignore: [MB201]}, source")
    data = command(copied, "build", "all-nef", "--json").json
    assert data["packages"][0]["findings"] == [] and data["actions"]["run"] == 1


def test_names_of_a_scheme_that_no_tensor_has_are_told_at_the_setting(copied: Path, command: Command) -> None:
    stray = {
        "Name": "imag",
        "DataType": "u8",
        "DataRange": [{"Min": -3, "Max": 3, "IsFull": False}],
        "DataRangeMode": "by_tensor",
    }
    scheme = {"Version": "1.0", "Model": None, "Outputs": [stray]}
    (copied / "s.json").write_text(json.dumps(scheme), encoding="utf-8")
    edit(copied, "nef: {chip: kl720}", "nef: {chip: kl720, quantize: {quant_scheme: s.json}}")
    (finding,) = command(copied, "check", "small@nef", "--json").json["findings"]
    assert finding["code"] == "MB112" and "`imag` (line 1, did you mean `image`?)" in finding["message"]
    line = (copied / "models.yaml").read_text(encoding="utf-8").splitlines()[finding["line"] - 1]
    assert line[finding["column"] - 1 :].startswith("s.json")
    for _ in range(2):
        assert command(copied, "build", "all-nef").err.count("warning MB112: small@nef: a name of the 1") == 1
    edit(copied, "small: {source", "small: {checks: {ignore: [MB112]}, source")
    assert "MB112" not in command(copied, "build", "all-nef").err
    edit(copied, "quant_scheme: s.json", "quant_scheme: s.json, strict: true")
    refused = command(copied, "check", "small@nef")
    assert refused.code == 2 and "which is no tensor of the lowered model" in refused.err + refused.out
