"""A stack file is either turned into facts that keep every rule, or refused with all its faults."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from hypothesis.strategies import DataObject, SearchStrategy

from operations.facts import EnvironmentFacts
from operations.recovery import Risk
from operations.retention import LockMode
from settings import KEYS, Settings, SettingsError, load, parse
from tests.unit.stack_configuration import (
    ABSENT,
    SECRET,
    SECRETS,
    STACKS,
    Document,
    changed,
    configuration,
    document,
    secret_keys,
)


@dataclass(frozen=True)
class Case:
    """A fault that a person may make, and the report of it, word for word."""

    name: str
    stack: str
    changes: Mapping[str, Any]
    report: tuple[str, ...]


FAULTS = (
    Case(
        "an unknown stack",
        "prod",
        {},
        ('stack = "prod": is no known environment; allowed: dev, qa, uat, staging, live',),
    ),
    Case("no region", "live", {"aws:region": ABSENT}, ("aws:region: is missing",)),
    Case(
        "a region that is none",
        "live",
        {"aws:region": "europe"},
        ('aws:region = "europe": allowed is the name of an AWS region such as eu-west-1',),
    ),
    Case("a missing group", "live", {"quikapp:network": ABSENT}, ("quikapp:network: is missing",)),
    Case(
        "an unknown group",
        "live",
        {"quikapp:netwrok": {}},
        ("quikapp:netwrok: is no known key; did you mean network?",),
    ),
    Case(
        "a group that is no map",
        "live",
        {"quikapp:network": "10.50.0.0/16"},
        ('quikapp:network = "10.50.0.0/16": allowed is a map',),
    ),
    Case(
        "a group that is a list",
        "live",
        {"quikapp:network": [1]},
        ("quikapp:network = [1]: allowed is a map",),
    ),
    Case(
        "an SLA of 101",
        "live",
        {"quikapp:environment.sla": 101},
        ("quikapp:environment.sla = 101: allowed is less than 100",),
    ),
    Case(
        "an SLA of 100",
        "live",
        {"quikapp:environment.sla": 100},
        ("quikapp:environment.sla = 100: allowed is less than 100",),
    ),
    Case(
        "an SLA of 0",
        "live",
        {"quikapp:environment.sla": 0},
        ("quikapp:environment.sla = 0: allowed is more than 0",),
    ),
    Case(
        "an SLA in quotes",
        "live",
        {"quikapp:environment.sla": "99.99"},
        ('quikapp:environment.sla = "99.99": allowed is a number',),
    ),
    Case(
        "an SLA below the promise",
        "live",
        {"quikapp:environment.sla": 99.9},
        (
            "quikapp:environment.sla = 99.9: the operations page promises at least 99.99 for live",
            'quikapp:recovery.acceptedRisks[4] = "incident-spends-the-error-budget": is not at risk here; what is: application-rebuilt-from-git, files-copied-daily, bad-migration-takes-a-restore, ransomware-takes-a-restore, commits-wait-for-the-recovery-region',
        ),
    ),
    Case(
        "no SLA where one is promised",
        "qa",
        {"quikapp:environment.sla": "none"},
        ('quikapp:environment.sla = "none": the operations page promises at least 95 for qa',),
    ),
    Case(
        "a gate that is none",
        "live",
        {"quikapp:environment.gate": "committee"},
        ('quikapp:environment.gate = "committee": is no known value; allowed: auto, manual, approval, cab',),
    ),
    Case(
        "a gate less strict than promised",
        "staging",
        {"quikapp:environment.gate": "manual"},
        (
            'quikapp:environment.gate = "manual": the operations page promises approval for staging; allowed: approval, cab',
        ),
    ),
    Case(
        "versions that the board has not approved",
        "live",
        {"quikapp:changes": ABSENT},
        (
            "quikapp:changes: is missing; gate: cab takes a change request for the version of each slot, such as {request: CHG0030042, version: v2.3.0}",
        ),
    ),
    Case(
        "a change request that is none",
        "live",
        {"quikapp:changes": [{"request": "CHG42", "version": "v2.3.0"}]},
        (
            'quikapp:changes[0].request = "CHG42": allowed is the number of a change request such as CHG0030042: CHG and seven digits',
        ),
    ),
    Case(
        "change requests that are no list",
        "live",
        {"quikapp:changes": "CHG0030042"},
        ('quikapp:changes = "CHG0030042": allowed is a list',),
    ),
    Case(
        "a misspelt key of a change request",
        "live",
        {
            "quikapp:changes": [
                {"request": "CHG0030041", "version": "v2.3.0"},
                {"request": "CHG0030042", "verison": "v2.4.0"},
            ]
        },
        (
            'quikapp:changes[1].verison = "v2.4.0": is no known key; did you mean version?',
            "quikapp:changes[1].version: is missing",
        ),
    ),
    Case(
        "a change request where no board approves",
        "staging",
        {"quikapp:changes": [{"request": "CHG0030042", "version": "v2.4.0"}]},
        ('quikapp:changes = ["CHG0030042"]: gate: approval takes no change request; allowed: none',),
    ),
    Case(
        "recovery at home",
        "live",
        {"quikapp:environment.recoveryRegion": "eu-west-1"},
        ('quikapp:environment.recoveryRegion = "eu-west-1": allowed is another region than aws:region',),
    ),
    Case(
        "a recovery region that AWS copies nothing to",
        "dev",
        {"quikapp:environment.recoveryRegion": "cn-north-1"},
        (
            'quikapp:environment.recoveryRegion = "cn-north-1": is of the partition aws-cn; allowed is a region of aws, as eu-west-1 is: AWS copies nothing from one partition to another (https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html)',
        ),
    ),
    Case(
        "recovery nowhere",
        "live",
        {"quikapp:environment.recoveryRegion": "mars-north-1"},
        (
            'quikapp:environment.recoveryRegion = "mars-north-1": allowed is the name of an AWS region such as eu-west-1',
        ),
    ),
    Case(
        "a boundary that is no policy",
        "live",
        {"quikapp:environment.permissionsBoundary": "arn:aws:iam::111122223333:role/quikapp-live-boundary"},
        (
            'quikapp:environment.permissionsBoundary = "arn:aws:iam::111122223333:role/quikapp-live-boundary": '
            "allowed is the ARN of an IAM policy of the account",
        ),
    ),
    Case(
        "a misspelt fact",
        "live",
        {"quikapp:environment.recoveryRegoin": "eu-central-1", "quikapp:environment.recoveryRegion": ABSENT},
        (
            "quikapp:environment.recoveryRegion: is missing",
            'quikapp:environment.recoveryRegoin = "eu-central-1": is no known key; did you mean recoveryRegion?',
        ),
    ),
    Case(
        "a fact in Python's spelling",
        "live",
        {"quikapp:environment.cost_center": "x"},
        ('quikapp:environment.cost_center = "x": is no known key; did you mean costCenter?',),
    ),
    Case(
        "an owner that no tag takes",
        "live",
        {"quikapp:environment.owner": "a*b"},
        (
            'quikapp:environment.owner = "a*b": allowed is the value of an AWS tag: letters, digits, inner spaces and + = . _ : / @ -',
        ),
    ),
    Case(
        "a VPC that is too large",
        "live",
        {"quikapp:network.cidr": "10.0.0.0/8"},
        ('quikapp:network.cidr = "10.0.0.0/8": allowed is a /16 to a /20',),
    ),
    Case(
        "a VPC that is too small",
        "live",
        {"quikapp:network.cidr": "10.50.0.0/21"},
        ('quikapp:network.cidr = "10.50.0.0/21": allowed is a /16 to a /20',),
    ),
    Case(
        "a VPC of public addresses",
        "live",
        {"quikapp:network.cidr": "8.8.0.0/16"},
        (
            'quikapp:network.cidr = "8.8.0.0/16": allowed is a part of 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 (RFC 1918)',
        ),
    ),
    Case(
        "a VPC over the Service range",
        "live",
        {"quikapp:network.cidr": "172.20.0.0/16"},
        (
            'quikapp:network.cidr = "172.20.0.0/16": overlaps 172.20.0.0/16, from which EKS numbers Kubernetes Services (https://docs.aws.amazon.com/eks/latest/APIReference/API_KubernetesNetworkConfigRequest.html)',
        ),
    ),
    Case(
        "a network with host bits",
        "live",
        {"quikapp:network.cidr": "10.50.0.1/16"},
        (
            'quikapp:network.cidr = "10.50.0.1/16": allowed is a network such as 10.50.0.0/16, with no bit set beyond its prefix',
        ),
    ),
    Case(
        "a network that is none",
        "live",
        {"quikapp:network.cidr": "ten"},
        (
            'quikapp:network.cidr = "ten": allowed is a network such as 10.50.0.0/16, with no bit set beyond its prefix',
        ),
    ),
    Case(
        "a VPC with too few addresses for the pods",
        "live",
        {
            "quikapp:network.cidr": "10.50.0.0/20",
            "quikapp:sizing.replicas.max": 300,
            "quikapp:cluster.cpuLimit": 1000,
            "quikapp:cluster.memoryLimitGib": 1000,
            "quikapp:traffic.quotas": {"targetsPerLoadBalancer": 2000},
        },
        ('quikapp:network.cidr = "10.50.0.0/20": has room for 1024 pods; the services grow to 1200',),
    ),
    Case(
        "one zone",
        "dev",
        {"quikapp:network.zones": ["a"]},
        ('quikapp:network.zones = ["a"]: takes at least 2',),
    ),
    Case(
        "two zones for 99.99",
        "live",
        {"quikapp:network.zones": ["a", "b"], "quikapp:network.natGateways": 2},
        ('quikapp:network.zones = ["a", "b"]: an SLA of 99.99 takes at least 3 zones',),
    ),
    Case(
        "a zone twice",
        "live",
        {"quikapp:network.zones": ["a", "b", "b"]},
        ("quikapp:network: zones names b twice",),
    ),
    Case(
        "a zone that no region has",
        "live",
        {"quikapp:network.zones": ["a", "b", "z"]},
        ('quikapp:network.zones[2] = "z": allowed is the letter of a zone of the region, a to f',),
    ),
    Case(
        "zones as text",
        "live",
        {"quikapp:network.zones": "a, b, c"},
        ('quikapp:network.zones = "a, b, c": allowed is a list',),
    ),
    Case(
        "fewer gateways than zones for 99.99",
        "live",
        {"quikapp:network.natGateways": 1},
        ("quikapp:network.natGateways = 1: an SLA of 99.99 takes one NAT gateway for each of the 3 zones",),
    ),
    Case(
        "a number of gateways between one and all",
        "live",
        {"quikapp:network.natGateways": 2},
        ("quikapp:network: natGateways is 2; allowed are 1 for all zones, or 3, one for each",),
    ),
    Case(
        "no gateway",
        "dev",
        {"quikapp:network.natGateways": 0},
        ("quikapp:network.natGateways = 0: allowed is at least 1",),
    ),
    Case(
        "a limit with a fraction",
        "live",
        {"quikapp:cluster.cpuLimit": 100.5},
        ("quikapp:cluster.cpuLimit = 100.5: allowed is a whole number",),
    ),
    Case(
        "a limit below what the services take",
        "live",
        {"quikapp:cluster.cpuLimit": 64, "quikapp:cluster.memoryLimitGib": 64},
        (
            "quikapp:cluster.cpuLimit = 64: the services in both slots and the monitoring grow to 97.05 cores",
            "quikapp:cluster.memoryLimitGib = 64: the services in both slots and the monitoring grow to 151 GiB",
        ),
    ),
    Case(
        "no administrator",
        "live",
        {"quikapp:cluster.administrators": []},
        ("quikapp:cluster.administrators = []: takes at least 1",),
    ),
    Case(
        "a session as administrator",
        "live",
        {"quikapp:cluster.administrators": ["arn:aws:sts::111122223333:assumed-role/x/y"]},
        (
            'quikapp:cluster.administrators[0] = "arn:aws:sts::111122223333:assumed-role/x/y": allowed is the ARN of an IAM role or user; EKS takes no session of one (arn:aws:sts::…:assumed-role/…)',
        ),
    ),
    Case(
        "a principal twice",
        "live",
        {"quikapp:cluster.viewers": ["arn:aws:iam::111122223333:role/quikapp-live-administrators"]},
        (
            "quikapp:cluster: arn:aws:iam::111122223333:role/quikapp-live-administrators is named twice; EKS takes one access entry for each principal",
        ),
    ),
    Case(
        "an API open to the world",
        "live",
        {"quikapp:cluster.apiAccessCidrs": ["0.0.0.0/0"]},
        (
            'quikapp:cluster.apiAccessCidrs[0] = "0.0.0.0/0": allowed is a /16 or smaller: the cluster\'s API is not open to the world',
        ),
    ),
    Case(
        "an API open to a private range",
        "live",
        {"quikapp:cluster.apiAccessCidrs": ["10.0.0.0/16"]},
        (
            'quikapp:cluster.apiAccessCidrs[0] = "10.0.0.0/16": allowed is a public range: the VPC reaches the API from within, other private ones never do',
        ),
    ),
    Case(
        "access ranges that overlap",
        "live",
        {"quikapp:cluster.apiAccessCidrs": ["203.0.113.0/24", "203.0.113.128/25"]},
        ("quikapp:cluster: apiAccessCidrs 203.0.113.0/24 and 203.0.113.128/25 overlap",),
    ),
    Case(
        "no deletion protection for 99.9",
        "staging",
        {"quikapp:cluster.deletionProtection": False},
        ("quikapp:cluster.deletionProtection = false: an SLA of 99.9 takes deletion protection",),
    ),
    Case(
        "a flag that is no flag",
        "live",
        {"quikapp:cluster.deletionProtection": "yes"},
        ('quikapp:cluster.deletionProtection = "yes": allowed is true or false',),
    ),
    Case(
        "a domain that is none",
        "live",
        {"quikapp:traffic.domain": "quikapp"},
        (
            'quikapp:traffic.domain = "quikapp": allowed is a domain name in lower case, such as live.quikapp.example',
        ),
    ),
    Case(
        "a domain too long for a certificate",
        "live",
        {"quikapp:traffic.domain": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example"},
        (
            'quikapp:traffic.domain = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example": 68 characters long; allowed are 64 (https://docs.aws.amazon.com/acm/latest/APIReference/API_RequestCertificate.html)',
        ),
    ),
    Case(
        "neither zone nor certificate",
        "live",
        {"quikapp:traffic.hostedZoneId": ABSENT},
        ("quikapp:traffic: hostedZoneId or certificateArn is missing; without one HTTPS has no certificate",),
    ),
    Case(
        "a hosted zone that is none",
        "live",
        {"quikapp:traffic.hostedZoneId": "quikapp.example"},
        (
            'quikapp:traffic.hostedZoneId = "quikapp.example": allowed is the id of a Route 53 hosted zone, Z…',
        ),
    ),
    Case(
        "a certificate of another region",
        "live",
        {"quikapp:traffic.certificateArn": "arn:aws:acm:us-east-1:111122223333:certificate/0a1b"},
        (
            'quikapp:traffic.certificateArn = "arn:aws:acm:us-east-1:111122223333:certificate/0a1b": the load balancer takes certificates of its own region, eu-west-1',
        ),
    ),
    Case(
        "no firewall for 99.9",
        "staging",
        {"quikapp:traffic.waf": False},
        ("quikapp:traffic.waf = false: an SLA of 99.9 takes a web application firewall",),
    ),
    Case(
        "more services than target groups",
        "live",
        {
            "quikapp:traffic.quotas": {
                "targetGroupsPerLoadBalancer": 3,
                "rulesPerLoadBalancer": 1,
                "targetsPerLoadBalancer": 100,
            }
        },
        (
            "quikapp:traffic.quotas.rulesPerLoadBalancer = 1: 2 services in two slots need 3 rules",
            "quikapp:traffic.quotas.targetGroupsPerLoadBalancer = 3: 2 services in two slots need 4 target groups",
            "quikapp:traffic.quotas.targetsPerLoadBalancer = 100: 2 services in two slots need 240 targets",
        ),
    ),
    Case(
        "weights of 99",
        "live",
        {"quikapp:release.green.weight": 0, "quikapp:release.blue.weight": 99},
        ("quikapp:release: the weights of blue (99) and green (0) sum to 99; they must sum to 100",),
    ),
    Case(
        "weights of 200",
        "live",
        {"quikapp:release.green.weight": 100},
        ("quikapp:release: the weights of blue (100) and green (100) sum to 200; they must sum to 100",),
    ),
    Case(
        "a weight of 101",
        "live",
        {"quikapp:release.blue.weight": 101},
        ("quikapp:release.blue.weight = 101: allowed is at most 100",),
    ),
    Case(
        "a weight below 0",
        "live",
        {"quikapp:release.green.weight": -1},
        ("quikapp:release.green.weight = -1: allowed is at least 0",),
    ),
    Case(
        "a version that is no version",
        "live",
        {"quikapp:release.green.version": "2.4"},
        ('quikapp:release.green.version = "2.4": allowed is a version such as v2.4.0 or v2.4.0-rc.1',),
    ),
    Case(
        "a version too long for a label",
        "live",
        {
            "quikapp:release.green.version": "v1.0.0-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        },
        (
            'quikapp:release.green.version = "v1.0.0-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa": 67 characters long; allowed are 63 (https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/)',
        ),
    ),
    Case(
        "a slot without a version",
        "live",
        {"quikapp:release.green.version": ABSENT},
        ("quikapp:release.green.version: is missing",),
    ),
    Case(
        "shared traffic with an at-once switch",
        "dev",
        {"quikapp:release.blue.weight": 5, "quikapp:release.green.weight": 95},
        (
            "quikapp:release.blue.weight = 5: switch: at-once never shares traffic; allowed: 0, 100",
            "quikapp:release.green.weight = 95: switch: at-once never shares traffic; allowed: 0, 100",
        ),
    ),
    Case(
        "a ladder to a cold slot",
        "live",
        {"quikapp:release.standby": "cold"},
        (
            'quikapp:release.standby = "cold": switch: ladder shares traffic with the standby slot; allowed: warm, full',
        ),
    ),
    Case(
        "a capacity that serves nobody",
        "live",
        {"quikapp:release.green.capacity": "serving"},
        ("quikapp:release.green: a slot without weight does not serve; allowed are full, warm, cold",),
    ),
    Case(
        "a cold slot with weight",
        "live",
        {"quikapp:release.blue.capacity": "cold"},
        ("quikapp:release.blue: a slot with weight is serving; leave capacity out, or set the weight to 0",),
    ),
    Case(
        "more replicas at least than at most",
        "live",
        {"quikapp:sizing.replicas": {"min": 9, "max": 6}},
        ("quikapp:sizing.replicas: min 9 is greater than max 6",),
    ),
    Case(
        "fewer replicas than zones for 99.99",
        "live",
        {"quikapp:sizing.replicas.min": 2, "quikapp:services.web.replicas": {"min": 1, "max": 9}},
        (
            "quikapp:sizing.replicas.min = 2: an SLA of 99.99 takes at least one replica in each of the 3 zones",
            "quikapp:services.web.replicas.min = 1: an SLA of 99.99 takes at least one replica in each of the 3 zones",
        ),
    ),
    Case(
        "no replica",
        "dev",
        {"quikapp:sizing.replicas.min": 0},
        ("quikapp:sizing.replicas.min = 0: allowed is at least 1",),
    ),
    Case(
        "two services on one path",
        "live",
        {"quikapp:services.web.path": "/api"},
        ('quikapp:services.web.path = "/api": the service api has this path already',),
    ),
    Case(
        "a service on a path that is closed",
        "live",
        {"quikapp:services.web.path": "/metrics"},
        ('quikapp:services.web.path = "/metrics": the load balancer closes this path',),
    ),
    Case(
        "a variable that the slot sets",
        "live",
        {"quikapp:services.api.env": {"VERSION": "1", "SESSION_SIGNING_KEY": "x"}},
        ("quikapp:services.api: env sets SESSION_SIGNING_KEY, VERSION, which the slot sets itself",),
    ),
    Case(
        "a path without a slash",
        "live",
        {"quikapp:services.web.path": "web"},
        (
            'quikapp:services.web.path = "web": allowed is a path that begins with a slash, does not end in one, and has no wildcard',
        ),
    ),
    Case(
        "a path with a wildcard",
        "live",
        {"quikapp:services.web.path": "/web/*"},
        (
            'quikapp:services.web.path = "/web/*": allowed is a path that begins with a slash, does not end in one, and has no wildcard',
        ),
    ),
    Case(
        "an image with a tag",
        "live",
        {"quikapp:services.web.image": "registry.example/web:v1"},
        (
            'quikapp:services.web.image = "registry.example/web:v1": allowed is a registry and a repository, without tag and digest: the slot\'s version is the tag',
        ),
    ),
    Case(
        "a privileged port",
        "live",
        {"quikapp:services.web.port": 80},
        ("quikapp:services.web.port = 80: allowed is at least 1024",),
    ),
    Case(
        "a port that is none",
        "live",
        {"quikapp:services.web.port": 70000},
        ("quikapp:services.web.port = 70000: allowed is at most 65535",),
    ),
    Case(
        "a use that is none",
        "live",
        {"quikapp:services.api.uses": ["databse"]},
        ('quikapp:services.api.uses[0] = "databse": is no known value; did you mean database?',),
    ),
    Case(
        "a service name that no DNS takes",
        "live",
        {
            "quikapp:services.Web": {
                "image": "r.example/w",
                "port": 8080,
                "path": "/w",
                "healthPath": "/h",
                "resources": {"cpuMillicores": 100, "memoryMib": 100},
            }
        },
        (
            'quikapp:services.Web = "Web": allowed is a DNS label: lower-case letters, digits and hyphens, beginning with a letter',
        ),
    ),
    Case(
        "a misspelt fact of a service",
        "live",
        {"quikapp:services.web.helthPath": "/x"},
        ('quikapp:services.web.helthPath = "/x": is no known key; did you mean healthPath?',),
    ),
    Case(
        "no service",
        "live",
        {"quikapp:services": {}, SECRET: ABSENT},
        ("quikapp:services = {}: takes at least 1",),
    ),
    Case(
        "memory of nothing",
        "live",
        {"quikapp:services.web.resources.memoryMib": 0},
        ("quikapp:services.web.resources.memoryMib = 0: allowed is at least 16",),
    ),
    Case(
        "an environment variable that is none",
        "live",
        {"quikapp:services.web.env": {"1A": "x"}},
        (
            'quikapp:services.web.env.1A = "1A": allowed is the name of an environment variable: letters, digits and underscores, not beginning with a digit',
        ),
    ),
    Case(
        "one instance for 99",
        "uat",
        {"quikapp:database.instances": 1},
        (
            "quikapp:database.instances = 1: an SLA of 99 takes at least 2: a writer, and a reader to fail over to",
        ),
    ),
    Case(
        "too many instances",
        "live",
        {"quikapp:database.instances": 17},
        ("quikapp:database.instances = 17: allowed is at most 16",),
    ),
    Case(
        "two sizes of database",
        "live",
        {"quikapp:database.serverless": {"minAcu": 1, "maxAcu": 2}},
        ("quikapp:database: allowed is either instanceClass or serverless",),
    ),
    Case(
        "no size of database",
        "live",
        {"quikapp:database.instanceClass": ABSENT},
        ("quikapp:database: allowed is either instanceClass or serverless",),
    ),
    Case(
        "an instance class that is none",
        "live",
        {"quikapp:database.instanceClass": "large"},
        ('quikapp:database.instanceClass = "large": allowed is an RDS instance class such as db.r8g.large',),
    ),
    Case(
        "capacity beyond Aurora's",
        "dev",
        {"quikapp:database.serverless.maxAcu": 512},
        ("quikapp:database.serverless.maxAcu = 512: allowed is at most 256",),
    ),
    Case(
        "capacity in odd steps",
        "dev",
        {"quikapp:database.serverless.maxAcu": 1.7},
        ("quikapp:database.serverless.maxAcu = 1.7: allowed is a multiple of 0.5",),
    ),
    Case(
        "capacity upside down",
        "dev",
        {"quikapp:database.serverless.minAcu": 8},
        ("quikapp:database.serverless: minAcu 8 is greater than maxAcu 2",),
    ),
    Case(
        "recovery beyond RDS's",
        "live",
        {"quikapp:retention": {"databaseDays": 36}},
        (
            "quikapp:retention.databaseDays = 36: allowed is at most 35; Aurora's continuous backup keeps no more (https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBCluster.html)",
        ),
    ),
    Case(
        "no recovery",
        "live",
        {"quikapp:retention": {"databaseDays": 0}},
        (
            "quikapp:retention.databaseDays = 0: allowed is at least 1; Aurora's continuous backup cannot be turned off (https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBCluster.html)",
        ),
    ),
    Case(
        "files out of Glacier too soon",
        "live",
        {"quikapp:retention": {"filesDays": 30}},
        (
            "quikapp:retention.filesDays = 30: allowed is at least 90; S3 Glacier bills as many in any case (https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-class-intro.html)",
        ),
    ),
    Case(
        "files locked for good by a typing error",
        "live",
        {"quikapp:retention": {"filesDays": 900}},
        (
            "quikapp:retention.filesDays = 900: an SLA of 99.99 locks the backup bucket and the vaults for as long, and nobody can take that back, not even for a typing error; allowed is at most 365",
        ),
    ),
    Case(
        "logs for a period that CloudWatch does not know",
        "live",
        {"quikapp:retention": {"logsDays": 31}},
        (
            "quikapp:retention.logsDays = 31: allowed are 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653 days (https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html)",
        ),
    ),
    Case(
        "no recovery region for 99.9",
        "staging",
        {"quikapp:recovery": ABSENT},
        (
            "quikapp:recovery: is missing; the operations page promises a recovery point < 1 min; after a loss of the region the daily copy in a vault of the recovery region may have lost 1 d 12 h; declare an Aurora global database here, with a network and instances in the recovery region",
            "quikapp:recovery: the operations page promises a recovery time < 15 min; after a loss of the region the database takes 3 h 2 min, most of it for the restore; to shorten that: declare an Aurora global database in quikapp:recovery, which fails over instead",
            "quikapp:recovery.acceptedRisks: application-rebuilt-from-git is missing; the operations page promises a recovery time < 15 min, and that is at risk: The application runs in one cluster: when that is lost, it is built anew from Git, which takes longer than the recovery time; when its region is, it takes a program that nobody has written yet, and no time bounds that. Accept the risk here, by its name, or mend it: it takes a second cluster that runs in the recovery region, which no key declares",
            "quikapp:recovery.acceptedRisks: bad-migration-takes-a-restore is missing; the operations page promises a recovery point < 1 min and a recovery time < 15 min, and that is at risk: Replicas repeat a bad migration at once: what undoes it is a restore to the moment before, which takes up to a few hours, and what was written since is lost or carried over by hand. Accept the risk here, by its name, or mend it: it takes migrations that can be undone without a restore, which the application has to bring",
            "quikapp:recovery.acceptedRisks: commits-wait-for-the-recovery-region is missing; the operations page promises both an SLA and a recovery point < 1 min, and that is at risk: The bound on the recovery point makes commits wait while the recovery region, the only other one, is out of reach or too far behind: losing it stops all writes until the bound is taken off. Accept the risk here, by its name, or mend it: it takes a follower in a third region, which no key declares",
            "quikapp:recovery.acceptedRisks: files-copied-daily is missing; the operations page promises a recovery point < 1 min, and that is at risk: Files are copied to the recovery region once a day, as the page has it: what was written since is lost with the region. Accept the risk here, by its name, or mend it: it takes files that S3 replicates as they are written, which no key declares",
            "quikapp:recovery.acceptedRisks: nobody-is-called is missing; the operations page promises a recovery time < 15 min, and a response within 5 min to SEV1, and that is at risk: Without PagerDuty alerts go to Slack alone: nobody is sure to answer within the response time, so the recovery time has no bound. Accept the risk here, by its name, or mend it: declare quikapp:monitoring.paging",
            "quikapp:recovery.acceptedRisks: ransomware-takes-a-restore is missing; the operations page promises a recovery point < 1 min and a recovery time < 15 min, and that is at risk: What an intruder has destroyed comes back from a locked vault: as it was before the first sign of them, however long ago that is, and after a restore of up to a few hours. Accept the risk here, by its name, or mend it: it takes a copy that runs in an account of its own, which no key declares",
        ),
    ),
    Case(
        "a recovery point as long as the promise",
        "live",
        {"quikapp:recovery.recoveryPointSeconds": 60},
        (
            "quikapp:recovery.recoveryPointSeconds = 60: the operations page promises a recovery point < 1 min; after a loss of the region the Aurora global database may have lost 1 min; allowed is less than 60",
        ),
    ),
    Case(
        "a recovery point below Aurora's",
        "live",
        {"quikapp:recovery.recoveryPointSeconds": 19},
        (
            "quikapp:recovery.recoveryPointSeconds = 19: allowed is at least 20; rds.global_db_rpo takes no less (https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-global-database-disaster-recovery.html)",
        ),
    ),
    Case(
        "a recovery network over the one at home",
        "live",
        {"quikapp:recovery.network.cidr": "10.50.128.0/17"},
        (
            'quikapp:recovery.network.cidr = "10.50.128.0/17": overlaps quikapp:network.cidr, 10.50.0.0/16; the two regions\' networks have to reach each other',
        ),
    ),
    Case(
        "a recovery network with too few addresses for the pods",
        "live",
        {
            "quikapp:recovery.network.cidr": "10.150.0.0/20",
            "quikapp:sizing.replicas.max": 300,
            "quikapp:cluster.cpuLimit": 1000,
            "quikapp:cluster.memoryLimitGib": 1000,
            "quikapp:traffic.quotas": {"targetsPerLoadBalancer": 2000},
        },
        (
            'quikapp:recovery.network.cidr = "10.150.0.0/20": has room for 1024 pods; the services grow to 1200',
        ),
    ),
    Case(
        "one recovery zone",
        "live",
        {"quikapp:recovery.network.zones": ["a"]},
        ('quikapp:recovery.network.zones = ["a"]: takes at least 2',),
    ),
    Case(
        "a recovery zone twice",
        "live",
        {"quikapp:recovery.network.zones": ["a", "a"]},
        ("quikapp:recovery.network: zones names a twice",),
    ),
    Case(
        "no instance that could take over",
        "live",
        {"quikapp:recovery.instances": 0},
        ("quikapp:recovery.instances = 0: allowed is at least 1",),
    ),
    Case(
        "no reader where the writer takes over",
        "live",
        {"quikapp:recovery.instances": 1},
        (
            "quikapp:recovery.instances = 1: an SLA of 99.99 takes at least 2, as at home: the writer that takes over, and a reader to fail over to",
        ),
    ),
    Case(
        "more instances than a global database takes",
        "live",
        {"quikapp:database.instances": 16, "quikapp:recovery.instances": 16},
        ("quikapp:recovery.instances = 16: allowed is at most 15",),
    ),
    Case(
        "more instances at home than a global database takes",
        "live",
        {"quikapp:database.instances": 16},
        (
            "quikapp:database.instances = 16: a global database of two regions takes at most 15 (https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-global-database-getting-started.html)",
        ),
    ),
    Case(
        "a burstable class in a global database",
        "staging",
        {"quikapp:database.instanceClass": "db.t4g.large"},
        (
            'quikapp:database.instanceClass = "db.t4g.large": a global database takes memory-optimized classes, db.r… and db.x… (https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-global-database-getting-started.html)',
        ),
    ),
    Case(
        "serverless instances that are too small for a global database",
        "live",
        {
            "quikapp:database.instanceClass": ABSENT,
            "quikapp:database.serverless": {"minAcu": 7.5, "maxAcu": 64},
        },
        (
            "quikapp:database.serverless.minAcu = 7.5: a global database takes at least 8 in both regions: whoever follows has to be large enough to take over (https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2.setting-capacity.html)",
        ),
    ),
    Case(
        "a writer in neither region",
        "live",
        {"quikapp:recovery.writer": "elsewhere"},
        ('quikapp:recovery.writer = "elsewhere": is no known value; allowed: home, recovery',),
    ),
    Case(
        "restores that are tested less than weekly",
        "live",
        {"quikapp:recovery.restoreTestDays": 8},
        ("quikapp:recovery.restoreTestDays = 8: allowed is at most 7",),
    ),
    Case(
        "a risk that is not accepted",
        "live",
        {
            "quikapp:recovery.acceptedRisks": [
                "application-rebuilt-from-git",
                "bad-migration-takes-a-restore",
                "ransomware-takes-a-restore",
                "incident-spends-the-error-budget",
                "commits-wait-for-the-recovery-region",
            ]
        },
        (
            "quikapp:recovery.acceptedRisks: files-copied-daily is missing; the operations page promises a recovery point < 1 min, and that is at risk: Files are copied to the recovery region once a day, as the page has it: what was written since is lost with the region. Accept the risk here, by its name, or mend it: it takes files that S3 replicates as they are written, which no key declares",
        ),
    ),
    Case(
        "a risk that is accepted for nothing",
        "staging",
        {
            "quikapp:recovery.acceptedRisks": [
                "incident-spends-the-error-budget",
                "application-rebuilt-from-git",
                "files-copied-daily",
                "bad-migration-takes-a-restore",
                "ransomware-takes-a-restore",
                "commits-wait-for-the-recovery-region",
                "nobody-is-called",
            ]
        },
        (
            'quikapp:recovery.acceptedRisks[0] = "incident-spends-the-error-budget": is not at risk here; what is: application-rebuilt-from-git, files-copied-daily, bad-migration-takes-a-restore, ransomware-takes-a-restore, commits-wait-for-the-recovery-region, nobody-is-called',
        ),
    ),
    Case(
        "a risk that nobody knows",
        "live",
        {"quikapp:recovery.acceptedRisks": ["files-copied-dayly"]},
        (
            'quikapp:recovery.acceptedRisks[0] = "files-copied-dayly": is no known value; did you mean files-copied-daily?',
        ),
    ),
    Case(
        "a risk twice",
        "live",
        {"quikapp:recovery.acceptedRisks": ["files-copied-daily", "files-copied-daily"]},
        ('quikapp:recovery.acceptedRisks[1] = "files-copied-daily": is named already, as acceptedRisks[0]',),
    ),
    Case(
        "less than is promised, where there are recovery objectives",
        "live",
        {"quikapp:retention": {"databaseDays": 34, "logsDays": 14}},
        (
            "quikapp:retention.databaseDays = 34: the operations page promises 35 days, and recovery objectives take them; Aurora's continuous backup and the vaults would keep 34; allowed is at least 35",
            "quikapp:retention.logsDays = 14: the operations page promises 30 days, and recovery objectives take them; Elasticsearch and CloudWatch Logs would keep 14; allowed is at least 30",
        ),
    ),
    Case(
        "one Prometheus for 99.9",
        "staging",
        {"quikapp:monitoring.prometheusReplicas": 1},
        (
            "quikapp:monitoring.prometheusReplicas = 1: an SLA of 99.9 takes at least 2, so that alerts survive one",
        ),
    ),
    Case(
        "no Prometheus",
        "dev",
        {"quikapp:monitoring.prometheusReplicas": 0},
        ("quikapp:monitoring.prometheusReplicas = 0: allowed is at least 1",),
    ),
    Case(
        "one Elasticsearch for 99.9",
        "staging",
        {"quikapp:monitoring.elasticsearch.nodes": 1},
        (
            "quikapp:monitoring.elasticsearch.nodes = 1: an SLA of 99.9 takes at least 3, so that logs survive one",
        ),
    ),
    Case(
        "two Elasticsearch nodes, of which neither can tell who is cut off",
        "dev",
        {"quikapp:monitoring.elasticsearch.nodes": 2},
        (
            "quikapp:monitoring.elasticsearch: nodes is 2, which cannot elect a master when one is lost; allowed are 1, 3 and more",
        ),
    ),
    Case(
        "traces in memory for 99.9",
        "staging",
        {"quikapp:monitoring.tracing.storage": "memory"},
        (
            'quikapp:monitoring.tracing.storage = "memory": an SLA of 99.9 takes elasticsearch, so that traces survive a restart',
        ),
    ),
    Case(
        "less of the past than the error budget counts over",
        "live",
        {"quikapp:monitoring.retentionDays": 15},
        (
            "quikapp:monitoring.retentionDays = 15: an SLA of 99.99 takes at least 30, over which its budget counts",
        ),
    ),
    Case(
        "less of the past than the alerts look back on",
        "qa",
        {"quikapp:monitoring.retentionDays": 2},
        (
            "quikapp:monitoring.retentionDays = 2: an SLA takes at least 3, the longest span that its alerts look back on",
        ),
    ),
    Case(
        "nobody is called in live",
        "live",
        {
            "quikapp:monitoring.paging": ABSENT,
            "secrets:pagerduty-token": ABSENT,
            "secrets:heartbeat-url": ABSENT,
        },
        (
            "quikapp:recovery.acceptedRisks: nobody-is-called is missing; the operations page promises a recovery time < 15 min, and a response within 5 min to SEV1, and that is at risk: Without PagerDuty alerts go to Slack alone: nobody is sure to answer within the response time, so the recovery time has no bound. Accept the risk here, by its name, or mend it: declare quikapp:monitoring.paging",
            "quikapp:monitoring.paging: is missing; an SLA of 99.99 takes PagerDuty",
        ),
    ),
    Case(
        "pages from one Alertmanager",
        "live",
        {"quikapp:monitoring.alertmanagerReplicas": 1},
        ("quikapp:monitoring.alertmanagerReplicas = 1: paging takes at least 3, so that pages survive one",),
    ),
    Case(
        "a time zone that is none",
        "live",
        {"quikapp:monitoring.paging.businessHours.timeZone": "London"},
        (
            'quikapp:monitoring.paging.businessHours.timeZone = "London": allowed is a time zone of the IANA database such as Europe/London',
        ),
    ),
    Case(
        "business hours that end before they begin",
        "live",
        {"quikapp:monitoring.paging.businessHours.end": "08:00"},
        ("quikapp:monitoring.paging.businessHours: start 09:00 is not before end 08:00",),
    ),
    Case(
        "a time of day that YAML took for a number",
        "live",
        {"quikapp:monitoring.paging.businessHours.start": 540},
        (
            'quikapp:monitoring.paging.businessHours.start = 540: allowed is a time of day such as "09:00", quoted',
        ),
    ),
    Case(
        "a day twice",
        "live",
        {"quikapp:monitoring.paging.businessHours.days": ["monday", "monday"]},
        ("quikapp:monitoring.paging.businessHours: days names one twice",),
    ),
    Case(
        "a person's name where PagerDuty wants an id",
        "live",
        {"quikapp:monitoring.paging.onCall.teamLead": "ada@quikapp.example"},
        (
            'quikapp:monitoring.paging.onCall.teamLead = "ada@quikapp.example": allowed is the id of a PagerDuty user, P…, as its page\'s address ends',
        ),
    ),
    Case(
        "nobody on call",
        "live",
        {"quikapp:monitoring.paging.onCall.engineers": []},
        ("quikapp:monitoring.paging.onCall.engineers = []: takes at least 1",),
    ),
    Case(
        "no day on which the turns begin",
        "live",
        {"quikapp:monitoring.paging.onCall.since": "next Monday"},
        (
            'quikapp:monitoring.paging.onCall.since = "next Monday": allowed is a date such as "2026-01-05", quoted',
        ),
    ),
    Case(
        "a site that Datadog does not have",
        "live",
        {"quikapp:monitoring.datadog.site": "datadog.eu"},
        ('quikapp:monitoring.datadog.site = "datadog.eu": is no known value; did you mean datadoghq.eu?',),
    ),
    Case(
        "more traces than requests",
        "dev",
        {"quikapp:monitoring.tracing.samplingPercent": 101},
        ("quikapp:monitoring.tracing.samplingPercent = 101: allowed is at most 100",),
    ),
    Case(
        "runbooks nowhere",
        "dev",
        {"quikapp:monitoring.runbooksUrl": "docs/runbooks/"},
        (
            'quikapp:monitoring.runbooksUrl = "docs/runbooks/": allowed is a URL such as https://grafana.quikapp.example, with no slash at its end',
        ),
    ),
    Case(
        "a secret of the monitoring that is missing",
        "live",
        {"secrets:pagerduty-token": ABSENT},
        (
            "secrets:pagerduty-token: is missing; quikapp:monitoring.paging takes it: `pulumi config set --secret secrets:pagerduty-token`",
        ),
    ),
    Case(
        "a missing secret",
        "live",
        {SECRET: ABSENT},
        (
            "secrets:session-signing-key: is missing; the service api takes it: `pulumi config set --secret secrets:session-signing-key`",
        ),
    ),
    Case(
        "a secret that no service names",
        "live",
        {"secrets:session-signing-kye": "hunter2"},
        ("secrets:session-signing-kye: is named by nobody; did you mean session-signing-key?",),
    ),
)


def refused(stack: str, document: Document, secret_keys: frozenset[str] = SECRETS) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as refusal:
        parse(stack, configuration(document), secret_keys)
    return tuple(str(fault) for fault in refusal.value.faults)


@pytest.mark.parametrize("case", FAULTS, ids=lambda case: case.name)
def test_a_fault_is_reported_word_for_word(case: Case) -> None:
    given_file = changed(document("live" if case.stack == "prod" else case.stack), case.changes)
    encrypted = frozenset(key for key in given_file if key.startswith("secrets:"))

    assert refused(case.stack, given_file, encrypted) == case.report


def test_there_are_many_faults_and_each_is_told_apart() -> None:
    assert len({case.report for case in FAULTS}) >= 85


def test_all_faults_of_a_file_are_in_one_report_in_the_order_of_its_keys() -> None:
    given_file = changed(
        document("live"),
        {
            "secrets:pin": "1234",
            "quikapp:services.web.port": 80,
            "quikapp:release.blue.version": "2",
            "quikapp:network.cidr": "8.8.0.0/16",
            "quikapp:network.natGateways": 0,
            "quikapp:environment.gate": "auto",
            "quikapp:database.instances": 0,
            "aws:region": "eu",
            "quikapp:sizing": ABSENT,
            "quikapp:extra": 1,
        },
    )

    assert refused("live", given_file) == (
        'aws:region = "eu": allowed is the name of an AWS region such as eu-west-1',
        'quikapp:environment.gate = "auto": the operations page promises cab for live; allowed: cab',
        'quikapp:network.cidr = "8.8.0.0/16": allowed is a part of 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 (RFC 1918)',
        "quikapp:network.natGateways = 0: allowed is at least 1",
        'quikapp:release.blue.version = "2": allowed is a version such as v2.4.0 or v2.4.0-rc.1',
        "quikapp:sizing: is missing",
        "quikapp:services.web.port = 80: allowed is at least 1024",
        "quikapp:database.instances = 0: allowed is at least 1",
        "quikapp:extra: is no known key; allowed: environment, network, cluster, traffic, release, changes, sizing, "
        "services, database, retention, recovery, monitoring",
        "secrets:pin: is in plain text; set it anew with `pulumi config set --secret`",
    )


def test_a_bad_group_does_not_hide_what_is_wrong_between_the_others() -> None:
    given_file = changed(document("live"), {"quikapp:network": ABSENT, "quikapp:traffic.waf": False})

    assert refused("live", given_file) == (
        "quikapp:network: is missing",
        "quikapp:traffic.waf = false: an SLA of 99.99 takes a web application firewall",
    )


def test_the_report_does_not_depend_on_the_order_of_the_keys() -> None:
    given_file = changed(
        document("live"), {"quikapp:network.cidr": 1, "quikapp:x": 1, "quikapp:y": 1, SECRET: ABSENT}
    )

    assert refused("live", dict(reversed(given_file.items()))) == refused("live", given_file)


def test_the_message_names_the_file_and_counts_its_faults() -> None:
    with pytest.raises(SettingsError) as refusal:
        parse("dev", configuration(changed(document("dev"), {"aws:region": ABSENT})), SECRETS)

    assert str(refusal.value) == "Pulumi.dev.yaml has 1 fault:\n  aws:region: is missing"


def test_pulumi_prints_a_refusal_without_a_traceback() -> None:
    # The language host and the Automation API print a RunError's message alone.
    assert issubclass(SettingsError, pulumi.RunError)


@pytest.mark.parametrize("stack", STACKS)
def test_the_value_of_a_secret_is_in_no_report(stack: str) -> None:
    value = "correct horse battery staple"
    allowed = ", ".join(sorted(key.removeprefix("secrets:") for key in secret_keys(stack)))
    flagged = frozenset({*SECRETS, "aws:region", "quikapp:environment", "secrets:unused"})
    given_file = changed(
        document(stack),
        {
            "aws:region": value,
            "quikapp:environment": {"owner": value},
            "secrets:unused": value,
            "secrets:plain": value,
        },
    )

    assert refused(stack, given_file, flagged) == (
        "aws:region: is a secret; facts are plain, and secrets have keys of their own (secrets:…)",
        "quikapp:environment: is a secret; facts are plain, and secrets have keys of their own (secrets:…)",
        "secrets:plain: is in plain text; set it anew with `pulumi config set --secret`",
        f"secrets:plain: is named by nobody; allowed: {allowed}",
        f"secrets:unused: is named by nobody; allowed: {allowed}",
    )


def test_a_value_in_a_report_is_one_short_line() -> None:
    (line,) = refused("live", changed(document("live"), {"quikapp:traffic.domain": "a\n" * 1000}))

    assert "\n" not in line
    assert len(line) < 300


def test_what_a_stack_says_nothing_about_is_what_the_page_promises() -> None:
    facts = parse("live", configuration(document("live")), SECRETS)

    assert facts.retention.model_dump() == {"database_days": 35, "files_days": 90, "logs_days": 30}


def test_less_than_the_page_promises_is_kept_where_the_stack_says_so_out_loud() -> None:
    given_file = changed(document("dev"), {"quikapp:retention": {"databaseDays": 7, "logsDays": 14}})

    facts = parse("dev", configuration(given_file), SECRETS)

    assert (facts.retention.database_days, facts.retention.logs_days) == (7, 14)


def test_a_stack_without_an_sla_may_declare_a_recovery_region_and_then_has_its_objectives() -> None:
    given_file = changed(
        document("dev"),
        {
            "quikapp:recovery": {
                "network": {"cidr": "10.110.0.0/16", "zones": ["a", "b"]},
                "instances": 1,
                "recoveryPointSeconds": 59,
                "restoreTestDays": 1,
                "acceptedRisks": [],
            },
            "quikapp:cluster.deletionProtection": True,
            "quikapp:database.serverless": {"minAcu": 8, "maxAcu": 16},
        },
    )

    assert [line.split(" ")[1] for line in refused("dev", given_file)] == [
        "application-rebuilt-from-git",
        "bad-migration-takes-a-restore",
        "commits-wait-for-the-recovery-region",
        "files-copied-daily",
        "nobody-is-called",
        "ransomware-takes-a-restore",
    ]


def test_what_recovery_objectives_promise_is_not_deleted_by_mistake_whatever_the_sla() -> None:
    given_file = changed(
        document("uat"),
        {
            "quikapp:recovery": {
                "network": {"cidr": "10.130.0.0/16", "zones": ["a", "b"]},
                "instances": 1,
                "recoveryPointSeconds": 30,
                "restoreTestDays": 7,
                "acceptedRisks": [risk for risk in Risk if risk is not Risk.BUDGET_SPENT],
            },
            "quikapp:database.serverless": {"minAcu": 8, "maxAcu": 16},
        },
    )

    assert refused("uat", given_file) == (
        "quikapp:cluster.deletionProtection = false: recovery objectives take deletion protection",
    )
    protected = changed(given_file, {"quikapp:cluster.deletionProtection": True})
    assert parse("uat", configuration(protected), SECRETS).lock is LockMode.GOVERNANCE


@pytest.mark.parametrize(("stack", "days"), [("live", 365), ("staging", 900), ("dev", 36_500)])
def test_files_are_kept_for_as_long_as_a_lock_can_be_taken_off_or_ends_within_a_year(
    stack: str, days: int
) -> None:
    given_file = changed(document(stack), {"quikapp:retention": {"filesDays": days}})

    assert parse(stack, configuration(given_file), SECRETS).retention.files_days == days


@pytest.mark.parametrize(
    ("region", "recovery"), [("cn-north-1", "cn-northwest-1"), ("us-gov-west-1", "us-gov-east-1")]
)
def test_a_recovery_region_is_of_the_same_partition_whichever_that_is(region: str, recovery: str) -> None:
    given_file = changed(
        document("dev"), {"aws:region": region, "quikapp:environment.recoveryRegion": recovery}
    )

    assert parse("dev", configuration(given_file), SECRETS).recovery_region == recovery


def test_a_risk_that_is_named_again_is_found_in_a_long_list_too() -> None:
    risks = [*document("live")["quikapp:recovery"]["acceptedRisks"], "ransomware-takes-a-restore"]
    given_file = changed(document("live"), {"quikapp:recovery.acceptedRisks": risks})

    assert refused("live", given_file) == (
        'quikapp:recovery.acceptedRisks[6] = "ransomware-takes-a-restore": is named already, as acceptedRisks[3]',
    )


def test_a_group_that_may_be_left_out_may_be_null() -> None:
    given_file = changed(document("dev"), {"quikapp:recovery": None})

    assert parse("dev", configuration(given_file), SECRETS).recovery is None


def test_keys_of_other_namespaces_are_none_of_its_business() -> None:
    given_file = changed(document("dev"), {"aws:profile": "me", "pulumi:tags": {"a": "b"}})

    assert parse("dev", configuration(given_file), SECRETS) == parse(
        "dev", configuration(document("dev")), SECRETS
    )


def test_every_field_of_the_facts_but_the_name_has_a_key() -> None:
    assert {"name", *KEYS} == set(EnvironmentFacts.model_fields)


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Pulumi's configuration as its engine would have set it for the live stack."""
    monkeypatch.setattr(pulumi, "get_stack", lambda: "live")
    pulumi.runtime.set_all_config(configuration(document("live")), list(SECRETS))
    yield
    pulumi.runtime.set_all_config({}, [])


