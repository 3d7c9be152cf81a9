"""The recorder's calls, one by one: what it refuses, what it makes up, what it keeps."""

import asyncio
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pulumi
import pytest
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.provider import (
    CheckRequest,
    CheckResponse,
    ConfigureRequest,
    CreateRequest,
    CreateResponse,
    DiffRequest,
    DiffResponse,
    InvokeRequest,
    PropertyDiffKind,
    ReadRequest,
    UpdateRequest,
)

from rehearsal.providers.recorder import Recorder, World, load_world
from rehearsal.providers.schema import Kind, Schema, SchemaError
from rehearsal.providers.server import OLD_INPUTS, Refusal
from rehearsal.providers.values import (
    COMPUTED,
    Json,
    Values,
    elements,
    is_unknown,
    members,
    property_value,
    public,
)

VPC = "aws:ec2/vpc:Vpc"
SUBNET = "aws:ec2/subnet:Subnet"
SECURITY_GROUP = "aws:ec2/securityGroup:SecurityGroup"
CLUSTER = "aws:eks/cluster:Cluster"
LOAD_BALANCER = "aws:lb/loadBalancer:LoadBalancer"
LISTENER_RULE = "aws:lb/listenerRule:ListenerRule"
TARGET_GROUP = "aws:lb/targetGroup:TargetGroup"
BUCKET = "aws:s3/bucket:Bucket"
DATABASE = "aws:rds/cluster:Cluster"
ROLE = "aws:iam/role:Role"
CERTIFICATE = "aws:acm/certificate:Certificate"
FUNCTION = "aws:lambda/function:Function"

SCHEMA = Schema("aws")

LISTENER = (
    "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener/app/web/0123456789abcdef/fedcba9876543210"
)

INPUTS: Mapping[str, Mapping[str, Json]] = {
    VPC: {"cidrBlock": "10.0.0.0/16", "tags": {"Name": "main"}},
    SUBNET: {"vpcId": "vpc-0123456789abcdef0", "cidrBlock": "10.0.0.0/24"},
    SECURITY_GROUP: {"description": "the database's", "vpcId": "vpc-0123456789abcdef0"},
    CLUSTER: {
        "name": "live",
        "roleArn": "arn:aws:iam::123456789012:role/eks",
        "vpcConfig": {"subnetIds": ["subnet-1"]},
    },
    LOAD_BALANCER: {"name": "web", "loadBalancerType": "application"},
    LISTENER_RULE: {
        "listenerArn": LISTENER,
        "priority": 10,
        "actions": [
            {
                "type": "forward",
                "forward": {
                    "targetGroups": [{"arn": "arn:blue", "weight": 100}, {"arn": "arn:green", "weight": 0}]
                },
            }
        ],
        "conditions": [{"pathPattern": {"values": ["/api/*"]}}],
    },
    TARGET_GROUP: {"name": "blue", "port": 80, "protocol": "HTTP", "vpcId": "vpc-0123456789abcdef0"},
    BUCKET: {"bucket": "quikapp-files"},
    DATABASE: {"clusterIdentifier": "live", "engine": "aurora-postgresql"},
    ROLE: {"name": "nodes", "assumeRolePolicy": "{}"},
    CERTIFICATE: {"domainName": "example.com", "subjectAlternativeNames": ["www.example.com", "example.com"]},
}

ALL = pytest.mark.parametrize("token", list(INPUTS))


def urn(token: str, name: str = "it") -> str:
    return f"urn:pulumi:live::quikapp::{token}::{name}"


def values(json: Mapping[str, Json]) -> dict[str, PropertyValue]:
    return {name: property_value(value) for name, value in json.items()}


def recorder(world: World | None = None, region: PropertyValue | None = None) -> Recorder:
    made = Recorder(SCHEMA, world or {})
    asyncio.run(
        made.configure(ConfigureRequest({}, {"region": region or PropertyValue("eu-west-1")}, True, True))
    )
    return made


def check(token: str, inputs: Values, old: Values | None = None, by: Recorder | None = None) -> CheckResponse:
    request = CheckRequest(urn(token), dict(old or {}), dict(inputs), b"seed")
    return asyncio.run((by or recorder()).check(request))


def reasons(token: str, inputs: Values) -> list[str]:
    return [failure.reason for failure in check(token, inputs).failures or []]


