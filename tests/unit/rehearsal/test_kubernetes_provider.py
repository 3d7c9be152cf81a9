"""The parts of the Kubernetes provider that need no cluster: names, differences, readiness, stand-ins, secrets."""

import asyncio
from typing import Any, cast

import pulumi
import pytest
from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.provider.experimental.provider import CheckRequest, DiffRequest, InvokeRequest
from pulumi.runtime import rpc

from rehearsal.providers.kube_client import Access, ApiError, Kind, KubeconfigError
from rehearsal.providers.kube_diff import Change, compare, spelled
from rehearsal.providers.kube_manifests import from_manifest, redacted, secret_texts, to_manifest
from rehearsal.providers.kube_objects import (
    field_manager,
    identifier,
    is_managed_by,
    live_inputs,
    named,
    outputs,
    quantity,
    title,
)
from rehearsal.providers.kube_readiness import judged
from rehearsal.providers.kube_schema import Schemas, concerns, steps
from rehearsal.providers.kubernetes import KubernetesProvider
from rehearsal.providers.server import EngineLog, Refusal
from rehearsal.providers.values import UNKNOWN, Object, holds_unknown, plain


def properties(thing: Any) -> PropertyValue:
    """JSON as the engine sends it: every number a float."""
    if isinstance(thing, PropertyValue):
        return thing
    if isinstance(thing, dict):
        return PropertyValue({key: properties(value) for key, value in cast(Object, thing).items()})
    if isinstance(thing, list):
        return PropertyValue([properties(item) for item in cast("list[Any]", thing)])
    return PropertyValue(float(thing) if isinstance(thing, int) and not isinstance(thing, bool) else thing)


def property_map(thing: Object) -> dict[str, PropertyValue]:
    return {key: properties(value) for key, value in thing.items()}


def manifest(kind: str = "ConfigMap", api_version: str = "v1", **fields: Any) -> Object:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "thing"}, **fields}


def deployment(status: Object, **spec: Any) -> Object:
    found = manifest("Deployment", "apps/v1", spec={"replicas": 2, **spec}, status=status)
    found["metadata"]["generation"] = 3
    return found


AVAILABLE = {"type": "Available", "status": "True"}
ROLLED_OUT = {
    "observedGeneration": 3,
    "replicas": 2,
    "updatedReplicas": 2,
    "availableReplicas": 2,
    "conditions": [AVAILABLE],
}


class TestNames:
    def test_an_object_without_a_name_gets_one_that_is_marked_as_made_up(self) -> None:
        found = named({"kind": "ConfigMap"}, {}, "settings", b"seed")
        name = found["metadata"]["name"]
        assert name.startswith("settings-")
        assert len(name) == len("settings-") + 8
        assert found["metadata"]["annotations"] == {"pulumi.com/autonamed": "true"}
        assert named({"kind": "ConfigMap"}, {}, "settings", b"seed") == found

    def test_a_made_up_name_stays_and_a_given_one_does_not(self) -> None:
        made_up = named({}, {}, "settings", b"")
        assert named({}, made_up, "settings", b"other") == made_up
        given = {"metadata": {"name": "given"}}
        assert named({}, given, "settings", b"")["metadata"]["name"] != "given"

    def test_a_given_name_is_kept_known_or_not(self) -> None:
        for name in ("given", UNKNOWN):
            thing: Object = {"metadata": {"name": name}}
            assert named(thing, {}, "settings", b"") == thing

    def test_the_field_manager_is_derived_annotated_or_as_it_was(self) -> None:
        derived = field_manager("urn:a", {}, {})
        assert derived.startswith("pulumi-kubernetes-")
        assert derived == field_manager("urn:a", {}, {}) != field_manager("urn:b", {}, {})
        assert field_manager("urn:a", {}, {"__fieldManager": "before"}) == "before"
        annotated = {"metadata": {"annotations": {"pulumi.com/patchFieldManager": "mine"}}}
        assert field_manager("urn:a", annotated, {"__fieldManager": "before"}) == "mine"

    def test_only_what_a_manager_applied_is_its_own(self) -> None:
        live = {"metadata": {"managedFields": [{"manager": "a", "operation": "Apply"}, {"manager": "b"}]}}
        assert is_managed_by(live, "a")
        assert not is_managed_by(live, "b")

    def test_identifiers_and_titles_carry_the_namespace(self) -> None:
        assert identifier({"metadata": {"name": "web", "namespace": "green"}}) == "green/web"
        assert identifier({"metadata": {"name": "green"}}) == "green"
        assert title({"kind": "Deployment", "metadata": {"name": UNKNOWN}}) == "Deployment (not named yet)"


