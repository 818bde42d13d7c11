"""Operators that sum or search along whole dimensions: products, reductions, recurrences."""

from __future__ import annotations

from collections.abc import Callable

from ..graph.attributes import integer, text
from .asking import Asking, staying
from .moves import STAY, Closed, Flow, Fresh, Global, Lane, Meet, Move, Route

_NEW = Lane(None, Fresh(None))


def matmul(ask: Asking) -> Flow:
    """Rows of the first times columns of the second; leading dimensions broadcast."""
    return _product(ask, 0, 1)


def quantised_matmul(ask: Asking) -> Flow:
    return _product(ask, 0, 3)


def _product(ask: Asking, left: int, right: int) -> Flow:
    ranks = [ask.rank(left), ask.rank(right)]
    if min(ranks) < 2:
        return _with_vector(ask, left, right, ranks)
    rank = max(ranks)
    ahead = [[_NEW] * (rank - each) + staying(range(each - 2)) for each in ranks]
    rows = ask.route([*ahead[0], Lane(ranks[0] - 2, STAY), _NEW], at=left)
    columns = ask.route([*ahead[1], _NEW, Lane(ranks[1] - 1, STAY)], at=right)
    summed = ((rows.input, ranks[0] - 1), (columns.input, ranks[1] - 2))
    return Meet((rows, columns), summed)


def _with_vector(ask: Asking, left: int, right: int, ranks: list[int]) -> Flow:
    """A product in which a vector takes part and loses its only dimension."""
    rows, columns = (ask.node.input(at) for at in (left, right))
    if ranks[1] < 2:
        lanes = staying(range(ranks[0] - 1))
        return Meet((ask.route(lanes, at=left),), ((rows, ranks[0] - 1), (columns, 0)))
    lanes = [*staying(range(ranks[1] - 2)), Lane(ranks[1] - 1, STAY)]
    return Meet((ask.route(lanes, at=right),), ((rows, 0), (columns, ranks[1] - 2)))


def gemm(ask: Asking) -> Flow:
    row = 1 if integer(ask.node, "transA", 0) else 0
    column = 0 if integer(ask.node, "transB", 0) else 1
    rows = ask.route([Lane(row, STAY), _NEW])
    columns = ask.route([_NEW, Lane(column, STAY)], at=1)
    summed = ((rows.input, 1 - row), (columns.input, 1 - column))
    return Meet((rows, columns), summed)


def einsum(ask: Asking) -> Flow:
    """Each label of the output comes from the operands that carry it; the others are summed."""
    equation = text(ask.node, "equation", "").replace(" ", "")
    before, arrow, after = equation.partition("->")
    terms = before.split(",")
    if not arrow or "." in equation or len(terms) != len(ask.node.inputs):
        return Closed(f"equation {equation!r} is not followed")
    routes: list[Route] = []
    summed: list[tuple[str, int]] = []
    for position, labels in enumerate(terms):
        if len(set(labels)) < len(labels):
            return Closed(f"equation {equation!r} takes a diagonal")
        lanes = [Lane(labels.index(each), STAY) if each in labels else _NEW for each in after]
        routes.append(ask.route(lanes, at=position))
        name = ask.node.input(position)
        summed += [(name, dim) for dim, each in enumerate(labels) if each not in after]
    return Meet(tuple(routes), tuple(summed))


def reduction(ask: Asking) -> Flow:
    """ReduceMean and its like: whole dimensions become one element, or go."""
    rank = ask.rank(0)
    axes = ask.stated("axes", 1)
    if not axes:
        if integer(ask.node, "noop_with_empty_axes", 0):
            return Meet((ask.route(),))
        axes = tuple(range(rank))
    return _reduced(ask, ask.from_front(axes, rank), rank)


def search(ask: Asking) -> Flow:
    """ArgMax and ArgMin."""
    rank = ask.rank(0)
    return _reduced(ask, (ask.axis(0, rank),), rank)


def _reduced(ask: Asking, axes: tuple[int, ...], rank: int) -> Flow:
    stays = bool(integer(ask.node, "keepdims", 1))
    lanes = [
        Lane(dim, Global(1) if dim in axes else STAY)
        for dim in range(rank)
        if stays or dim not in axes
    ]
    return Meet((ask.route(lanes),))


def along_axis(ask: Asking) -> Flow:
    """CumSum and TopK: elements along one dimension depend on all of it."""
    rank = ask.rank(0)
    node = ask.node
    if node.op_type == "CumSum":
        stated = ask.fixed(1)
        if stated is None:
            return Closed("its axis is computed at run time")
        axis = ask.from_front(stated, rank)[0]
    else:
        axis = ask.axis(-1, rank)
    moves: list[Move] = [STAY] * rank
    moves[axis] = Global(None)
    lanes = list(map(Lane, range(rank), moves))
    return Meet(tuple(ask.route(lanes, to=i) for i, name in enumerate(node.outputs) if name))


def recurrence(ask: Asking) -> Flow:
    """RNN, GRU, LSTM: X (time, batch, features) to Y (time, directions, batch, hidden)."""
    time, batch = (1, 0) if integer(ask.node, "layout", 0) else (0, 1)
    steps, each = Lane(time, Global(None)), Lane(batch, STAY)
    order = [each, steps, _NEW, _NEW] if time else [steps, _NEW, each, _NEW]
    last = [each, _NEW, _NEW] if time else [_NEW, each, _NEW]
    lanes = [order, last, last]
    outputs = enumerate(ask.node.outputs)
    return Meet(tuple(ask.route(lanes[i], to=i) for i, name in outputs if name))


def attention(ask: Asking) -> Flow:
    """Every position looks at every other."""
    rank = ask.rank(0)
    moves: list[Move] = [STAY, *[Global(None)] * (rank - 2), Fresh(None)]
    return Meet((ask.route(map(Lane, range(rank), moves)),))


_REDUCE = "L1 L2 LogSum LogSumExp Max Mean Min Prod Sum SumSquare"

CONTRACTIONS: dict[str, Callable[[Asking], Flow]] = {
    **{f"Reduce{kind}": reduction for kind in _REDUCE.split()},
    "ArgMax": search,
    "ArgMin": search,
    "Attention": attention,
    "CumSum": along_axis,
    "Einsum": einsum,
    "GRU": recurrence,
    "Gemm": gemm,
    "LSTM": recurrence,
    "MatMul": matmul,
    "MatMulInteger": matmul,
    "QLinearMatMul": quantised_matmul,
    "RNN": recurrence,
    "TopK": along_axis,
}
