"""`diff` of files whose models have other ids: what belongs to them is held against each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modelbuild.artifacts.differing import diff
from modelbuild.artifacts.differing_pairs import called, new_ids, pairs
from modelbuild.artifacts.differing_text import render
from modelbuild.formats import nef, nef_edit
from tests.artifacts.test_differing import changed, differ
from tests.artifacts.test_differing import nef as made
from tests.formats import nef_sources


def model(number: int | None, name: str) -> dict[str, Any]:
    return {"id": number, "name": name}


def test_models_by_id_then_by_name() -> None:
    a, b = [model(1, "one"), model(2, "two"), model(3, "x")], [model(7, "two"), model(1, "other")]
    assert pairs(a, b) == [(0, 1), (1, 0), (2, None)]
    assert new_ids(a, b) == {7: 2}
    assert pairs(a[:1], b[:1]) == [(0, 0)] and new_ids(a[:1], b[:1]) == {7: 1}
    assert new_ids([model(None, "a")], [model(1, "a")]) == {}


def test_an_id_that_the_other_file_has_for_another_model_is_left() -> None:
    a, b = [model(7, "one"), model(7, "two")], [model(7, "one"), model(8, "two")]
    assert new_ids(a, b) == {}


def test_texts_with_ids() -> None:
    assert called("weight of model 7, encrypted", {7: 2}) == "weight of model 2, encrypted"
    assert called("model 77/a", {7: 2}) == "model 77/a" and called("remodel 7", {7: 2}) == "remodel 7"
    assert called(f"model {'9' * 5000}", {7: 2}) == f"model {'9' * 5000}"


def test_nothing_but_an_id(tmp_path: Path) -> None:
    """Blobs, sizes, checks and parts of two models, one of which is called otherwise, are those of one."""
    models = [nef_sources.source(number) for number in range(2)]
    other = [models[0], nef_sources.source(1, id=9)]
    found = differ(tmp_path, made(*models), made(*other))
    assert [(one["id"], one["change"]) for one in found["models"]] == [(32768, "same"), (32769, "changed")]
    assert changed(found) == {} and all(item["equal"] for item in found["weights"])
    assert all(item["a"] == item["b"] for item in found["sizes"])
    assert {item["key"].partition("[")[0] for item in found["metadata"]} <= {"checksums", "uuid"}
    assert all(None not in (item["a"], item["b"]) for item in found["metadata"])
    assert all(part["a"] and part["b"] for part in found["parts"])
    assert f"weights: {len(found['weights'])} the same" in render(found)


def test_the_vendors_file_with_another_id(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "artifacts/nef/kl520_ssd_fd_lm.nef"
    data = path.read_bytes()
    (tmp_path / "b.nef").write_bytes(nef.write(nef_edit.edited(nef.read(data), {5: 6})))
    found = diff(path, tmp_path / "b.nef")
    assert all(item["equal"] for item in found["weights"])
    assert all(item["a"] == item["b"] for item in found["sizes"])
    assert not [item for item in found["metadata"] if item["key"].startswith("checks[")]


def test_padding_of_zeros_is_no_part_that_differs(tmp_path: Path) -> None:
    found = differ(tmp_path, made(nef_sources.source()), made(nef_sources.source(weight=b"\1" * 70)))
    assert found["parts"] and not [part for part in found["parts"] if part["what"].startswith("padding")]


@pytest.mark.parametrize("count", [1, 2])
def test_an_address_that_stands_in_two_places_is_told_once(count: int, tmp_path: Path) -> None:
    models = [nef_sources.source(number) for number in range(3)]
    text = render(differ(tmp_path, made(*models[:count]), made(*models[1 : 1 + count])), whole=True)
    lines = [line.split() for line in text.splitlines() if ".address" in line]
    assert lines and all(len(values) == 3 and values[1].startswith("0x") for values in lines)
    assert not [values for values in lines if values[0].startswith("setup.segments")]
