"""Reads code of the stack machine of version 5, and finds out by which release's table it was written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from modelbuild.formats.kmodel import stackvm_isa
from modelbuild.formats.kmodel.stackvm_isa import Isa
from modelbuild.formats.kmodel.stackvm_machine import ImplausibleError, Machine
from modelbuild.formats.kmodel.stackvm_values import Attempt, Code

MAX_WORK = 200_000  # instructions decoded over all tables


def attempts(data: bytes, codes: Sequence[Code], layout: str) -> list[Attempt]:
    """What each table of this layout makes of the code, newest first."""
    found: list[Attempt] = []
    keeper: Attempt | None = None
    work = 0
    for isa in stackvm_isa.tables():
        if isa.layout != layout:
            continue
        same = next((item for item in found if item.holds_for(isa)), None)
        if same is not None:
            found.append(replace(same, isa=isa, lines=[]))
        elif work >= MAX_WORK:
            start = codes[0].span.offset if codes else 0
            found.append(Attempt(isa, [], start, "not tried: too much code", used={-1: None}))
        else:
            found.append(_attempt(data, codes, isa))
            work += found[-1].count
            keeper = _kept(keeper, found[-1])
    if keeper is not None and keeper.failed is not None:
        keeper.lines = _attempt(data, codes, keeper.isa, to_the_end=True).lines
    return found


def _kept(keeper: Attempt | None, attempt: Attempt) -> Attempt:
    """Which of the two keeps its lines; the other one loses them."""
    if keeper is None:
        return attempt
    if attempt.failed is None and keeper.failed is None:
        attempt.agrees = attempt.lines == keeper.lines
    better = keeper.failed is not None and (attempt.failed is None or attempt.count > keeper.count)
    loser = keeper if better else attempt
    loser.lines = []
    return attempt if better else keeper


def _attempt(data: bytes, codes: Sequence[Code], isa: Isa, *, to_the_end: bool = False) -> Attempt:
    """All functions, up to the first one that fails unless `to_the_end`."""
    attempt = Attempt(isa, [])
    for code in codes:
        machine = Machine(data, code, isa, attempt)
        attempt.lines.append(machine.lines)
        try:
            machine.run()
        except ImplausibleError as error:
            if attempt.failed is None:
                attempt.failed, attempt.why = machine.place, str(error)
        attempt.count += len(machine.lines)
        if attempt.failed is not None and not to_the_end:
            break
    return attempt
