"""A slot: blue or green, one complete and hardened set of the application's workloads at one version."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes

from components import hardening
from components.identity import pod_trust, to_identity_agent
from components.policies import Statement, policy_document
from operations import naming
from operations.limits import AUTOSCALER_WINDOW, ROLE_NAME_LENGTH
from operations.metrics import CPU_USAGE
from operations.release import SlotCapacity
from operations.services import Replicas, Service, Use, environment_variable
from operations.slots import Slot as SlotName

apps = kubernetes.apps.v1
autoscaling = kubernetes.autoscaling.v2
core = kubernetes.core.v1
meta = kubernetes.meta.v1
networking = kubernetes.networking.v1
policy = kubernetes.policy.v1

HTTP_PORT: Final = "http"
"""Name of the port that serves requests, health and metrics."""

SHUTDOWN_SECONDS: Final = 30
"""What a process has, once drained, to finish before it is killed; Kubernetes' own default."""

AUTOSCALING_HEADROOM: Final = 0.10
"""How far below the CPU warning the autoscaler aims, as a ratio: it acts on a deviation of a tenth, here at 66 %,
so growth comes before the warning and a warning means that scaling does not keep up."""

CHANGE_CAUSE: Final = "kubernetes.io/change-cause"
"""The annotation of a Deployment that `kubectl rollout history` shows.

Source: https://kubernetes.io/docs/reference/labels-annotations-taints/#change-cause
"""

CHANGE_TAG: Final = "ChangeRequest"
"""The tag of a slot's resources on AWS that says the same."""


DISRUPTION_BUDGET: Final = "10%"
"""Share of pods that voluntary disruptions may take at once. Kubernetes rounds it up, so it is at least one pod and
a single replica never blocks a drain. Source: https://kubernetes.io/docs/tasks/run-application/configure-pdb/"""


@dataclass(frozen=True, kw_only=True)
class DatabaseAccess:
    """How a service reaches the database: with a token that IAM signs, never with a password."""

    host: pulumi.Input[str]
    port: pulumi.Input[int]
    name: pulumi.Input[str]
    user: str
    """Database user that has the role `rds_iam`."""
    user_arn: pulumi.Input[str]
    """`arn:aws:rds-db:REGION:ACCOUNT:dbuser:CLUSTER_RESOURCE_ID/USER`, what `rds-db:connect` is granted on.
    Source: https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/UsingWithRDS.IAMDBAuth.IAMPolicy.html"""


@dataclass(frozen=True, kw_only=True)
class FilesAccess:
    """The bucket of the application's files and the key that encrypts it."""

    bucket: pulumi.Input[str]
    bucket_arn: pulumi.Input[str]
    key_arn: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class Collector:
    """Pods that take traces from services, and the Service before them."""

    namespace: str
    name: str
    """The `app.kubernetes.io/name` of the pods."""
    host: str
    port: int


@dataclass(frozen=True, kw_only=True)
class Telemetry:
    """Where services send their traces, and how many of them.

    Services are told in the variables of the OpenTelemetry specification and, where there is an agent, of Datadog's
    libraries. Sources: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/,
    https://docs.datadoghq.com/tracing/trace_collection/library_config/
    """

    environment: str
    traces: Collector
    """Takes OTLP over HTTP."""
    sampling_ratio: float
    """Share of requests that are traced, above 0 and at most 1; a request that came traced stays so."""
    apm: Collector | None = None
    """Datadog's agent."""


@dataclass(frozen=True, kw_only=True)
class SlotArgs:
    """What a slot is made of.

    Raises:
        ValueError: a service uses a database, files or a secret that the slot does not have.
    """

    slot: SlotName
    namespace: str
    version: str
    """Tag of every image."""
    change_request: str | None = None
    """The approved change that brought the version, where a deployment takes one."""
    capacity: SlotCapacity
    services: Mapping[str, Service]
    replicas: Replicas
    """Range of a service that has none of its own."""
    zones: int
    """Zones the nodes are in: 2 or 3."""
    drain_seconds: int
    """How long a pod keeps serving after it was told to stop: longer than the target group's deregistration delay."""
    ingress_cidrs: Sequence[str]
    """Where the load balancer's requests come from: the public subnets."""
    network_cidr: str
    """The VPC, within which the database is."""
    database: DatabaseAccess | None = None
    files: FilesAccess | None = None
    telemetry: Telemetry | None = None
    secrets: Mapping[str, pulumi.Output[str]]
    """Values by name; each reaches only the services that name it."""
    monitoring_namespace: str
    """Whose Prometheus may read metrics."""
    cluster_name: pulumi.Input[str]
    region: str
    """The cluster's AWS region, such as `eu-west-1`."""
    tags: Mapping[str, str]

    def __post_init__(self) -> None:
        for name, service in self.services.items():
            if Use.DATABASE in service.uses and self.database is None:
                raise ValueError(f"{name} uses the database, and the slot has none")
            if Use.FILES in service.uses and self.files is None:
                raise ValueError(f"{name} uses files, and the slot has no bucket")
            for secret in service.secrets:
                if secret not in self.secrets:
                    raise ValueError(f"{name} needs the secret {secret}, and the slot does not have it")


