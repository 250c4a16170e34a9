"""`status` and `why` tell what the next build does, and what the last did, without doing anything."""

from __future__ import annotations

import json
import os

import pytest
from build_harness import Project, action

from modelbuild.build import canonical


def chain(project: Project, text: str, method: str = "mse") -> list:
    project.write("a.txt", text)
    return [
        action("import", inputs={"model": "a.txt"}),
        action("quantize", "upper", inputs={"graph": "@import"}, parameters={"range": {"method": method}}),
        action("pack", inputs={"fixed": "@quantize"}),
    ]


def status(project: Project, actions: list) -> dict[str, str]:
    return {name: str(found) for name, found in project.builder.status(actions, ["pack"]).items()}


def test_status_before_and_after(project: Project) -> None:
    actions = chain(project, "one")
    assert status(project, actions) == {
        "import": "out of date",
        "quantize": "unknown (waits for import)",
        "pack": "unknown (waits for quantize)",
    }
    assert not project.state.exists()
    project.build(actions)
    assert status(project, actions) == dict.fromkeys(("import", "quantize", "pack"), "up to date")
    assert status(project, chain(project, "one", "minmax")) == {
        "import": "up to date",
        "quantize": "out of date",
        "pack": "unknown (waits for quantize)",
    }
    assert project.ran() == ["import", "pack", "quantize"]


def test_status_of_a_failure_and_of_what_it_holds_up(project: Project) -> None:
    project.write("a.txt", "BAD")
    actions = [action("a", "fail_if_bad", inputs={"x": "a.txt"}), action("pack", inputs={"x": "@a"})]
    project.build(actions)
    assert status(project, actions) == {"a": "failed", "pack": "unknown (waits for a)"}
    why = project.builder.why(actions, "a")
    assert (why.last_outcome, why.next.verdict) == ("failed", "failed")
    assert "the data is bad" in str(why.next)
    assert project.builder.why(actions, "pack").next.waits_for == "a"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [("aa11", "bb22", "changed"), ("aa11", "", "is not there"), ("", "aa11", "is there now")],
)
def test_why_shows_no_fingerprint_of_a_secret(project: Project, old: str, new: str, says: str) -> None:
    project.write("a.txt", "A")
    made, wanted = (
        [action("a", inputs={"x": "a.txt"}, parameters={"encrypt": {"mode": 1, "fingerprint": value}})]
        for value in (old, new)
    )
    project.build(made)
    assert str(project.builder.why(wanted, "a").next) == f"a secret of parameters.encrypt {says}"


def test_why_names_the_parameter_before_and_after_the_build(project: Project) -> None:
    project.build(chain(project, "one"))
    actions = chain(project, "one", "minmax")
    before = project.builder.why(actions, "quantize")
    assert before.last is not None and before.last.verdict == "first"
    sentence = 'parameters.range.method changed from "mse" to "minmax"'
    assert str(before.next) == sentence
    project.build(actions)
    after = project.builder.why(actions, "quantize")
    assert str(after.last) == sentence
    assert after.next.verdict == "up to date"
    assert str(after.next) == "inputs unchanged: up to date"


def test_why_names_the_file_and_follows_what_waits_to_its_root(project: Project) -> None:
    first = project.build(chain(project, "one"))
    actions = chain(project, "two")
    assert str(project.builder.why(actions, "import").next).startswith("file a.txt changed from ")
    pack = project.builder.why(actions, "pack").next
    assert (pack.verdict, pack.waits_for) == ("waits", "import")
    assert str(pack).startswith("depends on import, which must run first: file a.txt changed from ")
    second = project.build(actions)
    last = project.builder.why(actions, "pack").last
    assert last is not None
    (change,) = last.changes
    assert last.sources == ("output text of quantize",)
    assert (change.old, change.new) == (first.outputs["quantize"]["text"], second.outputs["quantize"]["text"])


def test_why_after_nothing_ran_still_tells_of_the_last_run(project: Project) -> None:
    project.build(chain(project, "one"))
    actions = chain(project, "two")
    project.build(actions)
    project.build(actions)
    assert str(project.builder.why(actions, "import").last).startswith("file a.txt changed")


