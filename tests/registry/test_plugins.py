"""The quick search for entry points finds what importlib.metadata finds."""

import sys
from importlib import metadata
from pathlib import Path

import pytest

from onnxstride.plugins import EntryPoint, entry_points
from tests.planting import write_files


@pytest.mark.parametrize("group", ["console_scripts", "pytest11", "onnxstride.rules", "no.such"])
def test_this_environment_reads_as_importlib_reads_it(group: str) -> None:
    """Over the packages installed here, both ways give the same names and values."""
    expected = {(point.name, point.value) for point in metadata.entry_points(group=group)}
    assert {(point.name, point.value) for point in entry_points(group, sys.path)} == expected


def test_both_kinds_of_metadata_are_read(tmp_path: Path) -> None:
    """A wheel leaves .dist-info, a development install .egg-info."""
    write_files(
        tmp_path,
        {
            "wheel_one-1.0.dist-info/entry_points.txt": "[group]\na = module.a\n",
            "Egg.Two.egg-info/entry_points.txt": "[other]\nx = y\n\n[group]\n# c\n\nB=module.b",
            "third-1.0.dist-info/METADATA": "Name: third\n",
            "fourth-1.0.dist-info/entry_points.txt": "[groups]\nc = module.c\n",
        },
    )
    assert entry_points("group", [str(tmp_path)]) == (
        EntryPoint("egg-two", "B", "module.b"),
        EntryPoint("wheel-one", "a", "module.a"),
    )


def test_the_first_of_two_distributions_with_one_name_counts(tmp_path: Path) -> None:
    """What an import would shadow is shadowed here too."""
    for place, value in (("first", "module.new"), ("second", "module.old")):
        write_files(
            tmp_path / place,
            {f"the-{place}.dist-info/entry_points.txt": f"[group]\na = {value}\n"},
        )
    paths = [str(tmp_path / "first"), str(tmp_path / "second")]
    assert [point.value for point in entry_points("group", paths)] == ["module.new"]


def test_strange_search_paths_are_passed_over(tmp_path: Path) -> None:
    """Files, missing folders and repetitions on the search path are no error."""
    write_files(tmp_path, {"a.zip": "", "d-1.dist-info/entry_points.txt": "[group]\na = m\n"})
    paths = [str(tmp_path / "a.zip"), str(tmp_path / "missing"), str(tmp_path), str(tmp_path)]
    assert len(entry_points("group", paths)) == 1
