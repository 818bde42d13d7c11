"""The page of a report: whole, self-contained, true to the figures, and safe to open."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from onnxstride.cli import main
from onnxstride.engine.anatomy import anatomy
from onnxstride.engine.lint import lint_graph
from onnxstride.engine.patterns import patterns
from onnxstride.engine.reporting import ModelReport, report_file
from onnxstride.engine.results import FileError
from onnxstride.graph import Bindings, read_graph
from onnxstride.graph.graph import Graph
from onnxstride.modelfile import parse_text
from onnxstride.registry import load_rules
from onnxstride.report.anatomy import layer_as_json
from onnxstride.report.html import render_html
from onnxstride.report.page import fields, words

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "models"
SHIPPED = [*sorted(MODELS.glob("*.onnxtxt")), *sorted((MODELS / "trained").glob("*.onnx"))]

_VOID = frozenset(["br", "hr", "img", "input", "link", "meta"])

NO_LAYER = "net (float[1,4] x) => (float[1,4] y) { y = Relu (x) }"
UNKNOWN = """
net (float[1,1,H,W] x, int64[4] s) => (float[1,1,P,Q] y) <float[1,1,3,3] w> {
    r = Resize <mode = "nearest"> (x, , , s)
    y = Conv <kernel_shape = [3,3]> (r, w)
}"""
EVIL = "<script>alert(1)</script><b onclick='x'>&amp;\u202egnp.exe\x07\x1b[31m</style>\""
NAMED = """
net (float[1,1,N] x) => (float[1,1,q] y) <float[1,1,3] w, float[1,1,3] v> {
    [up] a = ConvTranspose <kernel_shape = [3], strides = [2]> (x, w)
    [down] b = Conv <kernel_shape = [3], strides = [3]> (a, v)
    [meet] y = Concat <axis = 2> (b, a)
}"""


def report_of(text: str, name: str = "model.onnx") -> ModelReport:
    """The report of a model given as text, with all rules and patterns."""
    return report_of_graph(read_graph(parse_text(text)), name)


def report_of_graph(graph: Graph, name: str = "model.onnx") -> ModelReport:
    findings, skips, _ = lint_graph(graph, load_rules())
    return ModelReport(name, anatomy(graph), tuple(findings), tuple(skips), patterns(graph))


def hostile_report() -> ModelReport:
    """Every name is one that would be markup, hide what follows, or run."""
    model = parse_text(NAMED)
    graph = model.proto.graph
    named = {"x": f"x{EVIL}", "a": f"a{EVIL}", "w": f"w{EVIL}"}
    for value in [*graph.node, *graph.input, *graph.initializer]:
        value.name = named.get(value.name, value.name + EVIL)
    for node in graph.node:
        node.input[:] = [named.get(name, name + EVIL) for name in node.input]
        node.output[:] = [named.get(name, name + EVIL) for name in node.output]
    graph.output[0].name = f"y{EVIL}"
    graph.input[0].type.tensor_type.shape.dim[2].dim_param = f"N{EVIL}"
    return report_of_graph(read_graph(model), f"<i>dir/<u>{EVIL}.onnx")


@cache
def report_of_file(path: Path) -> ModelReport:
    return report_file(str(path), Bindings(), load_rules(), with_patterns=True)


@cache
def page_of_file(path: Path) -> str:
    return render_html(report_of_file(path))


def shipped(name: str) -> ModelReport:
    return report_of_file(MODELS / name)


class Element:
    """An element of a page, with all text in it."""

    def __init__(self, tag: str, attributes: dict[str, str], inside: "Element | None") -> None:
        self.tag = tag
        self.attributes = attributes
        self.inside = inside
        self.children: list[Element] = []
        self.texts: list[str] = []

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())

    @property
    def kinds(self) -> list[str]:
        return self.attributes.get("class", "").split()

    def all(self, tag: str, kind: str = "") -> "Iterator[Element]":
        """Descendants of this tag and class, in order."""
        for child in self.children:
            if child.tag == tag and (not kind or kind in child.kinds):
                yield child
            yield from child.all(tag, kind)


class Page(HTMLParser):
    """A page as a tree; ``faults`` tells where tags do not match."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.root = self._open = Element("", {}, None)
        self.every: list[Element] = []
        self.faults: list[str] = []
        self.feed(text)
        self.close()
        if self._open is not self.root:
            self.faults.append(f"<{self._open.tag}> is never closed")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        if len(set(names)) < len(names):
            self.faults.append(f"<{tag}> has an attribute twice")
        element = Element(tag, {name: value or "" for name, value in attrs}, self._open)
        self._open.children.append(element)
        self.every.append(element)
        if tag not in _VOID:
            self._open = element

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._open.tag != tag or self._open.inside is None:
            self.faults.append(f"</{tag}> closes <{self._open.tag}>")
            return
        self._open = self._open.inside

    def handle_data(self, data: str) -> None:
        element: Element | None = self._open
        while element is not None:
            element.texts.append(data)
            element = element.inside


