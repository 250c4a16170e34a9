"""One operator for everything that keeps the data in order."""

from __future__ import annotations

import pytest

from tests.graph.small import Step, after, graph, only, untouched


@pytest.mark.parametrize(
    ("step", "constants", "target"),
    [
        (("Flatten", "x", "y", {"axis": 2}), {}, [2, 16]),
        (("Squeeze", "x a", "y"), {"a": [0]}, [2, 4, 4]),
        (("Unsqueeze", "x a", "y"), {"a": [-1]}, [1, 2, 4, 4, 1]),
        (("Reshape", "x a", "y"), {"a": [0, -1]}, [1, 32]),
    ],
)
def test_becomes_a_reshape_to_a_full_shape(
    step: Step, constants: dict[str, object], target: list[int]
) -> None:
    result = after("flatten_to_reshape", graph([step], constants))
    assert result.constants[only(result, "Reshape").inputs[1]].tolist() == target


def test_a_full_reshape_stays() -> None:
    untouched("flatten_to_reshape", graph([("Reshape", "x a", "y")], {"a": [2, 16]}))
