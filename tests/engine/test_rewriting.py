"""Rewriting picks the sites it was asked for, settles, and says what it did."""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from onnxstride.debug import DEBUG_VARIABLE
from onnxstride.engine.changes import RECORD, Plan, Rewritten
from onnxstride.engine.rewriting import rewrite_model
from onnxstride.errors import RuleError
from onnxstride.graph.layers import Layer, MaxPool
from onnxstride.modelfile import ModelFile, open_model, parse_text
from onnxstride.registry import LoadedRewrite, find_rewrite, load_rewrites, load_rules
from onnxstride.rewrite import Refusal, Rewrite
from onnxstride.rule import Finding, NodeRef, Safety, Skip
from onnxstride.surgery import Fragment, Samples, Site
from tests.planting import loaded_rule
from tests.rewrites.comparing import differences
from tests.rewrites.running import Session, rewritten, signal, whole

REWRITES = load_rewrites()
RULES = load_rules()
TWO_POOLS = """
    <ir_version: 10, opset_import: ["": 22]>
    net (float[1,2,8,8] x) => (float[1,2,4,4] y) {
        [act] r = Relu (x)
        [dense] d = MaxPool <kernel_shape = [3,3], pads = [1,1,1,1]> (r)
        [half] y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (d)
    }"""

Fix = Callable[[Site], Any]


def planted(
    fix: Fix,
    name: str = "planted",
    *,
    safety: Safety = Safety.EXACT,
    mends: tuple[str, ...] = (),
    on: tuple[type, ...] = (MaxPool,),
) -> LoadedRewrite:
    """A rewrite without a module."""
    rewrite = Rewrite(name, safety, on, mends)
    return LoadedRewrite(rewrite, fix, "Planted.", {}, {}, "planted.module", "test")


def named(*names: str) -> list[LoadedRewrite]:
    return [find_rewrite(REWRITES, name) for name in names]


def rewrite(model: ModelFile | str, *rewrites: LoadedRewrite, **plan: Any) -> Rewritten:
    """The model after these rewrites, of every node they fit unless rules are given."""
    opened = parse_text(model) if isinstance(model, str) else model
    return rewrite_model(opened, Plan(rewrites, named="rules" not in plan, **plan))


def done(result: Rewritten) -> list[tuple[str, str]]:
    """(node, rewrite) of every change, in order."""
    return [(change.node.name, change.rewrite) for change in result.changes]


def refused(result: Rewritten) -> list[tuple[str, str, str]]:
    return [(each.node.name, each.rewrite, each.reason) for each in result.declined]


def doubles(site: Site) -> Fragment:
    """The layer's input twice over, pooled as before by an AveragePool."""
    fragment = site.fragment()
    made = fragment.add("AveragePool", [site.layer.input], **_window(site))
    fragment.stand_in(site.node.output(0), made)
    return fragment


def _window(site: Site) -> dict[str, Any]:
    return {
        name: helper.get_attribute_value(attribute)
        for name, attribute in site.node.attributes.items()
    }


def declines(site: Site) -> Refusal:
    return Refusal("not today")