def violations(text: str, layers: int) -> list[str]:
    """What keeps a text from being a page that is whole, safe and complete."""
    page = Page(text)
    ids = [element.attributes["id"] for element in page.every if "id" in element.attributes]
    found = [*page.faults, *(f"two {name}" for name in sorted(set(ids)) if ids.count(name) > 1)]
    for element in page.every:
        found += _of_element(element, set(ids))
    [*styles] = (element for element in page.every if element.tag == "style")
    found += _of_style("".join(style.text for style in styles))
    found += _of_style(
        " ".join(each.attributes.get("style", "") for each in page.every), inline=True
    )
    rows = [name for name in ids if re.fullmatch(r"l\d+", name)]
    if rows != [f"l{number}" for number in range(1, layers + 1)]:
        found.append(f"rows {rows[:3]}.., {len(rows)} of {layers} layers")
    if any(not char.isprintable() and char != "\n" for char in text):
        found.append("a character that is not printable")
    return found


def _of_element(element: Element, ids: set[str]) -> Iterator[str]:
    if element.tag in ("script", "iframe", "object", "embed", "base", "form", "img", "link"):
        yield f"<{element.tag}>"
    for name, value in element.attributes.items():
        if name.startswith("on"):
            yield f"{name} on <{element.tag}>"
        if name in ("href", "xlink:href", "src", "action", "data"):
            if not value.startswith("#"):
                yield f"{name} leads to {value}"
            elif value[1:] not in ids:
                yield f"{name} {value} has no target"
        for reference in value.split() if name == "aria-labelledby" else ():
            if reference not in ids:
                yield f"{name} {reference} has no target"


def _of_style(style: str, *, inline: bool = False) -> Iterator[str]:
    if "@import" in style or re.search(r"url\((?!#)", style):
        yield "a style from elsewhere"
    if inline:
        return
    for needed in ("prefers-color-scheme: dark", "@media print", "max-width: 640px"):
        if needed not in style:
            yield f"no style for {needed}"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_page_of_every_shipped_model_is_whole(path: Path) -> None:
    """Tags match, ids are unique, links lead to their targets, nothing comes from elsewhere."""
    report = report_of_file(path)
    assert violations(page_of_file(path), len(report.anatomy.layers)) == []


@pytest.mark.parametrize(
    ("text", "layers"),
    [
        pytest.param(NO_LAYER, 0, id="without layers"),
        pytest.param(UNKNOWN, 2, id="sizes unknown"),
    ],
)
def test_the_page_of_an_odd_model_is_whole(text: str, layers: int) -> None:
    """Whatever it lacks."""
    assert violations(render_html(report_of(text)), layers) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        pytest.param("</section>", "", "</", id="a tag left open"),
        pytest.param('id="l2"', 'id="l1"', "two l1", id="an id twice"),
        pytest.param('id="l2"', "", "has no target", id="a link into nothing"),
        pytest.param('href="#l1"', 'href="https://example.org"', "leads to", id="a link out"),
        pytest.param("<main>", "<main><script></script>", "<script>", id="a script"),
        pytest.param("<main>", "<main onclick='x'>", "onclick", id="a handler"),
        pytest.param("<main>", "<main><img src='x'>", "<img>", id="an image"),
        pytest.param(":root {", "@import 'x'; :root {", "elsewhere", id="an import"),
        pytest.param("url(#hatch)", "url(//x)", "elsewhere", id="a picture in the style"),
        pytest.param("prefers-color-scheme: dark", "x", "no style for", id="no dark style"),
        pytest.param("<main>", "<main>\u202e", "not printable", id="text turned round"),
    ],
)
def test_a_page_with_a_fault_is_noticed(old: str, new: str, fault: str) -> None:
    """Each law is broken by one change."""
    page = page_of_file(MODELS / "lenet5.onnxtxt")
    assert old in page
    found = violations(page.replace(old, new, 1), 5)
    assert any(fault in each for each in found)


