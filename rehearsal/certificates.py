"""Certificates and keys of a rehearsal cluster: made once, for loopback only.

The authority's own key is never written: nothing is signed after the first start.
"""

import datetime
import ipaddress
from collections.abc import Iterable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALIDITY = datetime.timedelta(days=3650)
SERVER_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")


def issue(directory: Path, service_address: str, clients: Iterable[tuple[str, str]]) -> None:
    """Write a certificate authority, a serving certificate, service-account keys and client certificates.

    `directory` must exist and be private. `service_address` is the address of the `kubernetes` Service.
    `clients` are (file name, common name) pairs; the common name is the user that RBAC sees
    (https://kubernetes.io/docs/reference/access-authn-authz/authentication/#x509-client-certificates).

    Files: `ca.pem`, `apiserver.pem`, `apiserver.key`, `service-account.key`, `service-account.pub`, and
    `<file name>.pem` and `.key` for each client. Keys are readable by their owner alone.
    """
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority_name = _name("quikapp-rehearsal")
    authority = (
        _builder(authority_name, authority_name, authority_key.public_key(), authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    (directory / "ca.pem").write_bytes(_pem(authority))

    def leaf(
        file_name: str, common_name: str, purpose: x509.ObjectIdentifier, names: list[x509.GeneralName]
    ) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            _builder(_name(common_name), authority_name, key.public_key(), authority_key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        (directory / f"{file_name}.pem").write_bytes(_pem(builder.sign(authority_key, hashes.SHA256())))
        write_private(directory / f"{file_name}.key", _key_pem(key))

    addresses = [ipaddress.ip_address(address) for address in ("127.0.0.1", service_address)]
    leaf(
        "apiserver",
        "kube-apiserver",
        ExtendedKeyUsageOID.SERVER_AUTH,
        [*map(x509.DNSName, SERVER_NAMES), *map(x509.IPAddress, addresses)],
    )
    for file_name, common_name in clients:
        leaf(file_name, common_name, ExtendedKeyUsageOID.CLIENT_AUTH, [])

    service_account_key = ec.generate_private_key(ec.SECP256R1())
    write_private(directory / "service-account.key", _key_pem(service_account_key))
    (directory / "service-account.pub").write_bytes(
        service_account_key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, from its first byte on."""
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_bytes(content)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    authority_key: ec.EllipticCurvePublicKey,
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + VALIDITY)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
