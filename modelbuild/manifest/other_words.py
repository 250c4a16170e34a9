"""What vendors and papers call range methods, and ways to correct biases."""

from __future__ import annotations

from collections.abc import Collection

from modelbuild.errors import did_you_mean

_OURS = {
    **dict.fromkeys(("kld", "kl", "kl_divergence", "kld_m0", "kld_m1", "kld_m2"), "entropy"),
    **dict.fromkeys(("mmse", "l2"), "mse"),
    **dict.fromkeys(("noclip", "min_max", "max"), "minmax"),
    "percentage": "percentile",
    "regular": "parallel",
    "iterative": "sequential",
}


def same(word: str) -> str:
    """Our name of it, "" where that is not known."""
    return _OURS.get(word.lower(), "")


def advice(word: str, choices: Collection[str]) -> str:
    """Which of the choices is the same under another name, or may be meant; "" where none."""
    ours = same(word)
    return f"write `{ours}`, which is the same" if ours in choices else did_you_mean(word, choices)