class Slot(pulumi.ComponentResource):
    """The namespace of a slot and everything that runs in it.

    The namespace refuses pods that are not restricted, and denies all traffic but what exists: requests from the load
    balancer, scrapes from Prometheus, services among themselves, name resolution, and what a service `uses`. Source
    of the two slots: the operations page, "Blue-Green Deployment".

    A cold slot keeps everything but its pods, so that waking it up creates nothing that could be refused.
    """

    namespace: pulumi.Output[str]
    """The namespace, once it exists."""
    services: Mapping[str, pulumi.Output[str]]
    """Name of each service's Kubernetes Service, once it exists."""

    def __init__(self, name: str, args: SlotArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("quikapp:slots:Slot", name, None, opts)
        namespace = core.Namespace(
            f"{name}-namespace",
            metadata=meta.ObjectMetaArgs(
                name=args.namespace,
                labels={
                    **hardening.namespace_labels("restricted"),
                    hardening.INSTANCE: args.slot,
                    # EKS adds a readiness gate to pods behind a TargetGroupBinding that exists before them: a rollout
                    # then waits for the load balancer. A webhook adds it, so without EKS the label has no effect.
                    "eks.amazonaws.com/pod-readiness-gate-inject": "enabled",
                },
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        child = pulumi.ResourceOptions(parent=self, depends_on=[namespace])
        siblings = networking.NetworkPolicyPeerArgs(pod_selector=hardening.EVERY_POD)
        policies = {
            "deny-all": hardening.deny_all(),
            "resolve-names": hardening.resolve_names(),
            "call-services": networking.NetworkPolicySpecArgs(
                pod_selector=hardening.EVERY_POD,
                policy_types=["Egress"],
                # Each service lets its siblings in at its own port and no other.
                egress=[networking.NetworkPolicyEgressRuleArgs(to=[siblings])],
            ),
        }
        closed = [
            networking.NetworkPolicy(
                f"{name}-{purpose}",
                metadata=meta.ObjectMetaArgs(name=purpose, namespace=args.namespace),
                spec=spec,
                opts=child,
            )
            for purpose, spec in policies.items()
        ]
        self.namespace = namespace.metadata.apply(lambda _: args.namespace)
        self.services = {
            service_name: Workload(
                f"{name}-{service_name}",
                WorkloadArgs(name=service_name, service=service, slot=args, after=[namespace, *closed]),
                opts=pulumi.ResourceOptions(parent=self),
            ).service
            for service_name, service in args.services.items()
        }
        self.register_outputs({"namespace": self.namespace, "services": self.services})


@dataclass(frozen=True, kw_only=True)
class WorkloadArgs:
    """One service of a slot."""

    name: str
    service: Service
    slot: SlotArgs
    after: Sequence[pulumi.Resource]
    """The namespace and the policies that close it: no pod runs before."""


class Workload(pulumi.ComponentResource):
    """One service in one slot: its pods, how they scale, who reaches them and what they may reach."""

    service: pulumi.Output[str]
    """Name of the Kubernetes Service, once it exists."""

    def __init__(self, name: str, args: WorkloadArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("quikapp:slots:Workload", name, None, opts)
        self._name = name
        self._service_name = args.name
        self._service = args.service
        self._args = args.slot
        self._child = pulumi.ResourceOptions(parent=self, depends_on=args.after)
        self._labels = hardening.labels(args.name, args.slot.slot, args.slot.version)
        self._selector = hardening.selector(args.name, args.slot.slot)

        account = core.ServiceAccount(
            f"{name}-account",
            metadata=self._metadata(),
            automount_service_account_token=False,
            opts=self._child,
        )
        traffic = networking.NetworkPolicy(
            f"{name}-traffic", metadata=self._metadata(), spec=self._traffic(), opts=self._child
        )
        deployment = self._deployment([*args.after, account, traffic, *self._identity()], self._secret())
        if args.slot.capacity is not SlotCapacity.COLD:
            self._autoscaler(deployment)
            self._disruption_budget()
        service = core.Service(
            f"{name}-service",
            # Pulumi would wait for endpoints, which a cold slot never has; the Deployment is awaited anyway.
            metadata=self._metadata({"pulumi.com/skipAwait": "true"}),
            spec=core.ServiceSpecArgs(
                type="ClusterIP",
                selector=self._selector,
                # EKS enforces network policies for a Service only where its port is the container's.
                ports=[
                    core.ServicePortArgs(
                        name=HTTP_PORT, port=args.service.port, target_port=HTTP_PORT, protocol="TCP"
                    )
                ],
            ),
            opts=self._child,
        )
        self.service = service.metadata.apply(lambda _: args.name)
        self.register_outputs({"service": self.service})

    def _metadata(self, annotations: Mapping[str, str] | None = None) -> meta.ObjectMetaArgs:
        return meta.ObjectMetaArgs(
            name=self._service_name,
            namespace=self._args.namespace,
            labels=self._labels,
            annotations=annotations,
        )

    def _tags(self, label: str) -> dict[str, str]:
        change = self._args.change_request
        return {**self._args.tags, "Name": label, **({} if change is None else {CHANGE_TAG: change})}

    def _traffic(self) -> networking.NetworkPolicySpecArgs:
        """Requests and scrapes in; out to what the service uses."""
        args, uses = self._args, self._service.uses
        egress: list[networking.NetworkPolicyEgressRuleArgs] = []
        if uses:
            egress.append(to_identity_agent())
        if Use.DATABASE in uses and args.database is not None:
            egress.append(
                networking.NetworkPolicyEgressRuleArgs(
                    to=hardening.blocks([args.network_cidr]),
                    ports=[networking.NetworkPolicyPortArgs(port=args.database.port, protocol="TCP")],
                )
            )
        if Use.FILES in uses:
            # S3 has public addresses, even through the VPC's gateway endpoint.
            egress.append(hardening.to_internet())
        egress += [
            networking.NetworkPolicyEgressRuleArgs(
                to=[_pods(collector.namespace, collector.name)], ports=hardening.tcp(collector.port)
            )
            for collector in _collectors(args.telemetry)
        ]
        scraper = _pods(args.monitoring_namespace, hardening.PROMETHEUS)
        siblings = networking.NetworkPolicyPeerArgs(pod_selector=hardening.EVERY_POD)
        return networking.NetworkPolicySpecArgs(
            pod_selector=meta.LabelSelectorArgs(match_labels=self._selector),
            policy_types=["Ingress", "Egress"],
            ingress=[
                networking.NetworkPolicyIngressRuleArgs(
                    from_=[*hardening.blocks(args.ingress_cidrs), siblings, scraper],
                    ports=hardening.tcp(self._service.port),
                )
            ],
            egress=egress,
        )

    def _identity(self) -> list[pulumi.Resource]:
        """The AWS role of the service account, for a service that uses something; else nothing."""
        args = self._args
        if not self._service.uses:
            return []
        # IAM knows one set of names for an account and all its regions.
        role_name = naming.join(naming.APPLICATION, self._name, limit=ROLE_NAME_LENGTH.value)
        role = aws.iam.Role(
            f"{self._name}-role",
            name=role_name,
            description=f"{self._service_name} in slot {args.slot}",
            assume_role_policy=pulumi.Output.from_input(args.cluster_name).apply(
                lambda cluster: pod_trust(
                    cluster, namespace=args.namespace, service_account=self._service_name
                )
            ),
            tags=self._tags(role_name),
            opts=self._child,
        )
        grants = aws.iam.RolePolicy(
            f"{self._name}-grants",
            name="uses",
            role=role.name,
            policy=pulumi.Output.all(*self._grants()).apply(lambda made: policy_document(*made)),
            opts=self._child,
        )
        association = aws.eks.PodIdentityAssociation(
            f"{self._name}-identity",
            cluster_name=args.cluster_name,
            namespace=args.namespace,
            service_account=self._service_name,
            role_arn=role.arn,
            region=args.region,
            tags=self._tags(role_name),
            opts=self._child,
        )
        return [grants, association]

    def _grants(self) -> list[pulumi.Output[Statement]]:
        grants: list[pulumi.Output[Statement]] = []
        database, files = self._args.database, self._args.files
        if Use.DATABASE in self._service.uses and database is not None:
            grants.append(_allow(database.user_arn, "rds-db:connect"))
        if Use.FILES in self._service.uses and files is not None:
            grants += [
                _allow(
                    pulumi.Output.concat(files.bucket_arn, "/*"),
                    "s3:GetObject",
                    "s3:PutObject",
                    "s3:DeleteObject",
                    "s3:AbortMultipartUpload",
                ),
                _allow(files.bucket_arn, "s3:ListBucket"),
                _allow(files.key_arn, "kms:Decrypt", "kms:GenerateDataKey"),
            ]
        return grants

    def _secret(self) -> core.Secret | None:
        """The service's secrets.

        It is immutable and named by Pulumi: a changed value makes a new Secret with a new name, which rolls the pods,
        and no name or annotation says anything about the value.
        """
        if not self._service.secrets:
            return None
        return core.Secret(
            f"{self._name}-secrets",
            metadata=meta.ObjectMetaArgs(namespace=self._args.namespace, labels=self._labels),
            type="Opaque",
            immutable=True,
            string_data={
                name: pulumi.Output.secret(self._args.secrets[name]) for name in self._service.secrets
            },
            opts=self._child,
        )

    def _environment(self, secret: core.Secret | None) -> list[core.EnvVarArgs]:
        args, uses = self._args, self._service.uses
        plain: dict[str, pulumi.Input[str]] = {
            **self._service.env,
            "SLOT": args.slot.value,
            "VERSION": args.version,
        }
        if Use.DATABASE in uses and args.database is not None:
            plain |= {
                "DATABASE_HOST": args.database.host,
                "DATABASE_PORT": pulumi.Output.from_input(args.database.port).apply(str),
                "DATABASE_NAME": args.database.name,
                "DATABASE_USER": args.database.user,
            }
        if Use.FILES in uses and args.files is not None:
            plain["FILES_BUCKET"] = args.files.bucket
        plain |= self._telemetry()
        variables = [core.EnvVarArgs(name=name, value=value) for name, value in plain.items()]
        if secret is None:
            return variables
        secret_name = secret.metadata.name
        return variables + [
            core.EnvVarArgs(
                name=environment_variable(key),
                value_from=core.EnvVarSourceArgs(
                    secret_key_ref=core.SecretKeySelectorArgs(name=secret_name, key=key)
                ),
            )
            for key in self._service.secrets
        ]

    def _telemetry(self) -> dict[str, pulumi.Input[str]]:
        args, telemetry = self._args, self._args.telemetry
        if telemetry is None:
            return {}
        attributes = {
            "deployment.environment.name": telemetry.environment,
            "service.version": args.version,
            "slot": args.slot.value,
        }
        variables: dict[str, pulumi.Input[str]] = {
            "OTEL_SERVICE_NAME": self._service_name,
            "OTEL_RESOURCE_ATTRIBUTES": ",".join(f"{key}={value}" for key, value in attributes.items()),
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{telemetry.traces.host}:{telemetry.traces.port}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
            "OTEL_TRACES_SAMPLER_ARG": f"{telemetry.sampling_ratio:g}",
        }
        if telemetry.apm is not None:
            variables |= {
                "DD_AGENT_HOST": telemetry.apm.host,
                "DD_TRACE_AGENT_PORT": str(telemetry.apm.port),
                "DD_ENV": telemetry.environment,
                "DD_SERVICE": self._service_name,
                "DD_VERSION": args.version,
            }
        return variables

    def _container(self, secret: core.Secret | None) -> core.ContainerArgs:
        service, args = self._service, self._args

        def probe(period: int, failures: int) -> core.ProbeArgs:
            return core.ProbeArgs(
                http_get=core.HTTPGetActionArgs(path=service.health_path, port=HTTP_PORT),
                period_seconds=period,
                timeout_seconds=2,
                failure_threshold=failures,
            )

        return core.ContainerArgs(
            # The key metrics find a service by its container's name.
            name=self._service_name,
            image=f"{service.image}:{args.version}",
            image_pull_policy="IfNotPresent",
            ports=[core.ContainerPortArgs(name=HTTP_PORT, container_port=service.port, protocol="TCP")],
            env=self._environment(secret),
            resources=hardening.guaranteed(service.resources.cpu_millicores, service.resources.memory_mib),
            security_context=hardening.restricted_container(),
            startup_probe=probe(period=2, failures=60),
            readiness_probe=probe(period=5, failures=2),
            liveness_probe=probe(period=10, failures=3),
            # The load balancer sends requests until it has deregistered the pod, whatever the pod thinks.
            lifecycle=core.LifecycleArgs(
                pre_stop=core.LifecycleHandlerArgs(sleep=core.SleepActionArgs(seconds=args.drain_seconds))
            ),
            volume_mounts=[core.VolumeMountArgs(name="tmp", mount_path="/tmp")],  # noqa: S108 - the pod's own
        )

    def _deployment(self, after: Sequence[pulumi.Resource], secret: core.Secret | None) -> apps.Deployment:
        args = self._args
        # The autoscaler's controller owns `replicas` once it has set it; a slot that turns cold takes it back.
        annotations = {"pulumi.com/patchForce": "true"}
        if args.change_request is not None:
            # Of the Deployment and not of its pods: another change request alone starts none anew.
            annotations[CHANGE_CAUSE] = args.change_request
        return apps.Deployment(
            f"{self._name}-deployment",
            metadata=self._metadata(annotations),
            spec=apps.DeploymentSpecArgs(
                replicas=0 if args.capacity is SlotCapacity.COLD else None,
                revision_history_limit=3,
                progress_deadline_seconds=600,
                selector=meta.LabelSelectorArgs(match_labels=self._selector),
                strategy=apps.DeploymentStrategyArgs(
                    type="RollingUpdate",
                    rolling_update=apps.RollingUpdateDeploymentArgs(max_unavailable=0, max_surge="25%"),
                ),
                template=core.PodTemplateSpecArgs(
                    metadata=meta.ObjectMetaArgs(labels=self._labels),
                    spec=core.PodSpecArgs(
                        service_account_name=self._service_name,
                        automount_service_account_token=False,
                        enable_service_links=False,
                        security_context=hardening.restricted_pod(),
                        termination_grace_period_seconds=args.drain_seconds + SHUTDOWN_SECONDS,
                        topology_spread_constraints=hardening.spread(
                            zones=args.zones, match=self._selector, revision_label="pod-template-hash"
                        ),
                        containers=[self._container(secret)],
                        volumes=[core.VolumeArgs(name="tmp", empty_dir=core.EmptyDirVolumeSourceArgs())],
                    ),
                ),
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=after),
        )

    def _autoscaler(self, deployment: apps.Deployment) -> None:
        """Scale on CPU alone: memory that a runtime has taken is not given back when load falls."""
        replicas = self._service.replicas or self._args.replicas
        autoscaling.HorizontalPodAutoscaler(
            f"{self._name}-autoscaler",
            metadata=self._metadata(),
            spec=autoscaling.HorizontalPodAutoscalerSpecArgs(
                scale_target_ref=autoscaling.CrossVersionObjectReferenceArgs(
                    api_version="apps/v1", kind="Deployment", name=self._service_name
                ),
                min_replicas=1 if self._args.capacity is SlotCapacity.WARM else replicas.min,
                max_replicas=replicas.max,
                metrics=[
                    autoscaling.MetricSpecArgs(
                        type="Resource",
                        resource=autoscaling.ResourceMetricSourceArgs(
                            name="cpu",
                            target=autoscaling.MetricTargetArgs(
                                type="Utilization", average_utilization=cpu_target_percent()
                            ),
                        ),
                    )
                ],
                behavior=autoscaling.HorizontalPodAutoscalerBehaviorArgs(
                    scale_down=autoscaling.HPAScalingRulesArgs(
                        stabilization_window_seconds=AUTOSCALER_WINDOW.value,
                        policies=[
                            autoscaling.HPAScalingPolicyArgs(type="Percent", value=10, period_seconds=60)
                        ],
                    )
                ),
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[deployment]),
        )

    def _disruption_budget(self) -> None:
        policy.PodDisruptionBudget(
            f"{self._name}-disruptions",
            metadata=self._metadata(),
            spec=policy.PodDisruptionBudgetSpecArgs(
                max_unavailable=DISRUPTION_BUDGET,
                unhealthy_pod_eviction_policy="AlwaysAllow",
                selector=meta.LabelSelectorArgs(match_labels=self._selector),
            ),
            opts=self._child,
        )


def cpu_target_percent() -> int:
    """The CPU use, in percent of the request, at which the autoscaler keeps the pods."""
    return round((CPU_USAGE.warning - AUTOSCALING_HEADROOM) * 100)


def _allow(resource: pulumi.Input[str], *actions: str) -> pulumi.Output[Statement]:
    return pulumi.Output.from_input(resource).apply(lambda arn: Statement(actions=actions, resources=[arn]))


def _collectors(telemetry: Telemetry | None) -> list[Collector]:
    if telemetry is None:
        return []
    return [collector for collector in (telemetry.traces, telemetry.apm) if collector is not None]


def _pods(namespace: str, name: str) -> networking.NetworkPolicyPeerArgs:
    return networking.NetworkPolicyPeerArgs(
        namespace_selector=hardening.in_namespace(namespace),
        pod_selector=meta.LabelSelectorArgs(match_labels={hardening.NAME: name}),
    )
