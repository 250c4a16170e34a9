"""Powers and logarithms whose bits are the same on any machine: decimal arithmetic, no math library."""

from __future__ import annotations

import decimal
from decimal import Decimal

# `exp` and `ln` of the decimal module are correctly rounded to its precision (General Decimal Arithmetic
# Specification 1.70), so that what is rounded to a float afterwards depends on nothing else.
_CONTEXT = decimal.Context(
    prec=60, Emax=10**6, Emin=-(10**6), traps=[decimal.InvalidOperation, decimal.Overflow]
)
_LARGEST = 2000.0  # exponents of e that are beyond any float


def exp(exponent: float) -> float:
    """e to the power of a finite `exponent`; infinity where no float holds it."""
    limited = max(-_LARGEST, min(exponent, _LARGEST))
    return float(_CONTEXT.exp(Decimal(limited)))


def ln(value: float) -> float:
    """The natural logarithm of a finite `value` above 0."""
    return float(_CONTEXT.ln(Decimal(value)))
