"""Caffe: a prototxt, which tells the layers, and a caffemodel, which holds the weights -> Graph."""

from modelbuild.importers.caffe.load import discover, load

__all__ = ["discover", "load"]