def create(
    token: str,
    inputs: Values | None = None,
    *,
    preview: bool = False,
    by: Recorder | None = None,
    name: str = "it",
) -> CreateResponse:
    given = dict(inputs) if inputs is not None else values(INPUTS[token])
    return asyncio.run((by or recorder()).create(CreateRequest(urn(token, name), given, 0, preview)))


def diff(
    token: str,
    old: Values,
    new: Values,
    *,
    identifier: str = "id",
    outputs: Values | None = None,
    by: Recorder | None = None,
) -> DiffResponse:
    state = {**(outputs or {}), OLD_INPUTS: PropertyValue(dict(old))}
    return asyncio.run((by or recorder()).diff(DiffRequest(urn(token), identifier, state, dict(new), [])))


def output(response: CreateResponse, path: str) -> Json:
    value = PropertyValue(response.properties)
    for part in path.replace("]", "").replace("[", ".").split("."):
        inner = members(value)
        value = inner[part] if inner is not None else (elements(value) or ())[int(part)]
    return public(value)


class TestSchema:
    def test_a_property_is_named_as_on_the_wire_and_typed_as_in_the_sdk(self) -> None:
        vpc = SCHEMA.resource(VPC)
        assert vpc.inputs["cidrBlock"].type.kind is Kind.STRING
        assert vpc.inputs["ipv4NetmaskLength"].type.kind is Kind.INTEGER
        assert vpc.inputs["enableDnsSupport"].type.kind is Kind.BOOLEAN
        assert vpc.inputs["tags"].type.kind is Kind.MAP

    def test_a_nested_type_is_followed_to_its_class(self) -> None:
        actions = SCHEMA.resource(LISTENER_RULE).inputs["actions"].type
        assert actions.element is not None
        forward = SCHEMA.fields(actions.element)["forward"]
        groups = SCHEMA.fields(forward.type)["targetGroups"].type
        assert groups.element is not None
        assert SCHEMA.fields(groups.element)["weight"].type.kind is Kind.INTEGER

    def test_what_the_sdk_keeps_secret_is_known_as_secret(self) -> None:
        assert "masterPassword" in SCHEMA.resource(DATABASE).secrets

    def test_an_unconditional_documented_replacement_is_found_and_a_conditional_one_is_not(self) -> None:
        inputs = SCHEMA.resource(CLUSTER).inputs
        assert inputs["bootstrapSelfManagedAddons"].replaces
        assert not SCHEMA.resource(LOAD_BALANCER).inputs["subnets"].replaces

    def test_a_resource_without_inputs_is_read_too(self) -> None:
        assert SCHEMA.resource("aws:ram/sharingWithOrganization:SharingWithOrganization").inputs == {}

    def test_a_package_without_its_sdk_is_refused_with_the_command_that_installs_it(self) -> None:
        with pytest.raises(SchemaError, match="uv add pulumi-nowhere"):
            Schema("nowhere")


