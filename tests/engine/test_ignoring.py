"""Findings pass that somebody asked to ignore; a wish that meets nothing is told."""

from collections.abc import Iterator
from typing import Any

import pytest

from onnxstride.engine.ignoring import judged
from onnxstride.engine.lint import lint_opened
from onnxstride.engine.model_ignores import KEY, Entry
from onnxstride.engine.policy import Known, Policy
from onnxstride.engine.results import (
    UNJUDGED,
    FileError,
    FileReport,
    Ignore,
    unmatched,
)
from onnxstride.graph.layers import Layer, Response
from onnxstride.modelfile import parse_text
from onnxstride.rule import Finding, NodeRef, Rule, Severity, Skip
from tests.planting import finding, loaded_rule, report

RULES = [loaded_rule("XX101", "planted"), loaded_rule("XX202", "other")]
PROBES = loaded_rule("XX301", "drawn", on=(Response,))
KNOWN = tuple(Known(rule.code, rule.name) for rule in (*RULES, PROBES))


def at(name: str, *scope: str) -> NodeRef:
    return NodeRef(name, "Conv", "", scope, (f"{name}_out",))


def wish(code: str, nodes: str = "*", *, where: str = "c:1", is_glob: bool = True) -> Ignore:
    return Ignore((code,), nodes, "", "config", where, is_glob)


UP, DEEP, ODD = finding(node=at("up")), finding(node=at("up", "f.body")), finding(node=at("up[0]"))


def passed(found: list[Finding], *wishes: Ignore, held: tuple[Entry, ...] = ()) -> FileReport:
    """The report of a file with these findings, judged with these wishes."""
    return judged(report("m", *found), RULES, Policy(ignores=wishes, known=KNOWN), held)


class TestWhatIsMeant:
    @pytest.mark.parametrize("code", ["XX101", "XX1", "XX", "planted", "ALL"])
    def test_a_rule_is_named_by_any_selector(self, code: str) -> None:
        """By its code, its name, a beginning of codes, or ALL."""
        done = passed([UP], wish(code))
        assert done.findings == ()
        assert [each.finding for each in done.ignored] == [UP]

    @pytest.mark.parametrize("code", ["XX202", "xx101", "XX1011", "plant", ""])
    def test_another_rule_is_not_meant(self, code: str) -> None:
        """Nor one that is only like it."""
        assert passed([UP], wish(code)).findings == (UP,)

    @pytest.mark.parametrize(
        ("nodes", "expected"),
        [
            pytest.param("*", [UP, DEEP, ODD], id="every node"),
            pytest.param("up", [UP], id="a node, not one of its name in a body"),
            pytest.param("f.body > up", [DEEP], id="a node in a body"),
            pytest.param("f.body > *", [DEEP], id="all of a body"),
            pytest.param("up[0]", [ODD], id="a name with brackets is itself"),
            pytest.param("up[[]0]", [ODD], id="brackets escaped"),
            pytest.param("up?0?", [ODD], id="signs"),
            pytest.param("UP", [], id="letters count"),
        ],
    )
    def test_a_glob_means_nodes(self, nodes: str, expected: list[Finding]) -> None:
        """As reports spell them."""
        done = passed([UP, DEEP, ODD], wish("ALL", nodes))
        assert [each.finding for each in done.ignored] == expected

    def test_the_wish_of_a_model_means_one_node(self) -> None:
        """Whatever signs are in its name: a stranger's glob would reach further than it says."""
        star, other = finding(node=at("*")), finding(node=at("u*"))
        done = passed([UP, star, other], held=(Entry("XX101", "*"),))
        assert [each.finding for each in done.ignored] == [star]
        assert passed([UP, star], held=(Entry("XX101", None),)).findings == ()

    def test_many_wishes_about_many_nodes(self) -> None:
        """Each lets pass its own."""
        found = [finding(node=at(f"n{number}")) for number in range(5000)]
        held = tuple(Entry("XX101", f"n{number}") for number in range(1, 5000))
        done = passed(found, held=held)
        assert done.findings == (found[0],)
        assert [each.ignore.nodes for each in done.ignored] == [entry.node for entry in held]


class TestWhoSaysSo:
    def test_the_model_comes_first_and_others_are_not_idle(self) -> None:
        """A finding tells one wish; another that it answers to has matched too."""
        done = passed([UP], wish("XX1"), held=(Entry("XX101", "up", "drawn"),))
        [ignored] = done.ignored
        assert ignored.ignore == Ignore(("XX101",), "up", "drawn", "model", "m", is_glob=False)
        assert ignored.others == (wish("XX1"),)
        assert done.unmatched == ()

    def test_each_selector_stands_for_itself(self) -> None:
        """Of two in one wish the one that meets nothing is told."""
        both = wish("")._replace(codes=("XX101", "XX202"))
        assert passed([UP], both).unmatched == (wish("XX202"),)

    def test_heeding_none_shows_all(self) -> None:
        """Levels are those of the policy all the same."""
        policy = Policy(
            ignores=(wish("ALL"),), heeds_ignores=False, severities={"XX101": Severity.ERROR}
        )
        done = judged(report("m", UP), RULES, policy, [Entry("ALL", None)])
        assert [each.severity for each in done.findings] == [Severity.ERROR]
        assert (done.ignored, done.unmatched) == ((), ())

    def test_an_ignored_finding_has_the_level_it_would_have(self) -> None:
        """Which is that of the policy."""
        policy = Policy(ignores=(wish("ALL"),), severities={"XX101": Severity.NOTE})
        [ignored] = judged(report("m", UP), RULES, policy).ignored
        assert ignored.finding.severity is Severity.NOTE


