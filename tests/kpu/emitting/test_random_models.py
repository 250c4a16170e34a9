"""Random fixed models: the kmodel gives in both simulators what the fixed model gives, to the bit."""

from __future__ import annotations

import pytest

from tests.kpu.emitting import running
from tests.kpu.emitting.random_models import random_model

JUDGED = 30
MANY = 500


def check(seed: int, arithmetic: str, *, judged: bool) -> None:
    """Every third one with as little RAM as its layers can do with, so that chains are cut."""
    maker, model = random_model(seed, arithmetic)
    values = maker.values(model)
    options = {"sram_bytes": running.least_ram(model)} if seed % 3 == 0 else {}
    found = running.compiled(model, **options)
    running.check_simulated(model, values, found)
    if judged:
        running.check_judged(model, values, found)


@pytest.mark.parametrize("seed", range(JUDGED))
def test_small_models_run_in_both_simulators(seed: int) -> None:
    check(seed, "kpu@1", judged=True)


@pytest.mark.parametrize("seed", range(JUDGED, JUDGED + 60))
def test_small_models_run_in_the_simulator(seed: int) -> None:
    check(seed, "kpu@1", judged=False)


@pytest.mark.parametrize("seed", range(20))
def test_models_without_a_kpu(seed: int) -> None:
    check(seed, "float32", judged=seed < 5)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1000, 1000 + MANY))
def test_many_models_run_in_both_simulators(seed: int) -> None:
    check(seed, "kpu@1" if seed % 5 else "float32", judged=True)


def test_the_models_have_what_is_to_be_tested() -> None:
    """Chains of several layers, chains that are cut, concatenations in place, results over their inputs."""
    layers = cut = inside = over = 0
    for seed in range(JUDGED):
        _, model = random_model(seed)
        found = running.compiled(model, sram_bytes=running.least_ram(model))
        layers += sum(len(function.layers) > 1 for function in found.functions)
        cut += len(found.findings)
        kinds = {operator.name: operator.kind for operator in model.operators}
        inside += sum(kinds[name] == "concat" for name in found.free)
        over += sum(len(item.tensors) > 1 for item in found.memory.placements)
    assert min(layers, cut, inside, over) >= 3
