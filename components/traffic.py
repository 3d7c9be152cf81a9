"""The way in: one load balancer whose listener rules share the requests of each service out to the two slots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

from components.buckets import (
    Delivery,
    LifecycleRule,
    PrivateBucket,
    PrivateBucketArgs,
    every_object,
)
from components.firewall import Firewall, FirewallArgs
from components.policies import Arn
from operations.limits import LOAD_BALANCER_NAME_LENGTH, TARGET_GROUP_NAME_LENGTH
from operations.listener_rules import CLOSED_PATHS, CLOSED_PRIORITY, path_patterns, priorities
from operations.naming import fit, join
from operations.release import Release
from operations.rollout.guard import Terms, refusal
from operations.slots import Slot, Weights

ANYWHERE: Final = "0.0.0.0/0"

TLS_POLICY: Final = "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"
"""TLS 1.3 and 1.2 with forward secrecy, and hybrid post-quantum key exchange where the client can: what AWS recommends.

Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html
"""

LOG_DELIVERY: Final = "logdelivery.elasticloadbalancing.amazonaws.com"
"""Who writes access logs, in every region.

Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/enable-access-logging.html
"""

ACCESS_LOG_DAYS: Final = 90
"""Longest time that access logs are kept: they hold the addresses of persons."""

STRICT_TRANSPORT_SECURITY: Final = "max-age=31536000"
"""Browsers that have been here once come back over HTTPS only, for a year."""

VALIDATION_TTL_SECONDS: Final = 60
"""How long resolvers remember the record that proves who owns the domain."""

HEALTH_CHECK_SECONDS: Final = 10
"""Time between two health checks of a target."""

HEALTH_CHECK_TIMEOUT_SECONDS: Final = 5
"""How long a target may take to answer a health check."""

HEALTHY_AFTER: Final = 2
"""Checks in a row until a target receives requests: 20 seconds."""

UNHEALTHY_AFTER: Final = 3
"""Checks in a row until a target receives none any more: 30 seconds."""


@dataclass(frozen=True, kw_only=True)
class HostedZone:
    """A Route 53 zone that holds the domain: a certificate is issued by it, and the address record made in it."""

    zone_id: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class ExistingCertificate:
    """A certificate for the domain that somebody else keeps."""

    certificate_arn: pulumi.Input[str]
    zone_id: pulumi.Input[str] | None = None
    """Route 53 zone in which the address record is made; None leaves the record to who keeps the domain."""


Dns = HostedZone | ExistingCertificate
"""Where the domain's certificate and address come from."""


@dataclass(frozen=True, kw_only=True)
class Route:
    """Where a service is reached, from outside and in its pods."""

    path: str
    """Prefix of the paths it serves, such as `/api`; `/` is what no other route serves."""
    port: int
    """Port of its pods and of its Kubernetes Service, 1 to 65535."""
    health_path: str
    """Path that answers 200 while a pod is healthy."""


@dataclass(frozen=True, kw_only=True)
class TrafficArgs:
    """What the way in is made of.

    Raises:
        ValueError: there is no route, two routes have one path, or a path has no place among the rules (see
            `operations.listener_rules.priorities`).
    """

    prefix: str
    """How names begin, such as `quikapp-live`; one of its own for each load balancer of an account."""
    region: str
    """AWS region, such as `eu-west-1`."""
    vpc_id: pulumi.Input[str]
    public_subnet_ids: Sequence[pulumi.Input[str]]
    """At least two, in different zones."""
    cluster_name: pulumi.Input[str]
    """EKS Auto Mode registers pods only in target groups that carry their cluster's name."""
    cluster_security_group_id: pulumi.Input[str]
    """Security group of the nodes and pods, where the load balancer is let in."""
    domain: str
    dns: Dns
    routes: Mapping[str, Route]
    """By the name of the service, which is the name of its Kubernetes Service in both slots."""
    release: Release
    """The weights, and on which terms they may move from now on (see `operations.rollout.guard`); its capacities are the
    slots' affair."""
    namespaces: Mapping[Slot, pulumi.Input[str]]
    """Kubernetes namespace of each slot."""
    deregistration_delay_seconds: int
    """How long a pod that leaves gets to finish its requests, 0 to 3600."""
    waf: bool
    """Whether a web application firewall looks at the requests first."""
    deletion_protection: bool
    log_retention_days: int
    """Days that the firewall's log is kept, a period that CloudWatch Logs offers; access logs for 90 of them at most."""
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        if not self.routes:
            raise ValueError("a load balancer needs at least one route")
        priorities(route.path for route in self.routes.values())


