"""Model files opened, run and compared: each call loads what it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelbuild.artifacts.comparing import Comparison
    from modelbuild.artifacts.postprocess import Postprocess
    from modelbuild.artifacts.runner import Runner
    from modelbuild.artifacts.running import RunResult


def run(
    source: str | Path,
    inputs: str | Sequence[str],
    *,
    model: str | None = None,
    raw: bool = False,
    preprocess: Mapping[str, Mapping[str, Any]] | None = None,
    weights: str | Path | None = None,
    source_layout: bool = False,
    keys: Mapping[str, str] | None = None,
) -> RunResult:
    """Run a model file (of any source format, .fixed.onnx, NEF or MPK of ours) on `[NAME=]FILE`s. `keys` name
    those of an encrypted package: {"key": "env:NAME", "key_file": PATH, "efuse_key": "env:NAME"}."""
    opened = open_file(source, model, preprocess, weights, tail=not raw, keys=keys)
    return run_opened(opened, inputs, raw=raw, source_layout=source_layout)


def open_file(
    source: str | Path,
    model: str | None = None,
    preprocess: Mapping[str, Mapping[str, Any]] | None = None,
    weights: str | Path | None = None,
    *,
    tail: bool = True,
    keys: Mapping[str, str] | None = None,
) -> Runner:
    """A model file as something that runs. `preprocess` is input -> settings, for files that carry none. What
    `tail: auto` cut off runs after a package beside which it lies; not so without `tail`. `keys` as of
    `run`."""
    from modelbuild.artifacts.shipped import open_shipped
    from modelbuild.formats import sealed_keys
    from modelbuild.samples.preprocess import from_settings

    chosen = {name: from_settings(given) for name, given in (preprocess or {}).items()}
    given = None if weights is None else Path(weights)
    secrets = sealed_keys.read(sealed_keys.named(keys)) if keys else None
    return open_shipped(Path(source), model, chosen, given, tail=tail, secrets=secrets)


def run_opened(
    runner: Runner,
    inputs: str | Sequence[str],
    *,
    raw: bool = False,
    base: Path | None = None,
    source_layout: bool = False,
    post: Postprocess | None = None,
) -> RunResult:
    """`run` for what is open already; relative files start at `base`."""
    from modelbuild.artifacts import feeds, running

    listed = [inputs] if isinstance(inputs, str) else inputs
    feed = feeds.parse(listed, runner.inputs, base or Path.cwd())
    return running.run(runner, feed, raw, source_layout, post)


def compare(
    reference: Runner,
    candidate: Runner,
    inputs: Sequence[str],
    *,
    layers: bool = False,
    base: Path | None = None,
    post: Postprocess | None = None,
) -> Comparison:
    """Run both on the same inputs and compare their outputs, and with `layers` every tensor both have."""
    from modelbuild.artifacts import comparing, feeds

    return comparing.compare(
        reference, candidate, feeds.parse(inputs, reference.inputs, base or Path.cwd()), layers, post
    )
