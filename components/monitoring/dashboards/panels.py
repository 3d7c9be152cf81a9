"""What every dashboard is made of: panels of one look, laid out in titled sections."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from math import ceil
from typing import Final

from grafana_foundation_sdk.builders import common, prometheus, stat, table, text, timeseries
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import prometheus as queries_model
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    DataSourceRef,
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
)
from grafana_foundation_sdk.models.dashboard import Dashboard, Panel, RowPanel, Threshold, VariableModel

from operations.metrics import KeyMetric, Unit
from operations.monitoring import Part
from operations.naming import APPLICATION

PROMETHEUS: Final = DataSourceRef(type_val="prometheus", uid=Part.PROMETHEUS)
"""Every panel asks it. A data source's UID is the name of its part."""

WIDTH: Final = 24
"""Columns of Grafana's grid."""
HEIGHT: Final = 8
"""Of a panel, in units of the grid; one is 30 pixels."""
TITLE_HEIGHT: Final = 1
PER_LINE: Final = 4
"""Panels that stand side by side at most: narrower ones cannot be read."""

GOOD: Final = "green"
WARNING: Final = "orange"
CRITICAL: Final = "red"
NEUTRAL: Final = "blue"

PER_HOUR: Final = "suffix: per hour"
TIMES: Final = "suffix:x"

UNITS: Final[Mapping[Unit, str]] = {
    Unit.SECONDS: units.Seconds,
    Unit.RATIO: units.PercentUnit,
    Unit.PER_HOUR: PER_HOUR,
}
"""Grafana's name of the unit of a key metric.
Source: https://grafana.com/docs/grafana/latest/panels-visualizations/configure-standard-options/"""


@dataclass(frozen=True)
class Query:
    """A PromQL expression, and how its series are called: `{{label}}` stands for the label's value."""

    expression: str
    legend: str = ""


@dataclass(frozen=True)
class Section:
    """Panels under one title, in as few lines as hold `PER_LINE` of them, evenly filled."""

    title: str
    panels: Sequence[Panel]
    height: int = HEIGHT


Steps = Sequence[tuple[float | None, str]]
"""Colors, each from a value on; the first is from None, which is below all."""

PLAIN: Final[Steps] = ((None, NEUTRAL),)
"""Of what is neither good nor bad."""
NONE_IS_GOOD: Final[Steps] = ((None, GOOD), (1, CRITICAL))
"""Of a count of what should not be."""


def thresholds(metric: KeyMetric) -> Steps:
    """The colors of a key metric, from the very thresholds of its alerts."""
    return ((None, GOOD), (metric.warning, WARNING), (metric.critical, CRITICAL))


def trend(
    title: str,
    description: str,
    *queries: Query,
    unit: str,
    steps: Steps = PLAIN,
    stacked: bool = False,
    lowest: float | None = 0,
    highest: float | None = None,
    links: Sequence[models.DashboardLink] = (),
) -> Panel:
    """Lines over time. A dashed line marks each threshold.

    The axis begins at `lowest`, unless that is None; it reaches at least to `highest`, so that two panels of one
    metric compare at a glance.
    """
    panel = (
        timeseries.Panel()
        .unit(unit)
        .line_width(1)
        .fill_opacity(30 if stacked else 5)
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
    )
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL))
    if lowest is not None:
        panel = panel.min(lowest)
    if highest is not None:
        panel = panel.axis_soft_max(highest)
    if len(steps) > 1:
        panel = panel.thresholds(_thresholds(steps)).thresholds_style(
            common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED)
        )
    for target in _targets(queries):
        panel = panel.with_target(target)
    return _finished(panel.build(), title, description, links)