class TestSites:
    """Which nodes are looked at."""

    def test_named_rewrites_look_at_every_layer_they_fit(self) -> None:
        """With or without a finding."""
        result = rewrite(TWO_POOLS, *named("maxpool-to-exact-conv"))
        assert done(result) == [
            ("dense", "maxpool-to-exact-conv"), ("half", "maxpool-to-exact-conv")
        ]  # fmt: skip

    def test_findings_lead_to_what_mends_them(self) -> None:
        """A pool that drops nothing is no finding of DN201."""
        result = rewrite(TWO_POOLS, *REWRITES, rules=RULES)
        assert done(result) == [("half", "maxpool-to-exact-conv")]

    def test_only_the_rules_given_lead_anywhere(self) -> None:
        """A rule that finds nothing has nothing mended."""
        others = [loaded for loaded in RULES if loaded.code != "DN201"]
        assert done(rewrite(TWO_POOLS, *REWRITES, rules=others)) == []

    def test_a_glob_narrows_the_nodes(self) -> None:
        """By the whole of the node's name, capitals counting."""
        for glob, expected in (("ha*", ["half"]), ("*", ["dense", "half"]), ("HALF", [])):
            result = rewrite(TWO_POOLS, *named("maxpool-to-exact-conv"), nodes=glob)
            assert [name for name, _ in done(result)] == expected

    def test_a_name_is_a_glob_of_itself(self) -> None:
        """Exporters put brackets into names."""
        model = parse_text(TWO_POOLS)
        model.proto.graph.node[2].name = "layer[0]/pool"
        result = rewrite(model, *named("maxpool-to-exact-conv"), nodes="layer[0]/pool")
        assert [name for name, _ in done(result)] == ["layer[0]/pool"]

    def test_a_finding_at_another_node_leads_nowhere(self) -> None:
        """A rule may point at a node that is no layer."""

        def check(layer: Layer, graph: object) -> Iterator[Finding | Skip]:
            node = layer.node.scope.nodes[0].ref
            yield rule.rule.flag(node, "here.", figure=1)

        rule = loaded_rule("XX101", "planted", check=check, on=(MaxPool,))
        result = rewrite(TWO_POOLS, planted(doubles, mends=("XX101",)), rules=[rule])
        assert done(result) == []


class TestChoice:
    """Which of several rewrites is applied."""

    def test_the_first_that_takes_it(self) -> None:
        """A refusal is kept, and the next is asked."""
        result = rewrite(TWO_POOLS, planted(declines, "first"), planted(doubles, "second"))
        assert done(result) == [("dense", "second"), ("half", "second")]
        assert refused(result) == [("dense", "first", "not today"), ("half", "first", "not today")]

    def test_by_findings_too(self) -> None:
        """Remedies of one finding are tried in order."""
        result = rewrite(
            TWO_POOLS,
            planted(declines, "first", mends=("DN201",)),
            planted(doubles, "second", mends=("DN201",)),
            rules=RULES,
        )
        assert (done(result), refused(result)) == (
            [("half", "second")], [("half", "first", "not today")]
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("allow", "applied", "offered"),
        [
            (Safety.EXACT, [], {"approximate": 2, "training": 2}),
            (Safety.APPROXIMATE, ["blur", "blur"], {}),
            (Safety.TRAINING, ["blur", "blur"], {}),
        ],
    )
    def test_no_more_than_allowed(
        self, allow: Safety, applied: list[str], offered: dict[str, int]
    ) -> None:
        """What more would do is counted by site, however many rewrites would."""
        rewrites = [
            planted(declines, "exact"),
            planted(doubles, "blur", safety=Safety.APPROXIMATE),
            planted(doubles, "learn", safety=Safety.TRAINING),
            planted(doubles, "learn-more", safety=Safety.TRAINING),
        ]
        result = rewrite(TWO_POOLS, *rewrites, allow=allow)
        assert [name for _, name in done(result)] == applied
        assert result.offered == offered


INDEXED = TWO_POOLS.replace("[half] y =", "[half] y, unread =")


