"""Which certificates does a scenario need, and how are they made? An authority, a key, a chain; when a run needs them.

As the real generator makes them, so that real TLS and QUIC drivers accept them; the key is shared by all servers.
``cryptography`` is imported here, when it is needed, and nowhere on a host.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pytest_netbench.scenario.model import Certificate, Scenario

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

VALID = timedelta(days=30)
"""How long, from a day ago on: clocks differ, and a file may be run again."""


def certify(scenario: Scenario) -> Scenario:
    """The scenario with certificates; as it is if it has some, or no server."""
    if scenario.certificates or not scenario.servers:
        return scenario
    name = f"{scenario.id}.net"
    authority_key, authority = _authority(name)
    key, leaf = _leaf(name, authority_key, authority)
    made = (Certificate(_pem(authority)), _private(key, leaf), Certificate(_pem(leaf)))
    servers = (replace(one, private_key=1, certificate=2, certificate_authority=0) for one in scenario.servers)
    clients = (replace(one, certificate_authorities=(0,)) for one in scenario.clients)
    return replace(scenario, certificates=made, servers=tuple(servers), clients=tuple(clients))


def _authority(name: str) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject("netbench CA 0")
    made = (
        _begin(key, subject, subject)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage("digital_signature", "key_cert_sign", "crl_sign"), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return key, made.sign(key, hashes.SHA256())


def _leaf(
    name: str, authority_key: ec.EllipticCurvePrivateKey, authority: x509.Certificate
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID

    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([x509.DNSName(name), x509.DNSName(f"*.{name}")])
    purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    made = (
        _begin(key, _subject("netbench Leaf 1"), authority.subject)
        .add_extension(names, critical=False)
        .add_extension(_usage("digital_signature", "key_encipherment"), critical=True)
        .add_extension(purposes, critical=False)
        .add_extension(issuer, critical=False)
    )
    return key, made.sign(authority_key, hashes.SHA256())


def _begin(key: ec.EllipticCurvePrivateKey, subject: x509.Name, issuer: x509.Name) -> x509.CertificateBuilder:
    from cryptography import x509

    begin = datetime.now(UTC) - timedelta(days=1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + VALID)
    )


def _subject(name: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    country = x509.NameAttribute(NameOID.COUNTRY_NAME, "US")
    return x509.Name([country, x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(*purposes: str) -> x509.KeyUsage:
    from cryptography import x509

    every = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{one: one in purposes for one in every})


def _pem(certificate: x509.Certificate) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM).decode()


def _private(key: ec.EllipticCurvePrivateKey, leaf: x509.Certificate) -> Certificate:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12

    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return Certificate(pem, pkcs12.serialize_key_and_certificates(None, key, leaf, None, NoEncryption()))
