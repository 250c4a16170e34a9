"""What runs when: in parallel, after a failure, with soft inputs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

import pytest
from build_harness import Project, action, state_of

from modelbuild.build.result import Event, Outcome


def test_independent_actions_run_at_the_same_time(project: Project) -> None:
    fifos = [str(project.root.parent / name) for name in ("first", "second")]
    for fifo in fifos:
        os.mkfifo(fifo)
    actions = [
        action(name, "meet", parameters={"fifos": fifos, "reads_first": name == "a"}) for name in ("a", "b")
    ]
    assert state_of(project.build(actions, jobs=2)) == {"a": "run", "b": "run"}


def test_events_tell_the_course_of_a_build(project: Project) -> None:
    events: list[Event] = []
    project.build([action("a"), action("b", inputs={"x": "@a"})], observer=events.append)
    assert [(one.kind, one.action, one.state, one.done, one.total) for one in events] == [
        ("started", "a", None, 0, 2),
        ("finished", "a", "run", 1, 2),
        ("started", "b", None, 1, 2),
        ("finished", "b", "run", 2, 2),
    ]


def test_while_something_runs_other_things_are_done(project: Project) -> None:
    """Each time that there is nothing to do but to wait, and with what is known by then."""
    known: list[set[str]] = []

    def meanwhile(outcomes: Mapping[str, Outcome]) -> None:
        known.append(set(outcomes))

    actions = [action("a"), action("b", inputs={"x": "@a"})]
    project.build(actions, meanwhile=meanwhile)
    assert known[0] == set() and known[-1] == {"a"}
    known.clear()
    project.build(actions, meanwhile=meanwhile)
    assert known == [], "nothing ran"


def test_actions_that_ask_for_the_same_run_once(project: Project) -> None:
    """The name is no part of the key: two targets that want the same thing share it."""
    project.write("a.txt", "one")
    same = {"parameters": {"label": "same"}, "inputs": {"x": "a.txt"}}
    result = project.build([action(f"m@t{index}", **same) for index in range(4)], jobs=3)
    assert sorted(result.states.values()) == ["cached", "cached", "cached", "run"]
    assert len({files["text"] for files in result.outputs.values()}) == 1
    assert project.ran() == ["same"]


def test_a_crash_is_not_shared(project: Project) -> None:
    same = {"stage": "give_up", "parameters": {"label": "same", "how": "exit"}}
    result = project.build([action(f"m@t{index}", **same) for index in range(3)], jobs=2, keep_going=True)
    assert result.counts["failed"] == 3


def test_a_failure_that_stops_the_build_frees_who_waited_for_the_same(project: Project) -> None:
    project.write("bad.txt", "BAD")
    same = {"parameters": {"label": "same"}}
    actions = [
        action("bad", "fail_if_bad", inputs={"x": "bad.txt"}),
        action("x", **same),
        action("y", **same),
    ]
    assert state_of(project.build(actions, jobs=1)) == {"bad": "failed", "x": "skipped", "y": "skipped"}


def test_an_action_with_a_discovery_starts_once(project: Project) -> None:
    project.write("list.txt", "")
    events: list[Event] = []
    discovering = action("a", inputs={"x": "list.txt"}, discover="stages_for_tests:named_files")
    project.build([discovering], observer=events.append)
    assert [one.kind for one in events] == ["started", "finished"]


def failing(project: Project) -> list:
    project.write("bad.txt", "BAD")
    return [
        action("bad", "fail_if_bad", inputs={"x": "bad.txt"}),
        action("after", inputs={"x": "@bad"}),
        action("after that", inputs={"x": "@after"}),
        action("apart"),
        action("report", soft={"bad": "@bad", "late": "@after that", "apart": "@apart"}, always=True),
        action("page", inputs={"x": "@report"}),
    ]


def test_a_failure_stops_the_rest_but_not_what_always_runs(project: Project) -> None:
    result = project.build(failing(project), jobs=1)
    assert state_of(result) == {
        "bad": "failed",
        "after": "skipped",
        "after that": "skipped",
        "apart": "skipped",
        "report": "run",
        "page": "skipped",
    }
    assert project.ran() == ["bad", "report"]
    assert [name for name, _ in result.failures] == ["bad"]
    assert not result.ok
    assert "the build stopped when bad failed" in project.text(result, "report")


@pytest.mark.parametrize("jobs", [1, 2, 4])
@pytest.mark.parametrize("bad", ["one:import", "one:gate", "two:import", "two:gate"])
def test_every_report_is_written_whatever_failed(project: Project, bad: str, jobs: int) -> None:
    """Also where the failure is behind everything that the report reads, or in what it does not read."""
    project.write("a.txt", "good")
    project.write("bad.txt", "BAD")
    actions = []
    for name in ("one", "two"):
        for stage, source in (("import", ""), ("gate", f"@{name}:import")):
            inputs = {"x": source or "a.txt"} | ({"y": "bad.txt"} if bad == f"{name}:{stage}" else {})
            actions.append(action(f"{name}:{stage}", "fail_if_bad", inputs=inputs))
        actions.append(action(f"{name}:report", soft={"import": f"@{name}:import"}, always=True))
    goals = [f"{name}:{stage}" for name in ("one", "two") for stage in ("gate", "report")]
    result = project.build(actions, goals, jobs=jobs)
    assert [found for found, _ in result.failures] == [bad]
    assert (result.states["one:report"], result.states["two:report"]) == ("run", "run")


def test_keep_going_builds_all_that_can_be_built(project: Project) -> None:
    result = project.build(failing(project), jobs=1, keep_going=True)
    assert result.counts == {"run": 3, "cached": 0, "failed": 1, "skipped": 2, "would_run": 0}
    assert result.states["apart"] == "run"


def test_a_soft_input_that_failed_arrives_as_its_failure(project: Project) -> None:
    result = project.build(failing(project), keep_going=True)
    text = project.text(result, "report")
    assert "apart=()" in text and "bad=" not in text
    failure = json.loads(text.split("bad.failure=")[1].split("\n")[0])
    assert failure == {
        "action": "bad",
        "state": "failed",
        "exit_code": 1,
        "problems": [
            {
                "what": "the data is bad",
                "where": "data.txt:3",
                "why": "a test",
                "advice": "repair it",
                "code": "",
            }
        ],
    }
    late = json.loads(text.split("late.failure=")[1].split("\n")[0])
    assert (late["state"], late["problems"][0]["why"]) == ("skipped", "bad failed")


def test_a_soft_reader_runs_again_once_the_failure_is_repaired(project: Project) -> None:
    actions = failing(project)
    project.build(actions, keep_going=True)
    project.ran()
    assert project.build(actions, keep_going=True).counts["run"] == 0
    project.write("bad.txt", "good")
    result = project.build(actions, keep_going=True)
    assert result.ok
    assert project.ran() == ["after", "after", "bad", "page", "report", "that"]
    assert "failure" not in project.text(result, "report")


def test_a_dry_run_runs_and_writes_nothing(project: Project) -> None:
    project.write("a.txt", "one")
    actions = [action("a", inputs={"x": "a.txt"}), action("b", inputs={"x": "@a"})]
    assert state_of(project.build(actions, dry_run=True)) == {"a": "would_run", "b": "would_run"}
    assert project.ran() == []
    assert not project.state.exists()
    project.build(actions)
    assert state_of(project.build(actions, dry_run=True)) == {"a": "cached", "b": "cached"}


def test_outputs_do_not_depend_on_the_number_of_jobs(tmp_path) -> None:
    digests = []
    for jobs in (1, 3):
        project = Project(tmp_path / f"jobs{jobs}")
        project.write("a.txt", "one")
        actions = [action(f"l{index}", inputs={"x": "a.txt"}) for index in range(6)]
        actions.append(action("all", inputs={f"r{index}": f"@l{index}" for index in range(6)}))
        actions.append(action("surroundings", "surroundings"))
        digests.append(project.build(actions, jobs=jobs).outputs)
    assert digests[0] == digests[1]
