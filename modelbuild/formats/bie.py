"""BIE, Kneron's quantized model: encrypted, so that only its bytes as such can be described."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from dataclasses import dataclass

from modelbuild.formats.checks import Check, checked

# Toolchains from which on a BIE of an earlier one is not taken (document_center, release notes).
BREAKS = ("0.20.0", "0.23.0", "0.30.0")
_SAMPLE = 4 << 20  # bytes of which the entropy is measured
_ENOUGH = 1024  # bytes, of which random ones have an entropy of 7.8
_RANDOM = 7.5


@dataclass(frozen=True)
class Bie:
    """What can be said of a file. `entropy` is in bits a byte: 8 for what looks like random numbers."""

    size: int
    sha256: str
    entropy: float

    @property
    def checks(self) -> tuple[Check, ...]:
        """Whether it can be one at all: of fewer bytes than a small model has, that is not to be told."""
        why = f"its entropy is {self.entropy:.2f} bits a byte, and that of encrypted bytes nearly 8"
        if self.size < _ENOUGH:
            why = f"{self.size} bytes are too few for a model"
        looks = self.size >= _ENOUGH and self.entropy >= _RANDOM
        return (checked("the content looks encrypted", looks, why),)


def read(data: bytes) -> Bie:
    """Describe the bytes."""
    return Bie(len(data), hashlib.sha256(data).hexdigest(), entropy(data[:_SAMPLE]))


def entropy(data: bytes) -> float:
    """Shannon entropy of the bytes' frequencies, in bits a byte; 0 for no bytes."""
    counts = Counter(data).values()
    return sum(-count / len(data) * math.log2(count / len(data)) for count in counts) + 0.0