@pytest.mark.usefixtures("configured")
def test_loading_gives_the_facts_and_the_secrets_as_secrets() -> None:
    async def is_secret() -> tuple[Settings, bool]:
        loaded = load()
        return loaded, await loaded.secrets["session-signing-key"].is_secret()

    loaded, secret = asyncio.run(is_secret())

    assert loaded.facts == parse("live", configuration(document("live")), SECRETS)
    assert list(loaded.secrets) == [
        "datadog-api-key",
        "grafana-client-secret",
        "heartbeat-url",
        "pagerduty-token",
        "session-signing-key",
        "slack-token",
    ]
    assert secret


# --- any document whatever ------------------------------------------------------------------------------------

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(10**400)
    | st.floats()
    | st.text()
    | st.sampled_from(["a", "none", "10.0.0.0/16", "v1.0.0", "database", "{}", "{error}", "\ud800", "\x00"])
)
names = st.text() | st.sampled_from(
    [
        "sla",
        "blue",
        "weight",
        "api",
        "path",
        "secrets",
        "uses",
        "min",
        "max",
        "replicas",
        "cidr",
        "zones",
        "[key]",
    ]
)
trees: SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
keys = st.sampled_from([*KEYS.values(), SECRET]) | st.text().map(lambda name: f"quikapp:{name}") | st.text()