class TestDifferences:
    @pytest.mark.parametrize(
        ("kind", "api_version", "old", "new", "field"),
        [
            ("Deployment", "apps/v1", {"spec": {"selector": {"a": "1"}}}, {"spec": {"selector": {"a": "2"}}}, "spec.selector.a"),
            ("StatefulSet", "apps/v1", {"spec": {"serviceName": "a"}}, {"spec": {"serviceName": "b"}}, "spec.serviceName"),
            ("Job", "batch/v1", {"spec": {"template": {"a": 1}}}, {"spec": {"template": {"a": 2}}}, "spec.template.a"),
            ("Service", "v1", {"spec": {"clusterIP": "None"}}, {"spec": {}}, "spec.clusterIP"),
            ("Service", "v1", {"spec": {"clusterIP": "None"}}, {}, "spec"),
            ("ConfigMap", "v1", {"data": {"a": "1"}}, {"data": {"a": "1", "b": "2"}}, "data.b"),
            ("Secret", "v1", {"stringData": {"a": "1"}}, {"stringData": {"a": "2"}}, "stringData.a"),
            ("PersistentVolumeClaim", "v1", {"spec": {"storageClassName": "a"}}, {"spec": {"storageClassName": "b"}}, "spec.storageClassName"),
            ("RoleBinding", "rbac.authorization.k8s.io/v1", {"roleRef": {"name": "a"}}, {"roleRef": {"name": "b"}}, "roleRef.name"),
            ("Role", "rbac.authorization.k8s.io/v1", {"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}, "metadata.name"),
        ],
    )  # fmt: skip
    def test_a_field_that_cannot_change_replaces_the_object(
        self, kind: str, api_version: str, old: Object, new: Object, field: str
    ) -> None:
        found = compare(manifest(kind, api_version, **old), manifest(kind, api_version, **new))
        assert {spelled(path) for path in found.replacing} == {field}

    @pytest.mark.parametrize(
        ("kind", "api_version", "old", "new"),
        [
            ("Deployment", "apps/v1", {"spec": {"replicas": 1}}, {"spec": {"replicas": 2}}),
            ("Service", "v1", {"spec": {"ports": []}}, {"spec": {"ports": [1]}}),
            ("Service", "v1", {"spec": {"ports": []}}, {}),
            ("Thing", "example.com/v1", {"spec": {"selector": 1}}, {"spec": {"selector": 2}}),
        ],
    )
    def test_any_other_field_changes_in_place(
        self, kind: str, api_version: str, old: Object, new: Object
    ) -> None:
        found = compare(manifest(kind, api_version, **old), manifest(kind, api_version, **new))
        assert found.changes
        assert not found.replacing

    def test_data_changes_in_place_when_the_provider_says_so_unless_it_is_immutable(self) -> None:
        old, new = manifest(data={"a": "1"}), manifest(data={"a": "2"})
        assert not compare(old, new, frozenset({"ConfigMap"})).replacing
        assert compare(
            old | {"immutable": True}, new | {"immutable": True}, frozenset({"ConfigMap"})
        ).replacing

    def test_the_old_object_goes_first_only_when_both_have_the_same_given_name(self) -> None:
        old, new = manifest(data={"a": "1"}), manifest(data={"a": "2"})
        assert compare(old, new).delete_first
        assert not compare(old, new | {"metadata": {"name": "other"}}).delete_first
        made_up = {"metadata": {"name": "thing", "annotations": {"pulumi.com/autonamed": "true"}}}
        assert not compare(old | made_up, new | made_up).delete_first

    def test_the_default_namespace_said_or_not_is_the_same(self) -> None:
        said = manifest() | {"metadata": {"name": "thing", "namespace": "default"}}
        assert not compare(manifest(), said).changes

    def test_changes_are_found_where_they_are(self) -> None:
        old: Object = {"spec": {"a": [{"b": 1}, {"c": 1}], "gone": 1, "same": True}}
        new: Object = {"spec": {"a": [{"b": 2}], "come": UNKNOWN, "same": True}}
        assert compare(old, new).changes == {
            ("spec", "a", 0, "b"): Change.UPDATE,
            ("spec", "a", 1): Change.DELETE,
            ("spec", "come"): Change.ADD,
            ("spec", "gone"): Change.DELETE,
        }

    def test_paths_are_spelled_as_the_engine_does(self) -> None:
        assert spelled(("spec", "a", 0, "b.c/d")) == 'spec.a[0]["b.c/d"]'


class TestLiveInputs:
    def test_what_only_the_server_set_is_left_out_and_what_others_changed_is_found(self) -> None:
        inputs = {"spec": {"replicas": 1, "containers": [{"name": "a", "image": "a:1"}], "gone": 1}}
        live: Object = {
            "spec": {
                "replicas": 2,
                "containers": [
                    {"name": "injected"},
                    {"name": "a", "image": "a:1", "imagePullPolicy": "Always"},
                ],
                "strategy": {},
            },
            "status": {},
        }
        assert live_inputs(live, inputs) == {
            "spec": {"replicas": 2, "containers": [{"name": "a", "image": "a:1"}]}
        }

    def test_a_quantity_keeps_its_spelling_until_its_value_changes(self) -> None:
        inputs = {"limits": {"cpu": "1000m"}, "labels": {"size": "1000m"}}
        live = {"limits": {"cpu": "1"}, "labels": {"size": "1"}}
        assert live_inputs(live, inputs) == {"limits": {"cpu": "1000m"}, "labels": {"size": "1"}}
        assert live_inputs({"limits": {"cpu": "2"}}, inputs) == {"limits": {"cpu": "2"}}

    def test_members_that_share_a_name_are_paired_by_what_tells_them_apart(self) -> None:
        mounts = [
            {"name": "config", "mountPath": "/roles", "subPath": "roles"},
            {"name": "config", "mountPath": "/users", "subPath": "users"},
        ]
        assert live_inputs({"mounts": mounts}, {"mounts": mounts}) == {"mounts": mounts}

    def test_an_empty_list_is_there_although_the_server_leaves_it_out(self) -> None:
        assert live_inputs({"types": ["Egress"]}, {"types": ["Egress"], "egress": []}) == {
            "types": ["Egress"],
            "egress": [],
        }
        assert live_inputs({"egress": [{"to": []}]}, {"egress": []}) == {"egress": [{"to": []}]}

    def test_the_string_data_of_a_secret_is_read_from_its_data(self) -> None:
        live = manifest("Secret", data={"a": "Yg==", "other": "Yg=="})
        assert live_inputs(live, manifest("Secret", stringData={"a": "x"}))["stringData"] == {"a": "b"}

    @pytest.mark.parametrize(
        ("one", "other"),
        [("1000m", "1"), ("1Gi", "1073741824"), ("1e3", "1k"), (1, "1"), ("0.5", "500m"), ("1024Ki", "1Mi")],
    )
    def test_quantities_are_equal_when_their_numbers_are(self, one: Any, other: Any) -> None:
        assert quantity(one) == quantity(other) is not None

    def test_no_quantity_is_made_of_other_texts(self) -> None:
        assert quantity("1 Gi") is quantity("v1") is quantity("") is None

    def test_the_state_keeps_no_bookkeeping_of_managers_and_of_kubectl(self) -> None:
        last = "kubectl.kubernetes.io/last-applied-configuration"
        live: Object = {
            "metadata": {"name": "a", "managedFields": [{}], "annotations": {last: "{}", "b": "c"}}
        }
        assert outputs(live) == {"metadata": {"name": "a", "annotations": {"b": "c"}}}


class TestReadiness:
    def test_a_deployment_is_ready_when_all_replicas_are_new_and_available(self) -> None:
        assert judged(deployment(ROLLED_OUT)).ready

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            ({"observedGeneration": 2}, "the controller has not seen it yet"),
            ({"updatedReplicas": 1}, "1 of 2 replicas available"),
            ({"availableReplicas": 1}, "1 of 2 replicas available"),
            ({"replicas": 3}, "1 old replicas are still to go"),
            ({"conditions": [{"type": "Available", "status": "False"}]}, "not enough replicas available"),
        ],
    )
    def test_a_deployment_in_the_middle_of_a_rollout_is_not_ready(self, change: Object, why: str) -> None:
        verdict = judged(deployment(ROLLED_OUT | change))
        assert (verdict.ready, verdict.why, verdict.hopeless) == (False, why, False)

    def test_a_deployment_with_no_replicas_is_ready(self) -> None:
        assert judged(deployment({"observedGeneration": 3, "conditions": [AVAILABLE]}, replicas=0)).ready

    def test_a_deployment_past_its_deadline_is_hopeless(self) -> None:
        late = {"type": "Progressing", "reason": "ProgressDeadlineExceeded", "message": "too late"}
        assert judged(deployment(ROLLED_OUT | {"conditions": [late]})).hopeless

    def test_a_deployment_says_why_no_pod_can_be_made(self) -> None:
        failure = {"type": "ReplicaFailure", "status": "True", "message": "quota"}
        verdict = judged(deployment({"observedGeneration": 3, "conditions": [failure]}))
        assert verdict.why == "0 of 2 replicas available (quota)"

    def test_a_stateful_set_is_ready_when_its_replicas_are_of_the_newest_revision(self) -> None:
        status = {"readyReplicas": 1, "replicas": 1, "currentRevision": "a", "updateRevision": "a"}
        assert judged(manifest("StatefulSet", "apps/v1", spec={"replicas": 1}, status=status)).ready
        behind = status | {"updateRevision": "b"}
        assert not judged(manifest("StatefulSet", "apps/v1", spec={"replicas": 1}, status=behind)).ready

    def test_a_daemon_set_is_ready_when_every_node_is_served(self) -> None:
        status = {"desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 2}
        assert judged(manifest("DaemonSet", "apps/v1", status=status)).ready
        assert not judged(manifest("DaemonSet", "apps/v1", status=status | {"numberAvailable": 1})).ready

    def test_a_service_waits_for_the_pods_that_it_selects_and_for_no_others(self) -> None:
        service = manifest("Service", spec={"selector": {"app": "web"}})
        ready, pending = {"conditions": {"ready": True}}, {"conditions": {"ready": False}}
        going = {"conditions": {"ready": False, "terminating": True}}
        assert not judged(service, []).ready
        assert judged(service, [{"endpoints": None}]).ready
        assert judged(service, [{"endpoints": [ready, going]}]).ready
        assert not judged(service, [{"endpoints": [ready, pending]}]).ready

    @pytest.mark.parametrize(
        "spec", [{}, {"selector": {"a": "b"}, "clusterIP": "None"}, {"type": "ExternalName"}]
    )
    def test_a_service_that_directs_no_traffic_itself_is_ready_at_once(self, spec: Object) -> None:
        assert judged(manifest("Service", spec=spec), []).ready

    def test_a_service_waits_for_its_load_balancer(self) -> None:
        assert not judged(manifest("Service", spec={"type": "LoadBalancer"}), []).ready

    def test_a_claim_waits_unless_its_class_waits_for_a_pod(self) -> None:
        claim = manifest("PersistentVolumeClaim", status={"phase": "Pending"})
        assert not judged(claim).ready
        assert judged(claim, [{"volumeBindingMode": "WaitForFirstConsumer"}]).ready
        assert judged(claim | {"status": {"phase": "Bound"}}).ready

    def test_a_failed_job_and_a_failed_pod_are_hopeless(self) -> None:
        failed = {"conditions": [{"type": "Failed", "status": "True"}]}
        assert judged(manifest("Job", "batch/v1", status=failed)).hopeless
        assert judged(manifest("Pod", status={"phase": "Failed"})).hopeless

    def test_a_pod_says_what_keeps_it(self) -> None:
        waiting = {
            "name": "web",
            "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}},
        }
        verdict = judged(manifest("Pod", status={"containerStatuses": [waiting]}))
        assert verdict.why == "container web: ImagePullBackOff no such image"

    def test_a_kind_that_is_never_waited_for_is_ready_at_once(self) -> None:
        assert judged(manifest()).ready
        assert judged(manifest("TargetGroupBinding", "eks.amazonaws.com/v1")).ready


class TestStandIns:
    SCHEMAS = Schemas(
        {
            "components": {
                "schemas": {
                    "Thing": {
                        "x-kubernetes-group-version-kind": [{"group": "g", "version": "v1", "kind": "Thing"}],
                        "properties": {
                            "spec": {"allOf": [{"$ref": "#/components/schemas/Spec"}], "default": {}}
                        },
                    },
                    "Spec": {
                        "properties": {
                            "count": {"type": "integer"},
                            "name": {"type": "string"},
                            "on": {"type": "boolean"},
                            "mode": {"type": "string", "enum": ["A", "B"]},
                            "port": {"x-kubernetes-int-or-string": True},
                            "at": {"type": "string", "format": "date-time"},
                            "limits": {
                                "additionalProperties": {
                                    "$ref": "#/components/schemas/io.k8s.apimachinery.pkg.api.resource.Quantity"
                                }
                            },
                            "items": {"items": {"properties": {"size": {"type": "integer", "minimum": 5}}}},
                        }
                    },
                    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"oneOf": []},
                }
            }
        }
    )

    def test_each_unknown_value_gets_one_of_its_type(self) -> None:
        spec = dict.fromkeys(("count", "name", "on", "mode", "port", "at"), UNKNOWN)
        thing = {"spec": {**spec, "limits": {"cpu": UNKNOWN}, "items": [{"size": UNKNOWN}, {"size": 9}]}}
        filled, places = self.SCHEMAS.filled(thing, self.SCHEMAS.of_kind("g", "v1", "Thing"))
        assert filled["spec"] == {
            "count": 1,
            "name": "stand-in",
            "on": True,
            "mode": "A",
            "port": 1,
            "at": "2000-01-01T00:00:00Z",
            "limits": {"cpu": "1"},
            "items": [{"size": 5}, {"size": 9}],
        }
        assert len(places) == 8
        assert ("spec", "items", 0, "size") in places

    def test_a_kind_without_a_schema_gets_texts(self) -> None:
        assert self.SCHEMAS.filled({"a": UNKNOWN}, self.SCHEMAS.of_kind("g", "v1", "Other"))[0] == {
            "a": "stand-in"
        }

    def test_an_error_concerns_a_stand_in_at_it_below_it_and_around_it(self) -> None:
        places = [steps("spec.containers[0].image"), steps("metadata.labels[a.b/c]")]
        for field in ("spec.containers[0].image", "spec.containers[0].image.tag", "metadata.labels"):
            assert concerns(field, places)
        for field in ("spec.replicas", "spec.containers[1].image", "metadata.labels[other]", ""):
            assert not concerns(field, places)


