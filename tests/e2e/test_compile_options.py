"""`compile:` through the real command: each option reaches the program; limits say what would fit."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelbuild.formats import nef
from tests.e2e.command import called, modelbuild
from tests.stages.golden import write_project

MANIFEST = """\
modelbuild: 1
samples: {integers: {files: data/*.npy}}
models:
  small: {source: small.onnx, calibration: integers}
targets:
  nef: {chip: kl720, compile: {fm_cut: deep_search, weight_compress: true, dedicated_output_buffer: false}}
  old: {chip: kl720, compile: {flatbuffer: false}}
  mpk: {chip: modalix, compile: {batch_size: 5, compress: true}}
packages: {all: {targets: [nef, old, mpk], models: {small: {id: 32768}}}}
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("options")
    write_project(folder)
    (folder / "models.yaml").write_text(MANIFEST, encoding="utf-8")
    done = modelbuild(folder, "build", "--json", "--dump", "dump")
    assert done.code == 0, done.err
    (folder / "said.json").write_text(done.out, encoding="utf-8")
    return folder


def plan(built: Path, pair: str) -> Any:
    (path,) = (one for one in (built / "dump").rglob("compile.json") if pair in str(one))
    return json.loads(path.read_bytes())


def hardware(built: Path, package: str) -> Any:
    (model,) = json.loads((built / f"reports/{package}/report.json").read_bytes())["models"]
    return model["hardware"]


def test_every_package_is_verified_with_the_cycles_that_were_predicted(built: Path) -> None:
    for package in ("all-nef", "all-old", "all-mpk"):
        found = hardware(built, package)
        assert found["equal"] is True
        assert found["cycles"] == found["cycles_predicted"] > 0
    assert hardware(built, "all-mpk")["samples"] == 5


def test_options_reach_the_compiler(built: Path) -> None:
    deep, plain = plan(built, "small@nef"), plan(built, "small@old")
    assert (deep["tiling"], plain["tiling"]) == ("deep", "default")
    assert deep["cycles"] <= plain["cycles"]
    assert "saved_by_shared_outputs" in deep["memory"] and "saved_by_packed_weights" in deep["memory"]
    assert plan(built, "small@mpk")["batch"] == {"desired": 5, "achieved": 5, "reasons": []}


def test_the_older_setup(built: Path) -> None:
    generations = {
        name: nef.read((built / f"dist/all-{name}/models_720.sim.nef").read_bytes()).generation
        for name in ("nef", "old")
    }
    assert generations == {"nef": "flatbuffer", "old": "legacy720"}


def test_the_build_says_what_batch_there_is(built: Path) -> None:
    said = json.loads((built / "said.json").read_text(encoding="utf-8"))
    told = {package["name"]: package["batches"] for package in said["packages"]}
    assert told["all-mpk"] == [{"model": "small", "desired": 5, "achieved": 5, "reasons": []}]
    assert told["all-nef"] == told["all-old"] == []
    assert "small@mpk: batch 5" in called(built, "build").out


def test_one_picture_is_run_all_the_same(built: Path) -> None:
    files = {"mpk": "dist/all-mpk/small_mpk.sim.tar.gz", "fixed": "dist/all-mpk/small.fixed.onnx"}
    for name, file in files.items():
        done = called(built, "run", file, "--input", "data/0.npy", "-o", f"{name}.npz", "--json")
        assert done.code == 0, done.err
    answers = [np.load(built / f"{name}.npz") for name in files]
    np.testing.assert_array_equal(answers[0]["scores"], answers[1]["scores"])
    assert answers[0]["scores"].shape == (1, 5)


def test_notes_are_of_check_and_config_shows_our_keys(built: Path) -> None:
    findings = called(built, "check", "--json").json["findings"]
    notes = sorted(one["message"] for one in findings if one["code"] == "MB011")
    assert notes == [
        "`batch_size: 5` is `batch: 5` here",
        "`compress: true` is `weight_compress: true` here",
        "`fm_cut: deep_search` is `tiling: deep` here",
    ]
    assert "MB011" not in called(built, "build").err
    told = called(built, "config", "small@nef", "--json").json
    assert told["settings"]["compile"] == {
        "dedicated_output_buffer": False,
        "tiling": "deep",
        "weight_compress": True,
    }
    assert told["defaults"]["compile.flatbuffer"] is True


def changed(built: Path, folder: Path, old: str, new: str) -> Path:
    copied = folder / "project"
    shutil.copytree(built, copied, symlinks=True)
    assert old in MANIFEST
    (copied / "models.yaml").write_text(MANIFEST.replace(old, new), encoding="utf-8")
    return copied


def test_a_model_that_does_not_fit(built: Path, tmp_path: Path) -> None:
    copied = changed(built, tmp_path, "chip: kl720, compile: {fm_cut", "chip: ./own.yaml, compile: {fm_cut")
    recipe = "recipe: 1\nextends: kl720\nchip: own\ncontainer: {max_model_bytes: 600}\n"
    (copied / "own.yaml").write_text(recipe, encoding="utf-8")
    done = called(copied, "build", "all-nef")
    assert done.code == 1
    assert re.search(r"small needs [\d,]+ bytes of DRAM; a model on own may take 600", done.err)
    assert "why: " in done.err and "command" in done.err
    assert "another chip: kl520, kl530, kl630, kl720, kl730" in done.err
    assert (copied / "dist/.stale").exists() or not (copied / "dist/all-nef").exists()


def test_a_package_that_does_not_fit(built: Path, tmp_path: Path) -> None:
    copied = changed(built, tmp_path, "old: {chip: kl720,", "old: {chip: ./own.yaml,")
    recipe = "recipe: 1\nextends: kl720\nchip: own\ncontainer: {max_package_bytes: 600}\n"
    (copied / "own.yaml").write_text(recipe, encoding="utf-8")
    done = called(copied, "build", "all-old")
    assert done.code == 1
    assert re.search(r"the package all-old has [\d,]+ bytes; the flash of own takes 600", done.err)


def test_a_batch_as_large_as_fits(built: Path, tmp_path: Path) -> None:
    copied = changed(
        built,
        tmp_path,
        "mpk: {chip: modalix, compile: {batch_size: 5,",
        "mpk: {chip: ./own.yaml, compile: {batch: 900,",
    )
    recipe = "recipe: 1\nextends: modalix\nchip: own\ncontainer: {max_model_bytes: 30_000}\n"
    (copied / "own.yaml").write_text(recipe, encoding="utf-8")
    done = called(copied, "build", "all-mpk", "--json")
    assert done.code == 0, done.err
    (package,) = done.json["packages"]
    (batch,) = package["batches"]
    assert 1 <= batch["achieved"] < 900
    assert batch["reasons"] == [f"a batch of {batch['achieved']} fits the memory of own, 900 does not"]
    assert [finding["code"] for finding in package["findings"] if finding["code"] == "MB114"] == ["MB114"]
