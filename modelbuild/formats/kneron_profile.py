"""The two texts in which Kneron's evaluator tells its result: `ip_eval_prof.txt` of the 520 and
`ProfileResult.txt` of the others. Numbers have six digits, as C++ prints them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from modelbuild.errors import ModelbuildError

_GIGA = 1e9
_KILO = 1e3
_SPEED_WARNING = (
    "***** Warning: this model has {} CPU ops which may cause that the report's fps is different "
    "from the actual fps *****"
)
_NUMBER = r"([-+0-9.eE]+)"


@dataclass(frozen=True)
class Evaluation:
    """What `ip_eval_prof.txt` tells. ms of one inference on the NPU; `theoretical_ms` is that of the
    multiplications at the array's peak, `idle_ms` what the array waits for data. `cpu_operators`: one entry a
    kind of operator, `cpu_nodes` how many nodes there are."""

    total_ms: float
    theoretical_ms: float
    idle_ms: float
    dram_bytes: int
    cpu_operators: tuple[str, ...] = ()
    cpu_nodes: int = 0


@dataclass(frozen=True)
class Profile:
    """What `ProfileResult.txt` tells. Bandwidths in bytes per second; bytes and cycles of one run, with
    weights that are not packed; `batch`: inferences of the model as it is in a run; `no_overlap_ms` is the
    time if no engine worked beside another."""

    clock_hz: float
    bits: int
    macs_per_cycle: float
    batch: float
    four_bit_weights: bool
    read_bandwidth: float
    write_bandwidth: float
    weight_bandwidth: float
    cycles: int
    no_overlap_ms: float
    read_bytes: int
    write_bytes: int
    weight_bytes: int

    @property
    def total_ms(self) -> float:
        """Of a batch."""
        return self.cycles / self.clock_hz * _KILO


def ip_eval_prof(found: Evaluation) -> str:
    """The text, line by line as the vendor's."""
    total = found.total_ms
    lines = []
    if found.cpu_nodes:
        lines = [
            _SPEED_WARNING.format(found.cpu_nodes),
            f"***** Warning: CPU ops types: {', '.join(found.cpu_operators)}.",
            "",
        ]
    lines += [
        "[Evaluation Result]",
        f"estimate FPS float = {_each(_KILO, total):g}",
        f"total time = {total:g} ms",
        f"total theoretical covolution time = {found.theoretical_ms:g} ms",
        f"average DRAM bandwidth = {_each(found.dram_bytes / _GIGA * _KILO, total):g} GB/s",
        f"MAC efficiency to total time = {_each(100 * found.theoretical_ms, total):g} %",
        f"MAC idle time = {found.idle_ms:g} ms",
        f"MAC running time = {total - found.idle_ms:g} ms",
    ]
    return "\n".join(lines) + "\n"


def profile_result(found: Profile) -> str:
    """The text, line by line as the vendor's."""
    total = found.total_ms
    moved = found.read_bytes + found.write_bytes
    move_ms = (found.read_bytes / found.read_bandwidth + found.write_bytes / found.write_bandwidth) * _KILO
    rates = [_each(size / _GIGA * _KILO, total) for size in (moved, found.weight_bytes)]
    lines = [
        "=========================",
        "===== Configuration =====",
        "=========================",
        f"Frequency = {found.clock_hz / 1e6:g} Mhz",
        f"Bit width = {found.bits}",
        f"MAC# = {found.macs_per_cycle:g}",
        f"Batch size = {found.batch:g}",
        f"4 bit mode is {'on' if found.four_bit_weights else 'off'}",
        f"RDMA_bandwidth_GBPs = {found.read_bandwidth / _GIGA:g} GB/s",
        f"WDMA_bandwidth_GBPs = {found.write_bandwidth / _GIGA:g} GB/s",
        f"GETW_bandwidth_GBPs = {found.weight_bandwidth / _GIGA:g} GB/s",
        "Effective model compression rate = 1",
        "",
        "=========================",
        "===== Output result =====",
        "=========================",
        f"output_fps = {_each(_KILO * found.batch, total):g}",
        f"output_total_cycle = {found.cycles:g}",
        f"output_total_time = {total:g} ms",
        "",
        f"output_total_time_no_Sync = {found.no_overlap_ms:g} ms",
        "",
        "===== Data move =====",
        f"output_total_data_move_time = {move_ms:g} ms",
        f"output_total_data_move_amount = {moved / _GIGA:g} GB",
        f"output_avg_data_bw = {rates[0]:g} GB/s",
        "",
        "===== Weight loading =====",
        f"output_total_weight_size = {found.weight_bytes / _KILO:g} KB",
        f"output_avg_weight_bw = {rates[1]:g} GB/s",
        "",
        "===== Dram =====",
        f"output_avg_dram_bw = {sum(rates):g} GB/s",
    ]
    return "\n".join(lines) + "\n"


def _each(amount: float, of: float) -> float:
    """`amount / of`; 0 where nothing takes time."""
    return amount / of if of else 0.0


# The line of either text that has the time of an inference, or of a batch of so many.
_TIMES: tuple[tuple[str, Callable[[str], float]], ...] = (
    (rf"total time = {_NUMBER} ms", lambda text: 1),
    (rf"output_total_time = {_NUMBER} ms", lambda text: _batch(text)),
)


def _batch(text: str) -> float:
    found = re.search(r"^\s*Batch size = ([0-9]{1,6}(?:\.[0-9]{1,8})?)\s*$", text, re.MULTILINE)
    return (float(found[1]) if found else 0) or 1


def is_profile(text: str) -> bool:
    """Whether it is one of the two texts."""
    return any(re.search(rf"^\s*{line}\s*$", text, re.MULTILINE) for line, _ in _TIMES)


def total_ms(text: str, name: str) -> float:
    """The time of one inference that either text tells. Raises (exit 2) where there is none."""
    for line, batch in _TIMES:
        found = re.search(rf"^\s*{line}\s*$", text, re.MULTILINE)
        if found:
            return _positive(found[1], name) / batch(text)
    raise _bad(name, "it has neither a line `total time` nor one `output_total_time`")


def _positive(text: str, name: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e12:
        raise _bad(name, f"its time {text[:40]!r} is no number of milliseconds")
    return value


def _bad(name: str, why: str) -> ModelbuildError:
    return ModelbuildError(f"{name} is not a result of Kneron's evaluator", where=name, why=why)