class TestValues:
    def test_numbers_unknowns_and_nulls_become_json(self) -> None:
        sent = property_map({"a": 1, "b": 1.5, "c": True, "d": None, "e": rpc.UNKNOWN, "f": [1]})
        assert to_manifest(sent) == {"a": 1, "b": 1.5, "c": True, "e": UNKNOWN, "f": [1]}
        assert type(to_manifest(sent)["a"]) is int

    def test_an_unknown_value_is_found_wherever_it_stands(self) -> None:
        assert holds_unknown({"a": [{"b": UNKNOWN}]})
        assert not holds_unknown({"a": [{"b": 1}], "c": {}})

    def test_json_goes_back_as_the_engine_wants_it(self) -> None:
        assert from_manifest({"a": 1, "b": [True], "c": UNKNOWN}, {}) == property_map(
            {"a": 1, "b": [True], "c": rpc.UNKNOWN}
        )

    def test_fields_that_the_sdk_cannot_spell_are_translated(self) -> None:
        sent = property_map({"x_kubernetes_preserve_unknown_fields": True, "other_field": 1})
        assert to_manifest(sent) == {"x-kubernetes-preserve-unknown-fields": True, "other_field": 1}
        assert from_manifest(to_manifest(sent), {}) == sent

    def test_what_was_secret_stays_secret(self) -> None:
        like = property_map(
            {"a": {"b": properties("s").with_secret(True), "c": "p"}, "l": [properties(1).with_secret(True)]}
        )
        found = from_manifest({"a": {"b": "s", "c": "p", "d": "new"}, "l": [2, 1]}, like)
        inner = cast("dict[str, PropertyValue]", found["a"].value)
        assert inner["b"].is_secret
        assert not inner["c"].contains_secret()
        assert not inner["d"].contains_secret()
        assert found["l"].is_secret

    def test_the_data_of_a_secret_is_secret_whoever_says_otherwise(self) -> None:
        found = from_manifest(
            {"kind": "Secret", "data": {"a": "b"}, "stringData": {"a": "b"}, "type": "Opaque"}, {}
        )
        assert found["data"].is_secret
        assert found["stringData"].is_secret
        assert not found["type"].is_secret

    def test_the_data_of_a_secret_is_secret_inside_another_object_too(self) -> None:
        found = from_manifest({"kind": "List", "items": [{"kind": "Secret", "data": {"a": "b"}}]}, {})
        assert found["items"].contains_secret()

    def test_no_spelling_of_a_secret_stays_in_a_message(self) -> None:
        login = property_map(
            {"kind": "Secret", "data": {"a": "aHVudGVyMg=="}, "stringData": {"b": "swordfish"}}
        )
        secrets = secret_texts(login)
        message = "hunter2 aHVudGVyMg== swordfish c3dvcmRmaXNo Secret"
        assert redacted(message, secrets) == "[secret] [secret] [secret] [secret] Secret"

    def test_an_object_cannot_hold_an_asset(self) -> None:
        with pytest.raises(TypeError, match="StringAsset"):
            plain(PropertyValue(pulumi.StringAsset("a")))