class TestUnmatched:
    def test_a_wish_that_meets_nothing_is_told(self) -> None:
        """Where its rule ran; one about a rule that did not run may have its reasons."""
        idle = wish("XX202", "up")
        assert passed([UP], idle, wish("XX301")).unmatched == (idle,)

    def test_a_rule_that_does_not_exist_is_told(self) -> None:
        """A plugin may be missing, or the code be misspelt."""
        assert passed([], wish("XX999")).unmatched == (wish("XX999"),)
        unknowing = judged(report("m"), RULES, Policy(ignores=(wish("XX999"),)))
        assert unknowing.unmatched == ()

    def test_a_rule_about_probes_has_run_where_there_was_one(self) -> None:
        """Without a probe it had nothing to judge."""
        policy = Policy(ignores=(wish("XX301"),), known=KNOWN)
        assert judged(report("m"), [*RULES, PROBES], policy).unmatched == ()
        probed = report("m")._replace(probed=_anything())
        assert judged(probed, [*RULES, PROBES], policy).unmatched == (wish("XX301"),)

    @pytest.mark.parametrize("code", ["XX101", UNJUDGED])
    @pytest.mark.parametrize(
        ("idle", "told"),
        [
            pytest.param(wish("planted", "up", is_glob=False), False, id="that node"),
            pytest.param(wish("XX", "u*"), False, id="a glob that fits it"),
            pytest.param(wish("XX101", "down"), True, id="another node"),
        ],
    )
    def test_what_could_not_be_judged_is_not_told(
        self, code: str, idle: Ignore, told: bool
    ) -> None:
        """With sizes that are not known here it may match."""
        skipped = report("m", skips=[Skip(code, at("up"), "unknown")])
        done = judged(skipped, RULES, Policy(ignores=(idle,), known=KNOWN))
        assert bool(done.unmatched) is told

    def test_nothing_is_told_of_a_file_that_could_not_be_read_in_whole(self) -> None:
        """The rest may hold what is meant."""
        broken = report("m")._replace(error=FileError("E005", "short"))
        assert judged(broken, RULES, Policy(ignores=(wish("XX101"),))).unmatched == ()

    def test_over_several_files_one_match_is_enough(self) -> None:
        """A wish of a configuration is about all of them, also where it comes second."""
        policy = Policy(ignores=(wish("XX1", where="c:1"), wish("XX101", where="c:2")))
        reports = [judged(report(p, *f), RULES, policy) for p, f in (("a", [UP]), ("b", []))]
        assert len(reports[1].unmatched) == 2
        assert unmatched(reports) == ()
        assert unmatched(reports[1:]) == reports[1].unmatched


class TestInALint:
    """From the file to the report."""

    NET = """
        <ir_version: 10, opset_import: ["" : 17, "local" : 1]>
        net (float[1,2,8,8] x, bool flag) => (float[1,2,P,Q] z) {
            [pool] h = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x)
            [pool] y = MaxPool <kernel_shape = [1,1]> (h)
            [choose] z = If (flag) <
                then_branch = a () => (float[1,2,P,Q] o) {
                    [inner] o = MaxPool <kernel_shape = [2,2], strides = [2,2]> (y) },
                else_branch = b () => (float[1,2,P,Q] p) { p = local.Halve (y) }
            >
        }
        <domain: "local", opset_import: ["" : 17]>
        Halve (x) => (y) { [pool] y = MaxPool <kernel_shape = [2,2], strides = [2,2]> (x) }"""
    PATHS = ("h", "y", "choose.then_branch > inner", "function local::Halve > pool")

    def lint(self, value: str, **policy: Any) -> FileReport:
        """The report by a rule that flags every layer."""
        rule = Rule("XX101", "planted", Severity.WARNING, (Layer,))
        loaded = loaded_rule("XX101", "planted", check=_flag(rule), on=(Layer,))
        model = parse_text(self.NET)
        if value:
            model.proto.metadata_props.add(key=KEY, value=value)
        return lint_opened("m", lambda: model, [loaded], Policy(**policy))

    def test_every_node_can_be_named(self) -> None:
        """In bodies, in functions; of one name, by their outputs."""
        assert [each.node.path for each in self.lint("").findings] == list(self.PATHS)
        for path in self.PATHS:
            done = self.lint(f'[{{"code": "XX101", "node": "{path}", "reason": "\\u001b[2J"}}]')
            assert [each.finding.node.path for each in done.ignored] == [path]
            assert len(done.findings) == len(self.PATHS) - 1

    def test_a_name_that_several_nodes_have_is_no_node(self) -> None:
        """It is told, and hides none of them."""
        done = self.lint('[{"code": "XX101", "node": "pool"}]')
        assert len(done.findings) == len(self.PATHS)
        assert [each.nodes for each in done.unmatched] == ["pool"]

    def test_what_cannot_be_read_is_an_error_beside_the_findings(self) -> None:
        """Unless no wish is to be heeded."""
        done = self.lint("{")
        assert done.error is not None
        assert done.error.code == "E008"
        assert len(done.findings) == len(self.PATHS)
        assert self.lint("{", heeds_ignores=False).error is None


def _flag(rule: Rule) -> Any:
    def check(layer: Any, graph: object) -> Iterator[Finding]:
        yield rule.flag(layer.ref, "planted here")

    return check


def _anything() -> Any:
    """Stands for what a probe saw; all that counts is that there was one."""
    return object()
