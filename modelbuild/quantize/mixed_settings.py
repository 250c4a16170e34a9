"""The settings that give tensors and weights formats of their own. Imports no numpy, as settings.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelbuild.errors import ModelbuildError, did_you_mean

AUTO, LIGHT, BALANCE, BUDGET = "auto", "mix_light", "mix_balance", "mixbw"
MODES = (AUTO, LIGHT, BALANCE, BUDGET)
CHOSEN = "mixed"  # as `activations:` or `weights:`: the mode chooses
ALL = "*"  # of `inputs:` and `outputs:`: those that are not named
DEFAULT_FLOPS_RATIO = 0.2  # of Kneron's mixbw
MOST_MARGIN_DB = 100.0  # above it no format could hold a bound
_KEYS = ("activations", "weights")


@dataclass(frozen=True)
class NodeFormats:
    """Number formats of what a node leaves and of its weights; None: the model's."""

    activations: str | None = None
    weights: str | None = None


def read_mode(key: str, value: Any) -> str:
    """auto, mix_light, mix_balance or mixbw; Kneron writes the two in the middle with a blank."""
    mode = str(value).replace(" ", "_")
    if mode not in MODES:
        advice = did_you_mean(mode, MODES) or f"there are {', '.join(MODES)}"
        raise ModelbuildError(f"quantize.{key}: {value!r} is not a mode", advice=advice)
    return mode


def read_ratio(key: str, value: Any) -> float:
    """A share of the multiply-accumulate operations."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ModelbuildError(f"quantize.{key}: {value!r} is not a number from 0 to 1")
    return float(value)


def read_count(key: str, value: Any) -> int:
    """A whole number from 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ModelbuildError(f"quantize.{key}: {value!r} is not a whole number from 1")
    return value


def read_margin(key: str, value: Any) -> float:
    """dB, from 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MOST_MARGIN_DB:
        raise ModelbuildError(f"quantize.{key}: {value!r} is not a number from 0 to {MOST_MARGIN_DB:g}")
    return float(value)


def read_format(key: str, value: Any) -> str:
    """A number format."""
    if not isinstance(value, str):
        raise ModelbuildError(f"quantize.{key}: {value!r} is not a number format")
    return value


def read_ports(key: str, value: Any) -> Mapping[str, str]:
    """A format for all inputs (outputs), or one each by name."""
    named = value if isinstance(value, Mapping) else {ALL: value}
    return {name: read_format(f"{key}.{name}", form) for name, form in named.items()}


def named_in(settings: Mapping[str, Any]) -> dict[str, list[str]]:
    """What settings in JSON values name of the model: key -> names, where there are any."""
    given = {key: settings.get(key) for key in ("nodes", "inputs", "outputs", "ranges")}
    named = {
        key: sorted(name for name in found if name != ALL)
        for key, found in given.items()
        if isinstance(found, Mapping)
    }
    return {key: names for key, names in named.items() if names}


def read_nodes(key: str, value: Any) -> Mapping[str, NodeFormats]:
    """Formats by the name of a node."""
    if not isinstance(value, Mapping):
        raise ModelbuildError(f"quantize.{key} must map nodes to formats, not {value!r}")
    found = {}
    for node, given in value.items():
        if not isinstance(given, Mapping) or not given:
            raise ModelbuildError(f"quantize.{key}.{node} must give {' or '.join(_KEYS)}, not {given!r}")
        for name in given:
            if name not in _KEYS:
                advice = did_you_mean(name, _KEYS) or f"it has {', '.join(_KEYS)}"
                raise ModelbuildError(f"quantize.{key}.{node} has no setting {name!r}", advice=advice)
        read = {name: read_format(f"{key}.{node}.{name}", form) for name, form in given.items()}
        found[node] = NodeFormats(**read)
    return found
