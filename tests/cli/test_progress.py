"""The progress line shows on terminals during long runs, and leaves nothing behind."""

import io
from collections.abc import Iterator
from itertools import count

import pytest

from onnxstride import progress as module
from onnxstride.progress import progress

PATHS = [f"model{number}.onnx" for number in range(5)]


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def clock(seconds: float) -> Iterator[float]:
    """Readings that lie ``seconds`` apart."""
    return (seconds * tick for tick in count())


@pytest.mark.parametrize(
    ("paths", "stream", "seconds"),
    [
        pytest.param(PATHS, io.StringIO(), 9.0, id="not a terminal"),
        pytest.param(PATHS[:1], Terminal(), 9.0, id="a single model"),
        pytest.param(PATHS, Terminal(), 0.01, id="a quick run"),
    ],
)
def test_short_or_unwatched_runs_show_nothing(
    monkeypatch: pytest.MonkeyPatch, paths: list[str], stream: io.StringIO, seconds: float
) -> None:
    """All paths come through in order and no line is seen."""
    readings = clock(seconds)
    monkeypatch.setattr(module, "monotonic", lambda: next(readings))
    assert list(progress(paths, stream)) == paths
    assert "model" not in stream.getvalue()


def test_a_long_run_shows_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line counts, is rewritten in place and wiped at the end."""
    readings = clock(1.0)
    monkeypatch.setattr(module, "monotonic", lambda: next(readings))
    stream = Terminal()
    assert list(progress(PATHS, stream)) == PATHS
    assert "\r\x1b[K[2/5] model1.onnx" in stream.getvalue()
    assert stream.getvalue().endswith("\r\x1b[K")
    assert "\n" not in stream.getvalue()


def test_the_line_is_wiped_when_the_run_breaks_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error is not printed behind half a line."""
    readings = clock(1.0)
    monkeypatch.setattr(module, "monotonic", lambda: next(readings))
    stream = Terminal()
    paths = progress(PATHS, stream)
    next(paths)
    paths.close()  # type: ignore[attr-defined]  # it is a generator
    assert stream.getvalue().endswith("\r\x1b[K")


def test_the_line_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long or hostile paths neither wrap nor command the terminal."""
    readings = clock(1.0)
    monkeypatch.setattr(module, "monotonic", lambda: next(readings))
    monkeypatch.setenv("COLUMNS", "40")
    stream = Terminal()
    list(progress(["\x1b[2J" + "x" * 500] * 2, stream))
    lines = stream.getvalue().split("\r\x1b[K")
    assert all(len(line) < 40 and "\x1b" not in line for line in lines)
