"""How many calibration samples there should be. Imports no numpy: the manifest and the verbs say it, too."""

from __future__ import annotations

# Fewer, and ranges are those of the samples, not of the field: docs/checks.md, MB201, has figures.
FEW = 8
# As many as gradients are taken of; they bring most of what more would (docs/design.md).
ENOUGH = 64
ADVISED = f"{ENOUGH} or more"