def test_why_knows_damage_retry_and_results_found_again(project: Project) -> None:
    actions = chain(project, "one")
    project.build(actions)
    for path in project.records():
        path.unlink()
    assert project.builder.why(actions, "import").next.verdict == "damaged"
    project.build(actions)
    assert str(project.builder.why(actions, "import").last) == "its stored result was missing or damaged"
    project.build(chain(project, "two"))
    actions = chain(project, "one")
    project.build(actions)
    found = project.builder.why(actions, "import")
    assert found.last_outcome == "cached" and str(found.last).startswith("file a.txt changed")

    project.write("a.txt", "BAD")
    failing = [action("f", "fail_if_bad", inputs={"x": "a.txt"})]
    project.build(failing)
    project.build(failing, retry=True)
    assert str(project.builder.why(failing, "f").last) == "it had failed, and a retry was asked for"


def test_why_names_the_action_whose_result_was_taken(project: Project) -> None:
    project.write("a.txt", "one")
    same = {"parameters": {"label": "same"}, "inputs": {"x": "a.txt"}}
    one, other = action("one", **same), action("other", **same)
    project.build([one])
    sentence = "never run under this name: its result is taken from one, which asks for the same"
    before = project.builder.why([one, other], "other")
    assert before.last is None and before.next.verdict == "shared" and sentence in str(before.next)
    project.build([one, other])
    assert project.ran() == ["same"]
    after = project.builder.why([one, other], "other")
    assert (after.last_outcome, after.next.verdict) == ("cached", "up to date")
    assert str(after).splitlines()[1].startswith(f"last time it was found in the store: {sentence}")
    assert str(project.builder.why([one, other], "one").last) == "it had never been built"


def test_why_names_the_store_where_nobody_has_that_key_any_more(project: Project) -> None:
    project.write("a.txt", "one")
    project.build([action("one", parameters={"label": "same"}, inputs={"x": "a.txt"})])
    project.build([action("one", parameters={"label": "new"}, inputs={"x": "a.txt"})])
    other = [action("other", parameters={"label": "same"}, inputs={"x": "a.txt"})]
    project.build(other)
    expected = "never run under this name: its result is taken from the store"
    assert str(project.builder.why(other, "other").last) == expected


def test_why_names_a_discovered_file(project: Project) -> None:
    project.write("list.txt", "use w.bin")
    project.write("w.bin", "w1")
    actions = [action("a", inputs={"x": "list.txt"}, discover="stages_for_tests:named_files")]
    assert project.builder.why(actions, "a").next.verdict == "never built"
    project.build(actions)
    project.write("w.bin", "w2")
    assert str(project.builder.why(actions, "a").next).startswith("file w.bin changed from ")
    (project.root / "w.bin").unlink()
    assert str(project.builder.why(actions, "a").next).startswith("file w.bin was removed")


def test_why_names_a_new_suffix(project: Project) -> None:
    project.write("a.npy", "one")
    project.build([action("a", inputs={"x": "a.npy"})])
    (project.root / "a.npy").rename(project.root / "a.png")
    renamed = [action("a", inputs={"x": "a.png"})]
    assert str(project.builder.why(renamed, "a").next) == 'suffix of file a.png changed from ".npy" to ".png"'


def test_why_names_a_new_version_a_library_and_a_new_input(project: Project) -> None:
    project.write("a.txt", "one")
    project.build([action("a", inputs={"x": "a.txt"}, libraries={"onnx": "1.18"})])
    changed = [action("a", inputs={"x": "a.txt", "y": "a.txt"}, version="2", libraries={"onnx": "1.19"})]
    text = str(project.builder.why(changed, "a").next)
    assert 'version changed from "1" to "2"' in text
    assert 'libraries.onnx changed from "1.18" to "1.19"' in text
    assert "file a.txt was added" in text
    assert "suffix" not in text


def samples(*names: str) -> list:
    roles = {f"sample/{index:06}/input": name for index, name in enumerate(names)}
    return [action("a", inputs=roles, parameters={"samples": len(names)})]


