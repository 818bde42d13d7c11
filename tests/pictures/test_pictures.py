"""Pictures show what was measured, and their files go nowhere else."""

import os
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from onnxstride.errors import WriteError
from onnxstride.geometry import Axis, taps_per_phase
from onnxstride.pictures import Picture, draw, folder_names, save
from onnxstride.pictures.drawing import tap_counts
from onnxstride.pictures.files import file_name, safe
from onnxstride.probe import Answer, OutputProbe, Probed, TapMap
from onnxstride.probe.ranges import Range
from onnxstride.rule import NodeRef

image: Any = import_module("PIL.Image")

NODE = NodeRef("up", "ConvTranspose", "", (), ("y",))
TILE = np.array([[[0.1, 0.3], [0.5, 0.7]]])


def probed(tile: NDArray[Any] = TILE, *, output: str = "y", node: NodeRef = NODE) -> Probed:
    """A probe of one output, whose grey answer is the tile 8 times along each axis."""
    part = np.tile(tile, (1, *[8] * (tile.ndim - 1))).astype(np.float32)
    figures = {"mean": 0.4, "rms": 0.2, "least": 0.2, "peak_to_peak": 0.6, "remainder": 0.0}
    answer = Answer("grey", **figures, tile=tile, part=part)
    seen = OutputProbe(
        output, node, tile.shape[1:], part.shape[1:], Range(0.0, 1.0, "t"), True, (answer,)
    )
    axes = tuple(Axis(3, 2, 1, 1, 1) for _ in tile.shape[1:])
    return Probed("model", outputs=(seen,), taps=(TapMap(node, axes),))


def pixels(picture: Picture) -> NDArray[np.uint8]:
    return np.asarray(picture.image)


def drawn(probes: dict[str, Probed]) -> dict[str, NDArray[np.uint8]]:
    return {picture.name: pixels(picture) for picture in draw(probes)}


