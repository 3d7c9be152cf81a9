"""Plausible values for what only an account could tell: identifiers, ARNs, host names.

Everything derives from the subject's seed, so that the same resource looks the same in every rehearsal. The forms are
those of the import examples in the SDK's documentation and of AWS's reference of ARNs
(https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html).
"""

import hashlib
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from rehearsal.providers.schema import Kind, Properties, ResourceSchema, Type
from rehearsal.providers.values import Json

ACCOUNT = "123456789012"
"""The account number of AWS's own documentation."""

CREATED = "2025-01-01T00:00:00Z"
"""The one moment at which everything recorded came to be, so that two rehearsals compare equal."""

_NAMING = (
    "name",
    "bucket",
    "identifier",
    "clusterIdentifier",
    "globalClusterIdentifier",
    "replicationGroupId",
    "clusterId",
    "keyName",
    "domainName",
    "nodeGroupName",
    "fargateProfileName",
    "backupVaultName",
    "policyName",
    "role",
    "user",
)
"""Inputs that name a resource in AWS, the most telling first."""


@dataclass(frozen=True, slots=True)
class Form:
    """How AWS writes a resource's identifier and ARN, and other outputs that have a form of their own.

    Templates may use the resource's own inputs, ``name``, ``region``, ``account``, ``uuid``, ``created``, ``hexN`` and
    ``digitsN`` (N characters), ``alnumN`` (lower case), ``ALNUMN`` (upper case), and ``INPUT~path``: what follows the
    first slash of an input that is an ARN. Outputs may use ``id`` too.
    """

    id: str = ""
    arn: str = ""
    outputs: Mapping[str, str] = field(default_factory=dict[str, str])


_ELB = "arn:aws:elasticloadbalancing:{region}:{account}"
_SECURITY_GROUP_RULE = "arn:aws:ec2:{region}:{account}:security-group-rule/sgr-{hex17}"
_RDS = "{hex12}.{region}.rds.amazonaws.com"

