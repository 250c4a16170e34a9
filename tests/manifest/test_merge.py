"""Laws of merging."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from modelbuild.manifest.merge import Leaf, layer, leaves, merge, origins, values

scalars = st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from("xyz")
keys = st.sampled_from("abcd")
leaf_values = scalars | st.lists(scalars, max_size=2)
# As in settings, a key is a mapping in every layer or in none.
mappings = st.recursive(
    st.dictionaries(keys, leaf_values, max_size=3),
    lambda inner: st.fixed_dictionaries(
        {}, optional={"a": leaf_values, "b": leaf_values, "p": inner, "q": inner}
    ),
    max_leaves=6,
)


def laid(lower: dict[str, Any], higher: dict[str, Any]) -> dict[str, Any]:
    return values(merge(layer(lower, lambda _: "low"), layer(higher, lambda _: "high")))


def test_mappings_merge_and_lists_and_scalars_replace() -> None:
    lower = {"quantize": {"activations": ["int8"], "range": {"method": "mse"}}, "edit": [1, 2]}
    higher = {"quantize": {"activations": ["int16", "int8"]}, "edit": [3]}
    assert laid(lower, higher) == {
        "quantize": {"activations": ["int16", "int8"], "range": {"method": "mse"}},
        "edit": [3],
    }


def test_a_mapping_replaces_a_scalar_and_a_scalar_a_mapping() -> None:
    assert laid({"snr_db": 30}, {"snr_db": {"out": 20}}) == {"snr_db": {"out": 20}}
    assert laid({"snr_db": {"out": 20}}, {"snr_db": 30}) == {"snr_db": 30}


def test_another_method_drops_its_siblings() -> None:
    lower = {"range": {"method": "percentile", "percentile": 99.9}}
    assert laid(lower, {"range": {"method": "minmax"}}) == {"range": {"method": "minmax"}}
    assert laid(lower, {"range": {"method": "percentile"}}) == lower
    assert laid(lower, {"range": {"percentile": 99}}) == {"range": {"method": "percentile", "percentile": 99}}


def test_each_leaf_has_its_origin() -> None:
    tree = merge(
        layer({"a": {"b": 1, "c": 2}}, lambda path: f"low {'.'.join(path)}"),
        layer({"a": {"c": 3}}, lambda path: f"high {'.'.join(path)}"),
    )
    assert [(path, leaf.value) for path, leaf in leaves(tree)] == [(("a", "b"), 1), (("a", "c"), 3)]
    assert origins(tree) == {("a", "b"): "low a.b", ("a", "c"): "high a.c"}
    assert tree["a"]["c"] == Leaf(3, "high a.c")  # type: ignore[index]


@given(mappings, mappings, mappings)
def test_merging_is_associative(a: dict[str, Any], b: dict[str, Any], c: dict[str, Any]) -> None:
    assert laid(laid(a, b), c) == laid(a, laid(b, c))


@given(mappings)
def test_nothing_laid_over_or_under_changes_nothing(a: dict[str, Any]) -> None:
    assert laid(a, {}) == laid({}, a) == laid(a, a) == a


@given(mappings, mappings)
def test_what_the_higher_says_holds(lower: dict[str, Any], higher: dict[str, Any]) -> None:
    merged = laid(lower, higher)
    assert set(merged) == set(lower) | set(higher)
    for key, value in higher.items():
        assert merged[key] == value or (isinstance(value, dict) and isinstance(lower.get(key), dict))
