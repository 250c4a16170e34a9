"""How the findings of `check` are told."""

from __future__ import annotations

from typing import Any

from modelbuild.cli import findings


def finding(node: str, message: str = "Transpose `{}` runs on the CPU", **more: Any) -> dict[str, Any]:
    place = {"file": "models.yaml", "line": 3, "column": 5, "model": "m", "target": "t"}
    own = {"code": "MB103", "severity": "note", "message": message.format(node), "advice": "cut it"}
    return {**place, **own, "node": node, **more}


def test_what_is_the_same_of_several_nodes_stands_once_and_in_order() -> None:
    nodes = ["T", "T_1", "T_2", "T_3"]
    other = finding("T_9", target="u")
    found = findings.texts([finding("T"), other, *map(finding, nodes[1:])])
    assert found == [
        "models.yaml:3:5: note MB103: m@t: Transpose `T`, `T_1` … `T_3` (4 nodes) runs on the CPU\n"
        "  do:  cut it",
        "models.yaml:3:5: note MB103: m@u: Transpose `T_9` runs on the CPU\n  do:  cut it",
    ]
    assert findings.texts(map(finding, nodes), each=True) == [
        text for node in nodes for text in findings.texts([finding(node)])
    ]


def test_other_messages_and_other_advice_are_kept_apart() -> None:
    found = [finding("a"), finding("b", advice="export it"), finding("c", "Resize `{}` runs on the CPU")]
    assert findings.texts(found) == findings.texts(found, each=True)


def test_names_are_taken_whole_and_a_message_without_one_is_told_of_all() -> None:
    (text,) = findings.texts([finding("pose", "pose: no"), finding("Trans", "Trans: no")])
    assert "m@t: `pose`, `Trans` (2 nodes): no" in text
    (text,) = findings.texts([finding("a", "none runs"), finding("b", "none runs")])
    assert "m@t: `a`, `b` (2 nodes): none runs" in text
    assert len(findings.texts([finding("", "x"), finding("", "x")])) == 1


def test_times_of_nodes_that_stand_together_are_added() -> None:
    listed = [finding("a", time_ms=0.2), finding("b", time_ms=1.053), finding("c")]
    (text,) = findings.texts(listed)
    assert "`a`, `b`, `c` (3 nodes) runs on the CPU, about 1.3 ms a run" in text
    (text,) = findings.texts([finding("a", time_ms=0.002)])
    assert text.splitlines()[0].endswith("runs on the CPU, less than 0.01 ms a run")


def test_a_name_that_goes_on_and_on_loses_its_middle() -> None:
    name = ";".join(f"model/batch_normalization_{number}/FusedBatchNormV3" for number in range(8))
    (text,) = findings.texts([finding(name, f"Add `{{}}`: what `{name}/b` makes has other readers")])
    assert max(map(len, text.split("`"))) < 90 and text.count("…") == 2
    assert "model/batch_normalization_0/" in text and "_7/FusedBatchNormV3`" in text
