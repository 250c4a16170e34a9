"""A user's postprocessing function, `tools/post.py:decode`, run in a process of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from numpy.typing import NDArray

from modelbuild.artifacts.function_process import FunctionProcess

Arrays = Mapping[str, NDArray[Any]]


class Postprocess(FunctionProcess):
    """Calls the function with the outputs of one sample after another."""

    key: ClassVar[str] = "postprocess"
    noun: ClassVar[str] = "postprocessing"

    def __call__(self, outputs: Arrays, inputs: Arrays) -> Any:
        """What the function makes of the outputs: JSON values and arrays. Raises (exit 2) with the user's own
        line where the function fails, and where it gives something else."""
        shapes = {name: array.shape for name, array in outputs.items()}
        return self.ask({"outputs": dict(outputs), "inputs": dict(inputs)}, shapes)
