"""The vendors' forms hold the figures of evaluate.json."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from modelbuild.chips.load import load_recipe
from modelbuild.chips.recipe import Recipe
from modelbuild.errors import ModelbuildError
from modelbuild.formats import mla_stats
from modelbuild.formats.kneron_profile import total_ms
from modelbuild.npu.predicting.assumptions import Options
from modelbuild.npu.predicting.vendor_reports import report, table_of_nodes
from tests.npu.predicted import conv_graph, predicted, two_layers
from tests.quantize.cases import one_node


def written(form: str, recipe: Recipe, options: Options | None = None, **units: str) -> tuple[str, str, dict]:
    graph = two_layers() if units else conv_graph(8, 16, 8)
    found, said = predicted(graph, recipe, options, **units)
    name, data = report(found, said, form)
    return name, data.decode(), said


def test_the_oldest_chip_of_kneron() -> None:
    name, text, said = written("kneron", load_recipe("kl520"), s="cpu")
    assert name == "ip_eval_prof.txt"
    assert "this model has 1 CPU ops" in text and "CPU ops types: Softmax.\n" in text
    assert f"total time = {said['time_ms']:g} ms\n" in text
    assert f"total theoretical covolution time = {said['theoretical_ms']:g} ms\n" in text
    assert f"average DRAM bandwidth = {said['dram']['bandwidth_average'] / 1e9:g} GB/s\n" in text
    assert f"MAC idle time = {said['idle_ms']:g} ms\n" in text


@pytest.mark.parametrize("chip", ["kl530", "kl630", "kl720", "kl730"])
def test_the_others_of_kneron(chip: str) -> None:
    recipe = load_recipe(chip)
    name, text, said = written("kneron", recipe, Options(batch=2, dram_write_bytes_per_second=3e9))
    assert name == "ProfileResult.txt"
    assert f"Frequency = {recipe.hardware.clock_hz.value / 1e6:g} Mhz\n" in text
    assert "WDMA_bandwidth_GBPs = 3 GB/s\n" in text and "Batch size = 2\n" in text
    assert f"output_total_cycle = {said['cycles']:g}\n" in text
    assert f"output_fps = {said['npu_fps']:g}\n" in text
    moved = said["dram"]["read"] + said["dram"]["write"]
    assert f"output_total_data_move_amount = {moved / 1e9:g} GB\n" in text
    assert f"output_total_weight_size = {said['dram']['weights'] / 1e3:g} KB\n" in text


def nodes(chip: str, **units: str) -> list[dict[str, str]]:
    found, said = predicted(two_layers(), load_recipe(chip), **units)
    made = table_of_nodes(found, said, "kneron")
    assert made is not None and made[0] == "model_fx_report.csv"
    return list(csv.DictReader(made[1].decode().splitlines()))


def test_the_table_has_fused_nodes_and_those_on_the_cpu() -> None:
    found, said = predicted(conv_graph(8, 16, 8), load_recipe("kl720"))
    made = table_of_nodes(found, said, "kneron")
    assert made is not None
    conv, relu = csv.DictReader(made[1].decode().splitlines())
    (layer,) = said["layers"]
    assert (conv["type"], relu["type"]) == ("NPU", "FUSED")
    assert conv["node backend"] == relu["node backend"] == "npu_fusion_node_c_r"
    assert conv["MAC_cycle"] == str(layer["mac_cycles"]) and relu["MAC_cycle"] == "N/A"
    assert conv["SYNC_runtime(ms)"] == f"{layer['sync_ms']:g}"
    assert conv["Weight_amount(Byte)"] == str(layer["weights"])
    pool, softmax = nodes("kl720", s="cpu")
    assert (pool["type"], softmax["type"], softmax["node backend"]) == ("NPU", "CPU", "cpu_fusion_node_s")
    assert softmax["runtime(ms)"] == "N/A"


def test_the_table_of_the_oldest_chip_has_no_counts() -> None:
    pool, softmax = nodes("kl520", s="cpu")
    assert list(pool) == ["", "node", "node origin", "type", "node backend"]
    assert [row["type"] for row in (pool, softmax)] == ["NPU", "CPU"]


def test_sima_has_no_such_table() -> None:
    found, said = predicted(conv_graph(), load_recipe("modalix"))
    assert table_of_nodes(found, said, "sima") is None


def test_weights_of_four_bits_are_told_as_they_are_counted() -> None:
    narrow, wide = (
        written("kneron", load_recipe("kl530"), Options(weights=it))[1] for it in ("int4", "int8")
    )
    assert narrow == wide and "4 bit mode is off\n" in narrow


def test_sima() -> None:
    name, text, said = written("sima", load_recipe("modalix"))
    (span,) = mla_stats.load(text.encode(), name)
    assert name == "small_stage1_mla_stats.yaml" and span.name == "MLA_0/c"
    assert span.cycles == said["cycles"] and span.stall_cycles == said["layers"][0]["stall_cycles"] > 0


@pytest.mark.parametrize(("form", "chip"), [("kneron", "modalix"), ("sima", "kl720"), ("kneron", "k210")])
def test_no_other_vendors_form(form: str, chip: str) -> None:
    with pytest.raises(ModelbuildError, match=f"{chip} has no report in the form of {form}"):
        written(form, load_recipe(chip))


def test_a_models_own_batch_is_one_inference() -> None:
    """Engines that take turns: with and without overlap are the same time."""
    graph = one_node("Conv", (4, 3, 16, 16), w=np.zeros((8, 3, 3, 3), np.float32))
    found, said = predicted(graph, load_recipe("kl520"))
    bandwidth = said["dram"]["bandwidth_average"] / 1e9
    assert f"average DRAM bandwidth = {bandwidth:g} GB/s\n" in report(found, said, "kneron")[1].decode()
    found, said = predicted(graph, load_recipe("kl720"))
    lines = report(found, said, "kneron")[1].decode().splitlines()
    overlapped, apart = (
        next(line.split()[2] for line in lines if line.startswith(key))
        for key in ("output_total_time", "output_total_time_no_Sync")
    )
    assert overlapped == apart


@pytest.mark.parametrize("batch", [None, 2, 4, 16])
def test_an_inference_is_the_model_as_it_was_exported(batch: int | None) -> None:
    """The vendor's report tells the same time and speed, whatever batch is run."""
    graph = one_node("Conv", (4, 3, 16, 16), w=np.zeros((8, 3, 3, 3), np.float32))
    found, said = predicted(graph, load_recipe("kl720"), Options(batch=batch))
    assert said["fps"] == pytest.approx(1e3 / said["total_ms"])
    assert said["pictures_per_inference"] == 4
    assert said["pictures_per_second"] == pytest.approx(4 * said["fps"])
    text = report(found, said, "kneron")[1].decode()
    assert f"output_fps = {said['npu_fps']:g}\n" in text
    assert f"Batch size = {(batch or 4) / 4:g}\n" in text
    assert total_ms(text, "p") == pytest.approx(said["time_ms"], rel=1e-4)
