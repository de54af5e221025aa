"""The charts of docs/performance.md: SVG whose text is text, the same bytes for the same record.

They are drawn on a light ground; where the reader's system is dark, the SVG's own style swaps
the colours.
"""

import io
import re
from collections.abc import Iterable, Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.markers import CARETLEFTBASE, CARETRIGHTBASE
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from benchmarks import words
from benchmarks.measures import Measure

PAPER, INK, FAINT = "#ffffff", "#1f2328", "#d1d9e0"
REACHED, MISSED = "#0969da", "#bc4c00"
SERIES = ("#0969da", "#bc4c00", "#1a7f37", "#8250df", "#bf3989", "#9a6700", "#0e8a8a", "#57606a")
MARKERS = "osD^v"
DARK = {
    PAPER: "#0d1117", INK: "#e6edf3", FAINT: "#30363d",
    "#0969da": "#4493f8", "#bc4c00": "#f0883e", "#1a7f37": "#3fb950", "#8250df": "#ab7df8",
    "#bf3989": "#db61a2", "#9a6700": "#d29922", "#0e8a8a": "#39c5cf", "#57606a": "#8b949e",
}  # fmt: skip
"""What each colour is where the reader's system is dark."""

SETTINGS = {
    "svg.fonttype": "none", "svg.hashsalt": "freshledger", "font.size": 11,
    "figure.facecolor": PAPER, "axes.facecolor": PAPER, "savefig.facecolor": PAPER,
    "text.color": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK,
    "axes.edgecolor": FAINT, "grid.color": FAINT, "legend.frameon": False,
    "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
}  # fmt: skip
WIDTH = 10.0
ROW, LEGEND = 0.34, 0.24
"""Inches: of the whole, of a ratio, of a line of the legend."""


def draw_ratios(shown: Sequence[Measure]) -> str:
    """Return the SVG of ratios that have bounds, each with its spread and its bound."""
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(WIDTH, 1.2 + ROW * len(shown)), layout="constrained")
        axes = figure.add_subplot()
        axes.set_xscale("log")
        for place, measure in enumerate(shown):
            _draw_ratio(axes, place, measure)
        axes.set_yticks(range(len(shown)), [f"{one.line}  {one.name}" for one in shown])
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        _label(axes.xaxis)
        axes.grid(axis="x")
        axes.set_xlabel("median and spread of the rounds; the mark is the bound, its side is shown")
        return _svg(figure)


def _draw_ratio(axes: Axes, place: int, measure: Measure) -> None:
    colour = REACHED if measure.reached else MISSED
    axes.plot(measure.spread, (place, place), color=colour, linewidth=2, solid_capstyle="butt")
    axes.plot(measure.middle, place, "o", color=colour, markersize=7)
    for value, side in ((measure.at_least, CARETRIGHTBASE), (measure.at_most, CARETLEFTBASE)):
        if value is not None:
            axes.plot(value, place, "|", color=INK, markersize=15, markeredgewidth=1.5)
            axes.plot(value, place, marker=side, color=INK, markersize=5)
    axes.annotate(
        f"{words.number(measure.middle)} ×", (1, place), xycoords=("axes fraction", "data"),
        xytext=(6, 0), textcoords="offset points", va="center", color=colour,
    )  # fmt: skip


def draw_curves(measures: Iterable[Measure], chart: str) -> str:
    """Return the SVG of one chart's curves, with both axes logarithmic."""
    points = [one for one in measures if one.point and one.point.chart == chart]
    names = list(dict.fromkeys(one.point.series for one in points))
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(WIDTH, max(5, 1 + LEGEND * len(names))), layout="constrained")
        axes = figure.add_subplot()
        axes.set(xscale="log", yscale="log", xlabel=chart, ylabel=points[0].unit)
        for number, name in enumerate(names):
            found = [one for one in points if one.point.series == name]
            _draw_curve(axes, number, name, sorted(found, key=lambda one: one.point.x))
        _label(axes.xaxis)
        _label(axes.yaxis)
        axes.set_xticks(sorted({one.point.x for one in points}))
        axes.grid()
        figure.legend(loc="outside right upper")
        return _svg(figure)


def _draw_curve(axes: Axes, number: int, name: str, found: list[Measure]) -> None:
    across = [one.point.x for one in found]
    colour = SERIES[number % len(SERIES)]
    marker = MARKERS[number // len(SERIES) % len(MARKERS)]
    axes.plot(across, [one.middle for one in found], color=colour, marker=marker, label=name)
    least, most = zip(*(one.spread for one in found), strict=True)
    axes.fill_between(across, least, most, color=colour, alpha=0.15, linewidth=0)


def _label(axis: Axis) -> None:
    """Write 1, 2, 5, 10 on a logarithmic axis, as people do."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axis.set_minor_locator(NullLocator())


def _svg(figure: Figure) -> str:
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None})
    text = re.sub(r"<\?xml.*?<svg", "<svg", drawn.getvalue(), count=1, flags=re.DOTALL)
    text = re.sub(r" *$", "", text, flags=re.MULTILINE)
    return re.sub(r"(<svg[^>]*>)", rf"\1\n{_dark()}", text, count=1)


def _dark() -> str:
    """Return a style that swaps each colour, whether it fills or strokes."""
    rules = "\n".join(
        f'[style*="{kind}: {light}"] {{ {kind}: {dark} !important }}'
        for light, dark in DARK.items()
        for kind in ("fill", "stroke")
    )
    return f"<style>@media (prefers-color-scheme: dark) {{\n{rules}\n}}</style>"