class TestCheck:
    @ALL
    def test_good_inputs_pass(self, token: str) -> None:
        assert reasons(token, values(INPUTS[token])) == []

    @ALL
    def test_computed_values_pass_wherever_they_stand(self, token: str) -> None:
        inputs = dict.fromkeys(INPUTS[token], COMPUTED)
        assert reasons(token, inputs) == []

    @ALL
    def test_secrets_pass_wherever_they_stand(self, token: str) -> None:
        inputs = {name: value.with_secret(True) for name, value in values(INPUTS[token]).items()}
        assert reasons(token, inputs) == []

    @pytest.mark.parametrize(
        ("token", "missing"),
        [
            (LISTENER_RULE, "listenerArn"),
            (LISTENER_RULE, "actions"),
            (CLUSTER, "roleArn"),
            (ROLE, "assumeRolePolicy"),
        ],
    )
    def test_a_missing_required_input_is_refused_by_name(self, token: str, missing: str) -> None:
        inputs = values({name: value for name, value in INPUTS[token].items() if name != missing})
        assert reasons(token, inputs) == [f"`{missing}`: missing required property"]

    def test_an_unknown_property_is_refused_with_the_near_miss(self) -> None:
        found = reasons(VPC, values({"cidrBlok": "10.0.0.0/16"}))
        assert found == ["`cidrBlok`: unknown property; did you mean `cidrBlock`?"]

    def test_the_near_miss_is_spelled_as_the_writer_spells(self) -> None:
        found = reasons(VPC, values({"cidr_blok": "10.0.0.0/16"}))
        assert found == ["`cidr_blok`: unknown property; did you mean `cidr_block`?"]

    def test_a_property_unlike_any_other_gets_no_suggestion(self) -> None:
        assert reasons(VPC, values({"zzz": 1})) == ["`zzz`: unknown property"]

    def test_faults_inside_lists_of_objects_are_found_with_their_path(self) -> None:
        actions: Json = [
            {"type": "forward", "forward": {"targetGroups": [{"weight": 1}, {"arn": "a", "wait": 1}]}}
        ]
        found = reasons(LISTENER_RULE, values({**INPUTS[LISTENER_RULE], "actions": actions}))
        assert found == [
            "`actions[0].forward.targetGroups[0].arn`: missing required property",
            "`actions[0].forward.targetGroups[1].wait`: unknown property; did you mean `weight`?",
        ]

    @pytest.mark.parametrize(
        ("value", "reason"),
        [
            ("many", "`ipv4NetmaskLength`: must be an integer, not a string"),
            (1.5, "`ipv4NetmaskLength`: must be an integer, not a number"),
            (True, "`ipv4NetmaskLength`: must be an integer, not a boolean"),
            ([1], "`ipv4NetmaskLength`: must be an integer, not a list"),
        ],
    )
    def test_a_value_that_is_no_integer_is_refused(self, value: Json, reason: str) -> None:
        assert reasons(VPC, values({"ipv4NetmaskLength": value})) == [reason]

    @pytest.mark.parametrize(
        ("token", "inputs", "reason"),
        [
            (VPC, {"enableDnsSupport": "yes"}, "`enableDnsSupport`: must be a boolean, not a string"),
            (VPC, {"cidrBlock": {"a": "b"}}, "`cidrBlock`: must be a string, not an object"),
            (VPC, {"tags": "Name=main"}, "`tags`: must be a map, not a string"),
            (VPC, {"tags": {"a.b": ["c"]}}, '`tags["a.b"]`: must be a string, not a list'),
            (LOAD_BALANCER, {"subnets": "subnet-1"}, "`subnets`: must be a list, not a string"),
            (LOAD_BALANCER, {"accessLogs": "bucket"}, "`accessLogs`: must be an object, not a string"),
            (
                "aws:lambda/function:Function",
                {"role": "r", "code": "app.zip"},
                "`code`: must be an asset or archive, not a string",
            ),
        ],
    )
    def test_a_value_of_another_type_is_refused(
        self, token: str, inputs: Mapping[str, Json], reason: str
    ) -> None:
        assert reasons(token, values(inputs)) == [reason]

    def test_numbers_and_booleans_written_as_strings_are_coerced_as_the_bridge_does(self) -> None:
        assert (
            reasons(VPC, values({"ipv4NetmaskLength": "24", "enableDnsSupport": "true", "cidrBlock": 10}))
            == []
        )

    def test_an_archive_is_accepted_where_one_is_asked_for(self) -> None:
        code = PropertyValue(pulumi.AssetArchive({"a": pulumi.StringAsset("x")}))
        assert reasons("aws:lambda/function:Function", {"role": PropertyValue("r"), "code": code}) == []

    def test_a_mistyped_secret_is_refused_without_being_shown(self) -> None:
        password = property_value(["hunter2"]).with_secret(True)
        response = check(DATABASE, {**values(INPUTS[DATABASE]), "masterPassword": password})
        assert response.failures is not None
        assert [failure.reason for failure in response.failures] == [
            "`masterPassword`: must be a string, not a list"
        ]
        assert response.failures[0].property == "", (
            "the engine prints the value of a property that a failure names"
        )

    def test_an_unknown_resource_type_is_one_clear_failure(self) -> None:
        assert reasons("aws:ec2/vpcc:Vpcc", {}) == [
            f"unknown resource type `aws:ec2/vpcc:Vpcc`: aws {SCHEMA.version} has none of this name"
        ]


