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
    assert packed["id"] == 40000 and packed["silicon"] is False and packed["cpu_nodes"] == 0


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


def test_a_file_in_the_way_and_a_place_that_builds_keep(folder: Path, command: Command) -> None:
    (folder / "m.nef").write_bytes(b"a vendor's")
    said = command(folder, *WORDS, "-o", "m.nef")
    assert said.code == 2 and "--force" in said.err and (folder / "m.nef").read_bytes() == b"a vendor's"
    assert command(folder, *WORDS, "-o", "m.nef", "--force").code == 0
    (folder / "dist/bell").mkdir(parents=True)
    for place in ("dist/bell", "dist/bell/m.nef"):
        assert "cannot write into dist/bell" in command(folder, *WORDS, "-o", place).err