def rows_of(page: str) -> list[Element]:
    [table] = Page(page).root.all("table", "layers")
    return [row for row in table.all("tr") if row.attributes.get("id")]


def spelled(value: object) -> str:
    """A figure of the JSON document as the table has it."""
    if isinstance(value, list):
        texts = [spelled(each) for each in value]
        return texts[0] if len(set(texts)) == 1 else words.TIMES.join(texts)
    return "?" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


@pytest.mark.parametrize(
    "name", ["resnet50_v1.onnxtxt", "unet3d.onnxtxt", "trained/decoder_deconv3.onnx"]
)
def test_figures_are_those_of_the_anatomy(name: str) -> None:
    """Every layer once and in order, with the figures that the JSON document has."""
    layers = shipped(name).anatomy.layers
    rows = rows_of(page_of_file(MODELS / name))
    assert [row.children[1].text for row in rows] == [layer.node.name for layer in layers]
    for row, layer in zip(rows, layers, strict=True):
        document = layer_as_json(layer)
        texts = [cell.text for cell in row.children[2:]]
        assert texts[0] == layer.op_type
        assert texts[5:7] == [words.by(layer.input_size), words.by(layer.output_size)]
        names = ("total_stride", "receptive_field", "min_receptive_field", "centre_offset")
        assert texts[7:11] == [spelled(document[each]) for each in names]
        assert texts[12] == f"{layer.parameters:,}"
        assert texts[13] == ("?" if layer.multiply_adds is None else f"{layer.multiply_adds:,}")


def test_the_head_says_what_the_summary_says() -> None:
    """First layer, the way down, costs, and the sizes that fit with what forces them."""
    page = Page(page_of_file(MODELS / "unet_deconv.onnxtxt")).root
    [facts] = page.all("dl", "facts")
    assert f"Conv 3{words.TIMES}3, stride 1{words.TIMES}1" in facts.text
    assert f"4 MaxPool 2{words.TIMES}2 /2" in facts.text
    assert f"4 ConvTranspose 2{words.TIMES}2 {words.TIMES}2" in facts.text
    assert "H % 16 == 0 (image[2]): 16, 32, 48, 64, 80, .." in facts.text
    assert "forced by up3/concat, up2/concat, up1/concat and 1 more" in facts.text
    [figures] = page.all("dl", "figures")
    assert "485,826" in figures.text


@pytest.mark.parametrize(
    "name", ["unet3d.onnxtxt", "trained/digits_vgg.onnx", "unet_deconv.onnxtxt"]
)
def test_findings_stand_with_their_layers(name: str) -> None:
    """Each once: below its layer's row, or among those of no layer; severities as words too."""
    report = shipped(name)
    page = Page(page_of_file(MODELS / name)).root
    [table] = page.all("table", "layers")
    said = {
        row.attributes["id"]: below
        for row, below in pairwise(table.all("tr"))
        if row.attributes.get("id")
    }
    numbers = {layer.node: f"l{number}" for number, layer in enumerate(report.anatomy.layers, 1)}
    [section] = (each for each in page.all("section") if each.attributes.get("id") == "findings")
    assert report.findings
    for finding in report.findings:
        place = said[numbers[finding.node]] if finding.node in numbers else section
        text = f"{finding.severity.value} {finding.code} {finding.name}: {finding.message}"
        assert text in place.text
    assert len(list(page.all("ul", "findings"))) == len({each.node for each in report.findings})


def test_grave_findings_are_open_and_notes_are_folded() -> None:
    """So that a long model shows what matters."""
    page = Page(page_of_file(MODELS / "unet3d.onnxtxt")).root
    [table] = page.all("table", "layers")
    for row in table.all("tr", "said"):
        [details] = row.all("details")
        assert ("open" in details.attributes) == ("note" not in row.kinds)


def corners(polygon: Element) -> tuple[float, float]:
    """Width of a slab at its top and at its bottom."""
    points = [float(point.partition(",")[0]) for point in polygon.attributes["points"].split()]
    return points[1] - points[0], points[2] - points[3]