class TestCode:
    """What a function is made of travels as an archive of assets."""

    @staticmethod
    def function(text: str) -> Values:
        """Inputs as they arrive from the engine."""
        given = PropertyValue(
            {
                "role": PropertyValue("arn:aws:iam::123456789012:role/function"),
                "name": PropertyValue("report"),
                "code": PropertyValue(pulumi.AssetArchive({"handler.py": pulumi.StringAsset(text)})),
            }
        )
        arrived = members(PropertyValue.unmarshal(given.marshal()))
        assert arrived is not None
        return arrived

    def test_it_is_taken(self) -> None:
        assert reasons(FUNCTION, self.function("one")) == []

    def test_nothing_else_is_taken_in_its_place(self) -> None:
        (reason,) = reasons(FUNCTION, {**self.function("one"), "code": PropertyValue("handler.py")})
        assert reason == "`code`: must be an asset or archive, not a string"

    def test_it_is_recorded_and_goes_back_to_the_engine_as_it_came(self) -> None:
        given = self.function("one")
        recorded = PropertyValue(create(FUNCTION, given).properties).marshal()
        assert recorded.struct_value.fields["code"] == given["code"].marshal()

    def test_a_change_of_it_is_a_change_of_the_function_and_the_same_text_is_none(self) -> None:
        assert diff(FUNCTION, self.function("one"), self.function("one"), identifier="report").diffs == []
        changed = diff(FUNCTION, self.function("one"), self.function("two"), identifier="report")
        assert (changed.diffs, changed.replaces) == (["code"], [])


class TestNames:
    @pytest.mark.parametrize(
        ("token", "inputs", "name", "pattern"),
        [
            (SECURITY_GROUP, {}, "name", r"it-[0-9a-f]{7}"),
            (TARGET_GROUP, {}, "name", r"it-[0-9a-f]{7}"),
            (BUCKET, {}, "bucket", r"it-[0-9a-f]{7}"),
            ("aws:rds/instance:Instance", {"instanceClass": "db.t4g.micro"}, "identifier", r"it-[0-9a-f]{7}"),
            ("aws:kms/alias:Alias", {"targetKeyId": "k"}, "name", r"alias/it-[0-9a-f]{7}"),
        ],
    )
    def test_what_is_left_unnamed_is_named_after_the_resource(
        self, token: str, inputs: Mapping[str, Json], name: str, pattern: str
    ) -> None:
        named = check(token, values(inputs)).inputs
        assert named is not None
        assert re.fullmatch(pattern, str(named[name].value))

    def test_a_given_name_is_kept(self) -> None:
        named = check(SECURITY_GROUP, values({"name": "mine"})).inputs
        assert named is not None
        assert named["name"].value == "mine"

    def test_a_prefix_is_left_to_aws(self) -> None:
        named = check(SECURITY_GROUP, values({"namePrefix": "mine-"})).inputs
        assert named is not None
        assert "name" not in named
        assert str(output(create(SECURITY_GROUP, values({"namePrefix": "mine-"})), "name")).startswith(
            "mine-"
        )

    def test_a_name_once_given_stays(self) -> None:
        named = check(SECURITY_GROUP, {}, old=values({"name": "it-0000000"})).inputs
        assert named is not None
        assert named["name"].value == "it-0000000"

    def test_the_name_is_the_same_in_every_rehearsal(self) -> None:
        assert check(BUCKET, {}).inputs == check(BUCKET, {}).inputs

    def test_a_name_fits_into_the_limit_of_its_type(self) -> None:
        request = CheckRequest(urn(TARGET_GROUP, "a" * 80), {}, {}, b"")
        named = asyncio.run(recorder().check(request)).inputs
        assert named is not None
        assert len(str(named["name"].value)) == 32

    def test_a_record_is_not_named(self) -> None:
        found = reasons("aws:route53/record:Record", values({"zoneId": "Z1", "type": "A"}))
        assert found == ["`name`: missing required property"]


