"""Locking: what is written, when, and what `lock --check` says of it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelbuild.build import disk
from modelbuild.errors import ModelbuildError
from modelbuild.manifest import lock_facts, lockfile
from modelbuild.project import building, locking
from modelbuild.project.build_report import BuildReport
from modelbuild.project.building import build
from modelbuild.project.options import BuildOptions
from modelbuild.project.project import open_project
from tests.project.locked_project import (
    LOCKED,
    MANIFEST,
    PAIRS,
    append,
    below,
    edit,
    lock_files,
    write_project,
)
from tests.project.small_project import write_model

MINMAX = ("accept: {snr_db: 5}", "accept: {snr_db: 5}, quantize: {range: {method: minmax}}")


def test_lock_writes_records_and_what_they_were_made_of(original: Path) -> None:
    lock = lockfile.read(original)
    assert tuple(lock.models) == PAIRS and set(lock.packages) == {"pa", "pb", "both"}
    assert (lock.manifest, set(lock.libraries) >= {"numpy", "onnx", "python"}) == ("models.yaml", True)
    entry = lock.models["b@eye"]
    assert set(entry.sources) == {"models/b.onnx", "names.txt"}
    assert entry.sources["models/b.onnx"] == lockfile.digest_of(original / "models/b.onnx")
    assert entry.samples["some"].count == 3
    assert entry.settings["quantize.range.method"] == "output_error" and "accept.snr_db" not in entry.settings
    assert set(below(original / lockfile.FOLDER)) == {
        f"{pair}/{name}" for pair in PAIRS for name in ("quant.txt", "measurements.json")
    }
    for path, digest in entry.records.items():
        assert lockfile.digest_of(original / path) == digest
    shipped = (original / "dist/pb/b.quant.txt").read_bytes()
    assert (original / "modelbuild.locked/b@eye/quant.txt").read_bytes() == shipped
    measured = json.loads((original / "modelbuild.locked/b@eye/measurements.json").read_bytes())
    assert measured["hardware"]["equal"] is True and measured["fixed"]["samples"] == 3
    assert str(original).encode() not in b"".join(lock_files(original).values())


def test_locking_again_writes_nothing(original: Path, warm: Path) -> None:
    before = lock_files(warm)
    report = locking.lock(open_project(warm))
    assert (report.written, report.removed) == ((), ()) and report.to_json()["ok"] is True
    assert lock_files(warm) == before == lock_files(original)


@pytest.mark.parametrize("path", ["models/a.onnx", "data/0.npy"])
@pytest.mark.parametrize("when", ["after the build", "while digests are taken"])
def test_what_changes_after_it_was_built_is_not_locked(
    warm: Path, monkeypatch: pytest.MonkeyPatch, path: str, when: str
) -> None:
    before = lock_files(warm)
    edit(warm / "models.yaml", *MINMAX)

    def save() -> None:
        data = (warm / path).read_bytes()
        (warm / path).write_bytes(data.replace(b"small", b"other") if path.endswith("onnx") else data[::-1])

    if when == "after the build":
        build_only = building.build

        def then_save(*words: Any) -> BuildReport:
            report = build_only(*words)
            save()
            return report

        monkeypatch.setattr(building, "build", then_save)
    else:
        take = lock_facts.settings_of_package

        def save_and_take(*words: Any) -> dict[str, Any]:
            save()
            return take(*words)

        monkeypatch.setattr(lock_facts, "settings_of_package", save_and_take)
    with pytest.raises(ModelbuildError, match=f"{path} changed while it was locked") as caught:
        locking.lock(open_project(warm), ["pa"], BuildOptions(jobs=2))
    assert caught.value.exit_code == 1 and "run `modelbuild lock` again" in str(caught.value)
    assert lock_files(warm) == before


def test_a_renamed_model_is_not_in_the_lock_and_locking_takes_it_over(warm: Path) -> None:
    text = (warm / "models.yaml").read_text("utf-8")
    (warm / "models.yaml").write_text(
        text.replace("{a: {source", "{z: {source").replace("{a: {id", "{z: {id").replace("[a, b]", "[z, b]"),
        "utf-8",
    )
    with pytest.raises(ModelbuildError) as caught:
        build(open_project(warm, locked=True), (), LOCKED)
    lacking = [one.what.split(" is ")[0] for one in caught.value.problems]
    assert [item for item in lacking if item.startswith("the model")] == [
        "the model z@cam",
        "the model z@eye",
    ]
    report = locking.lock(open_project(warm))
    assert report.removed == tuple(
        f"modelbuild.locked/a@{target}/{name}"
        for target in ("cam", "eye")
        for name in ("measurements.json", "quant.txt")
    )
    assert sorted(path.name for path in (warm / lockfile.FOLDER).iterdir()) == ["b@eye", "z@cam", "z@eye"]
    assert set(lockfile.read(warm).models) == {"z@cam", "z@eye", "b@eye"}
    assert build(open_project(warm, locked=True), (), LOCKED).ok


def test_a_file_of_somebodys_beside_the_records_stays(warm: Path) -> None:
    (warm / "modelbuild.locked/a@cam/notes.md").write_text("why")
    edit(warm / "models.yaml", "  pa: {target: cam, models: {a: {id: 32768}}}\n", "")
    locking.lock(open_project(warm))
    assert [path.name for path in (warm / "modelbuild.locked/a@cam").iterdir()] == ["notes.md"]


def test_a_package_alone_brings_those_that_share_its_models(warm: Path) -> None:
    before = lockfile.read(warm)
    edit(
        warm / "models.yaml",
        "accept: {snr_db: 5}",
        "accept: {snr_db: 5}, quantize: {range: {method: minmax}}",
    )
    report = locking.lock(open_project(warm), ["pa"])
    after = lockfile.read(warm)
    assert report.build.packages[0].name == "pa" and len(report.build.packages) == 1
    assert after.models["a@cam"] != before.models["a@cam"] and after.models["b@eye"] == before.models["b@eye"]
    report = locking.lock(open_project(warm), ["pb"])
    assert {package.name for package in report.build.packages} == {"pb", "both"}
    assert locking.check(open_project(warm)) == []


def test_what_fails_is_not_locked(warm: Path) -> None:
    before = lock_files(warm)
    edit(warm / "models.yaml", "accept: {snr_db: 5}", "accept: {snr_db: 190}")
    report = locking.lock(open_project(warm))
    assert (report.build.exit_code, report.written) == (1, ())
    assert lock_files(warm) == before


def test_broken_off_between_the_files_it_is_noticed(warm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(
        warm / "models.yaml",
        "accept: {snr_db: 5}",
        "accept: {snr_db: 5}, quantize: {range: {method: minmax}}",
    )
    write = disk.write
    written: list[str] = []

    def only_two(path: Path, data: bytes, scratch: Path) -> None:
        if "modelbuild.lock" in str(path.relative_to(warm)):
            if len(written) == 2:
                raise KeyboardInterrupt
            written.append(path.relative_to(warm).as_posix())
        write(path, data, scratch)

    monkeypatch.setattr(disk, "write", only_two)
    with pytest.raises(KeyboardInterrupt):
        locking.lock(open_project(warm))
    monkeypatch.setattr(disk, "write", write)
    edit(warm / "models.yaml", ", quantize: {range: {method: minmax}}", "")
    shutil.rmtree(warm / "dist")
    with pytest.raises(ModelbuildError) as caught:
        build(open_project(warm, locked=True), (), LOCKED)
    assert {problem.where for problem in caught.value.problems} == set(written)
    assert locking.lock(open_project(warm)).build.ok
    assert build(open_project(warm, locked=True), (), LOCKED).ok


def found_by_check(folder: Path) -> list[str]:
    return [difference.item for difference in locking.check(open_project(folder))]


def test_check_runs_nothing_and_names_what_lock_would_change(checkout: Path) -> None:
    assert found_by_check(checkout) == []
    np.save(checkout / "data/9.npy", np.zeros((1, 3, 4, 4), np.float32))
    append("models/a.onnx")(checkout)
    edit(checkout / lockfile.LOCK, '"modelbuild": "', '"modelbuild": "9')
    text = (checkout / lockfile.LOCK).read_text("utf-8").replace('"a@cam": {', '"old@cam": {', 1)
    (checkout / lockfile.LOCK).write_text(text, "utf-8")
    assert found_by_check(checkout) == [
        "the model a@cam",
        "the file models/a.onnx",
        "the sample set some",
        "the model old@cam",
        "modelbuild itself",
    ]
    assert not (checkout / ".modelbuild/store").exists()


def test_check_sees_another_form_of_the_file_and_not_other_libraries(checkout: Path) -> None:
    text = (checkout / lockfile.LOCK).read_text("utf-8")
    (checkout / lockfile.LOCK).write_text(json.dumps(json.loads(text)), "utf-8")
    assert found_by_check(checkout) == ["the form of the file"]
    changed = json.loads(text)
    changed["libraries"]["numpy"] = "0"
    lock = lockfile.decode(json.dumps(changed))
    (checkout / lockfile.LOCK).write_text(lockfile.encode(lock), "utf-8")
    assert found_by_check(checkout) == []


def test_a_sample_set_is_its_files_and_not_where_they_lie(checkout: Path) -> None:
    (checkout / "data").rename(checkout / "elsewhere")
    edit(checkout / "models.yaml", "data/*.npy", "elsewhere/*.npy")
    assert found_by_check(checkout) == []
    (checkout / "elsewhere/0.npy").rename(checkout / "elsewhere/renamed.npy")
    assert found_by_check(checkout) == ["the sample set some"]


def test_external_data_is_a_source(tmp_path: Path) -> None:
    write_project(tmp_path)
    write_model(tmp_path / "models/a.onnx", 1, external=True)
    assert locking.lock(open_project(tmp_path)).build.ok
    assert set(lockfile.read(tmp_path).models["a@cam"].sources) == {"models/a.onnx", "models/weights.bin"}
    for name in ("dist", ".modelbuild"):
        shutil.rmtree(tmp_path / name)
    data = bytearray((tmp_path / "models/weights.bin").read_bytes())
    data[0] ^= 1
    (tmp_path / "models/weights.bin").write_bytes(data)
    with pytest.raises(ModelbuildError) as caught:
        build(open_project(tmp_path, locked=True), ["pa"], LOCKED)
    assert [one.what.split(" is ")[0] for one in caught.value.problems] == ["the file models/weights.bin"]


def test_included_manifests_are_one(warm: Path) -> None:
    text = (warm / "models.yaml").read_text("utf-8")
    head, _, rest = text.partition("targets:")
    (warm / "models.yaml").write_text(head + "include: [more.yaml]\n", "utf-8")
    (warm / "more.yaml").write_text("targets:" + rest, "utf-8")
    assert found_by_check(warm) == []
    assert build(open_project(warm, locked=True), (), LOCKED).ok


def test_without_packages_models_are_locked(tmp_path: Path) -> None:
    write_project(tmp_path)
    edit(tmp_path / "models.yaml", MANIFEST[MANIFEST.index("packages:") :], "")
    assert locking.lock(open_project(tmp_path)).build.ok
    assert len(lockfile.read(tmp_path).models) == 4 and not lockfile.read(tmp_path).packages
    shutil.rmtree(tmp_path / "data")
    report = build(open_project(tmp_path, locked=True), ["a@cam"], LOCKED)
    assert report.ok and report.states["a@cam:compile"] == "cached"


def test_another_manifest_of_the_folder_has_another_lock(checkout: Path) -> None:
    shutil.copy(checkout / "models.yaml", checkout / "other.yaml")
    with pytest.raises(ModelbuildError, match="written for"):
        build(open_project(checkout, "other.yaml", locked=True), (), LOCKED)
    for verb in (locking.check, locking.lock):
        with pytest.raises(ModelbuildError, match="written for"):
            verb(open_project(checkout, "other.yaml"))


def test_a_damaged_lock_is_written_again(original: Path, warm: Path) -> None:
    (warm / lockfile.LOCK).write_text("<<<<<<< ours\n", "utf-8")
    with pytest.raises(ModelbuildError, match="marks of a merge conflict"):
        open_project(warm, locked=True)
    assert locking.lock(open_project(warm)).written == (lockfile.LOCK,)
    assert lock_files(warm) == lock_files(original)


def test_a_read_only_folder_is_named(checkout: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    edit(
        checkout / "models.yaml",
        "accept: {snr_db: 5}",
        "accept: {snr_db: 5}, quantize: {range: {method: minmax}}",
    )
    (checkout / "modelbuild.locked/a@cam").chmod(0o555)
    with pytest.raises(ModelbuildError, match="cannot write"):
        locking.lock(open_project(checkout))
