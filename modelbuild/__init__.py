"""The build system for models that run on edge NPUs."""

__version__ = "0.1.0"
