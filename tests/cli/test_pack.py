"""`pack`: words on the command line, the summary, and the note that nobody may overlook."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.project.small_project import write_model, write_samples


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_model(tmp_path / "m.onnx")
    write_samples(tmp_path / "img", 3)
    return tmp_path


WORDS = ("pack", "m.onnx", "--chip", "kl720", "--samples", "img/*.npy")


def test_a_summary_and_a_note_that_quiet_does_not_silence(folder: Path, command: Command) -> None:
    said = command(folder, *WORDS, "-o", "m.nef")
    assert said.code == 0 and (folder / "m.nef").is_file()
    assert said.lines[0] == f"{folder / 'm.nef'}  {(folder / 'm.nef').stat().st_size} bytes"
    assert said.lines[1].startswith("  SNR: scores ") and said.lines[3] == "  nodes on the CPU: 0"
    assert said.lines[1].endswith("on the 3 samples that calibrated; 64 or more are better")
    assert said.lines[4].startswith("  preprocessing: makes pictures 0 to 1 in image (stretch, ")
    assert said.lines[4].endswith("; choose with --preprocess if the model was trained on another range")
    quiet = command(folder, *WORDS, "-o", "m.nef", "-q")
    assert quiet.out == "" and quiet.err.startswith(
        "note: m.nef is for modelbuild's simulator, not for a kl720"
    )


def test_the_manifest_and_json(folder: Path, command: Command) -> None:
    words = (
        *WORDS,
        "--accept",
        "snr_db=5",
        "--id",
        "40000",
        "--version",
        "00ff",
        "--preprocess",
        "image=unit",
    )
    text = command(folder, *words, "--print-manifest")
    assert "accept: {snr_db: 5}" in text.out and '{id: 40000, version: "00ff"}' in text.out
    assert "preset: unit" in text.out and sorted(path.name for path in folder.iterdir()) == ["img", "m.onnx"]
    assert command(folder, *words, "--print-manifest", "--json").json == {"ok": True, "manifest": text.out}
    (folder / "models.yaml").write_text(text.out, encoding="utf-8")
    built = command(folder, "build", "--json").json
    packed = command(folder, *words, "-o", "m.nef", "--json").json
    assert packed["sha256"] in {file["sha256"] for file in built["packages"][0]["files"]}
    assert packed["ranges"] == {"image": [[0.0, 1.0]]} and packed["samples"] == 3
    assert packed["preprocess"]["image"]["resize"] == "stretch"
    assert packed["id"] == 40000 and packed["silicon"] is False and packed["cpu_nodes"] == 0


def test_one_meaning_of_ms(folder: Path, command: Command) -> None:
    """The time that `sweep` ranks by, in the text and in the JSON: cycles at the chip's clock."""
    text = command(folder, *WORDS, "-o", "m.nef", "--cache", "c", "--preprocess", "unit")
    data = command(folder, *WORDS, "-o", "m.nef", "--cache", "c", "--preprocess", "unit", "--json").json
    clock = 700e6
    assert data["time_ms"] == pytest.approx(data["cycles"] / clock * 1000)
    assert data["evaluated_ms"] == pytest.approx(data["time_ms"])  # no choice of numbers changes it
    told = f"  time: {data['time_ms']:.4g} ms by the compiler's count of {data['cycles']} cycles"
    assert text.lines[2] == told and text.lines[4].endswith(")")


@pytest.mark.parametrize("words", [("-o", "models.yaml"), ("--cache", "c"), ("--force",), ("-j", "2")])
def test_the_manifest_goes_into_no_file(folder: Path, command: Command, words: tuple[str, ...]) -> None:
    said = command(folder, *WORDS, "--print-manifest", *words)
    assert said.code == 2 and "it does not take" in said.err and said.out == ""


def test_files_that_a_shell_has_listed(folder: Path, command: Command) -> None:
    said = command(folder, *WORDS[:4], "--samples", "img/0.npy", "img/2.npy", "--print-manifest")
    assert "[img/0.npy, img/2.npy]" in said.out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "-o FILE is missing"),
        (("-o", "m.nef", "-j", "0"), "-j 0"),
        (("-o", "m.nef", "--accept", "snr_db"), "is not KEY=VALUE"),
        (("-o", "m.nef", "--accept", "snr_db=["), "is not KEY=VALUE"),
        (("-o", "m.nef", "--shape", "1,x"), "is not a shape"),
        (("-o", "m.nef", "--preprocess", "{mean: ["), "cannot be read"),
    ],
)
def test_what_makes_no_sense(folder: Path, command: Command, words: tuple[str, ...], says: str) -> None:
    said = command(folder, *WORDS, *words)
    assert said.code == 2 and says in said.err and "Traceback" not in said.err


def test_a_bound_that_fails_says_where_its_advice_can_be_written(folder: Path, command: Command) -> None:
    said = command(folder, *WORDS, "-o", "m.nef", "--accept", "snr_db=150", "--preprocess", "unit")
    assert said.code == 1 and "(pack --print-manifest):" in said.err
    assert "\n       settings go into a file: `modelbuild pack … --print-manifest > models.yaml`" in said.err


def test_a_file_in_the_way_and_a_place_that_builds_keep(folder: Path, command: Command) -> None:
    (folder / "m.nef").write_bytes(b"a vendor's")
    said = command(folder, *WORDS, "-o", "m.nef")
    assert said.code == 2 and "--force" in said.err and (folder / "m.nef").read_bytes() == b"a vendor's"
    assert command(folder, *WORDS, "-o", "m.nef", "--force").code == 0
    (folder / "dist/bell").mkdir(parents=True)
    for place in ("dist/bell", "dist/bell/m.nef"):
        assert "cannot write into dist/bell" in command(folder, *WORDS, "-o", place).err