def number(
    title: str,
    description: str,
    *queries: Query,
    unit: str,
    steps: Steps = PLAIN,
    decimals: float | None = None,
    with_name: bool = False,
    links: Sequence[models.DashboardLink] = (),
) -> Panel:
    """The latest value, large, with its recent course behind it; `with_name` shows the legend beside it."""
    panel = (
        stat.Panel()
        .unit(unit)
        .thresholds(_thresholds(steps))
        .color_mode(BigValueColorMode.VALUE)
        .graph_mode(BigValueGraphMode.AREA)
        .text_mode(BigValueTextMode.VALUE_AND_NAME if with_name else BigValueTextMode.VALUE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )
    if decimals is not None:
        panel = panel.decimals(decimals)
    for target in _targets(queries):
        panel = panel.with_target(target)
    return _finished(panel.build(), title, description, links)


def listing(
    title: str,
    description: str,
    expression: str,
    *,
    unit: str,
    value: str | None,
    steps: Steps = PLAIN,
    empty: str = "",
    links: Sequence[models.DashboardLink] = (),
) -> Panel:
    """A line for each series of this moment: its labels, and its value in a column called `value`, or not at all."""
    target = prometheus.Dataquery().expr(expression).instant().format(queries_model.PromQueryFormat.TABLE)
    hidden = {"Time": True, "Value": value is None}
    organize = models.DataTransformerConfig(
        id_val="organize", options={"excludeByName": hidden, "renameByName": {"Value": value or "Value"}}
    )
    panel = (
        table.Panel()
        .unit(unit)
        .thresholds(_thresholds(steps))
        .no_value(empty)
        .with_target(target.datasource(PROMETHEUS).ref_id("A"))
        .with_transformation(organize)
    )
    return _finished(panel.build(), title, description, links)


def note(title: str, description: str, markdown: str) -> Panel:
    """Words, in Markdown."""
    return _finished(text.Panel().content(markdown).build(), title, description, ())


def link(title: str, url: str) -> models.DashboardLink:
    """A link in the corner of a panel."""
    return models.DashboardLink(
        title=title, type_val=models.DashboardLinkType.LINK, url=url, target_blank=True
    )


def choice(name: str, label: str, values: Sequence[str]) -> VariableModel:
    """A variable whose values are known when the dashboard is written; the first is chosen at first."""
    options = [
        models.VariableOption(text=value, value=value, selected=value == values[0]) for value in values
    ]
    return VariableModel(
        type_val=models.VariableType.CUSTOM,
        name=name,
        label=label,
        query=",".join(values),
        options=options,
        current=options[0],
        allow_custom_value=False,
    )


def dashboard(
    uid: str,
    title: str,
    description: str,
    environment: str,
    sections: Iterable[Section],
    variables: Sequence[VariableModel] = (),
) -> Dashboard:
    """A dashboard that nobody can edit in place, with links to its fellows."""
    fellows = models.DashboardLink(
        title="Dashboards",
        type_val=models.DashboardLinkType.DASHBOARDS,
        tags=[APPLICATION],
        keep_time=True,
    )
    # The library would hide every link in a menu.
    fellows.placement = ""
    built = (
        builders.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([APPLICATION, environment])
        .readonly()
        .time("now-6h", "now")
        .refresh("30s")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .build()
    )
    built.links = [fellows]
    built.templating = models.DashboardDashboardTemplating(list_val=list(variables))
    built.panels = list(_laid_out(sections))
    return built


def _laid_out(sections: Iterable[Section]) -> Iterator[Panel | RowPanel]:
    numbers = count(1)
    top = 0
    for section in sections:
        yield RowPanel(
            title=section.title,
            id_val=next(numbers),
            grid_pos=models.GridPos(x=0, y=top, w=WIDTH, h=TITLE_HEIGHT),
        )
        top += TITLE_HEIGHT
        for line in _lines(section.panels):
            for place, panel in enumerate(line):
                left, right = (WIDTH * edge // len(line) for edge in (place, place + 1))
                panel.grid_pos = models.GridPos(x=left, y=top, w=right - left, h=section.height)
                panel.id_val = next(numbers)
                yield panel
            top += section.height


def _lines(panels: Sequence[Panel]) -> Iterator[Sequence[Panel]]:
    length = ceil(len(panels) / ceil(len(panels) / PER_LINE))
    return (panels[start : start + length] for start in range(0, len(panels), length))


def _targets(queries: Sequence[Query]) -> Iterator[prometheus.Dataquery]:
    for place, query in enumerate(queries):
        yield (
            prometheus.Dataquery()
            .expr(query.expression)
            .legend_format(query.legend)
            .datasource(PROMETHEUS)
            .range()
            .ref_id(chr(ord("A") + place))
        )


def _thresholds(steps: Steps) -> builders.ThresholdsConfig:
    return (
        builders.ThresholdsConfig()
        .mode(models.ThresholdsMode.ABSOLUTE)
        .steps([Threshold(value=value, color=color) for value, color in steps])
    )


def _finished(panel: Panel, title: str, description: str, links: Sequence[models.DashboardLink]) -> Panel:
    panel.title = title
    panel.description = description
    panel.datasource = PROMETHEUS
    panel.links = list(links)
    return panel


# --- what the dashboards ask ---------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One expression of one panel, as Grafana sends it."""

    dashboard: str
    """Its UID."""
    panel: str
    """Its title."""
    expression: str


_VARIABLE: Final = re.compile(r"\$(?:\{(?P<braced>\w+)\}|(?P<bare>\w+))")


def queries(dashboards: Iterable[Dashboard], values: Mapping[str, str]) -> tuple[Asked, ...]:
    """Every expression of every panel, with the values of Grafana's and the dashboards' variables in place.

    Args:
        dashboards: what asks.
        values: of each variable by its name without the dollar sign, such as `__rate_interval`.

    Raises:
        KeyError: an expression has a variable without a value.
    """

    def put(match: re.Match[str]) -> str:
        return values[match["braced"] or match["bare"]]

    return tuple(
        Asked(
            dashboard=board.uid or "",
            panel=panel.title or "",
            expression=_VARIABLE.sub(put, target.expr),
        )
        for board in dashboards
        for panel in board.panels or []
        if isinstance(panel, Panel)
        for target in panel.targets or []
        if isinstance(target, queries_model.Dataquery)
    )