class TestCreate:
    @ALL
    def test_a_preview_knows_inputs_and_nothing_that_only_aws_can_tell(self, token: str) -> None:
        response = create(token, preview=True)
        assert response.resource_id == ""
        assert is_unknown(response.properties["arn"])
        for name, value in values(INPUTS[token]).items():
            given, echoed = members(value), members(response.properties[name])
            if given is not None and echoed is not None:
                assert given.items() <= echoed.items()
            else:
                assert response.properties[name] == value

    @ALL
    def test_a_creation_knows_everything(self, token: str) -> None:
        response = create(token)
        assert response.resource_id
        assert not [name for name, value in response.properties.items() if "04da6b54" in str(value)]

    @ALL
    def test_two_rehearsals_of_a_resource_are_equal(self, token: str) -> None:
        one, again = create(token), create(token)
        assert (one.resource_id, one.properties) == (again.resource_id, again.properties)

    def test_two_unnamed_instances_of_one_cluster_are_two(self) -> None:
        inputs = values(
            {"clusterIdentifier": "live", "engine": "aurora-postgresql", "instanceClass": "db.r8g.large"}
        )
        instance = "aws:rds/clusterInstance:ClusterInstance"
        assert (
            create(instance, inputs, name="a").resource_id != create(instance, inputs, name="b").resource_id
        )

    def test_an_output_that_repeats_the_identifier_is_the_identifier(self) -> None:
        address = create("aws:ec2/eip:Eip", {})
        assert output(address, "allocationId") == address.resource_id

    def test_two_resources_with_the_same_inputs_are_two(self) -> None:
        assert create(SUBNET, name="a").resource_id != create(SUBNET, name="b").resource_id

    @pytest.mark.parametrize(
        ("token", "pattern"),
        [
            (VPC, r"vpc-[0-9a-f]{17}"),
            (SUBNET, r"subnet-[0-9a-f]{17}"),
            (SECURITY_GROUP, r"sg-[0-9a-f]{17}"),
            (CLUSTER, "live"),
            (
                LOAD_BALANCER,
                r"arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/web/[0-9a-f]{16}",
            ),
            (LISTENER_RULE, LISTENER.replace(":listener/", ":listener-rule/") + r"/[0-9a-f]{16}"),
            (
                TARGET_GROUP,
                r"arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/blue/[0-9a-f]{16}",
            ),
            (BUCKET, "quikapp-files"),
            (DATABASE, "live"),
            (ROLE, "nodes"),
            (CERTIFICATE, r"arn:aws:acm:eu-west-1:123456789012:certificate/[0-9a-f-]{36}"),
        ],
    )
    def test_an_identifier_has_the_form_of_aws(self, token: str, pattern: str) -> None:
        assert re.fullmatch(pattern, str(create(token).resource_id))

    @pytest.mark.parametrize(
        ("token", "arn"),
        [
            (ROLE, "arn:aws:iam::123456789012:role/nodes"),
            (BUCKET, "arn:aws:s3:::quikapp-files"),
            (CLUSTER, "arn:aws:eks:eu-west-1:123456789012:cluster/live"),
            (DATABASE, "arn:aws:rds:eu-west-1:123456789012:cluster:live"),
        ],
    )
    def test_an_arn_carries_region_and_account_unless_the_service_is_global(
        self, token: str, arn: str
    ) -> None:
        assert output(create(token), "arn") == arn

    @pytest.mark.parametrize(
        ("token", "path", "pattern"),
        [
            (LOAD_BALANCER, "dnsName", r"web-\d{10}\.eu-west-1\.elb\.amazonaws\.com"),
            (LOAD_BALANCER, "zoneId", r"Z[A-Z0-9]{20}"),
            (CLUSTER, "endpoint", r"https://[0-9A-F]{32}\.gr7\.eu-west-1\.eks\.amazonaws\.com"),
            (
                CLUSTER,
                "identities[0].oidcs[0].issuer",
                r"https://oidc\.eks\.eu-west-1\.amazonaws\.com/id/[0-9A-F]{32}",
            ),
            (CLUSTER, "vpcConfig.clusterSecurityGroupId", r"sg-[0-9a-f]{17}"),
            (DATABASE, "endpoint", r"live\.cluster-[0-9a-f]{12}\.eu-west-1\.rds\.amazonaws\.com"),
            (DATABASE, "readerEndpoint", r"live\.cluster-ro-[0-9a-f]{12}\.eu-west-1\.rds\.amazonaws\.com"),
            (DATABASE, "clusterResourceId", r"cluster-[A-Z0-9]{26}"),
            (BUCKET, "bucketRegionalDomainName", r"quikapp-files\.s3\.eu-west-1\.amazonaws\.com"),
            (VPC, "defaultSecurityGroupId", r"sg-[0-9a-f]{17}"),
            (VPC, "mainRouteTableId", r"rtb-[0-9a-f]{17}"),
            (VPC, "ownerId", "123456789012"),
        ],
    )
    def test_a_computed_output_has_the_form_of_aws(self, token: str, path: str, pattern: str) -> None:
        assert re.fullmatch(pattern, str(output(create(token), path)))

    def test_the_port_is_the_engines(self) -> None:
        assert output(create(DATABASE), "port") == 5432

    def test_a_certificate_asks_for_one_record_per_domain(self) -> None:
        response = create(CERTIFICATE)
        domains = [output(response, f"domainValidationOptions[{i}].domainName") for i in range(2)]
        assert domains == ["example.com", "www.example.com"]
        assert len(elements(response.properties["domainValidationOptions"]) or ()) == 2

    def test_rules_that_nobody_gave_are_none(self) -> None:
        assert output(create(SECURITY_GROUP), "ingress") == []

    def test_all_tags_are_the_tags(self) -> None:
        assert output(create(VPC), "tagsAll") == {"Name": "main"}
        assert output(create(SUBNET), "tagsAll") == {}

    def test_the_region_of_a_resource_comes_before_the_providers(self) -> None:
        response = create(VPC, values({**INPUTS[VPC], "region": "eu-central-1"}))
        assert output(response, "region") == "eu-central-1"
        assert str(output(response, "arn")).startswith("arn:aws:ec2:eu-central-1:")
        assert output(create(VPC, preview=True), "region") == "eu-west-1"


