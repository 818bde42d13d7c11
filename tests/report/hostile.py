"""Runs whose names try to break out of whatever they are printed in."""

from hypothesis import settings
from hypothesis import strategies as st

from onnxstride.engine.results import FileError, FileReport
from onnxstride.rule import NodeRef, Remedy, Safety, Severity
from tests.planting import finding

law = settings(derandomize=True, database=None, deadline=None, max_examples=80)

PIECES = (
    *("\n", "\r\n", "\x00", "\x1b[2J", "\x85", "\u2028", "\u202e", "\ufeff", "\ufffe"),
    *("\udce9", "\ud800", "é", "入", " ", "  ", "a", "conv/weight:0", "..", "/"),
    *("%", "%0A", "::", "::error::x", "\n::error file=a,title=b::c", ",title=x", ",", ":"),
    *("]]>", "<![CDATA[", "&lt;", "&#10;", "<b>", "</testcase>", "<!--", '"', "'", "<x y='"),
    *("|", "\\", "\\|", "`", "``", "```", "*a*", "_b_", "~~c~~", "$d$", "[a](b)", "![a](b)"),
    *("[a](", "http://e.f", "www.e.f", "e@f.g", "@octocat", "#1", ":+1:", "\n- x", "\n# x"),
    *("{0}", "{{", "$(x)", "\t", "--", "|---|"),
)

TEXT = st.lists(st.sampled_from(PIECES) | st.characters(), max_size=5).map("".join)
_NAME = st.lists(
    st.sampled_from([piece for piece in PIECES if "/" not in piece and "\x00" not in piece]),
    max_size=4,
).map("".join)
# Real files have names without a slash or a null, below the current folder.
PATHS = st.builds("models/{}.onnx".format, _NAME)
NODES = st.builds(NodeRef, TEXT, TEXT, TEXT, st.lists(TEXT, max_size=2).map(tuple), st.tuples(TEXT))
FINDINGS = st.builds(
    finding,
    st.sampled_from(["XX101", "XX102"]),
    severity=st.sampled_from(Severity),
    message=TEXT,
    node=NODES,
    remedies=st.sampled_from([(), (Remedy("resize", Safety.EXACT),)]),
    named=TEXT,
)
REPORTS = st.builds(
    FileReport,
    PATHS,
    st.none() | st.builds(FileError, st.just("E001"), TEXT),
    st.lists(FINDINGS, max_size=3).map(tuple),
)
RUNS = st.lists(REPORTS, max_size=3)
