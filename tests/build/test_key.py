"""The key covers exactly what decides an action's outputs, and its explanation agrees with it."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.build.action import Action, FileInput
from modelbuild.build.key import (
    Walks,
    discovery_fields,
    explain,
    fields,
    key_of,
    keyed,
    keyed_discovery,
    rows_of,
    text_of,
)
from modelbuild.errors import ModelbuildError

BASE = Action(
    name="m@cam:quantize",
    function="modelbuild.stages.quantize:run",
    version="3",
    parameters={"range": {"method": "mse"}, "shape": [1, 3], "empty": {}, "none": None},
    inputs={"graph": FileInput("m.onnx")},
    toolchain="builtin",
    libraries={"numpy": "2.1.0"},
)
DIGESTS = {"graph": "ab" * 32}


def test_the_form_of_the_key_is_fixed() -> None:
    """A change of this value throws every store in the world away: it must be meant."""
    form = (
        '[[["function"],"modelbuild.stages.quantize:run"],[["version"],"3"],[["parameters","empty"],{}],'
        '[["parameters","none"],null],[["parameters","range","method"],"mse"],[["parameters","shape",0],1],'
        f'[["parameters","shape",1],3],[["inputs","graph"],"{"ab" * 32}"],[["toolchain"],"builtin"],'
        '[["libraries","numpy"],"2.1.0"],[["suffixes","graph"],".onnx"]]'
    )
    assert key_of(fields(BASE, DIGESTS)) == hashlib.sha256(form.encode("ascii")).hexdigest()


def test_names_and_paths_are_no_part_of_the_key() -> None:
    moved = BASE._replace(name="other", inputs={"graph": FileInput("elsewhere/m.onnx")})
    assert fields(moved, DIGESTS) == fields(BASE, DIGESTS)


@pytest.mark.parametrize(
    ("path", "same"),
    [("m.ONNX", True), ("n.onnx", True), ("m.fixed.onnx", True), ("m.tflite", False), ("onnx", False)],
)
def test_the_suffix_is_part_of_the_key_whatever_its_case(path: str, same: bool) -> None:
    renamed = BASE._replace(inputs={"graph": FileInput(path)})
    assert (key_of(fields(renamed, DIGESTS)) == key_of(fields(BASE, DIGESTS))) is same


@pytest.mark.parametrize(
    ("change", "field", "old", "new"),
    [
        (
            {"function": "modelbuild.stages.quantize:other"},
            "function",
            BASE.function,
            "modelbuild.stages.quantize:other",
        ),
        ({"version": "4"}, "version", "3", "4"),
        ({"toolchain": "nncase"}, "toolchain", "builtin", "nncase"),
        ({"libraries": {"numpy": "2.2.0"}}, "libraries.numpy", "2.1.0", "2.2.0"),
        (
            {"parameters": {**BASE.parameters, "range": {"method": "minmax"}}},
            "parameters.range.method",
            "mse",
            "minmax",
        ),
        ({"parameters": {**BASE.parameters, "shape": [1, 4]}}, "parameters.shape.1", 3, 4),
    ],
)
def test_a_change_is_named_with_old_and_new_value(
    change: dict[str, Any], field: str, old: Any, new: Any
) -> None:
    before, after = fields(BASE, DIGESTS), fields(BASE._replace(**change), DIGESTS)
    (found,) = explain(before, after)
    assert (found.field, found.kind, found.old, found.new) == (field, "changed", old, new)
    assert key_of(before) != key_of(after)


def test_an_input_and_what_is_added_or_removed_are_named() -> None:
    before, after = fields(BASE, DIGESTS), fields(BASE, {"graph": "cd" * 32, "more": "ef" * 32})
    assert [(one.field, one.kind) for one in explain(before, after)] == [
        ("inputs.graph", "changed"),
        ("inputs.more", "added"),
    ]
    assert [(one.field, one.kind) for one in explain(after, before)] == [
        ("inputs.graph", "changed"),
        ("inputs.more", "removed"),
    ]


def test_a_discovery_has_another_key_than_its_action() -> None:
    with_discovery = BASE._replace(discover=BASE.function)
    assert key_of(discovery_fields(with_discovery, DIGESTS)) != key_of(fields(with_discovery, DIGESTS))


@pytest.mark.parametrize("value", [math.nan, math.inf, Path("x"), b"x", {1: 2}, {"deep": [object()]}])
def test_what_is_not_json_is_refused_by_name(value: Any) -> None:
    with pytest.raises(ModelbuildError, match=r"parameters\.odd.* of action m@cam:quantize is not JSON"):
        fields(BASE._replace(parameters={"odd": value}), DIGESTS)


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.sampled_from([0.0, 1.0, -0.0])
    | st.text("a/.0", max_size=2)
)
JSON = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text("a/.0", max_size=2), inner, max_size=2)
    ),
    max_leaves=6,
)
PARAMETERS = st.dictionaries(st.text("a/.0", max_size=2), JSON, max_size=3)


def exact(value: Any) -> Any:
    """A form in which 1, 1.0 and True differ, as they do in JSON."""
    if isinstance(value, dict):
        return ("mapping", {name: exact(item) for name, item in value.items()})
    if isinstance(value, list):
        return ("list", [exact(item) for item in value])
    return (type(value).__name__, repr(value))


@given(PARAMETERS, PARAMETERS)
def test_keys_are_equal_exactly_if_the_fields_are_and_then_nothing_is_explained(one: Any, other: Any) -> None:
    first = fields(BASE._replace(parameters=one), DIGESTS)
    second = fields(BASE._replace(parameters=other), DIGESTS)
    same = exact(one) == exact(other)
    assert (key_of(first) == key_of(second)) == same
    assert (explain(first, second) == ()) == same


@given(PARAMETERS)
def test_the_order_of_mappings_does_not_matter(parameters: dict[str, Any]) -> None:
    turned = dict(reversed(list(parameters.items())))
    assert fields(BASE._replace(parameters=turned), DIGESTS) == fields(
        BASE._replace(parameters=parameters), DIGESTS
    )


ROLES = st.dictionaries(st.text('a"\\ä\x00/.', min_size=1, max_size=3), st.just("ab" * 32), max_size=3)


@given(PARAMETERS, ROLES, st.booleans())
def test_a_key_made_of_parts_that_are_known_already_is_that_of_all_fields(
    parameters: dict[str, Any], digests: dict[str, str], discovers: bool
) -> None:
    files = {role: FileInput(f"folder/{role.replace('/', '_')}.Onnx") for role in digests}
    one = BASE._replace(parameters=parameters, inputs=files, discover=BASE.function if discovers else None)
    walks = Walks()
    for make, plain in ((keyed, fields), (keyed_discovery, discovery_fields)):
        for _ in range(2):  # the second time from what is known
            key, parts = make(one, digests, walks)
            assert key == key_of(plain(one, digests)) == hashlib.sha256(text_of(parts)).hexdigest()
            assert rows_of(parts) == plain(one, digests)


def test_what_was_foreseen_is_not_walked_again_and_gives_the_same_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    walks = Walks()
    broken = BASE._replace(name="broken", parameters={"range": {"bad": object()}})
    walks.foresee([BASE, broken])
    with pytest.raises(ModelbuildError, match="is not JSON"):
        keyed(broken, DIGESTS, walks)
    wanted = keyed(BASE, DIGESTS, Walks())[0]
    monkeypatch.delattr("modelbuild.build.key._leaves")
    assert keyed(BASE, DIGESTS, walks)[0] == wanted
