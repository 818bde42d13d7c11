"""How resolution flows through a whole graph.

``moves`` is the vocabulary: what one node does to the dimensions of the maps it reads.
``operators`` says which operator does what, by the tables of ``arrangements``, ``contractions``
and ``reshapes`` and, for layers, by ``layers``; ``asking`` is how these ask about a node.

``resolution`` tells what every tensor sees of the image. It rests on ``walk``, the pass over the
graph, which carries ``cells`` along routes (``moving``, ``readings``), through reshapes
(``regroup``) and to where maps meet (``meetings``).

``sizes`` tells which input sizes a model takes, ``size_limits`` which of them to speak of. They
rest on ``size_walk``, with a ``size_table`` of what is known, ``size_moves``, ``size_operators``
and, for sizes that the model computes, ``shape_values``; ``known_sizes`` lends that walk to the
other analysis.
"""

from .resolution import Disagreement, Resolution, resolution

__all__ = ["Disagreement", "Resolution", "resolution"]
