"""For each rule, resources that keep it and resources that break it, as small as they can be."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from policy.resources import SECRET, UNKNOWN, Resource

LISTENER: Final = "aws:lb/listener:Listener"
LISTENER_RULE: Final = "aws:lb/listenerRule:ListenerRule"
CLUSTER: Final = "aws:rds/cluster:Cluster"
EKS: Final = "aws:eks/cluster:Cluster"
BUCKET: Final = "aws:s3/bucket:Bucket"
KEY: Final = "aws:kms/key:Key"
LIFECYCLE: Final = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
ENCRYPTION: Final = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
ACCESS: Final = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
BUCKET_POLICY: Final = "aws:s3/bucketPolicy:BucketPolicy"
ROLE_POLICY: Final = "aws:iam/rolePolicy:RolePolicy"
INGRESS: Final = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
PLAN: Final = "aws:backup/plan:Plan"
DEPLOYMENT: Final = "kubernetes:apps/v1:Deployment"
CONFIG_MAP: Final = "kubernetes:core/v1:ConfigMap"
NAMESPACE: Final = "kubernetes:core/v1:Namespace"

BLOCKED: Final = {
    "blockPublicAcls": True,
    "blockPublicPolicy": True,
    "ignorePublicAcls": True,
    "restrictPublicBuckets": True,
}
TAGS: Final = {
    "Application": "quikapp",
    "Environment": "live",
    "Owner": "platform",
    "CostCenter": "quikapp-live",
    "ManagedBy": "pulumi",
}
KEPT: Final = {"deletionProtection": True, "skipFinalSnapshot": False}
EVERYBODY: Final = {"AWS": ["*"]}
SHA: Final = "0123456789abcdef" * 4
# Put together here, so that no scanner takes a test for a leak.
AWS_KEY: Final = "AKIA" + "IOSFODNN7" + "EXAMPLE"
PEM: Final = "-----BEGIN " + "EC PRIVATE KEY-----"
SLACK: Final = "xoxb-" + "123456789012-abcdefghijkl"
WEBHOOK: Final = "https://hooks.slack.com/" + "services/T0000000/B0000000/XXXXXXXX"
PAGERDUTY: Final = "u+" + "AbCdEfGhIjKlMnOpQr"


@dataclass(frozen=True)
class Case:
    """Resources, and what a rule says of them."""

    words: str
    rule: str
    resources: Sequence[Resource]
    says: Sequence[str] = ()
    """What each message says besides the name of the resource, in order; nothing where the rule is kept."""


def made(
    token: str,
    inputs: Mapping[str, Any],
    *,
    name: str = "thing",
    stack: str = "live",
    protect: bool = False,
    uses: Sequence[Resource] = (),
) -> Resource:
    """A resource of a stack, that takes outputs of others."""
    return Resource(
        type=token,
        name=name,
        urn=f"urn:pulumi:{stack}::quikapp::{token}::{name}",
        inputs=inputs,
        protect=protect,
        dependencies=frozenset(other.urn for other in uses),
    )


def policy(*statements: Mapping[str, Any]) -> str:
    """A policy document."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def pod(container: Mapping[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    """The inputs of a deployment whose pods have one container, and by themselves nothing wrong."""
    sound = {
        "name": "app",
        "image": "registry.example/app:v1.2.3",
        "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    context = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    template = {"spec": {"containers": [sound | dict(container or {})], "securityContext": context, **spec}}
    return {"metadata": {"name": "app", "namespace": "quikapp-blue"}, "spec": {"template": template}}


def forward(*weights: object) -> dict[str, Any]:
    """An action that forwards to as many target groups."""
    groups = [{"arn": UNKNOWN, "weight": weight} for weight in weights]
    return {"type": "forward", "forward": {"targetGroups": groups}}


def allow(action: object, resource: object, **more: object) -> dict[str, Any]:
    """A statement that allows something."""
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


_REFUSES_PLAIN: Final = {
    "Effect": "Deny",
    "Principal": EVERYBODY,
    "Action": ["s3:*"],
    "Resource": ["arn:aws:s3:::b", "arn:aws:s3:::b/*"],
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}

_bucket: Final = made(BUCKET, {}, name="files", protect=True)
_bare_bucket: Final = made(BUCKET, {"forceDestroy": True}, name="files")
_companions: Final = [
    made(ENCRYPTION, {}, uses=[_bucket]),
    made(ACCESS, BLOCKED, uses=[_bucket]),
    made(BUCKET_POLICY, {"policy": UNKNOWN}, uses=[_bucket]),
]
_key: Final = made(KEY, {}, name="key", protect=True)
_bare_key: Final = made(KEY, {}, name="key")
_logs: Final = made(BUCKET, {"forceDestroy": True}, name="logs")

CASES: Final = (
    # --- encrypted-at-rest ---
    Case(
        "a database with a key, not known yet",
        "encrypted-at-rest",
        [made(CLUSTER, {"storageEncrypted": True, "kmsKeyId": UNKNOWN})],
    ),
    Case(
        "a database without",
        "encrypted-at-rest",
        [made(CLUSTER, {"storageEncrypted": False})],
        ["storageEncrypted is false; allowed is true", "kmsKeyId is missing; allowed is a key"],
    ),
    Case(
        "a vault with AWS's own key",
        "encrypted-at-rest",
        [made("aws:backup/vault:Vault", {"name": "v"})],
        ["kmsKeyArn is missing"],
    ),
    Case(
        "a cluster that encrypts no secrets",
        "encrypted-at-rest",
        [made(EKS, {"encryptionConfig": {"provider": {"keyArn": UNKNOWN}}})],
        ["encryptionConfig.resources is missing"],
    ),
    Case(
        "volumes as they come",
        "encrypted-at-rest",
        [made("kubernetes:storage.k8s.io/v1:StorageClass", {"parameters": {"type": "gp3"}})],
        ["parameters.encrypted is missing"],
    ),
    Case(
        "a file system",
        "encrypted-at-rest",
        [made("aws:efs/fileSystem:FileSystem", {})],
        ["encrypted is missing"],
    ),
    # --- encrypted-in-flight ---
    Case(
        "HTTPS, and HTTP that leads to it",
        "encrypted-in-flight",
        [
            made(LISTENER, {"protocol": "HTTPS", "sslPolicy": "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"}),
            made(
                LISTENER,
                {
                    "protocol": "HTTP",
                    "defaultActions": [{"type": "redirect", "redirect": {"protocol": "HTTPS"}}],
                },
            ),
        ],
    ),
    Case(
        "HTTPS of an old kind",
        "encrypted-in-flight",
        [made(LISTENER, {"protocol": "HTTPS", "sslPolicy": "ELBSecurityPolicy-2016-08"})],
        ['sslPolicy is "ELBSecurityPolicy-2016-08"; allowed is ELBSecurityPolicy-TLS13-1-2-…'],
    ),
    Case(
        "HTTP that answers",
        "encrypted-in-flight",
        [made(LISTENER, {"protocol": "HTTP", "defaultActions": [forward(100, 0)]})],
        ['defaultActions[0].type is "forward"; allowed is a redirect to HTTPS'],
    ),
    Case(
        "a database that is spoken to in plain",
        "encrypted-in-flight",
        [
            made(
                "aws:rds/clusterParameterGroup:ClusterParameterGroup",
                {"parameters": [{"name": "log_statement", "value": "ddl"}]},
            )
        ],
        ["rds.force_ssl is missing"],
    ),
    # --- private-buckets, complete-buckets ---
    Case(
        "a bucket with all that makes it private",
        "private-buckets",
        [
            made(ACCESS, BLOCKED),
            made(
                ENCRYPTION, {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms"}}]}
            ),
            made(BUCKET_POLICY, {"policy": policy(_REFUSES_PLAIN)}),
            made(BUCKET_POLICY, {"policy": UNKNOWN}),
        ],
    ),
    Case(
        "a bucket that the public may list",
        "private-buckets",
        [made(ACCESS, BLOCKED | {"restrictPublicBuckets": False, "ignorePublicAcls": None})],
        ["ignorePublicAcls is missing", "restrictPublicBuckets is false"],
    ),
    Case(
        "a bucket that answers without TLS",
        "private-buckets",
        [made(BUCKET_POLICY, {"policy": policy(_REFUSES_PLAIN | {"Effect": "Allow"})})],
        ["policy is"],
    ),
    Case(
        "a bucket of an unknown algorithm",
        "private-buckets",
        [made(ENCRYPTION, {"rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "rot13"}}]})],
        ['rules[0].applyServerSideEncryptionByDefault.sseAlgorithm is "rot13"'],
    ),
    Case(
        "a bucket that is public by its list",
        "private-buckets",
        [made("aws:s3/bucketAcl:BucketAcl", {"acl": "public-read"})],
        ['acl is "public-read"'],
    ),
    Case("a complete bucket", "complete-buckets", [_bucket, *_companions]),
    Case(
        "a bucket without encryption",
        "complete-buckets",
        [_bucket, *_companions[1:]],
        ["BucketServerSideEncryptionConfiguration is missing"],
    ),
    Case(
        "a bucket beside what makes another one private",
        "complete-buckets",
        [_bucket, *_companions, _logs],
        ["BucketServerSideEncryptionConfiguration", "BucketPublicAccessBlock", "BucketPolicy"],
    ),
    # --- no-public-data ---
    Case(
        "what anybody may reach",
        "no-public-data",
        [
            made(INGRESS, {"cidrIpv4": "0.0.0.0/0", "fromPort": 443, "toPort": 443}),
            made(INGRESS, {"cidrIpv4": "10.0.0.0/8", "fromPort": 0, "toPort": 65535}),
            made(EKS, {"vpcConfig": {"endpointPublicAccess": True, "publicAccessCidrs": ["203.0.113.0/24"]}}),
            made(EKS, {"vpcConfig": {"endpointPublicAccess": False}}),
            made("aws:rds/clusterInstance:ClusterInstance", {"publiclyAccessible": False}),
            made("kubernetes:core/v1:Service", {"spec": {"type": "ClusterIP"}}),
        ],
    ),
    Case(
        "a database on the internet",
        "no-public-data",
        [
            made("aws:rds/clusterInstance:ClusterInstance", {"publiclyAccessible": True}),
            made(INGRESS, {"cidrIpv6": "::/0", "fromPort": 5432, "toPort": 5432}),
            made(
                "aws:ec2/securityGroup:SecurityGroup",
                {"ingress": [{"cidrBlocks": ["0.0.0.0/0"], "fromPort": 80, "toPort": 443}]},
            ),
        ],
        [
            "publiclyAccessible is true",
            "fromPort to toPort, from ::/0, is [5432, 5432]; allowed is 80 or 443",
            "ingress[0].fromPort to toPort, from 0.0.0.0/0, is [80, 443]",
        ],
    ),
    Case(
        "a cluster that anybody may call",
        "no-public-data",
        [
            made(EKS, {"vpcConfig": {"endpointPublicAccess": True}}),
            made(EKS, {"vpcConfig": {"endpointPublicAccess": True, "publicAccessCidrs": ["128.0.0.0/1"]}}),
        ],
        [
            'vpcConfig.publicAccessCidrs is "0.0.0.0/0"; allowed is a /16 or smaller',
            'vpcConfig.publicAccessCidrs is "128.0.0.0/1"',
        ],
    ),
    Case(
        "load balancers beside the load balancer",
        "no-public-data",
        [
            made("kubernetes:core/v1:Service", {"spec": {"type": "LoadBalancer"}}),
            made("kubernetes:core/v1:Service", {"spec": {"externalIPs": ["198.51.100.1"]}}),
        ],
        ['spec.type is "LoadBalancer"; allowed is ClusterIP', "spec.externalIPs is"],
    ),
    Case(
        "functions that anybody may call",
        "no-public-data",
        [
            made("aws:lambda/functionUrl:FunctionUrl", {"authorizationType": "NONE"}),
            made("aws:lambda/permission:Permission", {"principal": "*"}),
        ],
        ['authorizationType is "NONE"', 'principal is "*"'],
    ),
    Case(
        "everybody, as far as a condition lets them",
        "no-public-data",
        [
            made(
                BUCKET_POLICY,
                {
                    "policy": policy(
                        allow(
                            "s3:GetObject",
                            "*",
                            Principal="*",
                            Condition={"StringEquals": {"AWS:PrincipalOrgId": "o-1"}},
                        ),
                        allow("s3:GetObject", "*", Principal={"AWS": "arn:aws:iam::111122223333:root"}),
                    )
                },
            ),
            made("aws:ec2/vpcEndpoint:VpcEndpoint", {"policy": policy(allow("s3:*", "*", Principal="*"))}),
        ],
    ),
    Case(
        "everybody",
        "no-public-data",
        [
            made(BUCKET_POLICY, {"policy": policy(allow("s3:GetObject", "*", Principal="*"))}),
            made(
                "aws:kms/keyPolicy:KeyPolicy",
                {
                    "policy": policy(
                        allow(
                            "kms:*",
                            "*",
                            Principal=EVERYBODY,
                            Condition={"StringNotEquals": {"aws:PrincipalAccount": "1"}},
                        ),
                        allow(
                            "kms:*",
                            "*",
                            Principal=EVERYBODY,
                            Condition={"StringLike": {"aws:PrincipalArn": "*"}},
                        ),
                        allow("kms:*", "*", NotPrincipal={"AWS": "arn:aws:iam::111122223333:root"}),
                    )
                },
            ),
        ],
        [
            'policy.Statement[0].Principal is "*"',
            "policy.Statement[0].Principal is",
            "policy.Statement[1].Principal is",
            "policy.Statement[2].NotPrincipal is",
        ],
    ),
    # --- required-tags ---
    Case(
        "tags, and what takes none",
        "required-tags",
        [
            made(BUCKET, {"tags": TAGS}),
            made(BUCKET, {"tags": TAGS | {"Owner": UNKNOWN}}),
            made(BUCKET, {"tags": {key: TAGS[key] for key in TAGS if key != "Environment"}}, stack="backend"),
            made(ROLE_POLICY, {}),
            made(DEPLOYMENT, {}),
        ],
    ),
    Case("no tags", "required-tags", [made(BUCKET, {})], ['tags is {"Application": null']),
    Case(
        "tags of another environment, and an empty one",
        "required-tags",
        [made(BUCKET, {"tags": TAGS | {"Environment": "dev", "Owner": ""}})],
        ['tags is {"Owner": "", "Environment": "dev"}; allowed is Owner with a value, Environment "live"'],
    ),
    Case("a type that is new here", "required-tags", [made("aws:new/thing:Thing", {})], ["tags is"]),
    # --- least-privilege ---
    Case(
        "named actions, and a key's own administration",
        "least-privilege",
        [
            made(
                ROLE_POLICY,
                {
                    "policy": policy(
                        allow(["s3:GetObject", "s3:List*"], "*"), allow("s3:*", "arn:aws:s3:::b/*")
                    )
                },
            ),
            made(
                "aws:kms/keyPolicy:KeyPolicy",
                {"policy": policy(allow("kms:*", "*", Principal={"AWS": "arn:aws:iam::111122223333:root"}))},
            ),
            made(ROLE_POLICY, {"policy": UNKNOWN}),
            made(ROLE_POLICY, {"policy": policy({"Effect": "Deny", "Action": "*", "Resource": "*"})}),
        ],
    ),
    Case(
        "everything",
        "least-privilege",
        [
            made(
                ROLE_POLICY,
                {
                    "policy": policy(
                        allow("*", "*"),
                        allow(["s3:GetObject", "s3:*"], ["arn:aws:s3:::b", "*"]),
                        {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"},
                    )
                },
            )
        ],
        [
            'policy.Statement[0].Action is "*"; allowed is named actions, on named resources',
            'policy.Statement[1].Action is "s3:*"',
            'policy.Statement[2].NotAction is "iam:*"',
        ],
    ),
    Case(
        "everything, by somebody else's policy",
        "least-privilege",
        [
            made(
                "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
                {"policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"},
            ),
            made("aws:iam/role:Role", {"managedPolicyArns": ["arn:aws:iam::aws:policy/IAMFullAccess"]}),
        ],
        ["policyArn is", "managedPolicyArns[0] is"],
    ),
    Case(
        "everything in the cluster",
        "least-privilege",
        [
            made(
                "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole",
                {"rules": [{"verbs": ["get"], "resources": ["*"]}, {"verbs": ["*"], "resources": ["*"]}]},
            ),
            made(
                "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding",
                {"roleRef": {"name": "cluster-admin"}},
            ),
        ],
        ['rules[1].verbs is "*"', 'roleRef.name is "cluster-admin"'],
    ),
    # --- protected-stateful, protected-buckets-and-keys ---
    Case(
        "a database that stays, one in dev, one of no environment",
        "protected-stateful",
        [
            made(CLUSTER, KEPT, protect=True),
            made(CLUSTER, {}, stack="dev"),
            made(CLUSTER, KEPT, protect=True, stack="backend"),
        ],
    ),
    Case(
        "a database that goes",
        "protected-stateful",
        [
            made(CLUSTER, KEPT | {"skipFinalSnapshot": True}, stack="staging"),
            made(CLUSTER, {}, stack="backend"),
        ],
        [
            "option protect is false; allowed is true",
            "skipFinalSnapshot is true; allowed is false",
            "option protect is false",
            "deletionProtection is missing; allowed is true",
        ],
    ),
    Case(
        "a load balancer and a cluster that go",
        "protected-stateful",
        [
            made("aws:lb/loadBalancer:LoadBalancer", {"enableDeletionProtection": False}, protect=True),
            made(EKS, {"deletionProtection": True}),
        ],
        ["enableDeletionProtection is false", "option protect is false"],
    ),
    Case(
        "buckets that stay with their keys, and one of logs",
        "protected-buckets-and-keys",
        [
            _bucket,
            _key,
            made(ENCRYPTION, {}, uses=[_bucket, _key]),
            _logs,
            made(KEY, {}, name="another"),
            made("aws:lb/loadBalancer:LoadBalancer", {}, uses=[_logs]),
        ],
    ),
    Case(
        "a bucket that goes with all that is in it",
        "protected-buckets-and-keys",
        [_bare_bucket],
        ["option protect is false", "forceDestroy is true"],
    ),
    Case(
        "keys that go before what they encrypt",
        "protected-buckets-and-keys",
        [_bucket, _bare_key, made(ENCRYPTION, {}, name="encryption", uses=[_bucket, _bare_key])],
        ["option protect is false; allowed is true, since encryption is encrypted with it"],
    ),
    Case(
        "the key of a database",
        "protected-buckets-and-keys",
        [_bare_key, made(CLUSTER, KEPT, name="database", protect=True, uses=[_bare_key])],
        ["true, since database is encrypted with it"],
    ),
    # --- retention ---
    Case(
        "as long as the page says, or without limit",
        "retention",
        [
            made(CLUSTER, {"backupRetentionPeriod": 35}),
            made("aws:cloudwatch/logGroup:LogGroup", {"retentionInDays": 30}),
            made("aws:cloudwatch/logGroup:LogGroup", {}),
            made(PLAN, {"name": "quikapp-live-files", "rules": [{"lifecycle": {"deleteAfter": 90}}, {}]}),
            made(PLAN, {"name": "quikapp-live-database", "rules": [{"lifecycle": {"deleteAfter": 35}}]}),
            made(
                LIFECYCLE,
                {
                    "rules": [
                        {"noncurrentVersionExpiration": {"noncurrentDays": 90}},
                        {"expiration": {"expiredObjectDeleteMarker": True}},
                    ]
                },
                name="live-storage-backup-lifecycle",
            ),
            made(
                LIFECYCLE,
                {"rules": [{"noncurrentVersionExpiration": {"noncurrentDays": 30}}]},
                name="live-storage-files-lifecycle",
            ),
        ],
    ),
    Case(
        "a day too short",
        "retention",
        [
            made(CLUSTER, {"backupRetentionPeriod": 34}),
            made(CLUSTER, {}),
            made("aws:cloudwatch/logGroup:LogGroup", {"retentionInDays": 14}),
            made(
                PLAN,
                {
                    "name": "quikapp-live-files",
                    "rules": [
                        {
                            "lifecycle": {"deleteAfter": 90},
                            "copyActions": [{"lifecycle": {"deleteAfter": 35}}],
                        }
                    ],
                },
            ),
            made(
                "aws:backup/vaultLockConfiguration:VaultLockConfiguration",
                {"backupVaultName": "quikapp-live-database", "minRetentionDays": 7},
            ),
            made(
                "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration",
                {"rule": {"defaultRetention": {"days": 30}}},
            ),
            made(
                LIFECYCLE,
                {
                    "rules": [
                        {"noncurrentVersionExpiration": {"noncurrentDays": 89}},
                        {"expiration": {"days": 30}},
                    ]
                },
                name="live-storage-backup-lifecycle",
            ),
        ],
        [
            "backupRetentionPeriod is 34; allowed is 35 days or more, as the page promises for database",
            "backupRetentionPeriod is 1",
            "retentionInDays is 14; allowed is 30 days",
            "rules[0].copyActions[0].lifecycle.deleteAfter is 35; allowed is 90 days",
            "minRetentionDays is 7; allowed is 35 days",
            "rule.defaultRetention.days is 30; allowed is 90 days",
            "rules[0].noncurrentVersionExpiration.noncurrentDays is 89; allowed is 90 days",
            "rules[1].expiration.days is 30; allowed is 90 days",
        ],
    ),
    # --- weighted-slots ---
    Case(
        "both slots, and nothing that forwards",
        "weighted-slots",
        [
            made(LISTENER_RULE, {"actions": [forward(95, 5)]}),
            made(LISTENER_RULE, {"actions": [forward(0, 100)]}),
            made(LISTENER_RULE, {"actions": [{"type": "fixed-response"}]}),
            made(LISTENER, {"defaultActions": [{"type": "redirect"}]}),
            made(LISTENER_RULE, {"actions": [forward(UNKNOWN, 5)]}),
        ],
    ),
    Case(
        "weights that miss some requests",
        "weighted-slots",
        [made(LISTENER_RULE, {"actions": [forward(95, 4)]})],
        ["actions[0].forward.targetGroups weights is [95, 4]; allowed is a sum of 100"],
    ),
    Case(
        "three target groups, and one",
        "weighted-slots",
        [
            made(LISTENER_RULE, {"actions": [forward(50, 25, 25)]}),
            made(LISTENER, {"defaultActions": [{"type": "forward", "targetGroupArn": "arn:aws:…"}]}),
        ],
        ["actions[0].forward.targetGroups is 3; allowed is 2", "defaultActions[0].targetGroupArn is"],
    ),
    # --- pinned-images ---
    Case(
        "releases and digests",
        "pinned-images",
        [
            made(DEPLOYMENT, pod()),
            made(DEPLOYMENT, pod({"image": f"registry.example:5000/app@sha256:{SHA}"})),
            made(DEPLOYMENT, pod({"image": "app:1.2.3-rc.1"})),
            made(DEPLOYMENT, pod({"image": UNKNOWN})),
            made("aws:eks/addon:Addon", {"addonVersion": "v1.2.3-eksbuild.1"}),
        ],
    ),
    *(
        Case(
            f"the image {image}",
            "pinned-images",
            [made(DEPLOYMENT, pod({"image": image}))],
            [f"spec.template.spec.containers[0].image is {json.dumps(image)}"],
        )
        for image in (
            "app:latest",
            "app",
            "app:v1",
            "app:1.2",
            "registry.example:5000/app",
            "app:v1.2.3@sha256:abc",
        )
    ),
    Case(
        "an image of a first container, and an add-on",
        "pinned-images",
        [
            made(DEPLOYMENT, pod(initContainers=[{"image": "init:edge"}])),
            made("aws:eks/addon:Addon", {"addonName": "metrics-server"}),
        ],
        ["spec.template.spec.initContainers[0].image", "addonVersion is missing"],
    ),
    # --- requests-and-limits ---
    Case("a container with both", "requests-and-limits", [made(DEPLOYMENT, pod())]),
    Case(
        "a container without",
        "requests-and-limits",
        [
            made(
                DEPLOYMENT,
                pod({"resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1"}}}),
            )
        ],
        ["spec.template.spec.containers[0].resources.limits.memory is missing"],
    ),
    Case(
        "a job that says nothing",
        "requests-and-limits",
        [
            made(
                "kubernetes:batch/v1:CronJob",
                {
                    "spec": {
                        "jobTemplate": {"spec": {"template": {"spec": {"containers": [{"name": "job"}]}}}}
                    }
                },
            )
        ],
        [
            f"spec.jobTemplate.spec.template.spec.containers[0].resources.{bound}.{amount} is missing"
            for bound in ("requests", "limits")
            for amount in ("cpu", "memory")
        ],
    ),
    # --- pod-security ---
    Case(
        "restricted, and the one namespace that is not",
        "pod-security",
        [
            made(
                NAMESPACE,
                {"metadata": {"name": "a", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}},
            ),
            made(
                NAMESPACE,
                {
                    "metadata": {
                        "name": "node-agents",
                        "labels": {"pod-security.kubernetes.io/enforce": "privileged"},
                    }
                },
            ),
            made(DEPLOYMENT, pod(volumes=[{"name": "tmp", "emptyDir": {}}])),
            made(
                "kubernetes:apps/v1:DaemonSet",
                pod(
                    {
                        "securityContext": {
                            "allowPrivilegeEscalation": False,
                            "capabilities": {"drop": ["ALL"]},
                            "runAsUser": 0,
                            "runAsNonRoot": False,
                        }
                    },
                    volumes=[{"name": "logs", "hostPath": {"path": "/var/log/pods"}}],
                )
                | {"metadata": {"namespace": "node-agents"}},
            ),
        ],
    ),
    Case(
        "namespaces that let anything in",
        "pod-security",
        [
            made(NAMESPACE, {"metadata": {"name": "a"}}),
            made(
                NAMESPACE,
                {"metadata": {"name": "b", "labels": {"pod-security.kubernetes.io/enforce": "baseline"}}},
            ),
        ],
        ["pod-security.kubernetes.io/enforce is missing", 'enforce is "baseline"; allowed is "restricted"'],
    ),
    Case(
        "a pod that sees its node",
        "pod-security",
        [made(DEPLOYMENT, pod(hostNetwork=True, volumes=[{"name": "root", "hostPath": {"path": "/"}}]))],
        ["spec.template.spec.hostNetwork is true", 'spec.template.spec.volumes[0] is "hostPath"'],
    ),
    Case(
        "a container with every privilege",
        "pod-security",
        [
            made(
                DEPLOYMENT,
                pod(
                    {
                        "securityContext": {
                            "privileged": True,
                            "runAsUser": 0,
                            "runAsNonRoot": False,
                            "capabilities": {"add": ["SYS_ADMIN", "NET_BIND_SERVICE"]},
                            "seccompProfile": {"type": "Unconfined"},
                        }
                    }
                ),
            )
        ],
        [
            "securityContext.privileged is true",
            "securityContext.allowPrivilegeEscalation is missing",
            "securityContext.capabilities.drop is missing",
            'securityContext.capabilities.add is ["SYS_ADMIN"]',
            'securityContext.seccompProfile.type is "Unconfined"',
            "securityContext.runAsNonRoot is false",
            "securityContext.runAsUser is 0",
        ],
    ),
    Case(
        "a privileged container, even where pods may be root",
        "pod-security",
        [
            made(
                DEPLOYMENT,
                pod(
                    {
                        "securityContext": {
                            "privileged": True,
                            "allowPrivilegeEscalation": False,
                            "capabilities": {"drop": ["ALL"]},
                        }
                    }
                )
                | {"metadata": {"namespace": "node-agents"}},
            )
        ],
        ["securityContext.privileged is true"],
    ),
    # --- no-plaintext-secrets ---
    Case(
        "secrets, references to them, and what only sounds like one",
        "no-plaintext-secrets",
        [
            made(
                DEPLOYMENT,
                pod(
                    {
                        "env": [
                            {
                                "name": "API_KEY",
                                "valueFrom": {"secretKeyRef": {"name": "s", "key": "api-key"}},
                            }
                        ]
                    }
                ),
            ),
            made(
                DEPLOYMENT,
                pod({"env": [{"name": "DB_PASSWORD", "value": SECRET}, {"name": "TOKEN", "value": UNKNOWN}]}),
            ),
            made(
                DEPLOYMENT,
                pod(
                    {
                        "env": [
                            {"name": "TOKEN_FILE", "value": "/etc/secrets/token"},
                            {"name": "TOKEN", "value": "${TOKEN}"},
                        ]
                    }
                ),
            ),
            made(
                CLUSTER,
                {
                    "masterPassword": SECRET,
                    "manageMasterUserPassword": True,
                    "kmsKeyId": "arn:aws:kms:…:key/1",
                },
            ),
            made(
                CONFIG_MAP,
                {
                    "data": {
                        "a.ini": "password = $__file{/etc/secrets/password}\n",
                        "b.yml": "tokens: 5\npassword: ${PASSWORD}\n",
                    }
                },
            ),
            made("kubernetes:core/v1:Secret", {"stringData": SECRET}),
            made(
                CONFIG_MAP,
                {
                    "data": {
                        "ca.crt": "-----BEGIN CERTIFICATE-----\nMII…",
                        "url": "https://example.com:8443/@a",
                    }
                },
            ),
        ],
    ),
    *(
        Case(
            f"{words} in a file",
            "no-plaintext-secrets",
            [made(CONFIG_MAP, {"data": {"file": f"a line\nand {text} in it"}})],
            [f"data.file is {words} in plain text; allowed is a secret of Pulumi's"],
        )
        for words, text in {
            "an AWS access key": AWS_KEY,
            "a private key": PEM,
            "a Slack token": SLACK,
            "a Slack webhook": WEBHOOK,
            "a PagerDuty API key": PAGERDUTY,
            "a GitHub token": "ghp_" + "a1" * 18,
            "a JSON web token": "eyJ" + "hbGciOiJIUzI1NiJ9." + "eyJ" + "zdWIiOiIxMjM0In0." + "x",
            "a password in a URL": "postgres://app:" + "hunter2@db/app",
        }.items()
    ),
    Case(
        "names that give it away",
        "no-plaintext-secrets",
        [
            made(DEPLOYMENT, pod({"env": [{"name": "DD_API_KEY", "value": "0123456789abcdef"}]})),
            made(CLUSTER, {"masterPassword": "correct horse"}),
            made("kubernetes:core/v1:Secret", {"stringData": {"slack-token": "never"}}),
            made(CONFIG_MAP, {"data": {"grafana.ini": "[security]\nadmin_password = hunter2\n"}}),
            made(CONFIG_MAP, {"data": {"agent.json": '{"url": "x", "apiKey": "hunter2"}'}}),
        ],
        [
            "env[0].value is plain text, and DD_API_KEY names a secret",
            "masterPassword is plain text",
            "stringData.slack-token is plain text",
            "data.grafana.ini is plain text, and admin_password names a secret",
            "data.agent.json is plain text, and apiKey names a secret",
        ],
    ),
    # --- allowed-region ---
    Case(
        "regions of the union, and what is in none",
        "allowed-region",
        [
            made(BUCKET, {"region": "eu-central-1"}),
            made("pulumi:providers:aws", {"region": "eu-west-1"}),
            made("aws:iam/role:Role", {}),
            made(BUCKET, {"region": UNKNOWN}),
        ],
    ),
    Case(
        "another continent, and London",
        "allowed-region",
        [made(BUCKET, {"region": "us-east-1"}), made("pulumi:providers:aws", {"region": "eu-west-2"})],
        ['region is "us-east-1"; allowed is eu-central-1, ', 'region is "eu-west-2"'],
    ),
)