_FORMS: Mapping[str, Form] = {
    "aws:acm/certificate:Certificate": Form(
        arn="arn:aws:acm:{region}:{account}:certificate/{uuid}",
        outputs={"status": "PENDING_VALIDATION", "type": "AMAZON_ISSUED", "renewalEligibility": "INELIGIBLE"},
    ),
    "aws:acm/certificateValidation:CertificateValidation": Form(id="2025-01-01 00:00:00 +0000 UTC"),
    "aws:backup/plan:Plan": Form(id="{uuid}", arn="arn:aws:backup:{region}:{account}:backup-plan:{uuid}"),
    "aws:backup/selection:Selection": Form(id="{uuid}"),
    "aws:backup/vault:Vault": Form(arn="arn:aws:backup:{region}:{account}:backup-vault:{name}"),
    "aws:cloudwatch/logGroup:LogGroup": Form(arn="arn:aws:logs:{region}:{account}:log-group:{name}"),
    "aws:cloudwatch/metricAlarm:MetricAlarm": Form(arn="arn:aws:cloudwatch:{region}:{account}:alarm:{name}"),
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": Form(
        id="sg-{hex17}",
        arn="arn:aws:ec2:{region}:{account}:security-group/sg-{hex17}",
        outputs={"name": "default"},
    ),
    "aws:ec2/eip:Eip": Form(
        arn="arn:aws:ec2:{region}:{account}:elastic-ip/eipalloc-{hex17}", outputs={"allocationId": "{id}"}
    ),
    "aws:ec2/flowLog:FlowLog": Form(
        id="fl-{hex17}", arn="arn:aws:ec2:{region}:{account}:vpc-flow-log/fl-{hex17}"
    ),
    "aws:ec2/route:Route": Form(id="r-{routeTableId}{digits10}"),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": Form(id="rtbassoc-{hex17}"),
    "aws:ec2/securityGroupRule:SecurityGroupRule": Form(id="sgrule-{digits10}"),
    "aws:ec2/vpcEndpoint:VpcEndpoint": Form(outputs={"prefixListId": "pl-{hex8}"}),
    "aws:ecr/repository:Repository": Form(
        outputs={
            "repositoryUrl": "{account}.dkr.ecr.{region}.amazonaws.com/{name}",
            "registryId": "{account}",
        }
    ),
    "aws:eks/accessEntry:AccessEntry": Form(
        id="{clusterName}:{principalArn}",
        outputs={"accessEntryArn": "arn:aws:eks:{region}:{account}:access-entry/{clusterName}/{uuid}"},
    ),
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": Form(
        id="{clusterName}#{principalArn}#{policyArn}"
    ),
    "aws:eks/addon:Addon": Form(
        id="{clusterName}:{addonName}",
        arn="arn:aws:eks:{region}:{account}:addon/{clusterName}/{addonName}/{uuid}",
    ),
    "aws:eks/cluster:Cluster": Form(
        outputs={
            "endpoint": "https://{HEX32}.gr7.{region}.eks.amazonaws.com",
            "identities[0].oidcs[0].issuer": "https://oidc.eks.{region}.amazonaws.com/id/{HEX32}",
            "certificateAuthority.data": "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCi0tLS0tRU5EIENFUlRJRklDQVRFLS0tLS0K",
            "vpcConfig.clusterSecurityGroupId": "sg-{hex17}",
            "vpcConfig.vpcId": "vpc-{hex17}",
            "kubernetesNetworkConfig.serviceIpv4Cidr": "172.20.0.0/16",
            "kubernetesNetworkConfig.ipFamily": "ipv4",
            "platformVersion": "eks.1",
        }
    ),
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": Form(
        id="a-{alnum17}",
        outputs={
            "associationId": "a-{alnum17}",
            "associationArn": "arn:aws:eks:{region}:{account}:podidentityassociation/{clusterName}/a-{alnum17}",
        },
    ),
    "aws:iam/policy:Policy": Form(
        arn="arn:aws:iam::{account}:policy/{name}", outputs={"policyId": "ANPA{ALNUM17}"}
    ),
    "aws:iam/role:Role": Form(outputs={"uniqueId": "AROA{ALNUM17}"}),
    "aws:iam/rolePolicy:RolePolicy": Form(id="{role}:{name}"),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": Form(id="{role}/{policyArn}"),
    "aws:kms/keyPolicy:KeyPolicy": Form(id="{keyId}"),
    "aws:kms/alias:Alias": Form(arn="arn:aws:kms:{region}:{account}:{name}"),
    "aws:lb/listener:Listener": Form(arn=_ELB + ":listener/{loadBalancerArn~path}/{hex16}"),
    "aws:lb/listenerRule:ListenerRule": Form(arn=_ELB + ":listener-rule/{listenerArn~path}/{hex16}"),
    "aws:lb/loadBalancer:LoadBalancer": Form(
        arn=_ELB + ":loadbalancer/app/{name}/{hex16}",
        outputs={
            "arnSuffix": "app/{name}/{hex16}",
            "dnsName": "{name}-{digits10}.{region}.elb.amazonaws.com",
        },
    ),
    "aws:lb/targetGroup:TargetGroup": Form(
        arn=_ELB + ":targetgroup/{name}/{hex16}", outputs={"arnSuffix": "targetgroup/{name}/{hex16}"}
    ),
    "aws:opensearch/domain:Domain": Form(
        id="arn:aws:es:{region}:{account}:domain/{name}",
        arn="arn:aws:es:{region}:{account}:domain/{name}",
        outputs={
            "endpoint": "search-{name}-{alnum26}.{region}.es.amazonaws.com",
            "domainId": "{account}/{name}",
        },
    ),
    "aws:rds/cluster:Cluster": Form(
        arn="arn:aws:rds:{region}:{account}:cluster:{name}",
        outputs={
            "endpoint": "{name}.cluster-" + _RDS,
            "readerEndpoint": "{name}.cluster-ro-" + _RDS,
            "clusterResourceId": "cluster-{ALNUM26}",
            "engineVersionActual": "{engineVersion}",
            "masterUserSecrets[0].secretArn": "arn:aws:secretsmanager:{region}:{account}:secret:rds!cluster-{uuid}-{alnum6}",
            "masterUserSecrets[0].secretStatus": "active",
        },
    ),
    "aws:rds/clusterInstance:ClusterInstance": Form(
        arn="arn:aws:rds:{region}:{account}:db:{name}",
        outputs={
            "endpoint": "{name}." + _RDS,
            "dbiResourceId": "db-{ALNUM26}",
            "engineVersionActual": "{engineVersion}",
        },
    ),
    "aws:rds/clusterParameterGroup:ClusterParameterGroup": Form(
        arn="arn:aws:rds:{region}:{account}:cluster-pg:{name}"
    ),
    "aws:rds/globalCluster:GlobalCluster": Form(
        arn="arn:aws:rds::{account}:global-cluster:{name}",
        outputs={
            "globalClusterResourceId": "cluster-{hex16}",
            "endpoint": "{name}.global-{hex12}.global.rds.amazonaws.com",
        },
    ),
    "aws:rds/instance:Instance": Form(
        arn="arn:aws:rds:{region}:{account}:db:{name}",
        outputs={
            "address": "{name}." + _RDS,
            "endpoint": "{name}." + _RDS + ":5432",
            "resourceId": "db-{ALNUM26}",
        },
    ),
    "aws:rds/parameterGroup:ParameterGroup": Form(arn="arn:aws:rds:{region}:{account}:pg:{name}"),
    "aws:rds/subnetGroup:SubnetGroup": Form(arn="arn:aws:rds:{region}:{account}:subgrp:{name}"),
    "aws:route53/record:Record": Form(id="{zoneId}_{name}_{type}", outputs={"fqdn": "{name}"}),
    "aws:route53/zone:Zone": Form(
        id="Z{ALNUM20}", arn="arn:aws:route53:::hostedzone/Z{ALNUM20}", outputs={"zoneId": "Z{ALNUM20}"}
    ),
    "aws:s3/bucket:Bucket": Form(
        arn="arn:aws:s3:::{name}",
        outputs={
            "bucketDomainName": "{name}.s3.amazonaws.com",
            "bucketRegionalDomainName": "{name}.s3.{region}.amazonaws.com",
            "bucketRegion": "{region}",
        },
    ),
    "aws:secretsmanager/secret:Secret": Form(
        arn="arn:aws:secretsmanager:{region}:{account}:secret:{name}-{alnum6}"
    ),
    "aws:sns/topic:Topic": Form(arn="arn:aws:sns:{region}:{account}:{name}"),
    "aws:sqs/queue:Queue": Form(
        id="https://sqs.{region}.amazonaws.com/{account}/{name}",
        arn="arn:aws:sqs:{region}:{account}:{name}",
        outputs={"url": "https://sqs.{region}.amazonaws.com/{account}/{name}"},
    ),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": Form(
        id="sgr-{hex17}", arn=_SECURITY_GROUP_RULE, outputs={"securityGroupRuleId": "{id}"}
    ),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": Form(
        id="sgr-{hex17}", arn=_SECURITY_GROUP_RULE, outputs={"securityGroupRuleId": "{id}"}
    ),
    "aws:wafv2/webAclAssociation:WebAclAssociation": Form(id="{webAclArn},{resourceArn}"),
    "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration": Form(id="{resourceArn}"),
    "aws:wafv2/webAcl:WebAcl": Form(
        id="{uuid}", arn="arn:aws:wafv2:{region}:{account}:regional/webacl/{name}/{uuid}"
    ),
}


