"""A small project of two models and three packages, locked; and checkouts of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from modelbuild.manifest import lockfile
from modelbuild.project.options import BuildOptions
from tests.project.small_project import write_manifest, write_model, write_samples

MANIFEST = """\
samples: {some: {files: "data/*.npy"}}
defaults: {calibration: some, accept: {snr_db: 5}}
models: {a: {source: models/a.onnx}, b: {source: models/b.onnx, labels: names.txt}}
targets: {cam: {chip: kl720}, eye: {chip: modalix}}
packages:
  pa: {target: cam, models: {a: {id: 32768}}}
  pb: {target: eye, models: [b]}
  both: {target: eye, models: [a, b]}
"""
PAIRS = ("a@cam", "a@eye", "b@eye")
LOCKED = BuildOptions(jobs=1, locked=True)
AGAIN = BuildOptions(jobs=1, locked=True, remeasure=True)


def write_project(folder: Path) -> None:
    write_model(folder / "models/a.onnx", 1)
    write_model(folder / "models/b.onnx", 2)
    (folder / "names.txt").write_text("".join(f"class {i}\n" for i in range(32)), encoding="utf-8")
    write_samples(folder / "data", 3)
    write_manifest(folder, MANIFEST)


def below(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def lock_files(folder: Path) -> dict[str, bytes]:
    return {"": (folder / lockfile.LOCK).read_bytes(), **below(folder / lockfile.FOLDER)}


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def append(path: str) -> Callable[[Path], None]:
    """A change: a line end more in the file."""

    def change(folder: Path) -> None:
        with (folder / path).open("ab") as stream:
            stream.write(b"\n")

    return change
