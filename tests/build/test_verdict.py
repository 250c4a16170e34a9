"""What runs again and what does not: cut-off, failure memory, discovery, damage."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from build_harness import Project, action, settle, state_of


def chain(project: Project, text: str = "one") -> list:
    project.write("a.txt", text)
    return [
        action("first", inputs={"x": "a.txt"}),
        action("second", "upper", inputs={"x": "@first"}),
        action("third", inputs={"x": "@second"}),
    ]


def test_nothing_runs_twice(project: Project) -> None:
    actions = chain(project)
    first = project.build(actions)
    assert first.counts["run"] == 3
    again = project.build(actions)
    assert state_of(again) == dict.fromkeys(again.states, "cached")
    assert again.outputs == first.outputs
    assert project.ran() == ["first", "second", "third"]


def test_equal_outputs_cut_a_rebuild_off(project: Project) -> None:
    project.build(chain(project, "one"))
    project.ran()
    result = project.build(chain(project, "One"))
    assert state_of(result) == {"first": "run", "second": "run", "third": "cached"}
    assert project.ran() == ["first", "second"]


def test_touching_or_rewriting_a_file_runs_nothing(project: Project) -> None:
    actions = chain(project)
    project.build(actions)
    project.ran()
    path = project.root / "a.txt"
    os.utime(path, ns=(1, 1))
    assert project.build(actions).counts["run"] == 0
    path.unlink()
    path.write_text("one")
    assert project.build(actions).counts["run"] == 0
    assert project.ran() == []


def test_going_back_finds_the_old_result(project: Project) -> None:
    first = project.build(chain(project, "one"))
    project.build(chain(project, "two"))
    project.ran()
    assert project.build(chain(project, "one")).outputs == first.outputs
    assert project.ran() == []


def test_moving_the_checkout_runs_nothing(project: Project, tmp_path: Path) -> None:
    actions = chain(project)
    project.build(actions)
    project.root.rename(tmp_path / "moved")
    assert Project(tmp_path / "moved").build(actions).counts["run"] == 0


def test_a_missing_file_is_the_users_error(project: Project) -> None:
    result = project.build([action("a", inputs={"x": "models/none.onnx"})])
    error = project.failure(result, "a")
    assert (str(error).splitlines()[0], error.exit_code) == ("models/none.onnx does not exist", 2)
    project.write("models/none.onnx", "there now")
    assert project.build([action("a", inputs={"x": "models/none.onnx"})]).ok


def test_an_output_that_does_not_exist_is_named(project: Project) -> None:
    actions = [action("a", "several"), action("b", "several", inputs={"x": "@a"}, parameters={"label": "b"})]
    assert project.build(actions).ok
    actions.append(action("c", inputs={"x": "@a"}, soft={}))
    actions[-1].inputs["x"] = type(actions[-1].inputs["x"])("a", "txet")
    assert "which has no such output" in str(project.failure(project.build(actions), "c"))


def test_a_failure_is_remembered_until_an_input_changes_or_a_retry(project: Project) -> None:
    project.write("a.txt", "BAD")
    actions = [action("a", "fail_if_bad", inputs={"x": "a.txt"})]
    first = project.failure(project.build(actions), "a")
    again = project.failure(project.build(actions), "a")
    assert first.to_json() == again.to_json()
    assert (str(first), first.exit_code) == (
        "data.txt:3: the data is bad\n  why: a test\n  do:  repair it",
        1,
    )
    assert project.ran() == ["a"]
    project.build(actions, retry=True)
    assert project.ran() == ["a"]
    project.write("a.txt", "BAD too")
    project.build(actions)
    assert project.ran() == ["a"]
    project.write("a.txt", "good")
    assert project.build(actions).ok
    project.write("a.txt", "BAD")
    assert not project.build(actions).ok
    assert project.ran() == ["a"]


def test_a_failure_is_not_told_again_where_a_parameter_without_a_key_may_change_what_is_said(
    project: Project,
) -> None:
    """`optimize: {paranoid: true}` after the guard has found that some pass is wrong."""
    project.write("a.txt", "BAD")
    plain = action("a", "fail_if_bad", inputs={"x": "a.txt"})
    watched = plain._replace(unkeyed={"paranoid": True})
    for actions, runs in ((plain, 1), (plain, 0), (watched, 1), (watched, 0), (plain, 1)):
        assert not project.build([actions]).ok
        assert len(project.ran()) == runs
    project.write("a.txt", "good")
    assert project.build([plain]).counts["run"] == 1
    assert project.build([watched]).counts["run"] == 0


@pytest.mark.parametrize("damage", ["cut", "alter", "remove"])
@pytest.mark.parametrize("what", ["blobs", "records"])
def test_damage_is_noticed_and_only_what_is_damaged_runs_again(
    project: Project, what: str, damage: str
) -> None:
    actions = chain(project)
    first = project.build(actions)
    project.ran()
    paths = project.blobs() if what == "blobs" else project.records()
    assert len(paths) == 3
    for path in paths:
        content = path.read_bytes()
        path.chmod(0o644)
        if damage == "remove":
            path.unlink()
        else:
            path.write_bytes(content[:-1] if damage == "cut" else content[:-2] + b"?" + content[-1:])
        result = project.build(actions)
        assert result.outputs == first.outputs
        assert len(project.ran()) == 1
        assert path.read_bytes() == content
        assert path.with_name(path.name + ".bad").exists() == (damage != "remove")


def test_an_impure_stage_is_believed_as_it_came_out(project: Project) -> None:
    actions = [action("a", "number"), action("b", inputs={"x": "@a"})]
    first = project.build(actions)
    assert project.build(actions).outputs == first.outputs


def discovering(project: Project) -> list:
    project.write("list.txt", "use w.bin\nuse deep/list.txt")
    project.write("deep/list.txt", "use v.bin")
    project.write("w.bin", "w1")
    project.write("v.bin", "v1")
    return [action("a", "read_all", inputs={"x": "list.txt"}, discover="stages_for_tests:named_files")]


def test_discovered_files_are_inputs(project: Project) -> None:
    actions = discovering(project)
    settle(*[path for path in project.root.rglob("*") if path.is_file()])
    result = project.build(actions)
    text = project.text(result, "a")
    assert "discovered/w.bin=w1" in text and "discovered/v.bin=v1" in text
    assert project.ran() == ["a", "discovery"]
    assert project.build(actions).counts["cached"] == 1
    assert project.ran() == []
    project.write("w.bin", "w2")
    assert "discovered/w.bin=w2" in project.text(project.build(actions), "a")


def test_a_file_found_through_a_found_file_counts(project: Project) -> None:
    actions = discovering(project)
    project.build(actions)
    project.write("new.bin", "n1")
    project.write("deep/list.txt", "use new.bin")
    text = project.text(project.build(actions), "a")
    assert "discovered/new.bin=n1" in text and "v.bin=" not in text
    project.write("new.bin", "n2")
    assert "discovered/new.bin=n2" in project.text(project.build(actions), "a")


def test_a_discovered_file_that_is_missing_is_named(project: Project) -> None:
    actions = discovering(project)
    (project.root / "w.bin").unlink()
    error = project.failure(project.build(actions), "a")
    assert error.exit_code == 2
    assert "w.bin does not exist" in str(error) and "its input x names it" in str(error)
    project.write("w.bin", "back")
    assert project.build(actions).ok
    (project.root / "w.bin").unlink()
    assert "w.bin does not exist" in str(project.failure(project.build(actions), "a"))


def test_a_discovery_that_failed_is_asked_again(project: Project) -> None:
    """What it failed over may be a file that an input names, and that is in no key."""
    actions = discovering(project)
    project.write("list.txt", "use more.txt")
    project.write("more.txt", "BROKEN")
    for _ in range(2):
        assert "the list cannot be read" in str(project.failure(project.build(actions), "a"))
        assert project.ran() == ["discovery"]
    project.write("more.txt", "mended")
    assert project.build(actions).ok


def test_equal_lists_in_two_folders_name_the_files_beside_each(project: Project) -> None:
    actions = []
    for folder in ("left", "right"):
        project.write(f"{folder}/list.txt", "use w.bin")
        project.write(f"{folder}/w.bin", folder)
        discovering = {"inputs": {"x": f"{folder}/list.txt"}, "discover": "stages_for_tests:named_beside"}
        actions.append(action(folder, "read_all", parameters={"label": "same"}, **discovering))
    for _ in range(2):
        result = project.build(actions, jobs=1)
        for folder in ("left", "right"):
            assert f"discovered/w.bin={folder}" in project.text(result, folder)
    project.write("right/w.bin", "left")
    assert project.build(actions).counts["run"] == 0, "equal files beside equal lists are the same work"


def test_files_found_by_several_lists_are_told_apart(project: Project) -> None:
    """Which list named which file is in the key, though the files found are the same."""
    project.write("a/list.txt", "use ../q/y\nuse ../r/y")
    for folder in "qr":
        project.write(f"{folder}/list.txt", "use y")
        project.write(f"{folder}/y", f"in {folder}")
    for folder in "qr":
        inputs = {"x": "a/list.txt", "z": f"{folder}/list.txt"}
        one = action("a", "beside_z", inputs=inputs, discover="stages_for_tests:named_beside")
        assert project.text(project.build([one]), "a") == f"in {folder}"
