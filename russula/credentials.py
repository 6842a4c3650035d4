"""Who may speak in a run? An authority made for this one run, a leaf for each side, and nothing that outlives it.

The authority's key is dropped as soon as the leaves are made; they end with the run. ``cryptography`` is imported here,
when credentials are made, and never on a worker, which only reads files.
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from russula.errors import CredentialsError

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

COORDINATOR = "coordinator"
"""The name on the coordinator's leaf; a worker's is its own."""
SKEW = timedelta(minutes=10)
"""How far two machines' clocks may differ: leaves begin so much earlier."""

_AUTHORITY = "authority.pem"


@dataclass(frozen=True, slots=True)
class Credentials:
    """One side's: its name, its chain and key, and the run's authority; PEM texts."""

    name: str
    authority: str
    chain: str
    key: str

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the leaf, in hexadecimal: what the other side may pin."""
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(self.chain)).hexdigest()

    def write(self, folder: Path) -> None:
        """Write ``NAME.pem`` (mode 600) and the authority into a folder (mode 700)."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / _AUTHORITY).write_text(self.authority)
        path = folder / f"{self.name}.pem"
        path.unlink(missing_ok=True)
        path.touch(mode=0o600, exist_ok=False)
        path.write_text(self.key + self.chain)

    @classmethod
    def read(cls, folder: Path, name: str) -> Credentials:
        """Read what ``write`` wrote.

        :raises CredentialsError: names the file that is missing or malformed.
        """
        path = folder / f"{name}.pem"
        try:
            authority, text = (folder / _AUTHORITY).read_text(), path.read_text()
        except OSError as error:
            raise CredentialsError(f"no credentials of {name!r} in {folder}: {error.strerror}") from error
        key, mark, chain = text.partition("-----BEGIN CERTIFICATE-----")
        if not mark or "PRIVATE KEY" not in key:
            raise CredentialsError(f"{path}: expected a private key and a certificate")
        return cls(name, authority, mark + chain, key)


def issue(run: str, names: Iterable[str], valid: timedelta) -> Mapping[str, Credentials]:
    """Credentials for the coordinator and for workers of these names, from a new authority; valid for so long.

    P-256 keys; each leaf has its name as DNS name. The authority's key is gone when this returns.
    """
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    authority = _authority(run, key, valid)
    return {name: _leaf(name, key, authority, valid) for name in (COORDINATOR, *names)}


def _authority(run: str, key: ec.EllipticCurvePrivateKey, valid: timedelta) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    name = _name(f"russula {run}"[:64])
    made = _begin(name, name, key, valid).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    made = made.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    return made.add_extension(_usage(signs_certificates=True), critical=True).sign(key, hashes.SHA256())


def _leaf(
    name: str, authority_key: ec.EllipticCurvePrivateKey, authority: x509.Certificate, valid: timedelta
) -> Credentials:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from cryptography.x509.oid import ExtendedKeyUsageOID

    purpose = ExtendedKeyUsageOID.CLIENT_AUTH if name == COORDINATOR else ExtendedKeyUsageOID.SERVER_AUTH
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    key = ec.generate_private_key(ec.SECP256R1())
    made = (
        _begin(_name(name), authority.subject, key, valid)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(issuer, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    return Credentials(
        name=name,
        authority=authority.public_bytes(Encoding.PEM).decode(),
        chain=made.public_bytes(Encoding.PEM).decode(),
        key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
    )


def _begin(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, valid: timedelta
) -> x509.CertificateBuilder:
    from cryptography import x509

    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + valid)
    )


def _name(text: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
