"""The graph of actions is checked and ordered."""

from __future__ import annotations

import pytest
from build_harness import action

from modelbuild.build.action import Action
from modelbuild.build.plan import plan
from modelbuild.errors import ModelbuildError


def test_only_what_the_goals_need_in_an_order_that_can_be_built() -> None:
    actions = [
        action("report", soft={"m": "@measure"}, inputs={"q": "@quantize"}),
        action("measure", inputs={"x": "@quantize"}),
        action("quantize", inputs={"x": "a.txt"}),
        action("other"),
    ]
    planned = plan(actions, ["report"])
    assert planned.order == ("quantize", "measure", "report")
    assert planned.dependencies["report"] == {"quantize", "measure"}
    assert planned.dependents["quantize"] == ("report", "measure")


def test_a_long_chain_is_no_trouble() -> None:
    names = [f"a{index}" for index in range(5000)]
    chain = [
        action(name, inputs={"x": f"@a{index + 1}"} if index < 4999 else {})
        for index, name in enumerate(names)
    ]
    assert plan(chain, ["a0"]).order == tuple(reversed(names))


def test_an_unknown_goal_is_the_users_error_and_the_nearest_is_offered() -> None:
    with pytest.raises(ModelbuildError, match="did you mean `face_detect@cam:quantize`") as caught:
        plan([action("face_detect@cam:quantize")], ["face_detect@cam:quantise"])
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        ([action("a"), action("a")], "two actions are named a"),
        ([action("a", inputs={"x": "@b"})], "a reads from b, which does not exist"),
        ([action("a", inputs={"x": "@a"})], "a -> a"),
        (
            [action("a", inputs={"x": "@b"}), action("b", soft={"x": "@c"}), action("c", inputs={"x": "@b"})],
            "b -> c -> b",
        ),
        ([Action("a", "no_function", "1")], "no function of the form module:function"),
        ([Action("a", "m:f", "1", discover=":f")], "no function of the form module:function"),
        ([action("a", inputs={"x.failure": "f"})], "reserved role x.failure"),
        ([action("a", inputs={"discovered/x": "f"})], "reserved role discovered/x"),
        ([action("b"), action("a", inputs={"x": "f"}, soft={"x": "@b"})], "one role both"),
    ],
)
def test_a_graph_that_cannot_be_built_is_refused(actions: list[Action], message: str) -> None:
    with pytest.raises(ModelbuildError, match=message):
        plan(actions, ["a"])
