"""A prediction is as sure as the least sure fact that it rests on."""

from __future__ import annotations

from modelbuild.chips.load import load_recipe
from modelbuild.chips.recipe import Recipe
from modelbuild.npu.predicting.assumptions import Options
from tests.npu.predicted import chip, conv_graph, predicted, two_layers


def unsure(recipe: Recipe, name: str) -> Recipe:
    guess = getattr(recipe.hardware, name).model_copy(update={"sure": "guess"})
    return recipe.model_copy(update={"hardware": recipe.hardware.model_copy(update={name: guess})})


def test_only_facts_that_are_used_count() -> None:
    recipe = unsure(chip("fitted"), "cpu_hz")
    assert predicted(conv_graph(), recipe)[1]["confidence"] == "fitted"
    found = predicted(two_layers(), recipe, s="cpu")[1]
    assert (found["confidence"], found["confidence_because"]) == ("guess", "cpu_hz")
    assert found["confidence_sources"] == {"cpu_hz": "source of cpu_hz"}


def test_a_layer_is_as_sure_as_its_own_facts() -> None:
    recipe = unsure(chip("fitted"), "elementwise_per_cycle")
    assert predicted(conv_graph(), recipe)[1]["layers"][0]["confidence"] == "fitted"
    assert predicted(two_layers(), recipe, s="cpu")[1]["layers"][0]["confidence"] == "guess"
    wide = unsure(chip("fitted"), "wide_macs_factor")
    assert predicted(conv_graph(), wide)[1]["confidence"] == "fitted"
    found = predicted(conv_graph(), wide, Options(activations="int16"))[1]
    assert found["confidence_because"] == "wide_macs_factor"


def test_an_option_replaces_a_guess() -> None:
    recipe = load_recipe("modalix")
    found = predicted(conv_graph(), recipe)[1]
    assert found["confidence"] == "guess" and "not published" in found["confidence_sources"]["clock_hz"]
    told = predicted(conv_graph(), recipe, Options(1e9, 1e11, 1e11, 1e11))[1]
    assert "clock_hz" not in told["confidence_because"] and "bandwidth" not in told["confidence_because"]
    assert told["time_ms"] == found["time_ms"]