def test_the_pyramid_is_as_wide_as_the_maps() -> None:
    """One slab for each layer in order; halving takes off the same everywhere."""
    layers = shipped("unet3d.onnxtxt").anatomy.layers
    page = Page(page_of_file(MODELS / "unet3d.onnxtxt")).root
    [pyramid] = page.all("ol", "pyramid")
    links = [link for link in pyramid.all("a") if link.children]
    assert [link.attributes["href"] for link in links] == [f"#l{n}" for n in range(1, 22)]
    pairs = list(zip(layers, (corners(link.children[0]) for link in links), strict=True))
    made = {layer.output_size: below for layer, (_, below) in pairs}
    widths = [made[(size,) * 3] for size in (64, 32, 16, 8)]
    assert widths[0] == 100
    assert len({round(wide - narrow, 1) for wide, narrow in pairwise(widths)}) == 1
    assert all(above == made[layer.input_size] for layer, (above, _) in pairs)


def test_layers_of_one_element_are_left_out_of_the_pyramid() -> None:
    """A squeeze-and-excitation is no stage; what stands at the end is."""
    page = Page(page_of_file(MODELS / "efficientnet_b0.onnxtxt")).root
    [pyramid] = page.all("ol", "pyramid")
    sizes = [each.text.split()[0] for each in pyramid.all("p", "size")]
    assert sizes == [words.by((side, side)) for side in (224, 112, 56, 28, 14, 7, 1)]
    [section] = (each for each in page.all("section") if each.attributes.get("id") == "resolution")
    assert "layers on maps of one element left out" in section.text


def test_of_very_many_changes_the_first_are_shown_at_once() -> None:
    """The others fold away; every layer is still drawn once."""
    window = "kernel_shape = [2], strides = [2]"
    layers = "\n".join(
        f"a{i} = MaxPool <{window}> (x{i}) x{i + 1} = ConvTranspose <{window}> (a{i}, w)"
        for i in range(30)
    )
    text = f"net (float[1,1,8] x0) => (float[1,1,q] x30) <float[1,1,2] w> {{ {layers} }}"
    page = Page(render_html(report_of(text))).root
    shown, folded = page.all("ol", "pyramid")
    slabs = [list(floors.all("polygon")) for floors in (shown, folded)]
    assert [len(each) for each in slabs] == [40, 60 + 1 - 40]
    assert next(page.all("summary")).text == "21 changes more"


def box(rect: Element) -> tuple[float, float]:
    """Top and bottom of a bar."""
    top = float(rect.attributes["y"])
    return top, top + float(rect.attributes["height"])


def test_bars_show_what_layers_see() -> None:
    """The more the higher; those of RF501 are marked, and lie above the line of the image."""
    report = shipped("trained/digits_vgg.onnx")
    page = Page(page_of_file(MODELS / "trained" / "digits_vgg.onnx")).root
    [chart] = page.all("figure", "chart")
    bars = list(chart.all("rect", "bar"))
    sees = [layer.receptive_field[0] or 0 for layer in report.anatomy.layers]
    tops = [box(bar)[0] for bar in bars]
    assert [top for _, top in sorted(zip(sees, tops, strict=True))] == sorted(tops, reverse=True)
    stuck = {f.node for f in report.findings if f.code == "RF501"}
    assert [("stuck" in bar.kinds) for bar in bars] == [
        layer.node in stuck for layer in report.anatomy.layers
    ]
    [line] = chart.all("line", "image")
    at = float(line.attributes["y1"])
    for bar, layer in zip(bars, report.anatomy.layers, strict=True):
        assert (box(bar)[0] < at) == ((layer.receptive_field[0] or 0) > 32)
        assert "stuck" not in bar.kinds or box(bar)[1] < at


def test_an_image_smaller_than_any_field_stays_in_the_chart() -> None:
    """The scale begins where the least of all does."""
    text = """net (float[1,1,2] x) => (float[1,1,q] y) <float[1,1,200] v, float[1,1,3] w> {
        a = Conv <kernel_shape = [200], pads = [199,199]> (x, v)
        y = Conv <kernel_shape = [3]> (a, w)
    }"""
    [chart] = Page(render_html(report_of(text))).root.all("figure", "chart")
    [line] = chart.all("line", "image")
    assert float(line.attributes["y1"]) <= fields.BOTTOM


def test_axes_that_differ_have_charts_of_their_own() -> None:
    """And those that agree share one."""
    found = report_of(
        """net (float[1,1,64,64] x) => (float[1,1,p,q] y) <float[1,1,3,5] w> {
            y = Conv <kernel_shape = [3,5], strides = [1,2]> (x, w)
        }"""
    )
    page = Page(render_html(found)).root
    captions = [each.text for each in page.all("figcaption")]
    assert [("height" in each, "width" in each) for each in captions] == [
        (True, False),
        (False, True),
    ]