class Traffic(pulumi.ComponentResource):
    """An internet-facing load balancer, its certificate and address, and a weighted rule for each service.

    A rule always lists the target groups of both slots, also the one whose weight is 0, so that a switch changes
    nothing but two numbers. Weights come from the arguments and from nowhere else. Stickiness is off: each request
    is shared out by itself, so the weight is the share that the slot's metrics are judged by, and when a weight goes
    back to 0 nobody is left behind in a slot that fails. Source: the operations page, "Deployment Strategy".
    """

    load_balancer_dns_name: pulumi.Output[str]
    url: str
    """Where users go."""
    listener_rules: Mapping[str, pulumi.Output[str]]
    """ARN of each service's listener rule."""
    target_groups: Mapping[str, Mapping[Slot, pulumi.Output[str]]]
    """ARN of each service's target group in each slot."""

    def __init__(self, name: str, args: TrafficArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("quikapp:traffic:Traffic", name, None, opts)
        self._name = name
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        self._guard = pulumi.ResourceHook(
            f"{name}-guard", self._refuse_leaps, pulumi.ResourceHookOptions(on_dry_run=True)
        )

        balancer = self._load_balancer()
        self._redirect_to_https(balancer)
        listener = self._https_listener(balancer)
        if args.waf:
            Firewall(
                f"{name}-firewall",
                FirewallArgs(
                    prefix=args.prefix,
                    region=args.region,
                    load_balancer_arn=balancer.arn,
                    log_retention_days=args.log_retention_days,
                    tags=args.tags,
                ),
                opts=self._child,
            )

        numbers = priorities(route.path for route in args.routes.values())
        self.target_groups = {
            service: {slot: self._target_group(service, route, slot) for slot in Slot}
            for service, route in args.routes.items()
        }
        self._closed_rule(listener)
        self.listener_rules = {
            service: self._listener_rule(service, route, listener, numbers[route.path])
            for service, route in args.routes.items()
        }
        self.load_balancer_dns_name = balancer.dns_name
        self.url = f"https://{args.domain}"
        self.register_outputs(
            {
                "loadBalancerDnsName": self.load_balancer_dns_name,
                "url": self.url,
                "listenerRules": self.listener_rules,
            }
        )

    def _tags(self, label: str) -> dict[str, pulumi.Input[str]]:
        return {**self._args.tags, "Name": f"{self._args.prefix}-{label}"}

    def _load_balancer(self) -> aws.lb.LoadBalancer:
        args = self._args
        group = aws.ec2.SecurityGroup(
            f"{self._name}-load-balancer",
            description="HTTP and HTTPS from anywhere to the load balancer, and from it to the services",
            vpc_id=args.vpc_id,
            region=args.region,
            tags=self._tags("load-balancer"),
            opts=self._child,
        )
        logs = PrivateBucket(
            f"{self._name}-access-logs",
            PrivateBucketArgs(
                bucket_prefix=f"{args.prefix}-access-logs",
                region=args.region,
                kms_key_arn=None,
                versioned=False,
                lifecycle=[
                    LifecycleRule(
                        id="expire",
                        status="Enabled",
                        filter=every_object(),
                        expiration=aws.s3.BucketLifecycleConfigurationRuleExpirationArgs(
                            days=min(args.log_retention_days, ACCESS_LOG_DAYS)
                        ),
                    )
                ],
                delivery=Delivery(
                    service=LOG_DELIVERY,
                    keys=group.arn.apply(lambda arn: f"AWSLogs/{Arn.parse(arn).account}/*"),
                ),
                protect=False,
                tags=args.tags,
            ),
            opts=self._child,
        )
        rules = self._security_group_rules(group)
        return aws.lb.LoadBalancer(
            f"{self._name}-load-balancer",
            name=fit(args.prefix, LOAD_BALANCER_NAME_LENGTH.value),
            load_balancer_type="application",
            internal=False,
            ip_address_type="ipv4",
            subnets=args.public_subnet_ids,
            security_groups=[group.id],
            drop_invalid_header_fields=True,
            enable_http2=True,
            # A zone that fails can be taken out by hand before anybody knows why it fails.
            enable_zonal_shift=True,
            enable_deletion_protection=args.deletion_protection,
            access_logs=aws.lb.LoadBalancerAccessLogsArgs(bucket=logs.bucket_name, enabled=True),
            region=args.region,
            tags=self._tags("load-balancer"),
            # The load balancer proves that it may write its logs when it is created.
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[logs, *rules], protect=args.deletion_protection
            ),
        )

    def _security_group_rules(self, group: aws.ec2.SecurityGroup) -> list[pulumi.Resource]:
        """In from anywhere at 80 and 443, out to the cluster at the services' ports, and nothing else."""
        args = self._args
        rules: list[pulumi.Resource] = [
            aws.vpc.SecurityGroupIngressRule(
                f"{self._name}-from-anywhere-to-{port}",
                security_group_id=group.id,
                cidr_ipv4=ANYWHERE,
                ip_protocol="tcp",
                from_port=port,
                to_port=port,
                description="Users",
                region=args.region,
                tags=self._tags(f"from-anywhere-to-{port}"),
                opts=self._child,
            )
            for port in (80, 443)
        ]
        for port in sorted({route.port for route in args.routes.values()}):
            rules.append(
                aws.vpc.SecurityGroupEgressRule(
                    f"{self._name}-to-services-at-{port}",
                    security_group_id=group.id,
                    referenced_security_group_id=args.cluster_security_group_id,
                    ip_protocol="tcp",
                    from_port=port,
                    to_port=port,
                    description="Requests and health checks",
                    region=args.region,
                    tags=self._tags(f"to-services-at-{port}"),
                    opts=self._child,
                )
            )
            rules.append(
                aws.vpc.SecurityGroupIngressRule(
                    f"{self._name}-from-load-balancer-to-{port}",
                    security_group_id=args.cluster_security_group_id,
                    referenced_security_group_id=group.id,
                    ip_protocol="tcp",
                    from_port=port,
                    to_port=port,
                    description="Requests and health checks of the load balancer",
                    region=args.region,
                    tags=self._tags(f"from-load-balancer-to-{port}"),
                    opts=self._child,
                )
            )
        return rules

    def _redirect_to_https(self, balancer: aws.lb.LoadBalancer) -> None:
        aws.lb.Listener(
            f"{self._name}-http",
            load_balancer_arn=balancer.arn,
            port=80,
            protocol="HTTP",
            default_actions=[
                aws.lb.ListenerDefaultActionArgs(
                    type="redirect",
                    redirect=aws.lb.ListenerDefaultActionRedirectArgs(
                        protocol="HTTPS", port="443", status_code="HTTP_301"
                    ),
                )
            ],
            region=self._args.region,
            tags=self._tags("http"),
            opts=self._child,
        )

    def _https_listener(self, balancer: aws.lb.LoadBalancer) -> aws.lb.Listener:
        match self._args.dns:
            case HostedZone(zone_id=zone_id):
                certificate_arn = self._certificate(zone_id)
                self._address(zone_id, balancer)
            case ExistingCertificate(certificate_arn=certificate_arn, zone_id=zone_id):
                if zone_id is not None:
                    self._address(zone_id, balancer)
        return aws.lb.Listener(
            f"{self._name}-https",
            load_balancer_arn=balancer.arn,
            port=443,
            protocol="HTTPS",
            ssl_policy=TLS_POLICY,
            certificate_arn=certificate_arn,
            default_actions=[
                aws.lb.ListenerDefaultActionArgs(
                    type="fixed-response",
                    fixed_response=aws.lb.ListenerDefaultActionFixedResponseArgs(
                        content_type="text/plain", message_body="Not found", status_code="404"
                    ),
                )
            ],
            routing_http_response_server_enabled=False,
            routing_http_response_strict_transport_security_header_value=STRICT_TRANSPORT_SECURITY,
            region=self._args.region,
            tags=self._tags("https"),
            opts=self._child,
        )

    def _certificate(self, zone_id: pulumi.Input[str]) -> pulumi.Input[str]:
        """A certificate that renews itself for as long as its record stays; its ARN once it is valid."""
        certificate = aws.acm.Certificate(
            f"{self._name}-certificate",
            domain_name=self._args.domain,
            validation_method="DNS",
            region=self._args.region,
            tags=self._tags("certificate"),
            opts=self._child,
        )
        challenge = certificate.domain_validation_options[0]
        record = aws.route53.Record(
            f"{self._name}-certificate",
            zone_id=zone_id,
            name=challenge.resource_record_name,
            type=challenge.resource_record_type,
            records=[challenge.resource_record_value],
            ttl=VALIDATION_TTL_SECONDS,
            opts=self._child,
        )
        return aws.acm.CertificateValidation(
            f"{self._name}-certificate",
            certificate_arn=certificate.arn,
            validation_record_fqdns=[record.fqdn],
            region=self._args.region,
            opts=self._child,
        ).certificate_arn

    def _address(self, zone_id: pulumi.Input[str], balancer: aws.lb.LoadBalancer) -> None:
        aws.route53.Record(
            f"{self._name}-address",
            zone_id=zone_id,
            name=self._args.domain,
            type=aws.route53.RecordType.A,
            aliases=[
                aws.route53.RecordAliasArgs(
                    name=balancer.dns_name, zone_id=balancer.zone_id, evaluate_target_health=True
                )
            ],
            opts=self._child,
        )

    def _target_group(self, service: str, route: Route, slot: Slot) -> pulumi.Output[str]:
        """The pods of a service in a slot, and the binding by which EKS Auto Mode registers them."""
        args = self._args
        # A target group cannot change its port. With the port in its name the new one can exist beside the old one,
        # which the listener rule has to leave before it can go.
        group_name = join(args.prefix, service, slot, str(route.port), limit=TARGET_GROUP_NAME_LENGTH.value)
        group = aws.lb.TargetGroup(
            f"{self._name}-{service}-{slot}",
            name=group_name,
            vpc_id=args.vpc_id,
            target_type="ip",
            protocol="HTTP",
            port=route.port,
            deregistration_delay=args.deregistration_delay_seconds,
            health_check=aws.lb.TargetGroupHealthCheckArgs(
                path=route.health_path,
                matcher="200",
                interval=HEALTH_CHECK_SECONDS,
                timeout=HEALTH_CHECK_TIMEOUT_SECONDS,
                healthy_threshold=HEALTHY_AFTER,
                unhealthy_threshold=UNHEALTHY_AFTER,
            ),
            stickiness=aws.lb.TargetGroupStickinessArgs(type="lb_cookie", enabled=False),
            # Auto Mode may register targets only in groups that carry its cluster's name.
            region=args.region,
            tags={**self._tags(f"{service}-{slot}"), "eks:eks-cluster-name": args.cluster_name},
            opts=self._child,
        )
        # Source: https://docs.aws.amazon.com/eks/latest/userguide/auto-configure-alb.html ("TargetGroupBinding"). It
        # says nothing of security groups: the rules of this component let the load balancer in.
        kubernetes.apiextensions.CustomResource(
            f"{self._name}-{service}-{slot}",
            api_version="eks.amazonaws.com/v1",
            kind="TargetGroupBinding",
            metadata=kubernetes.meta.v1.ObjectMetaArgs(name=group_name, namespace=args.namespaces[slot]),
            spec={
                "serviceRef": {"name": service, "port": route.port},
                "targetGroupARN": group.arn,
                "targetType": "ip",
            },
            opts=self._child,
        )
        return group.arn

    def _closed_rule(self, listener: aws.lb.Listener) -> None:
        """What pods serve to Prometheus is nothing for the internet, not even where a service is routed at `/`."""
        aws.lb.ListenerRule(
            f"{self._name}-closed",
            listener_arn=listener.arn,
            priority=CLOSED_PRIORITY,
            conditions=[
                aws.lb.ListenerRuleConditionArgs(
                    path_pattern=aws.lb.ListenerRuleConditionPathPatternArgs(values=list(CLOSED_PATHS))
                )
            ],
            actions=[
                aws.lb.ListenerRuleActionArgs(
                    type="fixed-response",
                    fixed_response=aws.lb.ListenerRuleActionFixedResponseArgs(
                        content_type="text/plain", message_body="Not found", status_code="404"
                    ),
                )
            ],
            region=self._args.region,
            tags=self._tags("closed"),
            opts=self._child,
        )

    def _listener_rule(
        self, service: str, route: Route, listener: aws.lb.Listener, priority: int
    ) -> pulumi.Output[str]:
        return aws.lb.ListenerRule(
            f"{self._name}-{service}",
            listener_arn=listener.arn,
            priority=priority,
            conditions=[
                aws.lb.ListenerRuleConditionArgs(
                    path_pattern=aws.lb.ListenerRuleConditionPathPatternArgs(values=path_patterns(route.path))
                )
            ],
            actions=[
                aws.lb.ListenerRuleActionArgs(
                    type="forward",
                    forward=aws.lb.ListenerRuleActionForwardArgs(
                        target_groups=[
                            aws.lb.ListenerRuleActionForwardTargetGroupArgs(
                                arn=self.target_groups[service][slot],
                                weight=self._args.release.weights.of(slot),
                            )
                            for slot in Slot
                        ]
                    ),
                )
            ],
            region=self._args.region,
            tags={**self._tags(service), **Terms.of(self._args.release).tags()},
            opts=pulumi.ResourceOptions(
                parent=self, hooks=pulumi.ResourceHookBinding(before_update=[self._guard])
            ),
        ).arn

    def _refuse_leaps(self, update: pulumi.ResourceHookArgs) -> None:
        """Let no update of a listener rule, by whoever runs it, move the weights but along the ladder or back.

        It is judged by what the rule says as it is, never by what comes with the update.

        Raises:
            ValueError: names the move and what is allowed; the engine then fails the update, or the preview of it.
        """
        now, then = _shares(update.old_inputs), _shares(update.new_inputs)
        if now is None:
            return
        if then is None:
            raise ValueError(
                f"{update.name} shares requests out between blue and green, and would not any more; allowed are other weights, "
                "or to take the service out"
            )
        in_force = Terms.told_by((update.old_inputs or {}).get("tags") or {})
        asked = Terms.of(self._args.release)
        if why := refusal(now.as_listed_in(then).weights, then.weights, in_force, asked):
            raise ValueError(why)


@dataclass(frozen=True)
class _Shares:
    """How a listener rule shares requests out, in the order in which it lists its target groups."""

    arns: tuple[object, object]
    """In a preview an ARN may not be known yet; it then equals none that is."""
    weights: Weights

    def as_listed_in(self, other: _Shares) -> _Shares:
        """Return the same shares in the order in which another list has the same target groups.

        The program lists blue first. The provider takes the list for a set, and may give it back in any order after a
        refresh or an import. A target group that is in one list only has the place that is left.
        """
        (one, two), (first, second) = self.arns, other.arns
        if one != second and two != first:
            return self
        return _Shares((two, one), Weights(blue=self.weights.green, green=self.weights.blue))


def _shares(inputs: Mapping[str, Any] | None) -> _Shares | None:
    """How a listener rule's inputs, as the engine holds them, share requests out; None where they do not."""
    try:
        one, two = (inputs or {})["actions"][0]["forward"]["targetGroups"]
        return _Shares((one["arn"], two["arn"]), Weights(blue=int(one["weight"]), green=int(two["weight"])))
    except (KeyError, IndexError, TypeError, ValueError):
        return None