class TestErrors:
    def test_a_message_of_the_server_is_one_line_without_its_preamble(self) -> None:
        body = (
            b'{"reason": "", "message": "failed to create typed patch object (a/b; apps/v1, Kind=Deployment): errors:\\n'
            b'  .spec.a: expected string, got &value.valueUnstructured{Value:3}\\n  .spec.b: field not declared in schema"}'
        )
        assert str(ApiError(500, body)) == (
            ".spec.a: expected string, got 3; .spec.b: field not declared in schema"
        )

    def test_an_answer_that_is_no_json_is_given_as_it_is(self) -> None:
        assert str(ApiError(502, b"bad  gateway")) == "bad gateway"

    def test_a_missing_namespace_is_told_from_a_missing_object(self) -> None:
        assert ApiError(404, b'{"details": {"kind": "namespaces"}}').namespace_is_missing
        assert not ApiError(404, b'{"details": {"kind": "pods"}}').namespace_is_missing


class TestAccess:
    KUBECONFIG = """
    current-context: here
    contexts: [{name: here, context: {cluster: here, user: me, namespace: green}}]
    clusters: [{name: here, cluster: {server: "http://127.0.0.1:1"}}]
    users: [{name: me, user: {%s}}]
    """

    def test_a_token_is_shown_to_the_server(self) -> None:
        access = Access.from_kubeconfig(self.KUBECONFIG % "token: abc")
        assert (access.endpoint, access.namespace) == ("http://127.0.0.1:1", "green")
        assert access.headers() == {"authorization": "Bearer abc"}

    def test_a_credential_plugin_is_asked(self) -> None:
        answer = '{"apiVersion": "client.authentication.k8s.io/v1beta1", "kind": "ExecCredential", "status": {"token": "abc"}}'
        plugin = (
            f"exec: {{apiVersion: client.authentication.k8s.io/v1beta1, command: echo, args: ['{answer}']}}"
        )
        assert Access.from_kubeconfig(self.KUBECONFIG % plugin).headers() == {"authorization": "Bearer abc"}

    def test_a_credential_plugin_that_gives_nothing_is_named(self) -> None:
        plugin = "exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: 'false', args: [token]}"
        with pytest.raises(KubeconfigError, match="credential plugin gives no credentials: false token"):
            Access.from_kubeconfig(self.KUBECONFIG % plugin)

    @pytest.mark.parametrize("text", ["[]", "{}", "/no/such/file", "a: b: c"])
    def test_what_is_no_kubeconfig_is_refused(self, text: str) -> None:
        with pytest.raises(KubeconfigError):
            Access.from_kubeconfig(text)

    def test_paths_follow_the_groups_and_scopes(self) -> None:
        assert Kind("", "v1", "Pod", "pods", True).path("a", "b") == "/api/v1/namespaces/b/pods/a"
        assert Kind("apps", "v1", "Deployment", "deployments", True).path() == (
            "/apis/apps/v1/namespaces/default/deployments"
        )
        assert Kind("", "v1", "Node", "nodes", False).path("a", "b") == "/api/v1/nodes/a"