def test_tiles_show_taps_and_gains() -> None:
    """Numbers of one period, the tones of all cells, and the ripple in words."""
    text = """net (float[1,1,9,9] x) => (float[1,1,p,q] y)
        <float[1,1,2,3] w = {1.0, 1.0, 1.0, 1.0, 1.0, 1.0}> {
            y = ConvTranspose <kernel_shape = [2,3], strides = [2,2], pads = [0,1,0,1]> (x, w)
        }"""
    page = Page(render_html(report_of(text))).root
    [taps] = page.all("svg", "taps")
    [gains] = page.all("svg", "gains")
    assert [each.text for each in taps.all("text")] == ["1", "2", "1", "2"]
    minus = "\N{MINUS SIGN}33"
    assert [each.text for each in gains.all("text")] == [minus, "+33", minus, "+33"]
    assert gains.attributes["aria-label"].endswith(f"{minus} +33; {minus} +33")
    assert {each.attributes["class"] for each in taps.all("path")} == {"t5", "t10"}
    for svg, kinds in ((taps, 2), (gains, 2)):
        paths = list(svg.all("path"))
        assert len(paths) == kinds
        assert sum(each.attributes["d"].count("M") for each in paths) == 16
    [card] = page.all("article", "card")
    assert "uneven: 1 to 2 taps, a factor of 2" in card.text
    assert "ripple -9.5 dB" in card.text


def test_gains_without_a_constant_have_signs_for_numbers() -> None:
    """They cancel in the mean, so that no share of it can be told."""
    text = """net (float[1,1,9] x) => (float[1,1,q] y) <float[1,1,2] w = {1.0, -1.0}> {
        y = ConvTranspose <strides = [2]> (x, w)
    }"""
    page = Page(render_html(report_of(text))).root
    [gains] = page.all("svg", "gains")
    assert [each.text for each in gains.all("text")] == ["+", "\N{MINUS SIGN}"]
    [card] = page.all("article", "card")
    assert "the gains cancel in the mean" in card.text


def test_three_axes_are_drawn_as_slices() -> None:
    """One for each phase of the first axis."""
    page = Page(page_of_file(MODELS / "unet3d.onnxtxt")).root
    card = next(page.all("article", "card"))
    captions = [each.text for each in card.all("figcaption")]
    assert captions == ["depth 0", "depth 1"] * 2


def test_names_from_strangers_are_names() -> None:
    """They are shown whole, with what is not printable as escapes, and make no element."""
    report = hostile_report()
    assert len(report.anatomy.layers) == 2
    assert report.findings
    text = render_html(report)
    assert violations(text, 2) == []
    shown = "<script>alert(1)</script><b onclick='x'>&amp;\\u202egnp.exe\\x07\\x1b[31m</style>"
    rows = rows_of(text)
    assert [row.children[1].text for row in rows] == [f'up{shown}"', f'down{shown}"']
    page = Page(text)
    assert not {element.tag for element in page.every} & {"script", "b", "i", "u"}
    [style] = page.root.all("style")
    assert "alert" not in style.text
    [facts] = page.root.all("dl", "facts")
    assert f"x{shown}" in facts.text


def test_without_escapes_such_names_would_be_noticed() -> None:
    """The same page, had its names been put in as they are."""
    text = render_html(hostile_report())
    assert violations(unescape(text), 2) != []


def test_long_names_are_cut() -> None:
    """A name of a megabyte makes no page of many."""
    text = 'net (float[1,1,9] x) => (float[1,1,q] y) <float[1,1,3] w> {{ ["{}"] y = Conv (x, w) }}'
    page = render_html(report_of(text.format("n" * 1_000_000)))
    assert len(page) < 60_000


def test_a_fault_of_the_file_is_told() -> None:
    """What could not be read stands at the top."""
    page = render_html(
        report_of(UNKNOWN)._replace(error=FileError("E9", "tensor 'w' lies outside <here>"))
    )
    [banner] = Page(page).root.all("p", "banner")
    assert "tensor 'w' lies outside <here>" in banner.text


def test_a_long_model_stays_small() -> None:
    """1,700 layers, nearly all with a finding, in under two megabytes."""
    name = "a/rather/long/name/of/a/layer/block{0}/conv"
    layers = "\n".join(
        f'["{name.format(i)}"] x{i + 1} = Conv <kernel_shape = [3,3], pads = [1,1,1,1]> (x{i}, w)'
        for i in range(1700)
    )
    head = "net (float[1,1,224,224] x0) => (float[1,1,p,q] x1700) <float[1,1,3,3] w>"
    report = report_of(f"{head} {{ {layers} }}")
    page = render_html(report)
    assert len(report.findings) > 1500
    assert len(page.encode()) < 2_000_000
    assert page.count('<tr id="l') == 1700


