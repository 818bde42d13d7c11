"""The child process: what it runs, and what comes of it when it dies."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from onnxstride.verify import (
    Crashed,
    Level,
    Loadable,
    Refused,
    Runner,
    RuntimeUnavailable,
    TimedOut,
    Verdict,
    VerifyOptions,
    verify,
)
from tests.verify.building import NEVER_ENDING, ROOT, loadable, model

MISBEHAVING = Path(__file__).with_name("misbehaving.py")
ONE = np.ones(3, np.float32)
IDENTITY = "net (float[A] x) => (float[A] y) { y = Identity (x) }"


def named(output: str) -> str:
    """A model with an output of this name."""
    return f"net (float[A] x) => (float[A] {output}) {{ {output} = Identity (x) }}"


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    with Runner(timeout=120) as started:
        yield started


@pytest.fixture
def misbehaving() -> Iterator[Runner]:
    with Runner(timeout=120, script=MISBEHAVING) as started:
        yield started


class TestRunning:
    @pytest.mark.parametrize(
        "number",
        [1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 16, 17, 19],
        ids=lambda number: onnx.TensorProto.DataType.Name(number),
    )
    @pytest.mark.parametrize("shape", [(2, 3), (0, 2), ()], ids=str)
    def test_every_type_travels(self, runner: Runner, number: int, shape: tuple[int, ...]) -> None:
        """Values come back as they were sent, in their own type."""
        dims = list("AB")[: len(shape)]
        graph = helper.make_graph(
            [helper.make_node("Identity", ["x"], ["y"])],
            "net",
            [helper.make_tensor_value_info("x", number, dims)],
            [helper.make_tensor_value_info("y", number, dims)],
        )
        opset = helper.make_opsetid("", 21)
        proto = helper.make_model(graph, opset_imports=[opset], ir_version=10)
        dtype = helper.tensor_dtype_to_np_dtype(number)
        x: NDArray[Any] = (np.arange(np.prod(shape)) % 2).reshape(shape).astype(dtype)
        identity = Loadable("identity", proto.SerializeToString())
        y = runner.run(identity, {"x": x})["y"]
        runner.drop(identity)
        assert y.dtype == x.dtype
        assert y.shape == x.shape
        assert y.tobytes() == x.tobytes()

    def test_strings_travel(self, runner: Runner) -> None:
        """Of any length, in any script."""
        text = loadable("net (string[2,1] x) => (string[2,1] y) { y = Identity (x) }")
        x = np.array([["é"], ["b" * 1000]], dtype=object)
        assert runner.run(text, {"x": x})["y"].tolist() == x.tolist()

    def test_arrays_that_are_not_contiguous(self, runner: Runner) -> None:
        """They are sent by value, not by memory."""
        x = np.arange(12, dtype=np.float32).reshape(3, 4).T
        square = loadable("net (float[A,B] x) => (float[A,B] y) { y = Identity (x) }")
        assert np.array_equal(runner.run(square, {"x": x})["y"], x)

    def test_feeds_are_sent_once(self, runner: Runner) -> None:
        """The same object stands for the same values; another for others."""
        identity = loadable(IDENTITY)
        feeds = {"x": ONE}
        for level in Level:
            assert np.array_equal(runner.run(identity, feeds, level)["y"], ONE)
        assert np.array_equal(runner.run(identity, {"x": 2 * ONE})["y"], 2 * ONE)
        assert np.array_equal(runner.run(identity, feeds)["y"], ONE)

    def test_a_run_is_timed_where_it_runs(self, runner: Runner) -> None:
        """Seconds without the way there and back; more work takes longer; feeds may be strings."""
        small, large = (
            f"net (float[{n},{n}] x) => (float[{n},{n}] y) {{ y = MatMul (x, x) }}"
            for n in (2, 600)
        )
        start = time.perf_counter()
        quick = min(
            runner.time(loadable(small), {"x": np.ones((2, 2), np.float32)}) for _ in range(3)
        )
        whole = time.perf_counter() - start
        slow = runner.time(loadable(large), {"x": np.ones((600, 600), np.float32)})
        assert 0 < quick < slow
        assert quick < whole
        text = loadable("net (string[1] x) => (string[1] y) { y = Identity (x) }")
        assert runner.time(text, {"x": np.array(["a"], dtype=object)}) > 0

    def test_timing_and_running_share_feeds(self, runner: Runner) -> None:
        """What was sent to be timed need not be sent again to be run."""
        identity, feeds = loadable(IDENTITY), {"x": ONE}
        runner.time(identity, feeds)
        assert np.array_equal(runner.run(identity, feeds)["y"], ONE)

    def test_what_is_refused_is_not_timed(self, runner: Runner) -> None:
        """The error is that of a run."""
        with pytest.raises(Refused, match="refuses running it"):
            runner.time(loadable(IDENTITY), {"x": np.ones((2, 2), np.float32)})

    def test_outputs_asked_for(self, runner: Runner) -> None:
        """Only those are returned."""
        two = loadable("net (float[A] x) => (float[A] a, float[A] b) { a = Abs (x) b = Neg (x) }")
        assert set(runner.run(two, {"x": ONE}, outputs=["b"])) == {"b"}
        assert set(runner.run(two, {"x": ONE})) == {"a", "b"}

    def test_external_data_is_read_beside_the_model(self, runner: Runner, tmp_path: Path) -> None:
        """A model given by its path is opened by ONNX Runtime itself."""
        proto = onnx.load_from_string(
            model("net (float[4] x) => (float[4] y) <float[4] w> { y = Mul (x, w) }")
        )
        w = numpy_helper.to_array(proto.graph.initializer[0])
        path = tmp_path / "model.onnx"
        onnx.save(proto, path, save_as_external_data=True, location="w.bin", size_threshold=0)
        x = np.arange(4, dtype=np.float32)
        assert np.allclose(runner.run(Loadable("m", path), {"x": x})["y"], x * w)
        assert verify(path, path, runner=runner).verdict is Verdict.PASS


class TestRefusals:
    def test_a_model_that_is_none(self, runner: Runner) -> None:
        """The error names the model, the level and the cause; the child lives on."""
        pid = runner.pid
        with pytest.raises(Refused, match=r"broken at the default optimisation: .* loading it: "):
            runner.run(Loadable("broken", b"\x08\x07nothing"), {}, Level.DEPLOYED)
        with pytest.raises(Refused, match="without optimisation"):
            runner.run(loadable(IDENTITY), {"x": ONE.astype(np.float64)})
        assert np.array_equal(runner.run(loadable(IDENTITY), {"x": ONE})["y"], ONE)
        assert pid in (None, runner.pid)

    def test_messages_are_one_line(self, runner: Runner) -> None:
        """Without ONNX Runtime's error codes in front."""
        with pytest.raises(Refused) as caught:
            runner.run(loadable("net (float[2] x) => (float[2] y) { y = Nonesuch (x) }"), {})
        assert "\n" not in caught.value.message
        assert "[ONNXRuntimeError]" not in caught.value.message

    def test_a_provider_that_is_not_there(self) -> None:
        """It is an error, not a silent run on the CPU; those that are there are listed."""
        with (
            Runner(providers=["NoneExecutionProvider"]) as runner,
            pytest.raises(RuntimeUnavailable, match="CPUExecutionProvider"),
        ):
            runner.run(loadable(IDENTITY), {"x": ONE})

    def test_no_onnxruntime(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """An installation without it is told as such."""
        (tmp_path / "onnxruntime.py").write_text("raise ImportError('no such thing')")
        monkeypatch.syspath_prepend(str(tmp_path))
        with Runner() as runner, pytest.raises(RuntimeUnavailable, match="no such thing"):
            runner.run(loadable(IDENTITY), {"x": ONE})


class TestDeath:
    @pytest.mark.parametrize("output", ["SIGSEGV", "SIGKILL", "SIGABRT", "exit"])
    def test_a_crash_is_an_error(self, misbehaving: Runner, output: str) -> None:
        """It says what killed the child; the next run starts another."""
        cause = "exit code 7" if output == "exit" else output
        crashing, well = loadable(named(output), "bad.onnx"), loadable(named("y"))
        assert np.array_equal(misbehaving.run(well, {"x": ONE})["y"], ONE)
        first = misbehaving.pid
        with pytest.raises(Crashed, match=rf"bad.onnx without optimisation: .*{cause}"):
            misbehaving.run(crashing, {"x": ONE}, outputs=[output])
        assert np.array_equal(misbehaving.run(well, {"x": ONE})["y"], ONE)
        assert misbehaving.pid != first

    def test_last_words_are_told(self, misbehaving: Runner) -> None:
        """What the child wrote to standard error last is part of the error."""
        with pytest.raises(Crashed, match="what it said last"):
            misbehaving.run(loadable(named("SIGABRT")), {"x": ONE}, outputs=["SIGABRT"])

    def test_chatter_spoils_nothing(self, misbehaving: Runner) -> None:
        """Standard output of the child is not where replies travel."""
        chatty = loadable(named("chatter"))
        y = misbehaving.run(chatty, {"x": ONE}, outputs=["chatter"])["chatter"]
        assert np.array_equal(y, ONE)

    def test_a_child_killed_between_runs_is_replaced(self, runner: Runner) -> None:
        """Nobody's model is blamed for that."""
        identity = loadable(IDENTITY)
        runner.run(identity, {"x": ONE})
        assert runner.pid is not None
        os.kill(runner.pid, signal.SIGKILL)
        time.sleep(0.5)
        assert np.array_equal(runner.run(identity, {"x": ONE})["y"], ONE)

    def test_a_model_that_never_ends(self) -> None:
        """It is stopped after the time allowed, and others can be run."""
        with Runner(timeout=3.0) as runner:
            runner.run(loadable(IDENTITY), {"x": ONE})  # the start of the child costs time, too
            begun = time.monotonic()
            with pytest.raises(TimedOut, match=r"running it within 3 s; .*--timeout"):
                runner.run(loadable(NEVER_ENDING), {"x": ONE[:1]})
            assert time.monotonic() - begun < 30
            assert np.array_equal(runner.run(loadable(IDENTITY), {"x": ONE})["y"], ONE)

    @pytest.mark.parametrize("output", ["SIGSEGV", "exit"])
    def test_a_model_that_crashes_is_a_difference(self, misbehaving: Runner, output: str) -> None:
        """Only one of the two crashes: fail. Both: not checked."""
        before, after = model(IDENTITY), model(named(output))
        options = VerifyOptions(by_position=True)
        verdict = verify(before, after, options, runner=misbehaving)
        assert verdict.verdict is Verdict.FAIL
        assert "crashed while running it" in verdict.reasons[0]
        verdict = verify(after, after, options, runner=misbehaving)
        assert verdict.verdict is Verdict.NOT_CHECKED
        assert "crashed" in verdict.reasons[0]

    def test_a_model_that_hangs_is_a_difference(self) -> None:
        """As a crash is, and it is not waited for twice."""
        ending = NEVER_ENDING.replace("4611686018427387904", "3")
        with Runner(timeout=3.0) as runner:
            verdict = verify(model(ending), model(NEVER_ENDING), runner=runner)
        assert verdict.verdict is Verdict.FAIL
        assert "did not finish" in verdict.reasons[0]


class TestManners:
    def test_the_caller_never_loads_onnxruntime(self) -> None:
        """Neither the import nor a verification does; the child does."""
        code = (
            "import sys, onnxstride.cli, onnxstride.verify as v; "
            "print('onnxruntime' in sys.modules); "
            "m = v.complete(__import__('onnxstride.modelfile').modelfile.parse_text("
            f"{IDENTITY!r})); print(v.verify(m, m).verdict.value, 'onnxruntime' in sys.modules)"
        )
        run = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert run.stdout.split() == ["False", "pass", "False"]

    def test_the_child_goes_with_its_runner(self) -> None:
        """No process is left behind."""
        with Runner() as runner:
            runner.run(loadable(IDENTITY), {"x": ONE})
            pid = runner.pid
        assert pid is not None
        assert runner.pid is None
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    def test_results_are_those_of_onnxruntime(self, runner: Runner) -> None:
        """Bit for bit what a session in this process gives."""
        runtime: Any = import_module("onnxruntime")
        text = "net (float[1,2,9,9] x) => (float[1,2,A,B] y) <float[2,2,3,3] w> { y = Conv (x, w) }"
        options = runtime.SessionOptions()
        options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = runtime.InferenceSession(model(text), options, providers=["CPUExecutionProvider"])
        x = np.random.default_rng(1).standard_normal((1, 2, 9, 9), np.float32)
        expected = session.run(None, {"x": x})[0]
        assert np.array_equal(runner.run(loadable(text), {"x": x})["y"], expected)