def identifying(token: str) -> frozenset[str]:
    """The inputs that the identifier or the ARN is made of: another value makes another resource."""
    form = _FORMS.get(token, Form())
    return frozenset(re.findall(r"\{(\w+)(?:~path)?\}", form.id + form.arn)) | {"region"}


NAMING = frozenset(_NAMING)


_BY_NAME: Sequence[tuple[re.Pattern[str], str]] = [
    (re.compile(pattern), template)
    for pattern, template in (
        (r"^region$", "{region}"),
        (r"(?i)(?:owner|owner_?id|account_?id|registry_?id)$", "{account}"),
        (r"(?i)security_?groups?_?ids?$", "sg-{hex17}"),
        (r"(?i)subnet_?ids?$", "subnet-{hex17}"),
        (r"(?i)vpc_?id$", "vpc-{hex17}"),
        (r"(?i)route_?table_?ids?$", "rtb-{hex17}"),
        (r"(?i)network_?acl_?id$", "acl-{hex17}"),
        (r"(?i)dhcp_?options_?id$", "dopt-{hex17}"),
        (r"(?i)network_?interface(?:_?ids?)?$", "eni-{hex17}"),
        (r"(?i)allocation_?id$", "eipalloc-{hex17}"),
        (r"(?i)association_?id$", "eipassoc-{hex17}"),
        (r"(?i)instance_?id$", "i-{hex17}"),
        (r"(?i)prefix_?list_?id$", "pl-{hex8}"),
        (r"(?i)zone_?id$", "Z{ALNUM20}"),
        (r"(?i)key_?id$", "{uuid}"),
        (r"Arns?$", "arn:aws:{service}:{region}:{account}:{kind}/{name}"),
        (r"(?i)availability_?zones?$", "{region}a"),
        (r"(?i)public_?ip$", "203.0.113.{octet}"),
        (r"(?i)ips?$|ip_?address(?:es)?$", "10.0.{octet}.{octet}"),
        (r"(?i)ipv6_?cidr_?block$", ""),
        (r"(?i)cidr(?:_?blocks?)?$", "10.0.0.0/16"),
        (r"(?i)name_?servers?$", "ns-{digits3}.awsdns-{digits2}.com"),
        (r"(?i)(?:url|issuer|invoke_?url)$", "https://{name}.{service}.{region}.amazonaws.com"),
        (
            r"(?i)(?:dns_?name|domain_?name|endpoint|address|hostname|public_?dns|private_?dns)$",
            "{name}.{hex12}.{service}.{region}.amazonaws.com",
        ),
        (r"(?i)status$", "ACTIVE"),
        (r"(?i)state$", "available"),
        (r"(?i)(?:description|comment)$", "Managed by Pulumi"),
        (
            r"(?i)(?:created?|modified|updated?|valid|expir|not_?(?:before|after)|date|time|at|till?|on)$",
            "{created}",
        ),
        (r"(?i)name$", "{name}"),
        (r"(?i)prefix$", ""),
        (r"(?i)policy$", ""),
        (r"(?i)version$", "1"),
        (r"(?i)ids?$", "{hex17}"),
    )
]
_PLAIN_NAMES = re.compile(r"(?i)(?:enabled?|mode|type|types|class|tenancy|group|protocol|family)$")

