"""Traffic: one way in, over HTTPS only, shared out to both slots by weight."""

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pulumi
import pytest

from components.traffic import ExistingCertificate, HostedZone, Route, Traffic, TrafficArgs
from operations.release import Release, SlotRelease, Standby, Switch
from operations.rollout.guard import Terms
from operations.slots import Slot
from tests.unit.components.conftest import Record
from tests.unit.components.recording import Recording, Resource

TAGS = {"environment": "test", "owner": "operations"}
REGION = "eu-west-1"
CERTIFICATE_ARN = "arn:aws:acm:eu-west-1:123456789012:certificate/1"

LOAD_BALANCER = "aws:lb/loadBalancer:LoadBalancer"
LISTENER = "aws:lb/listener:Listener"
LISTENER_RULE = "aws:lb/listenerRule:ListenerRule"
TARGET_GROUP = "aws:lb/targetGroup:TargetGroup"
BINDING = "kubernetes:eks.amazonaws.com/v1:TargetGroupBinding"
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
CERTIFICATE = "aws:acm/certificate:Certificate"
RECORD = "aws:route53/record:Record"
WEB_ACL = "aws:wafv2/webAcl:WebAcl"


def released(blue: int, green: int, *, new: str = "v2.4.0", **facts: str) -> Release:
    """A release with these weights, on its way from blue to green where nothing else is said."""
    slots = {
        "blue": SlotRelease(version="v2.3.0", weight=blue),
        "green": SlotRelease(version=new, weight=green),
    }
    return Release.model_validate(
        {**slots, "standby": Standby.FULL, "switch": Switch.LADDER, "stable": "v2.3.0", **facts}
    )


ARGS = TrafficArgs(
    prefix="quikapp-test",
    region=REGION,
    vpc_id="vpc-1",
    public_subnet_ids=["subnet-1", "subnet-2"],
    cluster_name="quikapp-test",
    cluster_security_group_id="sg-cluster",
    domain="app.example.com",
    dns=HostedZone(zone_id="Z1"),
    routes={
        "api": Route(path="/api", port=8080, health_path="/api/health"),
        "users": Route(path="/api/users", port=9090, health_path="/health"),
        "web": Route(path="/", port=8080, health_path="/"),
    },
    release=released(95, 5),
    namespaces={slot: slot.namespace for slot in Slot},
    deregistration_delay_seconds=30,
    waf=True,
    deletion_protection=True,
    log_retention_days=30,
    tags=TAGS,
)


def declare(record: Record, args: TrafficArgs = ARGS) -> Recording[Traffic]:
    return record(lambda: Traffic("traffic", args))


def rule(made: Recording[Traffic], service: str) -> Resource:
    return made.one(LISTENER_RULE, f"traffic-{service}")


def listener(made: Recording[Traffic], port: int) -> Resource:
    (found,) = [listener for listener in made.of(LISTENER) if listener.inputs["port"] == port]
    return found


def target_groups(made: Recording[Traffic], service: str) -> dict[str, str]:
    """Slot of each target group of a service, by ARN."""
    return {made.one(TARGET_GROUP, f"traffic-{service}-{slot}").outputs["arn"]: slot.value for slot in Slot}


def shares(made: Recording[Traffic], service: str) -> dict[str, int]:
    """The weight of each slot in a service's rule."""
    (action,) = rule(made, service).inputs["actions"]
    slots = target_groups(made, service)
    return {slots[share["arn"]]: share["weight"] for share in action["forward"]["targetGroups"]}


def group_id(made: Recording[Traffic]) -> str:
    """The load balancer's only security group."""
    (identifier,) = made.one(LOAD_BALANCER).inputs["securityGroups"]
    return identifier


@pytest.mark.parametrize(("blue", "green"), [(100, 0), (95, 5), (75, 25), (50, 50), (0, 100)])
def test_every_rule_lists_both_slots_with_their_weights(record: Record, blue: int, green: int) -> None:
    made = declare(record, replace(ARGS, release=released(blue, green)))
    for service in ARGS.routes:
        assert shares(made, service) == {"blue": blue, "green": green}
        assert sum(shares(made, service).values()) == 100


def inputs(made: Recording[Traffic], service: str = "api") -> dict[str, Any]:
    """What the engine holds of a service's rule."""
    return dict(rule(made, service).inputs)


