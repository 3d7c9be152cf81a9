"""Encryption: at rest with a key where AWS lets one choose, in flight from the first byte."""

from collections.abc import Iterator
from typing import Final

from operations.guardrails import TLS_POLICY_PREFIXES
from policy.resources import Hidden, Resource, Rule, Violation, items, mapping

_SWITCHES: Final = {
    "aws:rds/cluster:Cluster": "storageEncrypted",
    "aws:rds/instance:Instance": "storageEncrypted",
    "aws:ebs/volume:Volume": "encrypted",
    "aws:efs/fileSystem:FileSystem": "encrypted",
}
"""What is encrypted at rest only where an input says so."""

_KEYS: Final = {
    "aws:rds/cluster:Cluster": ("kmsKeyId",),
    "aws:rds/instance:Instance": ("kmsKeyId",),
    "aws:backup/vault:Vault": ("kmsKeyArn",),
    "aws:eks/cluster:Cluster": ("encryptionConfig", "provider", "keyArn"),
}
"""What holds data of value, and so is encrypted with a key of the stack's own."""


def _at_rest(resource: Resource) -> Iterator[Violation]:
    switch = _SWITCHES.get(resource.type)
    if switch and resource.at(switch) not in (True, *Hidden):
        yield resource.breaks(switch, resource.at(switch), "true")
    path = _KEYS.get(resource.type)
    if path and not resource.at(*path):
        yield resource.breaks(".".join(path), resource.at(*path), "a key of the stack's own")
    if resource.type == "aws:eks/cluster:Cluster":
        encrypted = resource.at("encryptionConfig", "resources")
        if not isinstance(encrypted, Hidden) and "secrets" not in items(encrypted):
            yield resource.breaks("encryptionConfig.resources", encrypted, '["secrets"]')
    if resource.kind == "StorageClass" and resource.at("parameters", "encrypted") not in ("true", *Hidden):
        yield resource.breaks("parameters.encrypted", resource.at("parameters", "encrypted"), '"true"')


def _in_flight(resource: Resource) -> Iterator[Violation]:
    if resource.type == "aws:lb/listener:Listener":
        yield from _listener(resource)
    if resource.type == "aws:rds/clusterParameterGroup:ClusterParameterGroup":
        forced = {
            mapping(each).get("name"): mapping(each).get("value") for each in items(resource.at("parameters"))
        }.get("rds.force_ssl")
        if forced not in ("1", *Hidden):
            yield resource.breaks("parameters: rds.force_ssl", forced, '"1"')


def _listener(listener: Resource) -> Iterator[Violation]:
    protocol = listener.at("protocol")
    if isinstance(protocol, Hidden):
        return
    if protocol in ("HTTPS", "TLS"):
        policy = listener.at("sslPolicy")
        if not isinstance(policy, Hidden) and not str(policy).startswith(TLS_POLICY_PREFIXES):
            allowed = " or ".join(f"{prefix}…" for prefix in TLS_POLICY_PREFIXES)
            yield listener.breaks("sslPolicy", policy, allowed)
        return
    for place, action in enumerate(items(listener.at("defaultActions"))):
        if mapping(mapping(action).get("redirect")).get("protocol") not in ("HTTPS", *Hidden):
            yield listener.breaks(
                f"defaultActions[{place}].type",
                mapping(action).get("type"),
                f"a redirect to HTTPS, since the listener speaks {protocol}",
            )


RULES: Final = (
    Rule(
        name="encrypted-at-rest",
        description="Data are encrypted where they lie, those of value with a key of the stack's own.",
        check=_at_rest,
    ),
    Rule(
        name="encrypted-in-flight",
        description="Nothing is listened to, and no database is spoken to, without TLS 1.2 or newer.",
        check=_in_flight,
    ),
)
