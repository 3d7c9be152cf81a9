"""Every example composes the components in its own way, and comes up."""

import re
from pathlib import Path

import pytest

from tests.rehearsal.conftest import REPOSITORY, clear, lay

pytestmark = pytest.mark.rehearsal

EXAMPLES = sorted(path.parent for path in (REPOSITORY / "examples").glob("*/Pulumi.yaml"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_short_and_comes_up_and_stays(example: Path, tmp_path: Path) -> None:
    assert len((example / "__main__.py").read_text().splitlines()) < 40
    desk = lay(tmp_path / "program", example)
    try:
        assert "dev is up" in desk.rehearse("up", "--stack", "dev")
        assert "create" not in desk.rehearse("up", "--stack", "dev")
    finally:
        clear(desk)


def test_there_are_examples() -> None:
    assert {example.name for example in EXAMPLES} >= {"backup_bucket", "one_service"}


WRONG = {
    "field": (
        'kubernetes.apiextensions.CustomResource("misspelt", api_version="karpenter.sh/v1", kind="NodePool", '
        'metadata={"name": "misspelt"}, spec={"limts": {"cpu": 1}, "template": {"spec": {"requirements": [], '
        '"nodeClassRef": {"group": "eks.amazonaws.com", "kind": "NodeClass", "name": "default"}}}}, '
        "opts=pulumi.ResourceOptions(provider=eks.provider))",
        r"error: kubernetes:karpenter\.sh/v1:NodePool misspelt: .*\.spec\.limts: field not declared in schema\n$",
    ),
    "type": (
        'kubernetes.core.v1.ConfigMap("mistyped", metadata={"name": "mistyped", "namespace": "default"}, '
        'data={"replicas": 3}, opts=pulumi.ResourceOptions(provider=eks.provider))',
        r"error: kubernetes:core/v1:ConfigMap mistyped: .*data.*string.*\n$",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_manifest_fails_the_first_preview_with_the_name_of_its_resource(
    wrong: str, tmp_path: Path
) -> None:
    line, message = WRONG[wrong]
    desk = lay(tmp_path / "program", REPOSITORY / "examples" / "one_service")
    with (desk.project / "__main__.py").open("a") as program:
        program.write(f"import pulumi_kubernetes as kubernetes\n{line}\n")
    try:
        printed = desk.rehearse("preview", "--stack", "dev", code=1)
    finally:
        clear(desk)
    assert re.search(message, printed), printed
    assert "Traceback" not in printed
