"""What nothing that is declared may break, whoever declares it, and how firmly: the facts of the policy pack in `policy/`.

The pack is loaded anew by every preview and update, so this module and all that it imports are light: the standard
library, and no models.
"""

from collections.abc import Mapping
from enum import StrEnum, unique
from types import MappingProxyType
from typing import Final

from operations.environments import PAGE, RESILIENT_SLA, EnvironmentName, Gate
from operations.naming import AGENTS_NAMESPACE

POLICY_PACK: Final = "policy"
"""The folder of the policy pack, beside the program."""


@unique
class Level(StrEnum):
    """What a violation does: `advisory` warns, `mandatory` refuses the preview or update."""

    ADVISORY = "advisory"
    MANDATORY = "mandatory"

    @property
    def file(self) -> str:
        """The configuration of the policy pack that says so, as a path in its folder."""
        return f"levels/{self}.json"


def level(environment: EnvironmentName | None) -> Level:
    """Return how firmly an environment is held to the guardrails: where nobody has to ask to deploy, they only warn.

    Args:
        environment: None for a stack that is no environment, such as the home of the state.
    """
    free = environment is not None and PAGE[environment].gate is Gate.AUTO
    return Level.ADVISORY if free else Level.MANDATORY


def loses_nothing(environment: EnvironmentName | None) -> bool:
    """Return whether what is stateful must refuse to be deleted: where the page's SLA is a resilient one.

    Args:
        environment: None for a stack that is no environment; it loses nothing either.
    """
    if environment is None:
        return True
    sla = PAGE[environment].sla
    return sla is not None and sla >= RESILIENT_SLA


REQUIRED_TAGS: Final = ("Application", "Owner", "CostCenter", "ManagedBy")
"""On every AWS resource that takes tags, with a value: by them cost and ownership reports group."""

ENVIRONMENT_TAG: Final = "Environment"
"""On the same, in the stacks of environments: the stack's name."""

ALLOWED_REGIONS: Final = (
    "eu-central-1",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-3",
)
"""Regions in which anything may lie: those in member states of the European Union, so that neither data nor their copies
leave it unnoticed. London (eu-west-2) and Zurich (eu-central-2) lie outside.

Source: https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html
"""

PUBLIC_PORTS: Final = (80, 443)
"""Ports that anybody may reach: the load balancer's, where 80 does nothing but lead to 443."""

LARGEST_ACCESS_PREFIX: Final = 16
"""The largest range that may reach the cluster's API: an organization's own, not a provider's."""

TLS_POLICY_PREFIXES: Final = ("ELBSecurityPolicy-TLS13-1-2-", "ELBSecurityPolicy-TLS13-1-3-")
"""How the load balancer's policies begin that take no TLS older than 1.2.

Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html
"""

EXEMPT_NAMESPACES: Final[Mapping[str, str]] = MappingProxyType(
    {AGENTS_NAMESPACE: "Filebeat reads the log files of its node, which belong to root"}
)
"""Namespaces whose pods may run as root and see the node's files, and why."""
