"""What a rewritten model is held to before it is written."""

from pathlib import Path

import pytest

from onnxstride.engine.delivery import NotProven, Proof, deliver
from onnxstride.modelfile import open_model
from onnxstride.verify import Verdict, VerifyOptions, complete
from tests.rewrites.running import rewritten, whole

TEXT = """
    net (float[N,2,H,W] x) => (float[N,2,P,Q] y) <float by = {255.0}, float[2,2,4,4] w> {
        s = Div (x, by)
        [up] y = ConvTranspose <strides = [2,2], pads = [1,1,1,1]> (s, w)
    }"""


def delivered(folder: Path, name: str, options: VerifyOptions) -> Proof:
    model = folder / "model.onnx"
    if not model.exists():
        source = folder / "model.onnxtxt"
        source.write_text(TEXT)
        with open_model(str(source)) as opened:
            model.write_bytes(complete(opened))
    with open_model(str(model)) as opened:
        result = rewritten(whole(opened), name)
        proof = deliver(model, result, folder / "out.onnx", options=options)
    assert proof is not None
    return proof


def feeds(proof: Proof) -> set[str]:
    """Kinds of the feeds on which the outputs were furthest apart."""
    places = [output.worst for output in proof.whole.outputs]
    return {place.feed.rpartition(", ")[2] for place in places if place is not None}


def test_what_moves_is_measured_on_scenes(tmp_path: Path) -> None:
    """In the range of the input: without --data, figures on noise would mean nothing."""
    proof = delivered(tmp_path, "smooth-output", VerifyOptions())
    assert proof.holds
    assert not proof.is_gated
    assert feeds(proof) == {"scene"}
    (output,) = proof.whole.outputs
    assert output.psnr_db > output.snr_db > 0


def test_what_is_exact_is_proven_on_noise(tmp_path: Path) -> None:
    """Which shows every fault."""
    proof = delivered(tmp_path, "deconv-to-subpixel", VerifyOptions())
    assert proof.holds
    assert feeds(proof) <= {"mixed", "negative", "sparse"}


def test_a_least_snr_is_asked_of_the_outputs(tmp_path: Path) -> None:
    """Not of a layer on its own, which the outputs may see little of."""
    proof = delivered(tmp_path, "smooth-output", VerifyOptions(min_snr=-20.0))
    assert proof.is_gated
    assert {site.verdict for site in proof.sites} == {Verdict.PASS}
    with pytest.raises(NotProven) as failure:
        delivered(tmp_path, "smooth-output", VerifyOptions(min_snr=90.0))
    assert {site.verdict for site in failure.value.proof.sites} == {Verdict.PASS}
    assert failure.value.proof.whole.verdict is Verdict.FAIL
