"""Plans in one: what is the same is there once, under a name that it keeps."""

from __future__ import annotations

from collections.abc import Mapping

from modelbuild.build.action import Action, FileInput, OutputOf
from modelbuild.build.plan import plan
from modelbuild.project.merging import Merged


def chain(bits: int, count: int = 4) -> list[Action]:
    """observe -> quantize -> compile, of which observe knows of the count alone and compile of neither."""

    def action(stage: str, reads: Mapping[str, FileInput | OutputOf], **parameters: int) -> Action:
        return Action(f"m@t:{stage}", f"stages:{stage}", "1", parameters, reads)

    return [
        action("observe", {"file": FileInput("m.onnx")}, count=count),
        action("quantize", {"seen": OutputOf("m@t:observe", "o")}, bits=bits),
        action("compile", {"fixed": OutputOf("m@t:quantize", "f")}),
    ]


def test_what_is_shared_is_there_once_and_what_follows_a_difference_is_apart() -> None:
    merged = Merged()
    first, second, third = (
        merged.add(chain(bits, count), label)
        for bits, count, label in ((8, 4, ""), (16, 4, "~1"), (8, 9, "~2"))
    )
    assert list(first.values()) == ["m@t:observe", "m@t:quantize", "m@t:compile"]
    assert list(second.values()) == ["m@t:observe", "m@t~1:quantize", "m@t~1:compile"]
    assert list(third.values()) == ["m@t~2:observe", "m@t~2:quantize", "m@t~2:compile"]
    assert len(merged.actions) == 8
    assert plan(merged.actions, ["m@t~1:compile"]).order == ("m@t:observe", "m@t~1:quantize", "m@t~1:compile")
    assert merged.plain("m@t~1:compile") == "m@t:compile"


def test_the_same_plan_again_adds_nothing() -> None:
    merged = Merged()
    assert merged.add(chain(8), "") == merged.add(chain(8), "~1")
    assert len(merged.actions) == 3


def test_numbers_that_python_takes_for_equal_are_not_the_same() -> None:
    merged = Merged()
    merged.add([Action("m@t:a", "s:a", "1", {"x": 1})], "")
    assert merged.add([Action("m@t:a", "s:a", "1", {"x": True})], "~1") == {"m@t:a": "m@t~1:a"}


def test_a_file_is_not_taken_for_an_output() -> None:
    merged = Merged()
    merged.add([Action("m@t:a", "s:a", "1"), Action("m@t:b", "s:b", "1", {}, {"x": FileInput("a")})], "")
    read = Action("m@t:b", "s:b", "1", {}, {"x": OutputOf("m@t:a", "a")})
    assert merged.add([Action("m@t:a", "s:a", "1"), read], "~1")["m@t:b"] == "m@t~1:b"


def test_soft_inputs_follow_too() -> None:
    merged = Merged()
    for bits, label in ((8, ""), (16, "~1")):
        report = Action("m@t:report", "s:r", "1", soft_inputs={"q": OutputOf("m@t:quantize", "q")})
        names = merged.add([*chain(bits), report], label)
    found = {action.name: action for action in merged.actions}
    assert found[names["m@t:report"]].soft_inputs["q"].action == "m@t~1:quantize"
