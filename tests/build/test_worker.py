"""Stages may print, crash and leave odd things: nothing but their own action is hurt."""

from __future__ import annotations

import json
from typing import Any

import pytest
from build_harness import Project, action, state_of


def test_what_a_stage_prints_goes_to_its_log_and_never_to_the_channel(project: Project) -> None:
    result = project.build([action("a", "chatter"), action("b", inputs={"x": "@a"})], jobs=1)
    assert state_of(result) == {"a": "run", "b": "run"}
    assert project.text(result, "a") == ""
    log = project.builder.log("a").read_text()
    for text in ('{"outputs": {}}', "to stderr", "from a child"):
        assert text in log
    assert not project.builder.log("b").exists()
    assert sorted(path.name for path in project.root.iterdir()) == [".modelbuild"]


def test_outputs_are_named_by_their_relative_path(project: Project) -> None:
    result = project.build([action("a", "several")])
    assert sorted(result.outputs["a"]) == ["a/b/deep.txt", "empty", "text"]
    assert project.builder.output(result, "a", "a/b/deep.txt").read_text() == "deep"
    assert project.builder.output(result, "a", "text").stat().st_mode & 0o777 == 0o444


@pytest.mark.parametrize("kind", ["symlink", "link to folder", "fifo", "hard link"])
def test_links_and_special_files_are_no_outputs(project: Project, kind: str) -> None:
    project.write("a.txt", "mine")
    result = project.build([action("a", "leave", inputs={"x": "a.txt"}, parameters={"kind": kind})])
    error = project.failure(result, "a")
    assert "folder/odd" in str(error) and error.exit_code == 1
    assert (project.root / "a.txt").stat().st_mode & 0o200


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("kill", "was killed by SIGKILL"),
        ("exit", "ended with status 3"),
        ("sys.exit", "internal error in a"),
        ("bug", "internal error in a"),
        ("full disk", "No space left on device"),
        ("full disk, told", "cannot write the tables"),
    ],
)
def test_what_is_no_verdict_on_the_inputs_is_told_and_not_remembered(
    project: Project, how: str, message: str
) -> None:
    actions = [action("a", "give_up", parameters={"how": how}), action("b")]
    for _ in range(2):
        result = project.build(actions, jobs=1, keep_going=True)
        error = project.failure(result, "a")
        assert message in str(error) and error.exit_code == 1
        assert "Traceback" not in str(error)
        assert result.states["b"] in ("run", "cached")
    assert project.ran() == ["a", "a", "b"]
    assert "last words" in project.builder.log("a").read_text()


def test_the_traceback_of_a_bug_is_in_the_log(project: Project) -> None:
    project.build([action("a", "give_up", parameters={"how": "bug"})])
    log = project.builder.log("a").read_text()
    assert "Traceback" in log and "KeyError: 'no such thing'" in log


def test_a_function_that_does_not_exist_is_an_internal_error(project: Project) -> None:
    for stage in ("missing",):
        error = project.failure(project.build([action("a", stage)]), "a")
        assert "internal error in a" in str(error) and "missing" in str(error)


def test_the_surroundings_of_the_user_do_not_reach_a_stage(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = []
    for index, (seed, locale, zone) in enumerate([("1", "C", "UTC"), ("2", "de_DE.UTF-8", "Asia/Tokyo")]):
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        monkeypatch.setenv("LC_ALL", locale)
        monkeypatch.setenv("TZ", zone)
        project = Project(tmp_path / f"p{index}")
        texts.append(project.text(project.build([action("a", "surroundings")]), "a"))
    assert texts[0] == texts[1]


def test_tasks_and_answers_may_be_longer_than_a_pipe_holds(project: Project) -> None:
    text = "x" * 1_000_000
    stage = {"function": "stages_of_processes:scatter", "parameters": {"text": text, "count": 2000}}
    result = project.build([action("a", **stage), action("b", inputs={"x": "@a"})], jobs=1)
    assert state_of(result) == {"a": "run", "b": "run"}
    assert project.text(result, "a") == text
    assert len(result.outputs["a"]) == 2001
    assert project.builder.output(result, "a", "output number 1999").read_text() == "1999"


def test_a_private_folder_that_is_used_again_is_empty(project: Project) -> None:
    """Whatever the action before left there: files that are no outputs, folders, or half a failure."""
    project.write("a.txt", "BAD")
    actions = [
        action("odd", "chatter"),
        action("deep", "several"),
        action("bad", "fail_if_bad", inputs={"x": "a.txt"}),
        action("plain"),
        action("again"),
        action("look", function="stages_of_processes:look_around"),
    ]
    result = project.build(actions, jobs=1, keep_going=True)
    assert project.text(result, "look") == "[]"
    assert list(result.outputs["look"]) == ["text"]


def test_an_empty_folder_among_the_outputs_is_not_left_to_the_next(project: Project) -> None:
    room = action("room", function="stages_of_processes:make_room")
    look = action("look", function="stages_of_processes:look_around", inputs={"x": "@room"})
    result = project.build([room, look], jobs=1)
    assert list(result.outputs["room"]) == ["text"]
    assert project.text(result, "look") == "[]"


def test_a_long_log_keeps_its_end(project: Project) -> None:
    project.build([action("a", function="stages_of_processes:drone", parameters={"lines": 300_000})])
    log = project.builder.log("a")
    assert 900_000 < log.stat().st_size <= 1 << 20
    assert log.read_text().endswith("line 299999\n")


def test_secrets_reach_the_action_that_names_them_and_no_process(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MB_TEST_SECRET", "1234")
    project.builder.hide(["MB_TEST_SECRET"])
    of_all: dict[str, Any] = {"parameters": {"variable": "MB_TEST_SECRET"}}
    chain = [
        action("a", "borrowed", **of_all),
        action("b", "borrowed", inputs={"x": "@a"}, secrets=("MB_TEST_SECRET", "MB_TEST_NONE"), **of_all),
        action("c", "borrowed", inputs={"x": "@b"}, **of_all),
    ]
    result = project.build(chain, jobs=1)
    a, b, c = (json.loads(project.text(result, name)) for name in "abc")
    assert [one["lent"] for one in (a, b, c)] == [None, "1234", None]
    assert not any(one["own"] or one["above"] or one["child"] for one in (a, b, c))
    assert a["process"] == b["process"] != c["process"]  # whose memory may hold it
    again = project.build(chain, jobs=1)  # and the names are in no key
    assert set(again.states.values()) == {"cached"}
    monkeypatch.setenv("MB_TEST_SECRET", "5678")
    without = [one._replace(secrets=()) for one in chain]
    assert set(project.build(without, jobs=1).states.values()) == {"cached"}
