"""Where the files of a build may not lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelbuild.cli.recording.places import checked
from modelbuild.errors import ModelbuildError


def test_places_are_relative_to_the_project(tmp_path: Path) -> None:
    found = checked(tmp_path, "models.yaml", {"--events": "-", "--trace": "out/t.json"})
    assert found == {"--events": None, "--trace": tmp_path / "out/t.json"}
    absolute = checked(tmp_path, "models.yaml", {"--events": "/dev/stderr", "--trace": "/dev/stderr"})
    assert absolute["--trace"] == Path("/dev/stderr")


@pytest.mark.parametrize("name", ["dist/build.jsonl", "reports/build.jsonl", "build.jsonl", "../build.jsonl"])
def test_places_that_are_free(tmp_path: Path, name: str) -> None:
    assert checked(tmp_path, "models.yaml", {"--events": name})["--events"] == tmp_path / name


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (".modelbuild", "into .modelbuild"),
        (".modelbuild/e", "into .modelbuild"),
        ("dist/bell/e", "into dist/bell"),
        ("dist/.stale/bell/e", "into dist/.stale"),
        ("reports/bell/e", "into reports/bell"),
        ("x/../dist/bell/e", "into dist/bell"),
        ("models.yaml", "overwrite the manifest"),
        ("./models.yaml", "overwrite the manifest"),
        ("link/e", "into dist/bell"),
    ],
)
def test_places_that_a_build_keeps(tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "dist/bell").mkdir(parents=True)
    (tmp_path / "link").symlink_to("dist/bell")
    with pytest.raises(ModelbuildError, match=says) as raised:
        checked(tmp_path, "models.yaml", {"--events": name})
    assert raised.value.exit_code == 2 and raised.value.problems[0].advice


def test_two_options_cannot_have_one_file(tmp_path: Path) -> None:
    with pytest.raises(ModelbuildError, match="name one file"):
        checked(tmp_path, "models.yaml", {"--events": "a", "--trace": "./a"})


@pytest.mark.parametrize("option", ["--events", "--trace"])
def test_a_file_of_somebody_elses_is_not_overwritten(tmp_path: Path, option: str) -> None:
    (tmp_path / "face.onnx").write_bytes(b"\x08\x08model")
    with pytest.raises(ModelbuildError, match="no build has written") as raised:
        checked(tmp_path, "models.yaml", {option: "face.onnx"})
    assert raised.value.exit_code == 2
    for text in ("", '{"event": "build_started"', '{"traceEvents": []}'):
        (tmp_path / "mine").write_text(text)
        if text[:5] in ("", '{"eve' if option == "--events" else '{"tra'):
            assert checked(tmp_path, "models.yaml", {option: "mine"}) == {option: tmp_path / "mine"}
