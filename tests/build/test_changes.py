"""A file that is written to while an action reads it leaves no result, whatever it holds in the end."""

from __future__ import annotations

import pytest
from build_harness import Project, action, settle, state_of

from modelbuild.build.action import Action


@pytest.fixture
def tally(project: Project) -> str:
    """Where a stage counts how often it did something."""
    return str(project.root.parent / "tally")


def swapping(tally: str, times: int, **more: object) -> Action:
    parameters = {"tally": tally, "times": times, "role": "x"}
    function = "stages_that_change:there_and_back"
    return action("a", function=function, inputs={"x": "a.txt"}, parameters=parameters, **more)


@pytest.mark.parametrize("is_link", [False, True])
def test_bytes_that_were_there_for_a_while_leave_no_result(
    project: Project, tally: str, is_link: bool
) -> None:
    project.write("target.txt" if is_link else "a.txt", "one")
    if is_link:
        (project.root / "a.txt").symlink_to("target.txt")
    result = project.build([swapping(tally, times=1)])
    assert project.text(result, "a") == "(x=one)"
    assert project.ran() == ["a", "a"]
    assert state_of(project.build([swapping(tally, times=1)])) == {"a": "cached"}


def test_a_file_that_is_written_to_each_time_fails_the_action(project: Project, tally: str) -> None:
    project.write("a.txt", "one")
    error = project.failure(project.build([swapping(tally, times=2)]), "a")
    assert "a.txt changed while a was reading it" in str(error) and "twice" in str(error)
    assert error.exit_code == 1
    assert project.records() == []
    assert project.text(project.build([swapping(tally, times=2)]), "a") == "(x=one)"


def test_who_read_the_same_file_meanwhile_runs_once_more_and_who_reads_it_later_does_not(
    project: Project, tally: str
) -> None:
    project.write("a.txt", "one")
    later = action("b", inputs={"x": "a.txt", "y": "@a"})
    result = project.build([swapping(tally, times=1), later], jobs=1)
    assert project.text(result, "b") == "(x=one,y=(x=one))"
    assert project.ran() == ["a", "a", "b"]


@pytest.mark.parametrize(("how", "runs"), [("touch", 2), ("link", 2), ("replace", 2), ("read", 1)])
def test_a_file_whose_bytes_stayed_costs_another_run_at_most(
    project: Project, tally: str, how: str, runs: int
) -> None:
    project.write("a.txt", "one")
    parameters = {"tally": tally, "times": 1, "how": how}
    stage = {"function": "stages_that_change:leave_bytes", "parameters": parameters}
    result = project.build([action("a", **stage, inputs={"x": "a.txt"})])
    assert project.text(result, "a") == "(x=one)"
    assert project.ran() == ["a"] * runs


def finding(tally: str, file: str, times: int) -> Action:
    return action(
        "a",
        inputs={"x": "list.txt"},
        discover="stages_that_change:find_there_and_back",
        parameters={"tally": tally, "times": times, "file": file},
    )


@pytest.mark.parametrize("file", ["list.txt", "next.txt"])
def test_what_a_discovery_read_for_a_while_is_not_what_it_found(
    project: Project, tally: str, file: str
) -> None:
    """`next.txt` is found itself, and was never looked at before."""
    texts = {"list.txt": "use next.txt\n", "next.txt": "use right.txt\n", "right.txt": "r", "other.txt": "o"}
    settle(*[project.write(name, text) for name, text in texts.items()])
    result = project.build([finding(tally, file, times=1)])
    assert "discovered/right.txt=r" in project.text(result, "a")
    assert "discovered/other.txt" not in project.text(result, "a")
    assert project.ran() == ["a", "discovery", "discovery"]


@pytest.mark.parametrize("file", ["list.txt", "next.txt"])
def test_a_discovery_whose_files_never_rest_fails(project: Project, tally: str, file: str) -> None:
    texts = {"list.txt": "use next.txt\n", "next.txt": "use right.txt\n", "right.txt": "r", "other.txt": "o"}
    settle(*[project.write(name, text) for name, text in texts.items()])
    error = project.failure(project.build([finding(tally, file, times=2)]), "a")
    assert f"{file} changed while a was reading it" in str(error)
    assert error.exit_code == 1
    assert project.records() == []


def test_a_found_file_that_was_seen_before_or_lay_still_is_found_at_once(project: Project) -> None:
    settle(project.write("list.txt", "use next.txt\n"), project.write("next.txt", "one"))
    found = action("a", inputs={"x": "list.txt"}, discover="stages_for_tests:named_files")
    project.build([found])
    assert project.ran() == ["a", "discovery"]
    project.write("next.txt", "two")  # a moment ago
    project.build([found])
    assert project.ran() == ["a", "discovery"]


def test_a_stage_that_fails_each_time_is_heard_and_not_remembered(project: Project, tally: str) -> None:
    """What it says may follow from bytes that were there for a while."""
    project.write("a.txt", "BAD")
    stage = {"function": "stages_that_change:touch_and_fail", "parameters": {"tally": tally, "times": 2}}
    failing = action("a", **stage, inputs={"x": "a.txt"})
    error = project.failure(project.build([failing]), "a")
    assert "the data is bad" in str(error)
    assert project.records() == []
    assert project.ran() == ["a", "a"]
