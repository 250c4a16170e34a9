"""A vendor's package, looked at by the command."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.command import modelbuild


def test_the_vendors_nef_is_inspected(shared_data: Path, tmp_path: Path) -> None:
    done = modelbuild(tmp_path, "inspect", str(shared_data / "artifacts/nef/kl520_ssd_fd_lm.nef"), "--json")
    assert done.code == 0
    found = done.json
    assert found["format"] == "nef" and found["silicon"] is True and found["size"] == 1076584
    assert [model["id"] for model in found["models"]] == [32, 5]
    assert len(found["checksums"]) == 6 and all(item["ok"] for item in found["checksums"])
