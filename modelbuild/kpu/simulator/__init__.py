"""Runs the bytes of a kmodel v5 alone, bit for bit as the simulator of nncase 1.9 does."""

from __future__ import annotations

from modelbuild.kpu.simulator.events import Access, Event, Simulation
from modelbuild.kpu.simulator.machine import Machine, load, simulate

__all__ = ["Access", "Event", "Machine", "Simulation", "load", "simulate"]
