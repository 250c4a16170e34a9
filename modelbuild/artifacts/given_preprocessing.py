"""What `--preprocess` gives, as a mapping from the inputs that a model has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from modelbuild.errors import ModelbuildError
from modelbuild.samples.preprocess import Preprocess


def by_input(
    preprocess: Mapping[str, Preprocess], inputs: Sequence[str], path: Path
) -> dict[str, Preprocess]:
    """The declaration of each input: its own, else that under "", which is for all; an input that has
    neither is left out. Errors: ModelbuildError for an input that the model in `path` does not have."""
    unknown = [name for name in preprocess if name and name not in inputs]
    if unknown:
        raise ModelbuildError(
            f"the model has no input `{unknown[0]}` to preprocess",
            where=str(path),
            why=f"its inputs are {', '.join(inputs)}",
            advice=f"write --preprocess '{inputs[0]}={{...}}'",
        )
    for_all = dict.fromkeys(inputs, preprocess[""]) if "" in preprocess else {}
    return {**for_all, **{name: given for name, given in preprocess.items() if name}}
