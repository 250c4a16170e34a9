"""Keras: .h5 and .hdf5 of Keras 1 to 3, and .keras archives -> Graph, without TensorFlow."""

from modelbuild.importers.keras.load import discover, load

__all__ = ["discover", "load"]
