"""Errors of stages say where things are as people know them: the same in every folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from build_harness import Project, action

from modelbuild.build.action import Action
from modelbuild.build.labels import labelled, marked
from modelbuild.errors import ModelbuildError


def complaining(how: str = "told", path: str = "data/x.txt") -> list[Action]:
    inputs = {"file": path, "made": "@made"}
    return [
        action("made"),
        action("a", "complain", inputs=inputs, parameters={"how": how}),
        action("report", soft={"a": "@a"}, always=True),
    ]


def test_every_field_names_files_relative_to_the_root_and_outputs_by_role(project: Project) -> None:
    project.write("data/x.txt", "one")
    (problem,) = project.failure(project.build(complaining()), "a").problems
    text = "data/x.txt: see data/other.txt, data/x.txt.bak, out/half, made and data/x.txt"
    assert (problem.what, problem.where) == (f"what {text}", "data/x.txt:3")
    assert (problem.why, problem.advice) == (f"why {text}", f"do {text}")


@pytest.mark.parametrize("how", ["told", "bug", "crash"])
def test_failures_are_the_same_bytes_in_any_folder(tmp_path: Path, how: str) -> None:
    reports, records = [], []
    for name in ("one", "another, longer"):
        (tmp_path / name / "deep").mkdir(parents=True)
        project = Project(tmp_path / name / "deep" / "project")
        project.write("data/x.txt", "one")
        result = project.build(complaining(how), jobs=1)
        reports.append(project.text(result, "report"))
        records.append({path.name: path.read_bytes() for path in project.records()})
    assert reports[0] == reports[1] and records[0] == records[1]
    assert str(tmp_path) not in reports[0] and "data/x.txt" in reports[0]
    assert not any(str(tmp_path).encode() in record for record in records[0].values())


def test_a_remembered_failure_names_the_file_that_has_the_bytes_now(project: Project) -> None:
    project.write("data/x.txt", "one")
    project.build(complaining())
    (project.root / "data/x.txt").rename(project.root / "data/y.txt")
    result = project.build(complaining(path="data/y.txt"))
    assert project.failure(result, "a").problems[0].where == "data/y.txt:3"
    assert "data/y.txt: see" in project.text(result, "report")
    assert project.ran() == ["a", "made", "report", "report"]


def test_a_failed_discovery_names_its_file(project: Project) -> None:
    project.write("data/x.txt", "one")
    actions = [action("a", inputs={"file": "data/x.txt"}, discover="stages_for_tests:complain_of_list")]
    for _ in range(2):
        assert str(project.failure(project.build(actions), "a")) == "data/x.txt: no list"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/r/a/x.png: bad", "A: bad"),
        ("'/r/a/x.png'.", "'A'."),
        ("/r/a/x.png2 and /r/a/x.png/y", "a/x.png2 and a/x.png/y"),
        ("/r/a/x and /r/a/x.", "B and B."),
        ("/other/r/a/x.png", "/other/r/a/x.png"),
        ("in /r or /r/.state/w/1/tmp/t or /r/.state/w/11", "in . or tmp/t or .state/w/11"),
        ("no path \0 at \0all\0", "no path \0 at \0all\0"),
    ],
)
def test_only_whole_paths_are_replaced(text: str, expected: str) -> None:
    inputs = {"one": Path("/r/a/x.png"), "two": Path("/r/a/x")}
    kept = marked(ModelbuildError(text), inputs, Path("/r"), Path("/r/.state/w/1"))
    assert str(labelled(kept, {"one": "A", "two": "B"})) == expected


def test_a_checkout_at_the_top_of_the_file_system_keeps_its_slashes() -> None:
    kept = marked(ModelbuildError("1 / 2 of /a"), {}, Path("/"), Path("/.state/w/1"))
    assert str(kept) == "1 / 2 of /a"