class TestContent:
    def test_a_tile_is_two_periods_stretched_around_the_mean(self) -> None:
        """Its darkest phase is black, its lightest white; the others lie between, in place."""
        shown = drawn({"": probed()})["tile-y-grey.png"]
        cell = 512 // 4
        centres = shown[cell // 2 : 512 : cell, cell // 2 : 512 : cell]
        assert centres.shape == (4, 4, 3)
        expected = np.rint(127.5 + 127.5 * (TILE[0] - 0.4) / 0.3)
        assert np.array_equal(centres[:2, :2, 0], expected)
        assert np.array_equal(centres[2:, 2:, 1], expected)

    def test_a_probe_is_the_output_enlarged(self) -> None:
        """Sixteen elements become squares of 32 pixels."""
        shown = drawn({"": probed()})["probe-y-grey.png"]
        centres = shown[16:512:32, 16:512:32, 0]
        assert np.array_equal(centres, np.tile(np.rint([[0, 85], [170, 255]]), (8, 8)))

    def test_an_output_without_a_pattern_is_grey(self) -> None:
        """Rounding errors are not stretched into a pattern."""
        shown = drawn({"": probed(0.4 + TILE * 1e-6)})["probe-y-grey.png"]
        assert set(shown[:512, :512].ravel().tolist()) <= {127, 128}

    @pytest.mark.parametrize(
        "axes",
        [
            pytest.param([Axis(3, 2, 1, 1, 1)] * 2, id="uneven, cut by one"),
            pytest.param([Axis(2, 3), Axis(4, 2)], id="a phase without taps"),
            pytest.param([Axis(4, 4), Axis(5, 2, 1, 2, 2)], id="different strides"),
        ],
    )
    def test_taps_are_counted_from_output_0_on(self, axes: list[Axis]) -> None:
        """Each square is as light as its count, out of the largest."""
        counts = np.array([
            [
                taps_per_phase(axes[0])[(y + axes[0].begin) % axes[0].stride]
                * taps_per_phase(axes[1])[(x + axes[1].begin) % axes[1].stride]
                for x in range(3 * axes[1].stride)
            ]
            for y in range(3 * axes[0].stride)
        ])  # fmt: skip
        assert np.array_equal(tap_counts(axes), counts)
        shown = drawn({"": Probed("m", taps=(TapMap(NODE, tuple(axes)),))})["taps-up.png"]
        cell = min(64, 768 // max(counts.shape))
        corners = shown[2 : cell * counts.shape[0] : cell, 2 : cell * counts.shape[1] : cell, 0]
        assert np.array_equal(corners, np.rint(255 * counts / counts.max()))

    def test_a_line_is_drawn_as_stripes_and_a_volume_as_its_middle_slice(self) -> None:
        """One axis: columns of one grey. Three: the slice in the middle of the periods."""
        line = drawn({"": probed(np.array([[0.1, 0.7]]))})
        columns = line["tile-y-grey.png"][: 32 * 128, :512, 0][:, ::128]
        assert np.array_equal(np.unique(columns[0]), [0, 255])
        assert len(np.unique(line["taps-up.png"][:32, 10])) == 1
        volume = drawn({"": probed(np.arange(8.0).reshape(1, 2, 2, 2))})
        axes = [Axis(3, 2, 1, 1, 1)] * 3
        middle = tap_counts(axes)[3]
        corners = volume["taps-up.png"][2:384:64, 2:384:64, 0]
        assert np.array_equal(corners, np.rint(255 * middle / 8))

    def test_three_channels_are_colours_and_of_others_the_strongest_is_shown(self) -> None:
        """The mean of each channel is mid grey."""
        tile = np.stack([TILE[0], TILE[0] * 0 + 0.2, -TILE[0]])
        shown = drawn({"": probed(tile)})["tile-y-grey.png"][:256:128, :256:128]
        assert shown[0, 0].tolist() == [0, 128, 255]
        two = drawn({"": probed(np.stack([TILE[0] * 0, TILE[0]]))})["tile-y-grey.png"]
        assert np.array_equal(two, drawn({"": probed()})["tile-y-grey.png"])

    def test_before_and_after_share_their_scale(self) -> None:
        """What has become weaker looks weaker."""
        found = drawn({"before": probed(), "after": probed(0.4 + (TILE - 0.4) / 3)})
        before, after = (found[f"{label}-tile-y-grey.png"] for label in ("before", "after"))
        assert (before[0, 0, 0], before[511, 511, 0]) == (0, 255)
        assert (after[0, 0, 0], after[511, 511, 0]) == (85, 170)
        assert {"before-taps-up.png", "after-taps-up.png"} <= set(found)

    def test_names_in_captions_may_be_anything(self) -> None:
        """Letters that the font lacks are spelled out, not an error."""
        assert drawn({"": probed(output="\u202e\u4e2d\n\x1b[31m")})


names = st.one_of(st.text(max_size=90), st.sampled_from(["..", "../../x", "/etc/passwd", "CON"]))


class TestNames:
    @given(names)
    def test_a_name_is_safe(self, name: str) -> None:
        """No separators, no leading dot, no device, no more than fits."""
        made = safe(name)
        assert made
        assert len(made) <= 70
        assert all(char.isascii() and (char.isalnum() or char in "_.-") for char in made)
        assert not made.startswith(".")
        assert made.lower() not in {"con", "prn", "aux", "nul", "com1", "lpt1"}

    @given(names, names)
    def test_different_names_stay_different(self, one: str, other: str) -> None:
        """Even where letters of either case are the same."""
        assert (safe(one).lower() == safe(other).lower()) is (one == other)

    def test_plain_names_stay_as_they_are(self) -> None:
        """The usual case reads well."""
        assert file_name("", "probe", "image", "grey") == "probe-image-grey.png"
        assert file_name("after", "taps", "up_1.conv") == "after-taps-up_1.conv.png"

    def test_folders_are_named_after_files(self) -> None:
        """Two of the same name are told apart."""
        assert folder_names(["a/net.onnx", "b/other.onnx"]) == ["net", "other"]
        one, other = folder_names(["a/net.onnx", "b/net.onnx"])
        assert one != other
        assert one.startswith("net-")


class TestFiles:
    def test_pictures_are_written_again_over_their_own(self, tmp_path: Path) -> None:
        """The same bytes both times, and nothing else in the folder."""
        first = save(draw({"": probed()}), str(tmp_path), "net")
        content = [path.read_bytes() for path in first]
        assert save(draw({"": probed()}), str(tmp_path), "net") == first
        assert [path.read_bytes() for path in first] == content
        assert sorted(path.name for path in (tmp_path / "net").iterdir()) == [
            *("probe-y-grey.png", "taps-up.png", "tile-y-grey.png")
        ]
        with image.open(first[0]) as opened:
            assert opened.info["Software"] == "onnxstride"

    def test_a_file_of_somebody_else_is_left_alone(self, tmp_path: Path) -> None:
        """A PNG without our mark, or anything else, is an error."""
        mine = tmp_path / "probe-y-grey.png"
        image.new("L", (4, 4)).save(mine)
        before = mine.read_bytes()
        with pytest.raises(WriteError, match="not a picture of onnxstride's"):
            save(draw({"": probed()}), str(tmp_path))
        assert mine.read_bytes() == before
        assert [path.name for path in tmp_path.iterdir()] == ["probe-y-grey.png"]

    def test_hostile_names_stay_in_the_folder(self, tmp_path: Path) -> None:
        """Names that lead elsewhere lead nowhere."""
        node = NodeRef("../../../escape", "ConvTranspose", "", ("/abs",), ("y",))
        inside = tmp_path / "pictures"
        for path in save(draw({"": probed(output="../../out", node=node)}), str(inside)):
            assert path.parent == inside
            assert path.exists()
        assert [path.name for path in tmp_path.iterdir()] == ["pictures"]

    def test_a_link_in_place_of_a_picture_is_not_followed(self, tmp_path: Path) -> None:
        """What it leads to stays as it is."""
        other = tmp_path / "other"
        other.write_text("mine")
        folder = tmp_path / "pictures"
        folder.mkdir()
        (folder / "probe-y-grey.png").symlink_to(other)
        with pytest.raises(WriteError):
            save(draw({"": probed()}), str(folder))
        assert other.read_text() == "mine"

    def test_a_link_in_place_of_a_folder_is_not_followed(self, tmp_path: Path) -> None:
        """The folder that the user names may be one."""
        other, link = tmp_path / "other", tmp_path / "link"
        other.mkdir()
        link.symlink_to(other)
        assert save(draw({"": probed()}), str(link))
        (other / "net").symlink_to(tmp_path)
        with pytest.raises(WriteError, match="symbolic link"):
            save(draw({"": probed()}), str(link), "net")

    def test_a_folder_that_cannot_be_made_is_an_error(self, tmp_path: Path) -> None:
        """In one line."""
        (tmp_path / "file").write_text("")
        with pytest.raises(WriteError, match="cannot write pictures"):
            save(draw({"": probed()}), str(tmp_path / "file" / "within"))

    def test_files_have_the_rights_of_others(self, tmp_path: Path) -> None:
        """Those that the process gives any new file."""
        (tmp_path / "plain").touch()
        made = save(draw({"": probed()}), str(tmp_path))[0]
        assert made.stat().st_mode == (tmp_path / "plain").stat().st_mode
        assert os.access(made, os.R_OK)