def test_numbered_files_are_compared_as_a_set(project: Project) -> None:
    for name in "bdfh":
        os.utime(project.write(f"{name}.png", name), (1, 1))
    project.write("c.png", "new")
    project.build(samples("b.png", "d.png", "f.png", "h.png"))
    digest = {name: canonical.sha256(name.encode())[:12] for name in ("b", "d", "h", "new", "other")}

    def told(*names: str) -> list[str]:
        return str(project.builder.why(samples(*names), "a").next).splitlines()

    fewer = told("d.png", "f.png", "h.png")
    assert fewer == [
        "changed:",
        "  parameters.samples changed from 4 to 3",
        f"  file b.png was removed: it was {digest['b']}…",
    ]
    assert told("b.png", "c.png", "d.png", "f.png", "h.png")[2:] == [
        f"  file c.png was added: {digest['new']}…"
    ]
    assert told("c.png", "d.png", "f.png", "h.png")[1:] == [
        f"  file c.png was added: {digest['new']}…",
        f"  file b.png was removed: it was {digest['b']}…",
    ]
    assert told("b.png", "d.png", "h.png", "f.png") == ["the order of the files sample/*/input changed"]
    project.write("d.png", "other")
    one = f"file d.png changed from {digest['d']}… to {digest['other']}…"
    assert told("b.png", "d.png", "f.png", "h.png") == [one]
    assert told("d.png", "f.png", "h.png")[2:] == [
        f"  {one}",
        f"  file b.png was removed: it was {digest['b']}…",
    ]


def test_a_file_that_became_a_copy_of_another_is_the_one_that_changed(project: Project) -> None:
    for name in "bdf":
        os.utime(project.write(f"{name}.png", name), (1, 1))
    project.build(samples("b.png", "d.png", "f.png"))
    project.write("b.png", "d")
    digest = {name: canonical.sha256(name.encode())[:12] for name in "bd"}
    told = str(project.builder.why(samples("b.png", "d.png", "f.png"), "a").next)
    assert told == f"file b.png changed from {digest['b']}… to {digest['d']}…"


def test_of_many_files_the_first_are_named(project: Project) -> None:
    names = [f"{index:02}.png" for index in range(30)]
    for name in names:
        project.write(name, name)
    project.build(samples(*names[:2]))
    lines = str(project.builder.why(samples(*names), "a").next).splitlines()
    assert (
        len(lines) == 13
        and lines[2].startswith("  file 02.png was added")
        and lines[-1] == "  18 more of inputs"
    )


def test_the_failure_of_a_soft_input_is_named(project: Project) -> None:
    project.write("a.txt", "good")
    actions = [action("m", "fail_if_bad", inputs={"x": "a.txt"}), action("r", soft={"m": "@m"})]
    project.build(actions)
    project.write("a.txt", "BAD")
    project.build(actions, keep_going=True)
    text = str(project.builder.why(actions, "r").last)
    assert "output text of m was removed" in text and "failure of m was added" in text


def test_an_explanation_is_json_too(project: Project) -> None:
    project.build(chain(project, "one"))
    content = json.loads(json.dumps(project.builder.why(chain(project, "two", "minmax"), "pack").to_json()))
    assert content["action"] == "pack"
    assert content["last"]["verdict"] == "first"
    assert content["next"]["waits_because"]["changes"][0]["field"] == "inputs.model"
    assert content["next"]["waits_because"]["changes"][0]["source"] == "file a.txt"


def test_a_mapping_that_came_to_be_empty_is_told_by_what_was_in_it(project: Project) -> None:
    def actions(parameters: dict[str, object]) -> list:
        project.write("a.txt", "one")
        return [action("a", "upper", inputs={"x": "a.txt"}, parameters=parameters)]

    project.build(actions({"range": {"method": "mse"}}))
    emptied = project.builder.why(actions({}), "a").next
    assert str(emptied) == 'parameters.range.method was removed: it was "mse"'
    project.build(actions({}))
    filled = project.builder.why(actions({"range": {"method": "minmax"}}), "a").next
    assert str(filled) == 'parameters.range.method was added: "minmax"'
    nested = project.builder.why(actions({"range": {}}), "a").next
    assert str(nested) == "parameters.range was added: {}"