class TestSettling:
    """Rounds, until nothing changes any more."""

    def test_one_rewrite_uncovers_another(self) -> None:
        """A pool loses its indices, and is replaced in the next round."""
        names = ("drop-unused-indices", "maxpool-to-exact-conv")
        result = rewrite(INDEXED, *named(*names), nodes="half")
        assert done(result) == [("half", names[0]), ("half", names[1])]
        assert [node.op_type for node in result.model.proto.graph.node].count("MaxPool") == 1

    @staticmethod
    def grows(site: Site) -> Fragment:
        """A pool made into another pool and a Relu."""
        fragment = site.fragment()
        again = fragment.add("MaxPool", [site.layer.input], kernel_shape=[1, 1])
        fragment.stand_in(site.node.output(0), fragment.add("Relu", [again]))
        return fragment

    def test_ever_new_sites_are_an_error(self) -> None:
        """Rewrites that feed each other's appetite are named."""
        both = planted(self.grows, "growing"), planted(self.grows, "thriving")
        with pytest.raises(RuleError, match="not settle in 10 rounds: growing, thriving find"):
            rewrite(TWO_POOLS, *both)

    def test_a_rewrite_is_not_asked_about_what_it_made(self) -> None:
        """The pool it leaves behind is its own work, neither a site nor declined."""
        result = rewrite(TWO_POOLS, planted(self.grows, "growing"))
        assert [name for _, name in done(result)] == ["growing", "growing"]
        assert result.declined == ()

    def test_signs_are_those_of_the_rewritten_model(self) -> None:
        """What a rewrite that moves values has replaced proves nothing any more."""

        def negates(site: Site) -> Fragment | Refusal:
            if site.node.name != "dense":
                return Refusal("not this one")
            fragment = site.fragment()
            fragment.stand_in(site.node.output(0), fragment.add("Neg", [site.layer.input]))
            return fragment

        text = TWO_POOLS.replace(
            "[2,2], strides = [2,2]>", "[3,3], strides = [2,2], pads = [1,1,1,1]>"
        )
        exact = named("maxpool-to-exact-conv")
        learned = planted(negates, "negates", safety=Safety.TRAINING)
        result = rewrite(text, learned, *exact, allow=Safety.TRAINING)
        assert done(result) == [("dense", "negates"), ("half", "maxpool-to-exact-conv")]
        model = parse_text(text)
        alone = rewrite(model, learned, allow=Safety.TRAINING, nodes="dense")
        x = {"x": 1 + np.abs(signal((1, 2, 8, 8)))}
        (expected,), (found,) = (Session(each.model.proto).run(x) for each in (alone, result))
        np.testing.assert_allclose(found, expected, atol=1e-5)


