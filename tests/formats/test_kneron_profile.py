"""The vendor's own samples, written from their numbers; and read back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.errors import ModelbuildError
from modelbuild.formats.kneron_profile import (
    Evaluation,
    Profile,
    ip_eval_prof,
    is_profile,
    profile_result,
    total_ms,
)

# As the vendor's manual shows them for the 520 (a detector with one node on the CPU, a classifier) ...
DETECTOR = """\
***** Warning: this model has 1 CPU ops which may cause that the report's fps is different from the actual \
fps *****
***** Warning: CPU ops types: KneronResize.

[Evaluation Result]
estimate FPS float = 22.5861
total time = 44.2751 ms
total theoretical covolution time = 16.7271 ms
average DRAM bandwidth = 0.279219 GB/s
MAC efficiency to total time = 37.7799 %
MAC idle time = 3.85105 ms
MAC running time = 40.424 ms
"""
CLASSIFIER = """\
[Evaluation Result]
total time = 15.7105 ms
total theoretical covolution time = 3.81611 ms
average DRAM bandwidth = 0.386193 GB/s
MAC efficiency to total time = 24.2901 %
MAC idle time = 2.3849 ms
MAC running time = 13.3256 ms
"""
# ... and for the 530.
PROFILE = """\
=========================
===== Configuration =====
=========================
Frequency = 500 Mhz
Bit width = 8
MAC# = 512
Batch size = 1
4 bit mode is off
RDMA_bandwidth_GBPs = 8 GB/s
WDMA_bandwidth_GBPs = 8 GB/s
GETW_bandwidth_GBPs = 8 GB/s
Effective model compression rate = 1

=========================
===== Output result =====
=========================
output_fps = 64.9343
output_total_cycle = 7.7001e+06
output_total_time = 15.4002 ms

output_total_time_no_Sync = 15.6146 ms

===== Data move =====
output_total_data_move_time = 0.723726 ms
output_total_data_move_amount = 0.00578981 GB
output_avg_data_bw = 0.375957 GB/s

===== Weight loading =====
output_total_weight_size = 9837.86 KB
output_avg_weight_bw = 0.638814 GB/s

===== Dram =====
output_avg_dram_bw = 1.01477 GB/s
"""
SAMPLE = Profile(
    *(5e8, 8, 512, 1, False, 8e9, 8e9, 8e9),
    *(7_700_095, 15.6146, 4_000_000, 1_789_810, 9_837_860),
)


def test_the_vendors_samples_of_the_520() -> None:
    """But for the frames a second of the second, which are not those of its time."""
    detector = Evaluation(44.27505, 16.72706, 3.85105, 12_362_434, ("KneronResize",), 1)
    assert ip_eval_prof(detector) == DETECTOR
    made = ip_eval_prof(Evaluation(15.710549, 3.81611, 2.3849, 6_067_304))
    assert made.replace("estimate FPS float = 63.6515\n", "") == CLASSIFIER


def test_the_vendors_sample_of_the_530() -> None:
    assert profile_result(SAMPLE) == PROFILE


def test_a_batch_and_weights_of_four_bits() -> None:
    made = profile_result(Profile(1e9, 8, 100, 4, True, 1e9, 2e9, 4e9, 8_000_000, 9.0, 1000, 2000, 4000))
    assert "Batch size = 4\n4 bit mode is on\n" in made and "output_fps = 500\n" in made
    assert "output_total_data_move_time = 0.002 ms\n" in made
    assert total_ms(made, "it") == 2.0


@pytest.mark.parametrize(("text", "ms"), [(DETECTOR, 44.2751), (CLASSIFIER, 15.7105), (PROFILE, 15.4002)])
def test_both_are_read_back(text: str, ms: float) -> None:
    assert is_profile(text) and total_ms(text, "it") == ms
    indented = "".join(f"    {line}\r\n" for line in text.splitlines())
    assert total_ms(indented, "it") == ms


@given(st.floats(1e-3, 1e6), st.floats(0, 1), st.floats(0, 1))
def test_idle_and_running_are_the_total(total: float, theory: float, idle: float) -> None:
    found = dict(
        line.split(" = ")
        for line in ip_eval_prof(Evaluation(total, theory * total, idle * total, 1)).splitlines()[1:]
    )
    parts = [float(found[f"MAC {name} time"].split()[0]) for name in ("idle", "running")]
    assert sum(parts) == pytest.approx(total, rel=1e-4)


def test_what_takes_no_time_has_no_speed() -> None:
    assert "estimate FPS float = 0\n" in ip_eval_prof(Evaluation(0.0, 0.0, 0.0, 0))
    assert "output_fps = 0\n" in profile_result(Profile(1e9, 8, 1, 1, False, 1, 1, 1, 0, 0, 0, 0, 0))


def test_other_texts_are_refused() -> None:
    for text in ("", "total time: 4", "output_total_time = x ms", "total time = 0 ms", "total time = nan ms"):
        with pytest.raises(ModelbuildError, match="is not a result of Kneron's evaluator"):
            total_ms(text, "it")
    assert not is_profile("layer,ms\nconv,1\n")