_PORTS = {
    "aurora-postgresql": 5432.0,
    "postgres": 5432.0,
    "aurora-mysql": 3306.0,
    "mysql": 3306.0,
    "mariadb": 3306.0,
}


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A resource about to be recorded.

    ``inputs`` holds what is known and no secret, so that no derived value can carry one. ``seed`` tells it from every
    other resource and from what it replaces.
    """

    schema: ResourceSchema
    fields: Callable[[Type], Properties]
    inputs: Mapping[str, Json]
    logical_name: str
    region: str
    seed: str

    @cached_property
    def _form(self) -> Form:
        return _FORMS.get(self.schema.token, Form())

    @cached_property
    def name(self) -> str:
        """The name that the resource has in AWS: a naming input, else a generated one."""
        naming = next((name for name in _NAMING if name in self.schema.inputs), "name")
        value, prefix = self.inputs.get(naming), self.inputs.get(f"{naming}Prefix")
        if isinstance(value, str) and value:
            return value
        if isinstance(prefix, str) and prefix:
            return f"{prefix}{self._decimal('name', 26)}"
        return f"{self.logical_name}-{self._digest('name', 7)}"

    @cached_property
    def arn(self) -> str:
        """The ARN, also of a type that has none."""
        if self._form.arn:
            return self._render(self._form.arn)
        region = "" if self._service in ("iam", "route53", "cloudfront", "globalaccelerator") else self.region
        return f"arn:aws:{self._service}:{region}:{ACCOUNT}:{self._kind}/{self._local_id}"

    @cached_property
    def id(self) -> str:
        """The identifier, in the form that the type's import example shows."""
        if self._form.id:
            return self._render(self._form.id)
        return self.arn if self.schema.example.startswith("arn:") else self._local_id

    @cached_property
    def _local_id(self) -> str:
        example = self.schema.example
        short = re.fullmatch(r"((?:[a-z]+-)+)[0-9a-f]{8,17}", example)
        if short and any(character.isdigit() for character in example):
            return f"{short.group(1)}{self._digest('id', 17)}"
        if re.fullmatch(r"[0-9a-fx]{8}(?:-[0-9a-fx]{4}){3}-[0-9a-fx]{12}", example):
            return self._uuid
        if re.fullmatch(r"\d{12}", example):
            return ACCOUNT
        if re.fullmatch(r"[a-z]{2}-[a-z]+-\d", example):
            return self.region
        if re.fullmatch(r"\d+", example):
            return self._decimal("id", len(example))
        if re.fullmatch(r"[A-Z0-9]{6,}", example):
            return example[0] + self._alphanumeric("id", len(example) - 1).upper()
        return self.name

    def output(self, name: str, kind: Type) -> Json:
        """A plausible value of a computed output, complete down to the nested properties of an object."""
        if name == "domainValidationOptions":
            return self._domain_validation_options()
        return self._value(name, name, kind)

    def nested(self, path: str) -> Mapping[str, Json]:
        """Computed properties of an object that was given as input, by name; ``path`` is the object's."""
        prefix = f"{path}."
        return {
            key.removeprefix(prefix): self._render(template)
            for key, template in self._form.outputs.items()
            if key.startswith(prefix) and "." not in key.removeprefix(prefix)
        }

    def _value(self, path: str, name: str, kind: Type) -> Json:
        match kind.kind:
            case Kind.BOOLEAN:
                return False
            case Kind.INTEGER | Kind.NUMBER:
                return self._number(name)
            case Kind.MAP:
                return {}
            case Kind.OBJECT:
                return {
                    nested.name: self._value(f"{path}.{nested.name}", nested.name, nested.type)
                    for nested in self.fields(kind).values()
                }
            case Kind.LIST if kind.element is not None:
                return self._list(path, name, kind.element)
            case _:
                return self._string(path, name)

    def _list(self, path: str, name: str, element: Type) -> Json:
        if path == name and name in self.schema.inputs:
            return []
        if name == "nameServers":
            return [
                f"ns-{self._decimal(tld, 3)}.awsdns-{self._decimal(tld, 2)}.{tld}"
                for tld in _NAME_SERVER_TLDS
            ]
        if element.kind is Kind.OBJECT or re.search(r"(?i)ids?$", name):
            return [self._value(f"{path}[0]", name, element)]
        return []

    def _number(self, name: str) -> float:
        if name == "port":
            return _PORTS.get(str(self.inputs.get("engine")), 443.0)
        return 0.0

    def _string(self, path: str, name: str) -> str:
        own = self._form.outputs.get(path)
        if own is not None:
            return self._render(own)
        if path == "arn":
            return self.arn
        if name in _NAMING[1:4] or path == "name":
            return self.name
        if path.lower() == f"{self._kind.replace('-', '')}id" or path == "keyId":
            return self.id
        for pattern, template in _BY_NAME:
            if pattern.search(name):
                return self._render(template, purpose=path)
        return "" if _PLAIN_NAMES.search(name) else f"{_kebab(name)}-{self._digest(path, 7)}"

    def _domain_validation_options(self) -> Json:
        names = self.inputs.get("subjectAlternativeNames")
        alternatives = [n for n in names if isinstance(n, str)] if isinstance(names, (list, tuple)) else []
        domains = [str(self.inputs.get("domainName") or self.name), *alternatives]
        return [
            {
                "domainName": domain,
                "resourceRecordName": f"_{self._digest(domain, 32)}.{domain.removeprefix('*.')}.",
                "resourceRecordType": "CNAME",
                "resourceRecordValue": f"_{self._digest(domain + '/value', 32)}.acm-validations.aws.",
            }
            for domain in dict.fromkeys(domains)
        ]

    @cached_property
    def _service(self) -> str:
        module = self.schema.token.split(":")[1].split("/")[0]
        return {"lb": "elasticloadbalancing", "cloudwatch": "logs", "opensearch": "es", "cfg": "config"}.get(
            module, module
        )

    @cached_property
    def _kind(self) -> str:
        return _kebab(self.schema.token.rsplit(":", 1)[1])

    @cached_property
    def _uuid(self) -> str:
        return str(uuid.UUID(self._digest("uuid", 32), version=4))

    def _render(self, template: str, purpose: str = "id") -> str:
        return template.format_map(_Values(self, purpose))

    def value_of(self, key: str, purpose: str) -> str:
        """What a template's placeholder stands for; see ``Form``."""
        fixed = {
            "name": self.name,
            "region": self.region,
            "account": ACCOUNT,
            "service": self._service,
            "kind": self._kind,
            "created": CREATED,
        }
        if key in fixed:
            return fixed[key]
        if key == "id":
            return self.id
        if key == "uuid":
            return self._uuid
        if key == "octet":
            return str(int(self._digest(purpose, 2), 16) % 254 + 1)
        if sized := re.fullmatch(r"(hex|HEX|digits|alnum|ALNUM)(\d+)", key):
            return self._sized(sized.group(1), int(sized.group(2)), purpose)
        source, _, part = key.partition("~")
        value = self.inputs.get(source)
        text = value if isinstance(value, str) and value else f"{_kebab(source)}-{self._digest(source, 7)}"
        return text.partition("/")[2] or text if part == "path" else text

    def _sized(self, alphabet: str, length: int, purpose: str) -> str:
        match alphabet:
            case "digits":
                return self._decimal(purpose, length)
            case "hex":
                return self._digest(purpose, length)
            case "HEX":
                return self._digest(purpose, length).upper()
            case "alnum":
                return self._alphanumeric(purpose, length)
            case _:
                return self._alphanumeric(purpose, length).upper()

    def _digest(self, purpose: str, length: int) -> str:
        digest = hashlib.sha256(f"{self.seed}\n{purpose}".encode()).hexdigest()
        return digest[:length]

    def _decimal(self, purpose: str, length: int) -> str:
        number = int(self._digest(purpose, 32), 16)
        return str(number % (9 * 10 ** (length - 1)) + 10 ** (length - 1))

    def _alphanumeric(self, purpose: str, length: int) -> str:
        number = int(self._digest(purpose, 64), 16)
        alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
        characters: list[str] = []
        for _ in range(length):
            number, index = divmod(number, len(alphabet))
            characters.append(alphabet[index])
        return "".join(characters)


_NAME_SERVER_TLDS = ("com", "net", "org", "co.uk")


class _Values(dict[str, str]):
    """The placeholders of a template, each worked out when asked for."""

    def __init__(self, subject: Subject, purpose: str) -> None:
        super().__init__()
        self._subject = subject
        self._purpose = purpose

    def __missing__(self, key: str) -> str:
        return self._subject.value_of(key, self._purpose)


def _kebab(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()
