"""Which tensors get 16 bits: by a share of the MACs, and by an accuracy that is measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modelbuild.chips.load import load_recipe
from modelbuild.errors import ModelbuildError
from modelbuild.graph.after_chip import AfterChip, mark
from modelbuild.graph.model import Node
from modelbuild.graph.normalise import normalise
from modelbuild.graph.passes import run_passes
from modelbuild.importers import onnx as importer
from modelbuild.quantize.apply import apply
from modelbuild.quantize.goals import MARGIN_DB
from modelbuild.quantize.mixed import Problem, problem_of, quantize_mixed, with_spared
from modelbuild.quantize.mixed_bits import layers
from modelbuild.quantize.mixed_measure import OutputMeter
from modelbuild.quantize.mixed_search import Goal
from modelbuild.quantize.number_format import Bits
from modelbuild.quantize.observe import observe
from modelbuild.quantize.plan import make_plan
from modelbuild.quantize.record import Record
from modelbuild.quantize.sensitivity import sensitivity
from modelbuild.quantize.settings import Settings
from tests.quantize.cases import graph_of, normal
from tests.quantize.mixed_cases import meter, network, quantized, samples, snr, wide

# Two operators read `a`; `w` is the weights of the dear one.
PROBLEM = Problem(
    total=100.0,
    gain={"a": 60.0, "b": 20.0, "w": 10.0},
    operators=[(frozenset("aw"), 1000), (frozenset("a"), 10), (frozenset("b"), 10)],
)


def test_the_ladder_takes_the_most_for_what_it_costs() -> None:
    assert [set(step) for step in PROBLEM.ladder()] == [{"b"}, {"a", "w"}]  # w is free once a is taken


def test_a_budget_passes_over_what_is_too_dear() -> None:
    dear = replace(PROBLEM, gain={**PROBLEM.gain, "a": 6000.0})
    assert set(dear.ladder()[0]) == {"a", "w"}
    assert dear.within(500) == {"b"}
    assert dear.within(5000) == {"a", "b", "w"}


def test_what_a_later_step_makes_dispensable_is_dropped() -> None:
    ladder = PROBLEM.ladder()
    assert PROBLEM.reaching(85.0, ladder) == {"b"}
    assert PROBLEM.reaching(35.0, ladder) == {"a", "w"}  # 20 of b are not needed any more
    assert PROBLEM.reaching(0.0, ladder) == {"a", "b", "w"}


def test_mixbw_stays_within_its_share() -> None:
    less, more = (quantized({"mode": "mixbw", "flops_ratio": ratio}) for ratio in (0.1, 0.7))
    shares = [found.macs_int16 / found.macs for found in (sensitivity(network(), r) for r in (less, more))]
    assert shares[1] <= 0.7 and shares[0] < shares[1]
    assert shares[1] > 0.69  # the first layer alone has so many, and its input is int16
    assert {"x", "y"} <= wide(less) < wide(more)
    assert snr(quantized({})) < snr(less) < snr(more)


def test_the_whole_budget_is_every_mac() -> None:
    """Layers without MACs, the sum, pools and functions, take nothing of it."""
    found = sensitivity(network(), quantized({"mode": "mixbw", "flops_ratio": 1.0}))
    assert found.macs_int16 == found.macs


def test_of_a_side_that_is_set_nothing_is_chosen() -> None:
    record = quantized({"mode": "mixbw", "weights": "int16", "flops_ratio": 0.7})
    assert {"w1", "w2", "w3", "w4", "w5"} <= wide(record)
    assert not {"b", "d"} <= wide(record)
    assert not wide(quantized({"mode": "auto", "activations": "int8"}, accept={"snr_db": 10})) - {"w5"}


@pytest.mark.parametrize("chip", ["kl720", "modalix"])
def test_auto_holds_its_goal_with_less_than_everything(chip: str) -> None:
    plain = snr(quantized({}, chip), chip)
    everything = sensitivity(network(), quantized({"activations": "int16", "weights": "int16"}, chip))
    wanted = plain + 6
    record = quantized({"mode": "auto"}, chip, {"snr_db": wanted})
    assert snr(record, chip) >= wanted + MARGIN_DB
    assert 0 < sensitivity(network(), record).macs_int16 < everything.macs_int16


@pytest.mark.parametrize(("taken", "spared"), [({"w2"}, "b"), ({"w3"}, None), ({"w3", "w4"}, "e")])
def test_8_bits_spare_nothing_where_every_product_has_another_operand_of_16(
    taken: set[str], spared: str | None
) -> None:
    """Calibration saw no gain in such a tensor, but what it did not see would be clipped."""
    plan = make_plan(network())
    listed = layers(network(), plan)
    problem = problem_of(listed, quantized({}), Settings.read({"mode": "auto"}), Bits({}, {}))
    found = with_spared(frozenset(taken), problem, listed)
    assert found == taken | (set() if spared is None else {plan.root(spared)})


def test_auto_leaves_alone_what_is_good_enough() -> None:
    assert not wide(quantized({"mode": "auto"}, accept={"snr_db_mean": 5, "snr_db": {"y": 5}}))


def test_auto_keeps_what_is_said_by_name() -> None:
    record = quantized(
        {"mode": "auto", "nodes": {"first": {"activations": "int8", "weights": "int8"}}},
        accept={"snr_db": snr(quantized({})) + 3},
    )
    assert not {"b", "w1"} & wide(record)


def test_a_goal_out_of_reach() -> None:
    with pytest.raises(ModelbuildError, match="does not reach what `accept` wants") as caught:
        quantized({"mode": "auto"}, accept={"snr_db": 120})
    assert caught.value.exit_code == 1
    (problem,) = caught.value.problems  # what it advises needs no choice, which would not be reached again
    assert problem.where == "quantize.mode" and "in place of `mode`" in problem.advice
    with pytest.raises(ModelbuildError, match="no output 'z'"):
        Goal({"snr_db": {"z": 3}}, meter()).held(quantized({}))


def test_the_meter_measures_as_verification_does() -> None:
    record = quantized({})
    (entry,) = meter()(record)["outputs"]
    assert entry["name"] == "y"
    assert entry["snr_db"] == pytest.approx(snr(record))


def test_a_network_that_int8_cannot_hold(shared_data: Path) -> None:
    """Weights a tensor, as issue 5 has it: int8 collapses, and mix_balance with nearly all MACs does."""
    path = shared_data / "models/onnx/st_mobilenet_v2_128_05.onnx"
    graph, _ = normalise(importer.load(path, {"input_1:0": (1, 3, 128, 128)}))
    recipe = load_recipe("kl720")
    graph, _ = run_passes(graph, recipe.passes)
    chip = recipe.number_format.model_copy(update={"per_channel_weights": False})
    recipe = recipe.model_copy(update={"number_format": chip})
    pictures = [_picture(path) for path in sorted((shared_data / "images/calib").glob("*.jpg"))[:16]]
    observations = observe(graph, pictures)
    found = OutputMeter(graph, pictures, lambda record: apply(graph, {}, record, recipe))

    def made(mode: dict[str, str]) -> tuple[Record, float, int]:
        record = quantize_mixed(graph, observations, Settings.read(mode), chip, Goal({"snr_db": 25}, found))
        return record, found(record)["outputs"][0]["snr_db"], sensitivity(graph, record).macs_int16

    assert made({})[1] < 12
    _, ratio, macs = made({"mode": "auto"})
    _, balanced, most = made({"mode": "mix_balance"})
    assert ratio >= 25 + MARGIN_DB > balanced
    assert macs < most


def _picture(path: Path) -> dict[str, np.ndarray]:
    pixels = np.asarray(Image.open(path).convert("RGB").resize((128, 128)), np.float32)
    return {"input_1:0": np.ascontiguousarray((pixels / 127.5 - 1).transpose(2, 0, 1)[None])}


def test_what_runs_after_the_chip_counts_too() -> None:
    """The chip's output and twice of it: the same SNR, and a goal may be of either."""
    post = graph_of(
        [Node("Mul", "twice", ["y", "two"], ["z"])], {"y": (1, 5)}, ["z"], {"two": normal(1) * 0 + 2}
    )
    mark(post, ["y", "z"])
    recipe = load_recipe("kl720")
    whole = OutputMeter(
        network(), samples(), lambda record: apply(network(), {}, record, recipe), AfterChip(post)
    )
    record = quantized({})
    found = {entry["name"]: entry["snr_db"] for entry in whole(record)["outputs"]}
    assert found["z"] == pytest.approx(found["y"], abs=1e-3) == pytest.approx(snr(record), abs=1e-3)
    (held,) = Goal({"snr_db": {"z": 20}}, whole).held(record)
    assert held.missing_db == pytest.approx(20 + MARGIN_DB - found["z"])