class TestProvider:
    PROVIDER = KubernetesProvider(EngineLog("127.0.0.1:1"))

    def check(self, token: str, inputs: Object) -> tuple[Object, list[str]]:
        request = CheckRequest(f"urn:pulumi:s::p::{token}::web", {}, property_map(inputs), b"seed")
        answer = asyncio.run(self.PROVIDER.check(request))
        return to_manifest(answer.inputs or {}), [failure.reason for failure in answer.failures or []]

    def test_a_manifest_is_named_by_its_resource(self) -> None:
        inputs, failures = self.check(
            "kubernetes:core/v1:ConfigMap", {"apiVersion": "v1", "kind": "ConfigMap"}
        )
        assert inputs["metadata"]["name"].startswith("web-")
        assert not failures

    @pytest.mark.parametrize(
        ("token", "inputs", "reason"),
        [
            ("kubernetes:core/v1:ConfigMap", {"apiVersion": "v1"}, "it is required"),
            ("kubernetes:core/v1:ConfigMap", manifest(metadata="a"), "it must be a map"),
            (
                "kubernetes:core/v1:ConfigMap",
                manifest(metadata={"generateName": "a"}),
                "generateName cannot be used",
            ),
            ("kubernetes:core/v1:ConfigMapPatch", manifest(), "it has no Patch resources"),
            ("kubernetes:helm.sh/v3:Release", {}, "is not served by the rehearsal"),
        ],
    )
    def test_what_is_no_object_of_a_rehearsal_is_refused(
        self, token: str, inputs: Object, reason: str
    ) -> None:
        failures = self.check(token, inputs)[1]
        assert len(failures) == 1
        assert reason in failures[0]

    def test_an_invoke_is_refused(self) -> None:
        with pytest.raises(Refusal, match="kubernetes:helm:template is not served by the rehearsal"):
            asyncio.run(self.PROVIDER.invoke(InvokeRequest("kubernetes:helm:template", {})))

    @pytest.mark.parametrize(
        ("old", "new", "replaces"),
        [
            (
                {"clusterIdentifier": "a", "kubeconfig": "1"},
                {"clusterIdentifier": "a", "kubeconfig": "2"},
                [],
            ),
            ({"clusterIdentifier": "a"}, {"clusterIdentifier": "b"}, ["clusterIdentifier"]),
            ({"kubeconfig": "1"}, {"kubeconfig": "2"}, ["kubeconfig"]),
            ({"namespace": "a"}, {"namespace": "b"}, []),
        ],
    )
    def test_another_cluster_replaces_the_provider(
        self, old: Object, new: Object, replaces: list[str]
    ) -> None:
        request = DiffRequest(
            "urn:pulumi:s::p::pulumi:providers:kubernetes::k", "", property_map(old), property_map(new), []
        )
        assert asyncio.run(self.PROVIDER.diff_config(request)).replaces == replaces

    def test_applying_on_the_client_is_refused(self) -> None:
        config = property_map({"enableServerSideApply": "false"})
        request = CheckRequest("urn:pulumi:s::p::pulumi:providers:kubernetes::k", {}, config, b"")
        failures = asyncio.run(self.PROVIDER.check_config(request)).failures or []
        assert [failure.property for failure in failures] == ["enableServerSideApply"]