def refusal_of(stack: str, config: Mapping[str, str]) -> SettingsError | None:
    """Parse; anything but facts or a refusal is let through to fail the test."""
    try:
        parse(stack, config, SECRETS)
    except SettingsError as refusal:
        return refusal
    return None


def accept_or_refuse(stack: str, config: Mapping[str, str]) -> None:
    if refusal := refusal_of(stack, config):
        assert refusal.faults
        assert len(str(refusal).splitlines()) == len(refusal.faults) + 1


@given(stack=st.sampled_from(STACKS) | st.text(), content=st.dictionaries(keys, trees, max_size=12))
def test_no_document_whatever_raises_anything_else(stack: str, content: Document) -> None:
    accept_or_refuse(stack, configuration(content))


@given(config=st.dictionaries(keys, st.text(), max_size=8))
def test_no_text_whatever_raises_anything_else(config: dict[str, str]) -> None:
    accept_or_refuse("live", config)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 5_000 + "1" + "}" * 5_000, "9" * 10_000, "NaN", "-Infinity"]
)
def test_no_depth_or_size_raises_anything_else(text: str) -> None:
    accept_or_refuse("live", dict.fromkeys(KEYS.values(), text))


def places(tree: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place in a tree, by the steps that lead to it."""
    steps: list[tuple[str | int, object]] = []
    if isinstance(tree, dict):
        steps = list(tree.items())  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType] - JSON
    elif isinstance(tree, list):
        steps = list(enumerate(tree))  # pyright: ignore[reportUnknownArgumentType] - JSON
    return [(*path, step) for step, _ in steps] + [
        place for step, inner in steps for place in places(inner, (*path, step))
    ]


@examples(suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), stack=st.sampled_from(STACKS))
def test_no_change_to_a_good_file_raises_anything_else(data: DataObject, stack: str) -> None:
    copy: Any = json.loads(json.dumps(document(stack)))
    for *parents, last in data.draw(
        st.lists(st.sampled_from(places(copy)), min_size=1, max_size=3, unique=True)
    ):
        place = copy
        try:
            for step in parents:
                place = place[step]
            place[last] = data.draw(trees)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the place away

    accept_or_refuse(stack, configuration(copy))