class TestFailures:
    """A rewrite that breaks is an error with its name and the node."""

    def test_a_fix_that_raises(self) -> None:
        """The exception is named."""

        def breaks(site: Site) -> Fragment:
            raise KeyError("weight")

        with pytest.raises(RuleError, match=r"rewrite planted \(planted.module\) failed at MaxPool "
                           r"'dense': .*KeyError: 'weight'"):  # fmt: skip
            rewrite(TWO_POOLS, planted(breaks))

    def test_a_traceback_for_those_who_ask(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """While debugging the exception itself comes through."""

        def breaks(site: Site) -> Fragment:
            raise KeyError("weight")

        monkeypatch.setenv(DEBUG_VARIABLE, "1")
        with pytest.raises(KeyError):
            rewrite(TWO_POOLS, planted(breaks))

    def test_errors_of_our_own_come_through(self) -> None:
        """A rewrite may say in our terms what is wrong."""

        def breaks(site: Site) -> Fragment:
            raise RuleError("as it is")

        with pytest.raises(RuleError, match=r"^as it is$"):
            rewrite(TWO_POOLS, planted(breaks))

    def test_an_answer_of_another_kind(self) -> None:
        """Neither a fragment nor a refusal."""

        def says_nothing(site: Site) -> None:
            return None

        with pytest.raises(RuleError, match="expected a Fragment or a Refusal, found None"):
            rewrite(TWO_POOLS, planted(says_nothing))

    def test_an_output_nobody_makes(self) -> None:
        """What the rest of the model reads has to come from somewhere."""

        def forgets(site: Site) -> Fragment:
            fragment = site.fragment()
            fragment.add("Relu", [site.layer.input])
            return fragment

        with pytest.raises(RuleError, match="nothing stands in for 'd', which is read"):
            rewrite(TWO_POOLS, planted(forgets))


class TestSamples:
    """Data for rewrites that fit weights."""

    def test_each_site_sees_what_was_rewritten_before_it(self) -> None:
        """The tap is given the model so far, and the layer in question."""
        seen: list[tuple[str, list[str]]] = []

        def tap(model: ModelFile, layer: Layer) -> Samples:
            seen.append((layer.node.name, [node.op_type for node in model.proto.graph.node]))
            yield np.zeros(1), np.ones(1)

        def fits(site: Site) -> Fragment:
            assert site.has_samples
            for _ in range(2):  # each call runs through the data anew
                assert [(one[0], other[0]) for one, other in site.samples()] == [(0, 1)]
            return doubles(site)

        learned = planted(fits, safety=Safety.TRAINING)
        rewrite(TWO_POOLS, learned, allow=Safety.TRAINING, tap=tap)
        first = ("dense", ["Relu", "MaxPool", "MaxPool"])
        second = ("half", ["Relu", "AveragePool", "MaxPool"])
        assert seen == [first, first, second, second]

    def test_without_data_there_are_none(self) -> None:
        """A rewrite can tell."""

        def looks(site: Site) -> Refusal:
            return Refusal(f"{site.has_samples} {list(site.samples())}")

        assert {reason for _, _, reason in refused(rewrite(TWO_POOLS, planted(looks)))} == {
            "False []"
        }


class TestRecord:
    """What the model says of its own past."""

    def records(self, model: ModelFile) -> list[dict[str, Any]]:
        (entry,) = [entry for entry in model.proto.metadata_props if entry.key == RECORD]
        found: list[dict[str, Any]] = json.loads(entry.value)
        return found

    def test_every_change_is_recorded(self) -> None:
        """Site, scope, rewrite, safety and parameters."""
        result = rewrite(TWO_POOLS, *named("maxpool-to-exact-conv"), nodes="half")
        assert self.records(result.model) == [
            {
                "site": "half",
                "scope": [],
                "rewrite": "maxpool-to-exact-conv",
                "safety": "exact",
                "parameters": 16,
            }
        ]

    def test_a_later_run_adds_to_it(self) -> None:
        """What was recorded stays, and so does other metadata."""
        first = rewrite(TWO_POOLS, *named("maxpool-to-exact-conv"), nodes="half")
        first.model.proto.metadata_props.add(key="other", value="kept")
        second = rewrite(first.model, *named("maxpool-to-exact-conv"))
        assert [record["site"] for record in self.records(second.model)] == ["half", "dense"]
        assert [entry.key for entry in second.model.proto.metadata_props] == [RECORD, "other"]
        assert [record["site"] for record in self.records(first.model)] == ["half"]

    @pytest.mark.parametrize("value", ["", "not JSON", "{}", "7"])
    def test_what_is_no_record_is_replaced(self, value: str) -> None:
        """An entry that no rewrite can have written does not stop the run."""
        model = parse_text(TWO_POOLS)
        model.proto.metadata_props.add(key=RECORD, value=value)
        result = rewrite(model, *named("maxpool-to-exact-conv"), nodes="half")
        assert [record["site"] for record in self.records(result.model)] == ["half"]

    def test_nothing_done_leaves_no_trace(self) -> None:
        """The bytes are the same."""
        model = parse_text(TWO_POOLS)
        result = rewrite(model, planted(declines))
        assert result.model.proto.SerializeToString() == model.proto.SerializeToString()


class TestPlaces:
    """Sites in bodies, and nodes whose names are not their own."""

    def test_a_name_that_becomes_unique(self) -> None:
        """Once a pool of the same name is gone, the If is called by its name, and is found."""
        model = parse_text("""
            <ir_version: 10, opset_import: ["": 22]>
            net (float[1,2,8,8] x, bool flag) => (float[1,2,4,4] y, float[1,2,4,4] z) {
                [twin] y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)
                [twin] z = If (flag) <
                    then_branch = a () => (float[1,2,4,4] o) {
                        o = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)
                    },
                    else_branch = b () => (float[1,2,4,4] p) { p = Identity (y) }
                >
            }""")
        result = rewrite(model, *named("maxpool-to-exact-conv"))
        assert [(change.node.name, change.node.scope) for change in result.changes] == [
            ("y", ()),
            ("o", ("z.then_branch",)),
        ]
        assert differences(model.proto, result.model.proto, result.changes) == []

    def test_names_that_only_a_declaration_has(self) -> None:
        """A shape declared for a tensor that is not there is not claimed for a new one."""
        model = parse_text(TWO_POOLS)
        stale = helper.make_tensor_value_info("half/tap0_axis0", onnx.TensorProto.INT8, [7])
        model.proto.graph.value_info.append(stale)
        result = rewrite(model, *named("maxpool-to-exact-conv"), nodes="half")
        onnx.checker.check_model(result.model.proto, full_check=True)
        names = [node.name for node in result.model.proto.graph.node]
        assert "half/tap0_axis0_2" in names
        assert "half/tap0_axis0" not in names

    def test_the_model_given_is_left_alone(self) -> None:
        """Byte by byte."""
        model = parse_text(TWO_POOLS)
        before = model.proto.SerializeToString()
        assert rewrite(model, *named("maxpool-to-exact-conv")).changes
        assert model.proto.SerializeToString() == before

    def test_a_change_tells_its_node(self) -> None:
        """As it was named, with what went and what came."""
        (change,) = rewrite(TWO_POOLS, planted(doubles), nodes="half").changes
        assert change.node == NodeRef("half", "MaxPool", "", (), ("y",))
        assert (change.removed, change.added) == (("MaxPool",), ("AveragePool",))
        assert (change.safety, change.accumulation, change.uncut) == (Safety.EXACT, 0, "")


MODELS = Path(__file__).parents[2] / "models"
LIGHT = Path(onnx.__file__).parent / "backend/test/data/light"
ALL_MODELS = sorted(
    [*MODELS.glob("**/*.onnxtxt"), *MODELS.glob("**/*.onnx"), *LIGHT.glob("*.onnx")]
)
RUN = ("digits_pool2", "digits_pool3", "digits_vgg", "unet_deconv", "light_squeezenet",
       "light_inception_v1", "light_resnet50")  # fmt: skip


@pytest.mark.parametrize("path", ALL_MODELS, ids=lambda path: path.stem)
def test_every_pool_of_real_models(path: Path) -> None:
    """Each MaxPool is replaced, none is refused, and the rest is identical."""
    with open_model(path) as model:
        result = rewritten(model, "maxpool-to-exact-conv")
        pools = [node.name for node in model.proto.graph.node if node.op_type == "MaxPool"]
        assert len(result.changes) == len(pools)
        assert result.declined == ()
        assert not [node for node in result.model.proto.graph.node if node.op_type == "MaxPool"]
        assert differences(model.proto, result.model.proto, result.changes) == []
        assert [change.uncut for change in result.changes if change.uncut] == []


@pytest.mark.parametrize("name", RUN)
def test_real_models_agree(name: str) -> None:
    """The network answers as it did, and so did each pool: the light models end in one value."""
    (path,) = [path for path in ALL_MODELS if path.stem == name]
    with open_model(path) as model:
        result = rewritten(model, "maxpool-to-exact-conv")
        old, new = whole(model), whole(result.model)
    for proto in (old, new):
        pools = [change.node.outputs[0] for change in result.changes]
        proto.graph.output.extend(helper.make_empty_tensor_value_info(pool) for pool in pools)
    feeds = feeds_of(old)
    for one, other in zip(Session(old).run(feeds), Session(new).run(feeds), strict=True):
        assert other.shape == one.shape
        assert np.ptp(one) > 0 or one.size == 1000
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-5 * float(np.abs(one).max()))


def feeds_of(model: onnx.ModelProto) -> dict[str, Any]:
    """Data of the declared shape for every input that no initializer fixes; symbols are 1 or 64."""
    fixed = {tensor.name for tensor in model.graph.initializer}
    return {
        value.name: signal(_shape(value)) for value in model.graph.input if value.name not in fixed
    }


def _shape(value: onnx.ValueInfoProto) -> Iterable[int]:
    for axis, dim in enumerate(value.type.tensor_type.shape.dim):
        yield dim.dim_value or (64 if axis > 1 else 1)
