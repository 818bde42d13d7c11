"""Models without images: what repeats in the pictures that they draw from latent vectors."""

from pathlib import Path

import numpy as np
import pytest

from onnxstride.probe import run
from onnxstride.probe.fold import Fold, Folding

from .building import Probe, forced, generator, only


def test_a_generator_of_deconvolutions_is_found(probe: Probe) -> None:
    """Eight pictures, seeded, tell more than chance."""
    probed = probe(generator("deconv"))
    output = only(probed)
    (answer,) = output.answers
    assert probed.inputs == ()
    assert output.period == (8, 8)
    assert answer.stimulus == "8 latent vectors"
    assert output.share(answer.least) > 5 / 255
    assert answer.least <= answer.rms
    assert output.is_visible


def test_a_generator_of_resizes_is_silent(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is to be folded; if it is folded all the same, nothing is there."""
    model = generator("resize")
    assert probe(model).outputs == ()
    monkeypatch.setattr(
        run, "targets", lambda graph, periods: [forced(graph, Folding((Fold(8), Fold(8))))]
    )
    output = only(probe(model))
    assert not output.is_visible
    assert output.answers[0].remainder > 0.01  # there is a picture


def test_two_runs_agree(probe: Probe) -> None:
    """Latent vectors are seeded."""
    one, other = (only(probe(generator("deconv"))).answers[0] for _ in range(2))
    assert (one.rms, one.least) == (other.rms, other.least)


def test_a_period_too_coarse_for_the_picture_is_divided(probe: Probe) -> None:
    """A picture of 16 elements has room for four periods of four, not of eight."""
    output = only(
        probe("""
    net (float[1,1,1,1] z) => (float[1,1,16,16] y)
    <int64[4] s = {1,1,2,2}, float[1,1,8,8] w>
    {
        m = Expand (z, s)
        y = ConvTranspose <strides = [8,8]> (m, w)
    }""")
    )
    assert output.period == (4, 4)


def test_vectors_may_be_given(probe: Probe, tmp_path: Path) -> None:
    """Those of --data are used as they are; one alone tells nothing."""
    path = tmp_path / "z.npy"
    np.save(path, np.random.default_rng(0).standard_normal((5, 16, 1, 1)).astype(np.float32))
    (answer,) = only(probe(generator("deconv"), data=str(path))).answers
    assert answer.stimulus == "5 latent vectors"
    np.save(path, np.ones((1, 16, 1, 1), np.float32))
    probed = probe(generator("deconv"), data=str(path))
    assert "one picture alone" in probed.problem
