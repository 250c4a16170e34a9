"""What of a manifest a lock holds: all that decides bytes or measurements, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modelbuild.manifest.load import load
from modelbuild.manifest.lock_facts import declared_files, settings_of

TEXT = """\
modelbuild: 1
samples: {s: {files: "*.npy"}}
models: {net: {source: net.onnx, calibration: s, optimize: {OPTIMIZE}}}
targets: {cam: {chip: kl720}}
"""


def locked(folder: Path, optimize: str) -> dict[str, Any]:
    for name in ("net.onnx", "0.npy"):
        (folder / name).write_bytes(b"any")
    (folder / "models.yaml").write_text(TEXT.replace("OPTIMIZE", optimize), encoding="utf-8")
    return settings_of(load(folder / "models.yaml"), "net", "cam")


def test_which_passes_run_is_locked_and_how_they_are_watched_is_not(tmp_path: Path) -> None:
    usual = locked(tmp_path, "skip: []")
    assert usual["optimize.skip"] == [] and usual["optimize.only"] is None
    assert locked(tmp_path, "paranoid: true") == usual
    assert locked(tmp_path, "skip: [fold_pad], paranoid: true") == usual | {"optimize.skip": ["fold_pad"]}


def test_how_many_samples_run_at_once_is_not_locked(tmp_path: Path) -> None:
    assert locked(tmp_path, "skip: []}, quantize: {threads: 7") == locked(tmp_path, "skip: []")


def test_the_file_of_ranges_is_locked_unless_a_record_stands_for_it(tmp_path: Path) -> None:
    def declared(quantize: str) -> set[str]:
        locked(tmp_path, f"skip: []}}, quantize: {{{quantize}")
        return set(declared_files(load(tmp_path / "models.yaml"), "net", "cam"))

    for name in ("s.json", "own.txt"):
        (tmp_path / name).write_text("any")
    assert declared("threads: 1") == {"net.onnx"}
    assert declared("scheme: s.json") == {"net.onnx", "s.json"}
    assert declared("record: own.txt") == {"net.onnx", "own.txt"}
