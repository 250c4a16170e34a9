"""TFLite files -> Graph, by a reader of our own: TensorFlow is not needed."""

from modelbuild.importers.tflite.translate import discover, load

__all__ = ["discover", "load"]