def update(record: Record, now: dict[str, Any], then: Release, **changed: object) -> None:
    """Let the engine ask the guard about an update of a rule to a release, with some of its inputs changed."""
    made = declare(record, replace(ARGS, release=then))
    (name,) = rule(made, "api").before_update
    new = {**inputs(made), **changed}
    made.hooks[name](pulumi.ResourceHookArgs("urn", "id", "rule", LISTENER_RULE, new, now, None, None))


def in_force(record: Record, release: Release) -> dict[str, Any]:
    return inputs(declare(record, replace(ARGS, release=release)))


def forward(now: dict[str, Any], *order: int, arns: tuple[object, object] | None = None) -> dict[str, Any]:
    """The same inputs with the target groups in another order, or with other ARNs."""
    (action,) = now["actions"]
    groups = [
        {**group, "arn": arn}
        for group, arn in zip(
            action["forward"]["targetGroups"],
            arns or [group["arn"] for group in action["forward"]["targetGroups"]],
            strict=True,
        )
    ]
    return {**now, "actions": [{"type": "forward", "forward": {"targetGroups": [groups[i] for i in order]}}]}


def test_a_rule_tells_by_tags_on_which_terms_its_weights_move(record: Record) -> None:
    made = declare(record)
    for service in ARGS.routes:
        tags = rule(made, service).inputs["tags"]
        assert Terms.told_by(tags) == Terms.of(ARGS.release)
        assert tags["owner"] == TAGS["owner"]
    assert Terms.told_by(rule(made, "closed").inputs["tags"]) is None


def test_weights_move_up_the_ladder_and_back(record: Record) -> None:
    rungs = (released(100, 0), released(95, 5), released(75, 25), released(50, 50), released(0, 100))
    for now, then in pairwise(rungs):
        update(record, in_force(record, now), then)
        update(record, in_force(record, then), released(100, 0))


