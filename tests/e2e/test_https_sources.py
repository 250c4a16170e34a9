"""Sources at https addresses with the real command: fetched once, never by a no-op, never offline."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.e2e.command import Done, files_below, modelbuild, ran
from tests.https_server import Server, content, serving, status
from tests.project.git_harness import Git
from tests.stages.golden import write_project

MANIFEST = """\
modelbuild: 1
samples: {integers: {files: data/*.npy}}
models:
  small:
    source:
      url: URL
      sha256: DIGEST
    calibration: integers
targets: {mpk: {chip: modalix}, other: {chip: mlsoc}}
packages: {all: {targets: [mpk, other], models: [small]}}
"""


@pytest.fixture(scope="module")
def one_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def server(one_server: Server) -> Server:
    one_server.answers.clear()
    one_server.asked.clear()
    return one_server


class Fetching:
    """A project whose only source lies on the server, as `small.onnx`."""

    def __init__(self, root: Path, server: Server) -> None:
        write_project(root)
        self.root, self.server = root, server
        self.data = (root / "small.onnx").read_bytes()
        (root / "small.onnx").unlink()
        server.answers["/small.onnx"] = content(self.data)
        self.write(server.url("/small.onnx"))

    def write(self, url: str, digest: str = "", replace: tuple[str, str] = ("", "")) -> None:
        """The manifest with this address."""
        digest = digest or hashlib.sha256(self.data).hexdigest()
        text = MANIFEST.replace("URL", url).replace("DIGEST", digest).replace(*replace)
        (self.root / "models.yaml").write_text(text, encoding="utf-8")

    def run(self, *words: str) -> Done:
        """The command, which trusts the server."""
        return modelbuild(self.root, *words, environment=self.server.environment())


@pytest.fixture
def fetching(tmp_path: Path, server: Server) -> Fetching:
    return Fetching(tmp_path, server)


def test_fetched_once_for_all_targets_and_by_no_second_build(fetching: Fetching) -> None:
    first = fetching.run("build", "--json")
    assert first.code == 0, first.err
    assert fetching.server.paths == ["/small.onnx"]
    again = fetching.run("build", "--json")
    assert (again.code, ran(again)) == (0, 0)
    (fetching.root / "dist/all-mpk").rename(fetching.root / "gone")
    assert fetching.run("build", "--json").code == 0
    assert fetching.run("check", "--json").code == 0
    assert fetching.server.paths == ["/small.onnx"]


def test_a_moved_mirror_fetches_nothing_and_rebuilds_nothing(fetching: Fetching) -> None:
    assert fetching.run("build").code == 0
    fetching.write(fetching.server.url("/elsewhere/small.onnx?key=1"))
    moved = fetching.run("build", "--json")
    assert (moved.code, ran(moved)) == (0, 0)
    assert fetching.server.paths == ["/small.onnx"]


def test_the_package_is_that_of_the_same_file_on_the_disk(fetching: Fetching, tmp_path: Path) -> None:
    assert fetching.run("build").code == 0
    fetched = files_below(fetching.root / "dist")
    shutil.rmtree(fetching.root / ".modelbuild")
    (fetching.root / "small.onnx").write_bytes(fetching.data)
    text = (fetching.root / "models.yaml").read_text().replace("url: ", "path: ")
    text = text.replace(fetching.server.url("/small.onnx"), "small.onnx")
    (fetching.root / "models.yaml").write_text(text)
    assert fetching.run("build").code == 0
    assert files_below(fetching.root / "dist") == fetched


def test_offline_needs_what_was_fetched_before(fetching: Fetching) -> None:
    absent = fetching.run("build", "--offline")
    assert absent.code == 1
    assert (
        "models.yaml:6:12: the source of small was never fetched, and --offline fetches nothing" in absent.err
    )
    assert fetching.server.asked == []
    assert fetching.run("build").code == 0
    (fetching.root / "data/0.npy").unlink()
    with_it = fetching.run("build", "--offline", "--json")
    assert with_it.code == 0, with_it.err
    assert ran(with_it) > 0
    assert fetching.server.paths == ["/small.onnx"]


NOT_LOOKED_AT = "small was not looked at: its source was never fetched"


def test_a_check_offline_says_what_it_could_not_look_at(fetching: Fetching) -> None:
    absent = fetching.run("check", "--offline", "--json")
    assert absent.code == 0, absent.err
    (told,) = [finding for finding in absent.json["findings"] if finding["code"] == "MB007"]
    assert (told["severity"], told["message"], told["line"]) == ("warning", NOT_LOOKED_AT, 6)
    assert fetching.server.asked == []
    assert fetching.run("check").code == 0
    assert fetching.server.paths == ["/small.onnx"]
    assert "MB007" not in fetching.run("check", "--offline").out


def test_a_commit_fetches_nothing(fetching: Fetching, tmp_path_factory: pytest.TempPathFactory) -> None:
    git = Git(fetching.root, tmp_path_factory.mktemp("home"), fetching.server.environment())
    git("init", "-q")
    assert fetching.run("hooks", "install", "--only", "pre-commit").code == 0
    text = (fetching.root / "models.yaml").read_text()

    def commit(comment: str) -> str:
        (fetching.root / "models.yaml").write_text(f"{text}# {comment}\n")
        git("add", "models.yaml", "data")
        made = git.run("commit", "-q", "-m", comment)
        assert made.returncode == 0
        return made.stderr

    for comment in ("first", "second"):  # told again while it is so
        assert f"warning: models.yaml:6:12: {NOT_LOOKED_AT}" in commit(comment)
    assert fetching.server.asked == []
    assert fetching.run("check").code == 0
    assert commit("third") == ""


def test_a_failure_is_told_at_its_place_and_tried_again(fetching: Fetching) -> None:
    fetching.server.answers["/small.onnx"] = status(404)
    fetching.write(fetching.server.url("/small.onnx?token=hush", "me:secret@"))
    fetching.server.answers["/small.onnx?token=hush"] = status(503)
    first = fetching.run("build")
    assert first.code == 1
    shown = f"https://localhost:{fetching.server.port}/small.onnx?…"
    assert f"cannot fetch {shown}" in first.err
    assert "503 Service Unavailable" in first.err
    assert "secret" not in first.err + first.out and "hush" not in first.err + first.out
    assert list((fetching.root / ".modelbuild/store/blobs").rglob("*.*")) == []
    fetching.server.answers["/small.onnx?token=hush"] = content(fetching.data)
    assert fetching.run("build").code == 0
    assert fetching.server.paths == ["/small.onnx?token=hush"] * 2


def test_another_file_is_refused_and_not_kept(fetching: Fetching) -> None:
    fetching.server.answers["/small.onnx"] = content(b"another")
    wrong = fetching.run("build")
    assert wrong.code == 2
    for digest in (hashlib.sha256(data).hexdigest() for data in (b"another", fetching.data)):
        assert digest in wrong.err
    assert b"another" not in files_below(fetching.root / ".modelbuild").values()


def test_a_model_in_several_files_is_refused_with_what_to_do(fetching: Fetching) -> None:
    model = onnx.load_from_string(fetching.data)
    path = fetching.root / "small.onnx"
    onnx.save(model, path, save_as_external_data=True, location="small.data", size_threshold=0)
    fetching.data = path.read_bytes()
    fetching.server.answers["/small.onnx"] = content(fetching.data)
    fetching.write(fetching.server.url("/small.onnx"))
    refused = fetching.run("build")
    assert refused.code == 2
    assert "the fetched model keeps its weights in other files: small.data" in refused.err
    assert "save_as_external_data=False" in refused.err


def test_what_the_importer_finds_wrong_is_told_at_the_source(fetching: Fetching) -> None:
    fetching.data = b"no model at all"
    fetching.server.answers["/small.onnx"] = content(fetching.data)
    fetching.write(fetching.server.url("/small.onnx"))
    wrong = fetching.run("build")
    assert wrong.code == 2
    assert "models.yaml:6:12: " in wrong.err
    assert "/tmp" not in wrong.err


def test_a_fixed_model_is_fetched_too(fetching: Fetching) -> None:
    assert fetching.run("build").code == 0
    fixed = fetching.root / "dist/all-mpk/small.fixed.onnx"
    fetching.data = fixed.read_bytes()
    fetching.server.answers["/small.fixed.onnx"] = content(fetching.data)
    url = fetching.server.url("/small.fixed.onnx")
    fetching.write(url, replace=("    calibration: integers\n", ""))
    text = (fetching.root / "models.yaml").read_text().replace("[mpk, other]", "[mpk]")
    (fetching.root / "models.yaml").write_text(text)
    built = fetching.run("build")
    assert built.code == 0, built.err
    assert np.array_equal(fetching.server.paths, ["/small.onnx", "/small.fixed.onnx"])


def test_init_asks_for_the_file_and_prints_no_secret(tmp_path: Path) -> None:
    refused = modelbuild(tmp_path, "init", "https://me:secret@host/m.onnx?token=hush", "--chip", "kl720")
    assert refused.code == 2
    assert "https://host/m.onnx?…: a first manifest is written for a model file" in refused.err
    assert "secret" not in refused.err and "hush" not in refused.err
    assert not (tmp_path / "models.yaml").exists()
