"""A read-only view of a model: scopes, constants, shapes, and its layers as typed values."""

from .bindings import Bindings
from .graph import Graph, read_graph
from .thresholds import Thresholds

__all__ = ["Bindings", "Graph", "Thresholds", "read_graph"]
