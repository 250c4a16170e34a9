"""Every value that another one replaced, the nearest to the model first."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelbuild import api
from tests.stages.golden import write_project


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_project(tmp_path)
    return tmp_path


def replaced(folder: Path, *overrides: str) -> dict[str, list[tuple[object, str]]]:
    project = api.open_project(folder, "models.yaml", overrides)
    found = api.overridden(project, api.config(project, "small@nef"))
    return {".".join(path): [(leaf.value, leaf.origin) for leaf in leaves] for path, leaves in found.items()}


def test_layers_stand_in_their_order(folder: Path) -> None:
    text = (folder / "models.yaml").read_text(encoding="utf-8")
    target = "nef: {chip: kl720, quantize: {range: {method: minmax}}}"
    (folder / "models.yaml").write_text(
        text.replace("nef: {chip: kl720}", target) + "defaults: {quantize: {range: {method: percentile}}}\n",
        encoding="utf-8",
    )
    found = replaced(folder, "quantize.range.method=mse")
    values = [value for value, _ in found["quantize.range.method"]]
    assert values == ["minmax", "percentile", "output_error"]
    origins = [origin for _, origin in found["quantize.range.method"]]
    assert origins[0].startswith("models.yaml:5:") and origins[2] == "built in"


def test_what_was_dropped_with_its_method_is_told(folder: Path) -> None:
    found = replaced(
        folder, "quantize.range={method: percentile, percentile: 98}", "quantize.range.method=minmax"
    )
    origin = "--set quantize.range={method: percentile, percentile: 98}"
    assert found["quantize.range.percentile"] == [(98.0, origin)]


def test_what_nothing_replaced_is_not_there(folder: Path) -> None:
    found = replaced(folder)
    assert "accept.snr_db" not in found and "quantize.range.method" not in found
    assert all(values for values in found.values())
