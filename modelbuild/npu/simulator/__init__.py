"""Runs a packaged program bit by bit. Shares no code with the compiler but the program format."""

from modelbuild.npu.simulator.simulate import Simulation, simulate

__all__ = ["Simulation", "simulate"]