class TestSecrets:
    def test_an_output_that_echoes_a_secret_stays_secret(self) -> None:
        inputs = values(INPUTS[VPC]) | {"cidrBlock": PropertyValue("10.9.0.0/16").with_secret(True)}
        assert create(VPC, inputs).properties["cidrBlock"].is_secret

    def test_a_secret_inside_an_object_stays_secret_when_the_object_is_completed(self) -> None:
        subnets = property_value(["subnet-1"]).with_secret(True)
        inputs = values(INPUTS[CLUSTER]) | {"vpcConfig": PropertyValue({"subnetIds": subnets})}
        completed = members(create(CLUSTER, inputs).properties["vpcConfig"])
        assert completed is not None
        assert completed["subnetIds"].is_secret

    def test_what_the_sdk_calls_secret_is_secret_even_when_given_in_the_open(self) -> None:
        inputs = values({**INPUTS[DATABASE], "masterPassword": "hunter2"})
        assert create(DATABASE, inputs).properties["masterPassword"].is_secret

    def test_nothing_that_is_made_up_carries_a_secret(self) -> None:
        inputs = values(INPUTS[BUCKET]) | {"bucket": PropertyValue("hunter2-bucket").with_secret(True)}
        response = create(BUCKET, inputs)
        assert "hunter2" not in str(response.resource_id)
        open_values = [value for value in response.properties.values() if not value.is_secret]
        assert "hunter2" not in str([public(value) for value in open_values])

    def test_tags_that_are_secret_are_secret_among_all_tags(self) -> None:
        inputs = values(INPUTS[VPC]) | {"tags": property_value({"a": "b"}).with_secret(True)}
        assert create(VPC, inputs).properties["tagsAll"].is_secret


