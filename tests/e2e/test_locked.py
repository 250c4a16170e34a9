"""Two checkouts, one without its pictures and with other kernels in use, make the same package bytes."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.command import files_below, modelbuild
from tests.e2e.conftest import JUDGED, copy_short

pytestmark = pytest.mark.usefixtures("all_processors")

# Two threads, OpenBLAS without AVX, and numpy without its loops for AVX2 and AVX-512, by the names of several
# numpys
OTHER_KERNELS = {
    "OPENBLAS_NUM_THREADS": "2",
    "OPENBLAS_CORETYPE": "Prescott",
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR AVX2 FMA3 AVX512F AVX512_SKX",
}
PROBE = """\
import numpy as np
draw = np.random.Generator(np.random.PCG64(0))
a, b = (draw.standard_normal((300, 300)).astype(np.float32) for _ in range(2))
print(float((a @ b).astype(np.float64).sum()))
"""


def git(folder: Path, *words: str) -> str:
    who = {f"GIT_{role}_{what}": "a@b" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        ["git", *words], cwd=folder, env=environment, check=True, capture_output=True, text=True, timeout=60
    )
    return done.stdout


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example as a repository, locked, and committed with its lock."""
    folder = copy_short(tmp_path_factory.mktemp("locked") / "origin")
    (folder / ".gitignore").write_text(".modelbuild/\ndist/\nreports/\n", "utf-8")
    assert modelbuild(folder, "lock", "-j", "1").code == 0
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "locked")
    return folder


def checkout(repository: Path, folder: Path, *options: str) -> Path:
    git(repository, "clone", "-q", *options, str(repository), str(folder))
    return folder


def test_the_same_packages_without_pictures_and_with_other_kernels(repository: Path, tmp_path: Path) -> None:
    whole = checkout(repository, tmp_path / "one")
    bare = checkout(repository, tmp_path / "another")
    shutil.rmtree(bare / "data")
    first = modelbuild(whole, "build", "--locked", "--json")
    second = modelbuild(bare, "build", "--locked", "--json", environment=OTHER_KERNELS)
    assert first.code == second.code == 0, first.err + second.err
    digests = [
        {file["path"]: file["sha256"] for package in done.json["packages"] for file in package["files"]}
        for done in (first, second)
    ]
    assert digests[0] == digests[1] and len(digests[0]) == 19
    assert files_below(whole / "dist") == files_below(bare / "dist") == files_below(repository / "dist")
    assert files_below(whole / "reports") == files_below(bare / "reports")
    assert git(bare, "status", "--porcelain", "--", "modelbuild.lock", "modelbuild.locked") == ""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="these kernels are for x86")
def test_the_other_kernels_give_other_products() -> None:
    """Else the test above would compare one thing with itself."""
    found = {
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", PROBE],
            env={**os.environ, **extra},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for extra in ({}, OTHER_KERNELS)
    }
    assert len(found) == 2


def test_line_ends_of_another_system(repository: Path, tmp_path: Path) -> None:
    folder = checkout(repository, tmp_path / "crlf", "-c", "core.autocrlf=true")
    shutil.rmtree(folder / "data")
    assert b"\r\n" in (folder / "modelbuild.lock").read_bytes()
    done = modelbuild(folder, "build", "--locked", "digits-kl720", "--json")
    assert done.code == 0, done.err
    name = "digits-kl720/models_720.sim.nef"
    assert (folder / "dist" / name).read_bytes() == (repository / "dist" / name).read_bytes()


def test_a_changed_model_is_named_before_any_work(repository: Path, tmp_path: Path) -> None:
    folder = checkout(repository, tmp_path / "changed")
    with (folder / "models/digits.onnx").open("ab") as stream:
        stream.write(b"\n")
    done = modelbuild(folder, "build", "--locked")
    assert done.code == 2 and not (folder / "dist").exists()
    assert "models.yaml:11:13: the file models/digits.onnx is not what modelbuild.lock says" in done.err
    check = modelbuild(folder, "lock", "--check", "--json")
    items = {one["item"] for one in check.json["differences"]}
    assert check.code == 1 and items == {"the file models/digits.onnx"}


@pytest.mark.long
def test_measuring_again_agrees(repository: Path, tmp_path: Path) -> None:
    folder = checkout(repository, tmp_path / "again")
    done = modelbuild(folder, "build", "--locked", "--remeasure", "--json", environment=OTHER_KERNELS)
    assert done.code == 0, done.err
    assert files_below(folder / "dist") == files_below(repository / "dist")
    locked = json.loads((folder / "modelbuild.locked/digits@kl720/measurements.json").read_bytes())
    assert locked["fixed"]["samples"] == JUDGED