@pytest.mark.parametrize(
    ("now", "then", "why"),
    [
        ((95, 5), (50, 50), "green may not move from 5 % to 50 % .*0 % .*25 %"),
        ((100, 0), (0, 100), "green may not move from 0 % to 100 % .*5 %"),
        ((50, 50), (75, 25), "green may not move from 50 % to 25 %"),
        ((60, 40), (50, 50), "green may not move from 40 % to 50 %"),
    ],
)
def test_any_other_move_of_weights_is_refused(
    record: Record, now: tuple[int, int], then: tuple[int, int], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        update(record, in_force(record, released(*now)), released(*then))


@pytest.mark.parametrize("now", [(100, 0), (95, 5), (75, 25)])
@pytest.mark.parametrize("excuse", [{"stable": "v2.4.0"}, {"switch": Switch.AT_ONCE}])
def test_no_edit_brings_its_own_leave_along(
    record: Record, now: tuple[int, int], excuse: dict[str, str]
) -> None:
    with pytest.raises(ValueError, match=r"may not move|nothing but the weights may change"):
        update(record, in_force(record, released(*now)), released(0, 100, **excuse))


def test_a_checkout_that_is_behind_changes_nothing_while_traffic_is_shared(record: Record) -> None:
    behind = released(100, 0, new="v2.2.0")
    with pytest.raises(ValueError, match=r"in force is green v2\.4\.0; this stack file says green v2\.2\.0"):
        update(record, in_force(record, released(95, 5)), behind)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_slots_are_known_by_their_target_groups_in_whatever_order_these_are_listed(
    record: Record, order: tuple[int, int]
) -> None:
    now = forward(in_force(record, released(75, 25)), *order)
    update(record, now, released(50, 50))
    update(record, now, released(100, 0))
    with pytest.raises(ValueError, match="green may not move from 25 % to 75 %"):
        update(record, now, released(25, 75))


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_target_group_that_is_not_there_yet_has_the_place_that_is_left(
    record: Record, order: tuple[int, int]
) -> None:
    now = forward(in_force(record, released(75, 25)), *order)
    then = in_force(record, released(50, 50))
    _, green = (group["arn"] for group in then["actions"][0]["forward"]["targetGroups"])
    unknown = forward(then, 0, 1, arns=(pulumi.UNKNOWN, green))
    update(record, now, released(50, 50), actions=unknown["actions"])


def test_while_both_target_groups_are_new_the_order_tells(record: Record) -> None:
    now, then = in_force(record, released(75, 25)), in_force(record, released(50, 50))
    unknown = forward(then, 0, 1, arns=(pulumi.UNKNOWN, pulumi.UNKNOWN))
    update(record, now, released(50, 50), actions=unknown["actions"])


def test_a_rule_from_before_there_were_tags_goes_by_those_it_gets(record: Record) -> None:
    before = {**in_force(record, released(95, 5)), "tags": TAGS}
    update(record, before, released(75, 25))
    with pytest.raises(ValueError, match="green may not move from 5 % to 50 %"):
        update(record, before, released(50, 50))


def test_moves_are_refused_in_previews_too(record: Record) -> None:
    made = declare(record)
    guards = {name for service in ARGS.routes for name in rule(made, service).before_update}
    assert guards == {"traffic-guard"}
    options = made.hooks["traffic-guard"].opts
    assert options is not None
    assert options.on_dry_run
    assert not options.ignore_errors


def test_a_rule_that_shares_requests_out_does_nothing_else_afterwards(record: Record) -> None:
    shares, closed = in_force(record, released(95, 5)), [{"type": "fixed-response"}]
    with pytest.raises(
        ValueError, match="rule shares requests out between blue and green, and would not any more"
    ):
        update(record, shares, released(95, 5), actions=closed)
    update(record, {**shares, "actions": closed}, released(95, 5))


def test_weights_are_never_ignored(record: Record) -> None:
    assert not [resource.urn for resource in declare(record).resources if resource.ignore_changes]


def test_a_new_weight_changes_listener_rules_only(record: Record) -> None:
    def everything(made: Recording[Traffic]) -> dict[str, Any]:
        return {resource.urn: resource.inputs for resource in made.resources}

    before = everything(declare(record))
    after = everything(declare(record, replace(ARGS, release=released(75, 25))))
    assert before.keys() == after.keys()
    changed = {urn for urn in before if before[urn] != after[urn]}
    assert {urn.split("::")[2].split("$")[-1] for urn in changed} == {LISTENER_RULE}
    assert len(changed) == len(ARGS.routes)


def test_every_request_is_shared_out_by_itself(record: Record) -> None:
    made = declare(record)
    for service in ARGS.routes:
        (action,) = rule(made, service).inputs["actions"]
        assert "stickiness" not in action["forward"]
    assert {group.inputs["stickiness"]["enabled"] for group in made.of(TARGET_GROUP)} == {False}


def test_a_rule_matches_the_path_and_what_is_below(record: Record) -> None:
    made = declare(record)
    patterns = {
        service: rule(made, service).inputs["conditions"][0]["pathPattern"]["values"]
        for service in ARGS.routes
    }
    assert patterns == {
        "api": ["/api", "/api/*"],
        "users": ["/api/users", "/api/users/*"],
        "web": ["/*"],
    }


def test_the_longer_path_is_tried_first(record: Record) -> None:
    made = declare(record)
    order = sorted(ARGS.routes, key=lambda service: rule(made, service).inputs["priority"])
    assert order == ["users", "api", "web"]


def test_a_new_service_changes_no_rule_of_another(record: Record) -> None:
    more = {**ARGS.routes, "admin": Route(path="/admin", port=8080, health_path="/health")}
    before, after = declare(record), declare(record, replace(ARGS, routes=more))
    for service in ARGS.routes:
        assert rule(before, service).inputs == rule(after, service).inputs


def test_rules_are_those_of_the_https_listener(record: Record) -> None:
    made = declare(record)
    https = listener(made, 443).outputs["arn"]
    assert {rule.inputs["listenerArn"] for rule in made.of(LISTENER_RULE)} == {https}


def test_http_leads_to_https_for_good(record: Record) -> None:
    http = listener(declare(record), 80)
    (action,) = http.inputs["defaultActions"]
    assert action == {
        "type": "redirect",
        "redirect": {"protocol": "HTTPS", "port": "443", "statusCode": "HTTP_301"},
    }


def test_https_speaks_modern_tls_and_knows_no_other_path(record: Record) -> None:
    https = listener(declare(record), 443)
    assert https.inputs["protocol"] == "HTTPS"
    assert https.inputs["sslPolicy"].startswith("ELBSecurityPolicy-TLS13-1-2-Res")
    (action,) = https.inputs["defaultActions"]
    assert action["type"] == "fixed-response"
    assert action["fixedResponse"]["statusCode"] == "404"


def test_browsers_that_came_once_come_back_over_https(record: Record) -> None:
    header = listener(declare(record), 443).inputs["routingHttpResponseStrictTransportSecurityHeaderValue"]
    assert header == "max-age=31536000"


def test_only_eighty_and_443_are_open_to_anyone(record: Record) -> None:
    made = declare(record)
    group = made.one("aws:ec2/securityGroup:SecurityGroup")
    public = [
        rule.inputs for rule in made.of(INGRESS) if "cidrIpv4" in rule.inputs or "cidrIpv6" in rule.inputs
    ]
    assert {rule["securityGroupId"] for rule in public} == {group_id(made)}
    assert sorted((rule["fromPort"], rule["toPort"], rule["ipProtocol"]) for rule in public) == [
        (80, 80, "tcp"),
        (443, 443, "tcp"),
    ]
    assert "ingress" not in group.inputs
    assert "egress" not in group.inputs


def test_the_load_balancer_speaks_to_the_services_ports_of_the_cluster_only(record: Record) -> None:
    made = declare(record)
    out = {
        (rule.inputs["fromPort"], rule.inputs["toPort"], rule.inputs["referencedSecurityGroupId"])
        for rule in made.of(EGRESS)
    }
    let_in = {
        (rule.inputs["fromPort"], rule.inputs["toPort"], rule.inputs["referencedSecurityGroupId"])
        for rule in made.of(INGRESS)
        if rule.inputs["securityGroupId"] == "sg-cluster"
    }
    assert out == {(8080, 8080, "sg-cluster"), (9090, 9090, "sg-cluster")}
    assert let_in == {(8080, 8080, group_id(made)), (9090, 9090, group_id(made))}


def test_the_load_balancer_is_hardened(record: Record) -> None:
    balancer = declare(record).one(LOAD_BALANCER)
    assert balancer.protect
    assert balancer.inputs["enableDeletionProtection"] is True
    assert balancer.inputs["dropInvalidHeaderFields"] is True
    assert balancer.inputs["enableHttp2"] is True
    assert balancer.inputs["internal"] is False


def test_an_unprotected_load_balancer_can_go(record: Record) -> None:
    balancer = declare(record, replace(ARGS, deletion_protection=False)).one(LOAD_BALANCER)
    assert not balancer.protect
    assert balancer.inputs["enableDeletionProtection"] is False


def test_access_logs_go_to_a_bucket_that_takes_them_from_the_load_balancer_only(record: Record) -> None:
    made = declare(record)
    bucket = made.one("aws:s3/bucket:Bucket")
    policy = made.one("aws:s3/bucketPolicy:BucketPolicy")
    assert made.one(LOAD_BALANCER).inputs["accessLogs"] == {
        "bucket": bucket.outputs["bucket"],
        "enabled": True,
    }
    allowed = [
        statement
        for statement in json.loads(policy.inputs["policy"])["Statement"]
        if statement["Effect"] == "Allow"
    ]
    assert allowed == [
        {
            "Effect": "Allow",
            "Principal": {"Service": ["logdelivery.elasticloadbalancing.amazonaws.com"]},
            "Action": ["s3:PutObject"],
            "Resource": [f"{bucket.outputs['arn']}/AWSLogs/123456789012/*"],
        }
    ]


def test_the_log_bucket_may_be_written_to_before_the_load_balancer_tries(record: Record) -> None:
    made = declare(record)
    assert made.one("aws:s3/bucketPolicy:BucketPolicy").urn in made.one(LOAD_BALANCER).dependencies


def test_the_log_bucket_is_private_and_encrypted_the_only_way_the_load_balancer_can(record: Record) -> None:
    made = declare(record)
    block = made.one("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock")
    assert block.inputs["restrictPublicBuckets"] is True
    (statement,) = [
        statement
        for statement in json.loads(made.one("aws:s3/bucketPolicy:BucketPolicy").inputs["policy"])[
            "Statement"
        ]
        if statement["Effect"] == "Deny"
    ]
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    encryption = made.one(
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    )
    (default,) = encryption.inputs["rules"]
    assert default["applyServerSideEncryptionByDefault"] == {"sseAlgorithm": "AES256"}


@pytest.mark.parametrize(("asked", "kept"), [(30, 30), (90, 90), (365, 90)])
def test_access_logs_are_kept_for_ninety_days_at_most(record: Record, asked: int, kept: int) -> None:
    made = declare(record, replace(ARGS, log_retention_days=asked))
    lifecycle = made.one("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration")
    (days,) = [
        rule["expiration"]["days"]
        for rule in lifecycle.inputs["rules"]
        if "days" in rule.get("expiration", {})
    ]
    assert days == kept


def test_a_zone_gives_a_certificate_that_renews_itself_and_an_address(record: Record) -> None:
    made = declare(record)
    certificate = made.one(CERTIFICATE)
    assert certificate.inputs["domainName"] == "app.example.com"
    assert certificate.inputs["validationMethod"] == "DNS"
    proof = made.one(RECORD, "traffic-certificate")
    assert proof.inputs["type"] == "CNAME"
    assert proof.inputs["zoneId"] == "Z1"
    validation = made.one("aws:acm/certificateValidation:CertificateValidation")
    assert validation.urn in listener(made, 443).dependencies
    address = made.one(RECORD, "traffic-address")
    (alias,) = address.inputs["aliases"]
    assert (address.inputs["name"], address.inputs["type"]) == ("app.example.com", "A")
    assert alias["name"] == made.one(LOAD_BALANCER).outputs["dnsName"]


def test_a_certificate_that_exists_is_used_and_none_is_made(record: Record) -> None:
    made = declare(record, replace(ARGS, dns=ExistingCertificate(certificate_arn=CERTIFICATE_ARN)))
    assert listener(made, 443).inputs["certificateArn"] == CERTIFICATE_ARN
    assert not made.of(CERTIFICATE)
    assert not made.of(RECORD)


def test_a_certificate_that_exists_may_come_with_a_zone_for_the_address(record: Record) -> None:
    dns = ExistingCertificate(certificate_arn=CERTIFICATE_ARN, zone_id="Z1")
    made = declare(record, replace(ARGS, dns=dns))
    assert not made.of(CERTIFICATE)
    assert [found.name for found in made.of(RECORD)] == ["traffic-address"]


def test_each_service_has_a_target_group_in_each_slot(record: Record) -> None:
    made = declare(record)
    assert {group.inputs["name"] for group in made.of(TARGET_GROUP)} == {
        "quikapp-test-api-blue-8080",
        "quikapp-test-api-green-8080",
        "quikapp-test-users-blue-9090",
        "quikapp-test-users-green-9090",
        "quikapp-test-web-blue-8080",
        "quikapp-test-web-green-8080",
    }
    for group in made.of(TARGET_GROUP):
        assert group.inputs["targetType"] == "ip"
        assert group.inputs["deregistrationDelay"] == 30
        assert group.inputs["tags"]["eks:eks-cluster-name"] == "quikapp-test"


def test_a_pod_is_asked_where_its_service_says(record: Record) -> None:
    made = declare(record)
    check = made.one(TARGET_GROUP, "traffic-users-green").inputs["healthCheck"]
    assert check == {
        "path": "/health",
        "matcher": "200",
        "interval": 10,
        "timeout": 5,
        "healthyThreshold": 2,
        "unhealthyThreshold": 3,
    }


def test_a_new_port_makes_a_new_target_group_beside_the_old_one(record: Record) -> None:
    moved = {**ARGS.routes, "web": replace(ARGS.routes["web"], port=8081)}
    before, after = declare(record), declare(record, replace(ARGS, routes=moved))
    for token in (TARGET_GROUP, BINDING):
        old, new = before.one(token, "traffic-web-blue"), after.one(token, "traffic-web-blue")
        assert old.inputs.get("name", old.inputs.get("metadata")) != new.inputs.get(
            "name", new.inputs.get("metadata")
        )


def test_pods_are_registered_by_a_binding_in_the_slots_namespace(record: Record) -> None:
    made = declare(record)
    for service, route in ARGS.routes.items():
        for slot in Slot:
            binding = made.one(BINDING, f"traffic-{service}-{slot}")
            group = made.one(TARGET_GROUP, f"traffic-{service}-{slot}")
            assert binding.inputs["metadata"] == {
                "name": group.inputs["name"],
                "namespace": slot.namespace,
            }
            assert binding.inputs["spec"] == {
                "serviceRef": {"name": service, "port": route.port},
                "targetGroupARN": group.outputs["arn"],
                "targetType": "ip",
            }


def test_names_stay_within_the_limits_and_apart(record: Record) -> None:
    routes = {
        f"a-service-with-a-very-long-name-{index}": Route(path=f"/{index}", port=8080, health_path="/")
        for index in range(3)
    }
    made = declare(record, replace(ARGS, prefix="quikapp-a-very-long-environment-name", routes=routes))
    names = [group.inputs["name"] for group in made.of(TARGET_GROUP)]
    assert len(set(names)) == 6
    assert max(map(len, names)) <= 32
    assert len(made.one(LOAD_BALANCER).inputs["name"]) <= 32


def test_the_firewall_stands_before_the_load_balancer(record: Record) -> None:
    made = declare(record)
    association = made.one("aws:wafv2/webAclAssociation:WebAclAssociation")
    assert association.inputs["resourceArn"] == made.one(LOAD_BALANCER).outputs["arn"]
    assert association.inputs["webAclArn"] == made.one(WEB_ACL).outputs["arn"]
    assert made.one(WEB_ACL).inputs["scope"] == "REGIONAL"


def test_the_firewall_stops_floods_known_attackers_and_known_attacks(record: Record) -> None:
    rules = {rule["name"]: rule for rule in declare(record).one(WEB_ACL).inputs["rules"]}
    assert set(rules) == {
        "rate-limit",
        "AWSManagedRulesAmazonIpReputationList",
        "AWSManagedRulesKnownBadInputsRuleSet",
        "AWSManagedRulesCommonRuleSet",
    }
    assert "block" in rules["rate-limit"]["action"]
    assert rules["rate-limit"]["statement"]["rateBasedStatement"] == {
        "aggregateKeyType": "IP",
        "limit": 2000,
        "evaluationWindowSec": 300,
    }
    assert len({rule["priority"] for rule in rules.values()}) == len(rules)


def test_the_firewall_lets_uploads_pass(record: Record) -> None:
    rules = {rule["name"]: rule for rule in declare(record).one(WEB_ACL).inputs["rules"]}
    common = rules["AWSManagedRulesCommonRuleSet"]["statement"]["managedRuleGroupStatement"]
    assert common["ruleActionOverrides"] == [{"name": "SizeRestrictions_BODY", "actionToUse": {"count": {}}}]


def test_the_firewall_logs_what_it_stops_without_credentials(record: Record) -> None:
    made = declare(record)
    group = made.one("aws:cloudwatch/logGroup:LogGroup")
    logging = made.one("aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration")
    assert group.inputs["name"] == "aws-waf-logs-quikapp-test"
    assert group.inputs["retentionInDays"] == 30
    assert logging.inputs["logDestinationConfigs"] == [group.outputs["arn"]]
    assert [field["singleHeader"]["name"] for field in logging.inputs["redactedFields"]] == [
        "authorization",
        "cookie",
    ]
    assert logging.inputs["loggingFilter"]["defaultBehavior"] == "DROP"


def test_there_is_no_firewall_where_none_is_asked_for(record: Record) -> None:
    made = declare(record, replace(ARGS, waf=False))
    assert not [resource for resource in made.resources if "wafv2" in resource.token]


def test_it_tells_where_users_go_and_which_rules_share_them_out(record: Record) -> None:
    made = declare(record)
    assert made.result.url == "https://app.example.com"
    assert made.value(made.result.load_balancer_dns_name) == made.one(LOAD_BALANCER).outputs["dnsName"]
    assert set(made.result.listener_rules) == set(ARGS.routes)
    assert made.value(made.result.listener_rules["api"]) == rule(made, "api").outputs["arn"]


def test_a_preview_knows_what_will_be_made(record: Record) -> None:
    made = record(lambda: Traffic("traffic", ARGS), preview=True)
    assert len(made.of(LISTENER_RULE)) == 4
    assert len(made.of(BINDING)) == 6


def test_metrics_are_closed_to_the_internet_before_any_service_is_asked(record: Record) -> None:
    made = declare(record)
    closed = rule(made, "closed")
    assert closed.inputs["conditions"] == [{"pathPattern": {"values": ["/metrics"]}}]
    assert closed.inputs["actions"][0]["fixedResponse"]["statusCode"] == "404"
    others = [each.inputs["priority"] for each in made.of(LISTENER_RULE) if each.name != closed.name]
    assert closed.inputs["priority"] < min(others)


def test_everything_is_tagged_in_its_region_and_closed(record: Record) -> None:
    made = declare(record)
    made.assert_tagged(TAGS)
    made.assert_in_region(REGION)
    made.assert_least_privilege()


def test_a_load_balancer_without_routes_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one route"):
        replace(ARGS, routes={})


def test_two_services_on_one_path_are_refused() -> None:
    routes = {name: Route(path="/api", port=8080, health_path="/") for name in ("one", "other")}
    with pytest.raises(ValueError, match="/api is the path of two rules"):
        replace(ARGS, routes=routes)
