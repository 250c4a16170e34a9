"""`check` finds, before any work, what a build would fail on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.e2e.command import called, modelbuild


def manifest(folder: Path, old: str, new: str) -> None:
    path = folder / "models.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def other_size(folder: Path) -> None:
    manifest(folder, "resize: stretch, ", "")


def colours(folder: Path) -> None:
    manifest(folder, "colour: gray", "colour: rgb")


def wrong_label(folder: Path) -> None:
    path = folder / "data/test.txt"
    first, *rest = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([f"{first.split()[0]} 10", *rest]) + "\n", encoding="utf-8")


def broken_picture(folder: Path) -> None:
    path = sorted((folder / "data/calibration").iterdir())[3]
    path.write_bytes(path.read_bytes()[:40])


def wrong_keys(folder: Path) -> None:
    np.savez(folder / "data/one.npz", picture=np.zeros((1, 1, 16, 16), np.float32))
    manifest(folder, "data/calibration/*.png", "data/one.npz")
    manifest(folder, "count: 64", "count: 1")


def damaged_record(folder: Path) -> None:
    (folder / "r.quant.txt").write_text("garbage\n", encoding="utf-8")
    manifest(folder, "{chip: kl720,", "{chip: kl720, quantize: {record: r.quant.txt},")


def missing_class(folder: Path) -> None:
    (folder / "labels.txt").write_text("zero\none\n", encoding="utf-8")


def big_picture(folder: Path) -> None:
    other_size(folder)
    for path in (folder / "data/calibration").iterdir():
        Image.new("L", (16, 16)).save(path)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (other_size, "8x8"),
        (colours, "channel"),
        (wrong_label, "the label 10"),
        (broken_picture, "cannot decode the picture"),
        (wrong_keys, "image"),
        (damaged_record, "the quantization record cannot be read"),
        (missing_class, "2 class names for 10 classes"),
        (big_picture, "8x8"),  # calibration fits, evaluation does not
    ],
)
def test_samples_that_do_not_fit(digits: Path, spoil: object, says: str) -> None:
    spoil(digits)  # type: ignore[operator]
    done = called(digits, "check", "--json")
    assert done.code == 2
    (message,) = {item["message"] for item in done.json["findings"] if item["severity"] == "error"}
    assert says in message, message
    assert not (digits / "dist").exists()


def test_a_good_project_is_checked_without_inference(digits: Path) -> None:
    done = modelbuild(digits, "check", "--json")
    assert done.code == 0 and done.json["ok"] is True
    assert done.json["ranges"] == {"digits": {"image": [[-1.0, 1.0]]}}
    assert {unit for units in done.json["units"].values() for unit in units.values()} == {
        "npu",
        "fused",
        "cpu",
    }
    status = modelbuild(digits, "status", "--json").json
    states = {action["name"]: action["state"] for action in status["actions"]}
    assert states["digits@kl720:observe"] != "up to date"


def test_a_wrong_manifest_is_a_finding_with_its_place(digits: Path) -> None:
    manifest(digits, "chip: kl720", "chip: kl702")
    done = called(digits, "check", "--json")
    assert done.code == 2
    (finding,) = done.json["findings"]
    assert (finding["file"], finding["line"]) == ("models.yaml", 21)
    assert "kl720" in finding["advice"] and done.json["ok"] is False
    build = called(digits, "build", "--json")
    assert build.code == 2 and build.json["ok"] is False and "kl702" in build.json["failures"][0]["message"]


def test_one_mistake_is_one_finding_with_its_place_on_all_targets(digits: Path) -> None:
    wrong_label(digits)
    done = called(digits, "check", "--json")
    (finding,) = [item for item in done.json["findings"] if item["severity"] == "error"]
    assert (finding["file"], finding["line"]) == ("models.yaml", 16)
