"""Every format by its name: what it looks like, and what all of them hold to."""

import pytest

from onnxstride.engine.results import FileError, FileReport
from onnxstride.report.formats import FORMATS
from onnxstride.report.paths import relative
from tests.planting import finding, report
from tests.report.samples import REPORTS, REQUEST, golden, rendered


@pytest.mark.parametrize("name", FORMATS)
def test_the_run_as_each_format_has_it(name: str) -> None:
    """Byte for byte what the file in golden/ shows; see samples for how these are made."""
    assert rendered(name) == golden(name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", FORMATS)
def test_two_renderings_agree_to_the_byte(name: str) -> None:
    """Nothing depends on time, order of sets or memory."""
    assert FORMATS[name](REPORTS, REQUEST) == FORMATS[name](REPORTS, REQUEST)


@pytest.mark.parametrize("name", FORMATS)
def test_an_error_is_told_in_every_format(name: str) -> None:
    """With its code, the file and the reason, beside the findings about the rest."""
    broken = FileReport("models/broken.onnx", FileError("E005", "too short"), (finding(),))
    text = FORMATS[name]([broken], REQUEST)
    for part in ("E005", "models/broken.onnx", "too short", "XX101", "planted here"):
        assert part in text


@pytest.mark.parametrize("name", FORMATS)
def test_remedies_are_told_with_their_safety(name: str) -> None:
    """A reader learns from any format what a rewrite may change."""
    text = " ".join(FORMATS[name](REPORTS, REQUEST).split())
    for remedy, safety in (
        ("deconv-to-resize-conv", "approximate"),
        ("deconv-equalise", "training"),
    ):
        assert safety in text.partition(remedy)[2][:40]


@pytest.mark.parametrize("name", FORMATS)
def test_no_files_are_a_report_too(name: str) -> None:
    """An empty run is a valid document of its format."""
    FORMATS[name]([], REQUEST)


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"text", "json"}))
def test_what_could_not_be_judged_is_for_text_and_json(name: str) -> None:
    """Other formats have no place for it."""
    asked = REQUEST._replace(why=True, summary=False, statistics=True, color=True)
    assert FORMATS[name](REPORTS, asked) == FORMATS[name](REPORTS, REQUEST)


def test_text_takes_what_is_asked_of_it() -> None:
    """Statistics, colour, skips and the summary."""
    text = FORMATS["text"]
    assert "size unknown" in text(REPORTS, REQUEST._replace(why=True))
    assert "\x1b[" in text(REPORTS, REQUEST._replace(color=True))
    assert text([report()], REQUEST._replace(summary=False, stale=None)) == ""
    assert "2 recorded, 0 found" in text([report()], REQUEST._replace(summary=False))
    assert "2 recorded, 0 found" in text(REPORTS, REQUEST._replace(statistics=True))
    assert "         onnxstride.toml:12: not yet\n" in text(REPORTS, REQUEST._replace(why=True))
    assert "     1  UP101  uneven-overlap\n" in text(REPORTS, REQUEST._replace(statistics=True))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("/r/models/a.onnx", "models/a.onnx", id="below"),
        pytest.param("/r/./x/../a.onnx", "a.onnx", id="steps are taken"),
        pytest.param("/r/..a.onnx", "..a.onnx", id="a name with dots"),
        pytest.param("/rest/a.onnx", "../rest/a.onnx", id="outside"),
        pytest.param("/a.onnx", "../a.onnx", id="above"),
    ],
)
def test_paths_start_at_the_root(path: str, expected: str) -> None:
    """What is not below it leads up: no server takes an absolute path."""
    assert relative(path, "/r") == expected