class TestDiff:
    @ALL
    def test_equal_inputs_change_nothing(self, token: str) -> None:
        inputs = values(INPUTS[token])
        created = create(token, inputs)
        response = diff(
            token, inputs, inputs, identifier=str(created.resource_id), outputs=created.properties
        )
        assert response.changes is False
        assert response.detailed_diff == {}

    def test_a_secret_and_the_same_value_in_the_open_are_no_difference(self) -> None:
        inputs = values(INPUTS[VPC])
        assert (
            diff(VPC, inputs, inputs | {"cidrBlock": inputs["cidrBlock"].with_secret(True)}).changes is False
        )

    def test_one_weight_is_one_update_at_its_path(self) -> None:
        changed = json.loads(json.dumps(INPUTS[LISTENER_RULE]))
        changed["actions"][0]["forward"]["targetGroups"][1]["weight"] = 5
        response = diff(LISTENER_RULE, values(INPUTS[LISTENER_RULE]), values(changed))
        assert {path: found.kind for path, found in response.detailed_diff.items()} == {
            "actions[0].forward.targetGroups[1].weight": PropertyDiffKind.UPDATE
        }
        assert response.replaces == []

    def test_what_is_added_and_removed_is_told_apart(self) -> None:
        response = diff(VPC, values({"tags": {"a": "1", "b": "2"}}), values({"tags": {"b": "2", "c": "3"}}))
        assert {path: found.kind for path, found in response.detailed_diff.items()} == {
            "tags.a": PropertyDiffKind.DELETE,
            "tags.c": PropertyDiffKind.ADD,
        }

    def test_an_unknown_new_value_is_a_change(self) -> None:
        assert diff(VPC, values(INPUTS[VPC]), {**values(INPUTS[VPC]), "tags": COMPUTED}).changes is True

    @pytest.mark.parametrize(
        ("token", "changed"),
        [
            (CLUSTER, {"bootstrapSelfManagedAddons": False}),
            (CLUSTER, {"name": "other"}),
            (BUCKET, {"bucket": "other"}),
            (TARGET_GROUP, {"name": "other"}),
            (TARGET_GROUP, {"port": 8080}),
            (LISTENER_RULE, {"listenerArn": "arn:other"}),
            (SECURITY_GROUP, {"description": "another"}),
            (VPC, {"cidrBlock": "10.1.0.0/16"}),
            (VPC, {"region": "eu-central-1"}),
        ],
    )
    def test_what_cannot_change_in_place_replaces(self, token: str, changed: Mapping[str, Json]) -> None:
        created = create(token)
        response = diff(
            token,
            values(INPUTS[token]),
            values({**INPUTS[token], **changed}),
            identifier=str(created.resource_id),
            outputs=created.properties,
        )
        assert response.replaces == list(changed)
        assert response.delete_before_replace is False

    def test_naming_the_providers_own_region_changes_nothing(self) -> None:
        created = create(VPC)
        response = diff(
            VPC,
            values(INPUTS[VPC]),
            values({**INPUTS[VPC], "region": "eu-west-1"}),
            outputs=created.properties,
        )
        assert response.changes is False

    def test_a_replacement_gets_another_name_and_another_identifier(self) -> None:
        one = recorder()
        named = check(SECURITY_GROUP, {}, by=one).inputs or {}
        created = create(SECURITY_GROUP, named, by=one)
        diff(
            SECURITY_GROUP, named, {}, identifier=str(created.resource_id), outputs=created.properties, by=one
        )
        renamed = check(SECURITY_GROUP, {}, by=one).inputs or {}
        assert renamed["name"] != named["name"]
        assert create(SECURITY_GROUP, renamed, by=one).resource_id != created.resource_id

    def test_another_region_of_the_provider_replaces_its_resources(self) -> None:
        old, new = values({"region": "eu-west-1"}), values({"region": "eu-central-1"})
        response = asyncio.run(recorder().diff_config(DiffRequest("", "", old, new, [])))
        assert response.replaces == ["region"]
        assert asyncio.run(recorder().diff_config(DiffRequest("", "", old, old, []))).replaces == []


class TestUpdate:
    def test_identifiers_and_all_else_that_was_computed_stay(self) -> None:
        created = create(CLUSTER)
        news = values({**INPUTS[CLUSTER], "tags": {"a": "b"}})
        request = UpdateRequest(urn(CLUSTER), "live", created.properties, news, 0, [], preview=True)
        updated = asyncio.run(recorder().update(request)).properties
        assert {name for name, value in updated.items() if value != created.properties.get(name)} == {
            "tags",
            "tagsAll",
        }

    def test_an_optional_input_that_is_gone_is_gone_from_the_outputs(self) -> None:
        created = create(VPC)
        request = UpdateRequest(
            urn(VPC), "id", created.properties, values({"cidrBlock": "10.0.0.0/16"}), 0, [], False
        )
        updated = asyncio.run(recorder().update(request)).properties
        assert "tags" not in updated
        assert public(updated["tagsAll"]) == {}


