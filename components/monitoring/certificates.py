"""Certificates of the stack's own making: an authority for each circle of programs that trust each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum, unique
from typing import Final

import pulumi
import pulumi_tls as tls

AUTHORITY_LIFE: Final = timedelta(days=3650)
AUTHORITY_RENEWAL: Final = timedelta(days=730)
"""From this long before its end on, an update makes an authority's certificate anew. Its key stays, so certificates
that it signed before stay good, and old and new certificates of one circle meet without an outage."""

LEAF_LIFE: Final = timedelta(days=365)
LEAF_RENEWAL: Final = timedelta(days=180)
"""From this long before its end on, an update makes a certificate anew. Nothing but an update renews it: an
environment may go without one for half a year."""


@unique
class Use(StrEnum):
    """What a certificate may be shown as."""

    SERVER = "server_auth"
    CLIENT = "client_auth"


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """A certificate to be signed."""

    common_name: str
    uses: Sequence[Use]
    dns_names: Sequence[str] = ()
    """The names that a server is called by."""


@dataclass(frozen=True, kw_only=True)
class AuthorityArgs:
    """An authority and all that it ever signs."""

    common_name: str
    leaves: Mapping[str, Leaf]
    """Certificates by the name of who holds them."""


@dataclass(frozen=True, kw_only=True)
class KeyPair:
    """A certificate and its private key, both in PEM."""

    certificate: pulumi.Output[str]
    key: pulumi.Output[str]
    """In PKCS #8, which every program here reads; a secret."""


class Authority(pulumi.ComponentResource):
    """A certificate authority whose key never leaves the state, and the certificates that it signed.

    Whoever trusts the authority trusts every one of its leaves, so programs that have no business with each other
    have different authorities.
    """

    certificate: pulumi.Output[str]
    """The authority's own certificate, in PEM; nothing secret."""
    leaves: Mapping[str, KeyPair]

    def __init__(self, name: str, args: AuthorityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("quikapp:monitoring:Authority", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        key = _key(f"{name}-key", child)
        authority = tls.SelfSignedCert(
            f"{name}-certificate",
            private_key_pem=key.private_key_pem,
            subject=tls.SelfSignedCertSubjectArgs(common_name=args.common_name),
            is_ca_certificate=True,
            max_path_length=0,
            allowed_uses=["cert_signing", "crl_signing"],
            set_subject_key_id=True,
            validity_period_hours=_hours(AUTHORITY_LIFE),
            early_renewal_hours=_hours(AUTHORITY_RENEWAL),
            opts=child,
        )
        self.certificate = authority.cert_pem

        def sign(holder: str, leaf: Leaf) -> KeyPair:
            key_of_leaf = _key(f"{name}-{holder}-key", child)
            request = tls.CertRequest(
                f"{name}-{holder}-request",
                private_key_pem=key_of_leaf.private_key_pem,
                subject=tls.CertRequestSubjectArgs(common_name=leaf.common_name),
                dns_names=leaf.dns_names,
                opts=child,
            )
            signed = tls.LocallySignedCert(
                f"{name}-{holder}-certificate",
                cert_request_pem=request.cert_request_pem,
                ca_cert_pem=authority.cert_pem,
                ca_private_key_pem=key.private_key_pem,
                allowed_uses=["digital_signature", *leaf.uses],
                set_subject_key_id=True,
                validity_period_hours=_hours(LEAF_LIFE),
                early_renewal_hours=_hours(LEAF_RENEWAL),
                opts=child,
            )
            return KeyPair(certificate=signed.cert_pem, key=key_of_leaf.private_key_pem_pkcs8)

        self.leaves = {holder: sign(holder, leaf) for holder, leaf in args.leaves.items()}
        self.register_outputs({"certificate": self.certificate})


def _key(name: str, opts: pulumi.ResourceOptions) -> tls.PrivateKey:
    return tls.PrivateKey(name, algorithm="ECDSA", ecdsa_curve="P256", opts=opts)


def _hours(duration: timedelta) -> int:
    return duration // timedelta(hours=1)
