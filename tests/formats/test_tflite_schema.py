"""The numbers of the TFLite FlatBuffer against those that LiteRT's own package was generated with."""

from __future__ import annotations

import pytest

from modelbuild.formats import tflite_schema as schema


def test_names_are_those_of_the_runtime() -> None:
    theirs = pytest.importorskip(
        "ai_edge_litert.schema_py_generated", reason="ai-edge-litert, TFLite's runtime, is not installed"
    )
    for index, name in enumerate(schema.OPERATORS):
        assert getattr(theirs.BuiltinOperator, name) == index
    for index, name in enumerate(schema.TENSOR_TYPES):
        assert getattr(theirs.TensorType, name.upper()) == index
    for activation in schema.Activation:
        assert getattr(theirs.ActivationFunctionType, activation.name) == activation


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        (3, 0, "CONV_2D"),
        (3, 3, "CONV_2D"),
        (127, 150, "GELU"),
        (0, 0, "ADD"),
        (127, 206, "STABLEHLO_206"),
        (127, 9999, "operator 9999"),
        (-5, -7, "operator -5"),
    ],
)
def test_an_operator_s_number_is_in_the_old_field_or_the_new_one(old: int, new: int, name: str) -> None:
    assert schema.operator_name(old, new) == name
