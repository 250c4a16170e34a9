"""What there is to say about a file, one module a kind. Each has `describe(path) -> JSON mapping`."""

from modelbuild.artifacts.inspectors import elf, kmodel, mpk, nef, onnx, tflite

__all__ = ["elf", "kmodel", "mpk", "nef", "onnx", "tflite"]