class TestWorld:
    WORLD: ClassVar[World] = {
        CLUSTER: {"endpoint": "https://127.0.0.1:6443", "certificateAuthority": {"data": "Q0E="}}
    }

    def test_what_is_real_is_known_already_in_a_preview(self) -> None:
        response = create(CLUSTER, preview=True, by=recorder(self.WORLD))
        assert output(response, "endpoint") == "https://127.0.0.1:6443"
        assert output(response, "certificateAuthority.data") == "Q0E="
        assert is_unknown(response.properties["arn"])

    def test_what_is_real_replaces_only_what_it_names(self) -> None:
        response = create(CLUSTER, by=recorder({CLUSTER: {"vpcConfig": {"vpcId": "vpc-real"}}}))
        assert output(response, "vpcConfig.vpcId") == "vpc-real"
        assert output(response, "vpcConfig.subnetIds[0]") == "subnet-1"

    def test_a_world_that_moved_is_an_update(self) -> None:
        created = create(CLUSTER)
        inputs = values(INPUTS[CLUSTER])
        response = diff(CLUSTER, inputs, inputs, outputs=created.properties, by=recorder(self.WORLD))
        assert sorted(response.detailed_diff) == ["certificateAuthority", "endpoint"]
        assert response.replaces == []

    def test_the_world_is_read_from_the_file_that_the_environment_names(self, tmp_path: Path) -> None:
        file = tmp_path / "world.json"
        file.write_text(json.dumps(self.WORLD))
        assert load_world({"REHEARSAL_WORLD": str(file)}) == self.WORLD
        assert load_world({}) == {}

    @pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', "{"])
    def test_a_world_that_is_none_is_refused_with_the_files_name(self, tmp_path: Path, text: str) -> None:
        file = tmp_path / "world.json"
        file.write_text(text)
        with pytest.raises(SchemaError, match=r"world\.json"):
            load_world({"REHEARSAL_WORLD": str(file)})


class TestReadAndInvoke:
    def test_a_refresh_says_what_the_state_says(self) -> None:
        created, inputs = create(VPC), values(INPUTS[VPC])
        request = ReadRequest(urn(VPC), str(created.resource_id), created.properties, inputs)
        response = asyncio.run(recorder().read(request))
        assert (response.resource_id, response.properties, response.inputs) == (
            created.resource_id,
            created.properties,
            inputs,
        )

    def test_an_import_is_refused_by_name(self) -> None:
        with pytest.raises(Refusal, match="`vpc-1` would ask a real account"):
            asyncio.run(recorder().read(ReadRequest(urn(VPC), "vpc-1", {}, {})))

    def test_an_invoke_is_refused_by_name(self) -> None:
        response = asyncio.run(
            recorder().invoke(InvokeRequest("aws:index/getCallerIdentity:getCallerIdentity", {}))
        )
        assert [failure.reason for failure in response.failures] == [
            "rehearsal: aws:index/getCallerIdentity:getCallerIdentity would ask a real account"
        ]


class TestConfigure:
    def test_secrets_are_asked_for_as_secrets_and_previews_as_previews(self) -> None:
        response = asyncio.run(Recorder(SCHEMA, {}).configure(ConfigureRequest({}, {}, True, True)))
        assert response.accept_secrets
        assert response.supports_preview

    def test_a_provider_without_a_region_is_refused_with_the_command_that_sets_one(self) -> None:
        response = asyncio.run(Recorder(SCHEMA, {}).check_config(CheckRequest("", {}, {}, b"")))
        assert [failure.property for failure in response.failures or []] == ["region"]
        assert "pulumi config set aws:region" in (response.failures or [])[0].reason

    def test_a_region_known_only_later_leaves_the_region_unknown(self) -> None:
        assert is_unknown(create(VPC, preview=True, by=recorder(region=COMPUTED)).properties["region"])


@pytest.mark.parametrize(
    ("token", "inputs", "secrets"),
    [
        # The deprecation notes of this class run on at the margin.
        (
            "pagerduty:index/service:Service",
            {"escalationPolicy", "incidentUrgencyRule", "supportHours"},
            set[str](),
        ),
        ("random:index/randomPassword:RandomPassword", {"length"}, {"bcryptHash", "result"}),
        (
            "tls:index/privateKey:PrivateKey",
            {"algorithm"},
            {"privateKeyOpenssh", "privateKeyPem", "privateKeyPemPkcs8"},
        ),
    ],
)
def test_the_schema_of_other_sdks_is_read_whole(token: str, inputs: set[str], secrets: set[str]) -> None:
    read = Schema(token.partition(":")[0]).resource(token)
    assert inputs <= read.inputs.keys()
    assert read.secrets == secrets