def test_of_very_many_layers_some_are_drawn() -> None:
    """The page says how many are not."""
    layers = "\n".join(
        f"x{i + 1} = ConvTranspose <kernel_shape = [2], strides = [2]> (x0, w)" for i in range(70)
    )
    head = "net (float[1,1,9] x0) => (float[1,1,q] x70) <float[1,1,2] w>"
    page = Page(render_html(report_of(f"{head} {{ {layers} }}"))).root
    assert len(list(page.all("article", "card"))) == 60
    assert "10 layers more of this kind not drawn" in page.text


def channel(value: int) -> float:
    share = value / 255
    return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4


def luminance(colour: str) -> float:
    red, green, blue = (channel(int(colour[i : i + 2], 16)) for i in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


READ_ON = [
    *(("ink", ground) for ground in ("paper", "wash", "target", "mean")),
    *(("soft", ground) for ground in ("paper", "wash", "target")),
    *((text, "paper") for text in ("link", "beyond")),
    *((f"{kind}-ink", f"{kind}-wash") for kind in ("error", "warning", "note")),
]


def test_text_stands_out_from_its_ground() -> None:
    """At least 4.5 to 1 in light and in dark, as WCAG asks for; lines of drawings 3 to 1."""
    page = page_of_file(MODELS / "lenet5.onnxtxt")
    themes = [
        dict(re.findall(r"--([\w-]+): (#\w{6})", block))
        for block in re.findall(r":root \{(.*?)\}", page, re.S)
    ]
    assert len(themes) == 2
    for colours in themes:
        for text, ground in READ_ON:
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
        for mark in ("blue", "orange", "red"):
            assert contrast(colours[mark], colours["paper"]) >= 3, mark
    assert contrast("#777777", "#ffffff") < 4.5 < contrast("#767676", "#ffffff")


RUN = """
import sys
from onnxstride.cli import main
status = main(sys.argv[1:])
print("jinja2" in sys.modules)
sys.exit(status)
"""


def test_two_runs_write_the_same_bytes(tmp_path: Path) -> None:
    """Whatever the order in which a process hashes; and other commands load no jinja2."""
    model = str(MODELS / "trained" / "decoder_subpixel.onnx")
    pages: list[bytes] = []
    for seed in ("1", "2"):
        out = tmp_path / f"{seed}.html"
        run = subprocess.run(
            [sys.executable, "-c", RUN, "report", model, "--html", str(out)],
            cwd=ROOT, capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )  # fmt: skip
        assert run.stdout.endswith("True\n")
        pages.append(out.read_bytes())
    assert pages[0] == pages[1]
    run = subprocess.run(
        [sys.executable, "-c", RUN, "report", model],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert run.stdout.endswith("False\n")


def test_the_command_writes_the_page_beside_the_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The page has the rules' findings, which the report on the terminal has not."""
    out = tmp_path / "page.html"
    model = str(MODELS / "fsrcnn.onnxtxt")
    assert main(["report", model, "--html", str(out), "--dim", "H=24", "--dim", "W=32"]) == 0
    assert "UP101" not in capsys.readouterr().out
    page = out.read_text(encoding="utf-8")
    assert violations(page, 8) == []
    assert "UP101" in page
    assert f"24{words.TIMES}32" in page


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (9_999, "9,999"), (10_000, "10.0 k"), (370_832, "371 k"), (999_500, "1.00 M"),
     (76_769_280, "76.8 M"), (1_040_056_320, "1.04 G"), (10**16, "10,000 T")],
)  # fmt: skip
def test_large_numbers_in_three_digits(count: int, text: str) -> None:
    """Rounded, never by cutting."""
    assert words.compact(count) == text


def test_signs_stand_for_letters_only_where_they_mean_them() -> None:
    """Between figures, and before a factor."""
    sign = words.TIMES
    assert words.with_signs("2 MaxPool 3x3 /2") == f"2 MaxPool 3{sign}3 /2"
    assert (
        words.with_signs("Resize x2 by x3/2, Matrix 1") == f"Resize {sign}2 by {sign}3/2, Matrix 1"
    )
