"""How many calibration samples there should be. Imports no numpy: the manifest and the verbs say it, too."""

from __future__ import annotations

FEW = 8  # fewer, and the range of a tensor is that of the samples, not of the field
# As many as gradients are taken of; they bring most of what more would (docs/design.md).
ENOUGH = 64
ADVISED = f"{ENOUGH} or more"
