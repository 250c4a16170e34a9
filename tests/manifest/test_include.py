"""`include:`: merging, clashes, places in several files."""

from __future__ import annotations

from typing import Any

MAIN = """\
modelbuild: 1
include: [parts/*.yaml]
samples:
  faces: {files: faces/*.png}
targets:
  cam: {chip: kl720}
packages:
  bell: {target: cam, models: {net: {id: 32768, version: "0001"}}}
"""
NET = "models:\n  net:\n    source: net.onnx\n    calibration: faces\n"


def test_sections_are_merged_and_places_name_the_file(project: Any) -> None:
    project.write("parts/b.yaml", NET)
    project.write("parts/a.yaml", "samples:\n  street: {files: street/*.png}\n")
    manifest = project.load(MAIN)
    assert list(manifest.spec.samples) == ["faces", "street"]
    assert list(manifest.spec.models) == ["net"]
    assert manifest.position(("models", "net", "calibration")) == "parts/b.yaml:4:18"
    assert [path.relative_to(project.root).as_posix() for path in manifest.files] == [
        "models.yaml",
        "parts/a.yaml",
        "parts/b.yaml",
    ]


def test_includes_include(project: Any) -> None:
    project.write("parts/a.yaml", "include: more/x.yaml\nmodels:\n")
    project.write("more/x.yaml", NET + "include: [models.yaml, parts/a.yaml]\n")  # circles are harmless
    assert list(project.load(MAIN).spec.models) == ["net"]


def test_paths_of_included_files_are_relative_to_the_manifest(project: Any) -> None:
    project.write("parts/b.yaml", NET.replace("net.onnx", "deep.onnx"))
    project.write("parts/deep.onnx", "x")
    errors = project.errors(MAIN)
    assert errors == [("parts/b.yaml:3:13", "the model deep.onnx does not exist")]


def test_a_clash_names_both_places(project: Any) -> None:
    project.write("parts/a.yaml", NET)
    project.write("parts/b.yaml", NET + "defaults: {compile: {batch: 1}}\n")
    project.write("parts/c.yaml", "defaults: {verify: {hardware: all}}\n")
    try:
        project.load(MAIN)
    except Exception as error:
        problems = error.problems  # type: ignore[attr-defined]
    assert [(p.where, p.what, p.why) for p in problems] == [
        ("parts/b.yaml:2:3", "`net` in `models` is defined twice", "the first is at parts/a.yaml:2:3"),
        ("parts/c.yaml:1:1", "`defaults` is defined twice", "the first is at parts/b.yaml:5:1"),
    ]


def test_hidden_folders_are_not_looked_into_and_links_are_followed(project: Any) -> None:
    project.write(".modelbuild/parts/b.yaml", NET)
    project.write("elsewhere/c.txt", NET)
    project.write("parts/deep/a.yaml", "samples:\n  street: {files: street/*.png}\n")
    (project.root / "parts/linked").symlink_to("../elsewhere")
    (project.root / "elsewhere/c.txt").rename(project.root / "elsewhere/c.yaml")
    manifest = project.load(MAIN.replace("parts/*.yaml", '"**/*.yaml"').replace("[", "").replace("]", ""))
    assert list(manifest.spec.models) == ["net"]


def test_wrong_includes_are_reported_with_everything_else(project: Any) -> None:
    project.write("parts/a.yaml", "models: [\n")
    project.write("parts/b.yaml", "nonsense: 1\n" + NET)
    text = MAIN.replace("parts/*.yaml", "parts/*.yaml, none/*.yaml, /etc/*.nothing, 'x**[y'")
    where = dict.fromkeys(project.errors(text))
    assert ("models.yaml:2:25", "`include`: no file matches `none/*.yaml`") in where
    assert ("models.yaml:2:38", "`include`: no file matches `/etc/*.nothing`") in where
    assert ("models.yaml:2:54", "`include`: no file matches `x**[y`") in where
    assert ("parts/b.yaml:1:1", "unknown key `nonsense`") in where
    assert any(place.startswith("parts/a.yaml:2") for place, _ in where)


def test_the_version_may_be_repeated_but_not_differ(project: Any) -> None:
    project.write("parts/a.yaml", "modelbuild: 1\n" + NET)
    assert list(project.load(MAIN).spec.models) == ["net"]
    project.write("parts/a.yaml", "modelbuild: 2\n" + NET)
    assert project.errors(MAIN) == [("parts/a.yaml:1:1", "`modelbuild` is defined twice")]
