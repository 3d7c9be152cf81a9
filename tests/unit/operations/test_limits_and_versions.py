"""Limits name their source, and versions the line by which renovate finds them."""

import re
from pathlib import Path

import pytest

from operations import limits, versions
from rehearsal.toolchain import RECIPES, ToolSet, pinned

LIMITS = {name: value for name, value in vars(limits).items() if isinstance(value, limits.Limit)}


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_has_a_unit_and_a_source(name: str) -> None:
    limit = LIMITS[name]

    assert limit.value > 0
    assert limit.unit
    assert re.fullmatch(r"https://[a-z.]+/\S+", limit.source)


def test_every_version_stands_under_a_line_for_renovate() -> None:
    lines = Path(versions.__file__).read_text().splitlines()
    pins = [place for place, line in enumerate(lines) if re.match(r"[A-Z_]+: Final = ", line)]

    assert pins
    for place in pins:
        assert lines[place - 1].startswith("# renovate: datasource="), lines[place]


def test_an_image_is_pinned_to_an_exact_version() -> None:
    images = [value for name, value in vars(versions).items() if name.endswith("_IMAGE")]

    assert images
    for image in images:
        assert re.fullmatch(r"[a-z0-9./-]+:v?\d+\.\d+\.\d+", image)


@pytest.mark.parametrize(
    ("image", "tool_set"),
    [
        (versions.PROMETHEUS_IMAGE, ToolSet.PROMETHEUS),
        (versions.ALERTMANAGER_IMAGE, ToolSet.ALERTMANAGER),
        (versions.JAEGER_IMAGE, ToolSet.JAEGER),
        (versions.CLOUDWATCH_EXPORTER_IMAGE, ToolSet.YACE),
    ],
)
def test_the_program_that_judges_a_configuration_is_the_one_that_is_deployed(
    image: str, tool_set: ToolSet
) -> None:
    deployed = tuple(int(number) for number in re.findall(r"\d+", image.rpartition(":")[2]))

    assert {pinned(tool_set, tool) for tool in RECIPES[tool_set].tools} == {deployed}


def test_add_ons_are_looked_up_for_the_kubernetes_version_that_is_deployed() -> None:
    text = Path(versions.__file__).read_text()
    queried = re.findall(r'"kubernetesVersion":"([\d.]+)"', text)

    assert set(queried) == {versions.KUBERNETES}
