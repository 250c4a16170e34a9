"""A tensor as a NEF describes it, and the codes for how its integers lie in memory."""

from __future__ import annotations

from dataclasses import dataclass

from modelbuild.errors import ModelbuildError


@dataclass(frozen=True)
class NefTensor:
    """real = integer / (scale * 2^radix); zero point 0.

    `shape` is NCHW (or any rank where the setup has room for it). `address` in a source is the byte offset
    in the model's input or output buffer; in a file that was read it is the number the setup holds.
    `format` is a code of `LAYOUTS`. `size` is in bytes.
    """

    name: str
    shape: tuple[int, ...]
    format: int
    radix: int
    scale: float
    address: int
    size: int


# Format codes by platform, from the setup readers of the vendor's kneron_plus 2.3.0; 730's are the
# toolchain's `input_fmt` table (0.33.1).
_KL530 = {0: "1W16C8B", 2: "4W4C8B", 4: "16W1C8B", 6: "8W1C16B"}
_KL730 = {
    0: "1W16C8B_CH_COMPACT",
    1: "1W16C8BHL_CH_COMPACT",
    2: "4W4C8B",
    3: "4W4C8BHL",
    4: "16W1C8B",
    5: "16W1C8BHL",
    6: "8W1C16B",
    7: "PS_1W16C24B",
    8: "1W16C8B",
    9: "1W16C8BHL",
    10: "HW4C8B_KEEP_A",
    11: "HW4C8B_DROP_A",
    12: "HW1C8B",
    13: "HW1C16B_LE",
    14: "HW1C16B_BE",
    100: "RAW8",
    102: "RAW16",
    103: "RAW_FLOAT",
}
LAYOUTS: dict[str, dict[int, str]] = {
    "520": {8: "16W1C8B", 16: "4W4C8B"},
    "720": {0: "1W16C8B", 4: "4W4C8B", 5: "16W1C8B", 6: "8W1C16B"},
    "530": _KL530,
    "540": _KL730,
    "630": _KL530,
    "730": _KL730,
}
# Planar layouts by platform and bits: what a program of modelbuild's writes into a setup.
_PLANAR = {
    "520": {8: 8},
    "720": {8: 5, 16: 6},
    "530": {8: 4, 16: 6},
    "540": {8: 4, 16: 6},
    "630": {8: 4, 16: 6},
    "730": {8: 4, 16: 6},
}


def layout_name(platform: str, code: int) -> str:
    """The vendor's name of a format code, or `unknown (n)`."""
    return LAYOUTS.get(platform, {}).get(code, f"unknown ({code})")


def planar_format(platform: str, bits: int) -> int:
    """The code of the platform's planar layout for integers of `bits` bits."""
    code = _PLANAR.get(platform, {}).get(bits)
    if code is None:
        raise ModelbuildError(f"platform {platform} has no planar layout of {bits} bits")
    return code
