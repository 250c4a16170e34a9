"""What a build tells of its packages' reports."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from modelbuild.build.build import Builder
from modelbuild.graph.codes import CODES
from modelbuild.project.finding_places import ModelPlaces
from modelbuild.project.shipping import Shipment, ShippedModel, publish_report


def told_of(root: Path, codes: list[str]) -> list[str]:
    """Those of the codes that a build tells, where its report has a finding of each."""
    found = [{"code": code, "message": "it is so"} for code in codes]
    report = {"package": {"included": []}, "checks": [], "models": [{"name": "net", "findings": found}]}
    (root / "reports/pack").mkdir(parents=True)
    (root / "reports/pack/report.json").write_text(json.dumps(report))
    builder = cast(Builder, SimpleNamespace(publish=lambda outputs, folder: True))
    places = ModelPlaces("models.yaml:2:3", "models.yaml:2:3")
    model = ShippedModel("net", "net@cam:quantize", "fixed.onnx", "net@cam:quantize", "net_post.onnx", places)
    shipment = Shipment("pack", "cam", False, "pack:gate", "pack:report", "pack:package", False, (model,))
    told: dict[str, Any] = publish_report(builder, root, shipment, {"pack:report": {}})
    return [finding["code"] for finding in told["findings"]]


def test_builds_tell_what_the_table_of_codes_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CODES, "MB104", replace(CODES["MB104"], told=True))
    monkeypatch.setitem(CODES, "MB305", replace(CODES["MB305"], told=False))
    told = told_of(tmp_path, list(CODES))
    assert {"MB104", "MB112", "MB201"} < set(told) and not {"MB103", "MB305"} & set(told)
