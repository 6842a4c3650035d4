"""Would a TLS stack take our certificates? Asked of one that we didn't write."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import pkcs12

from pytest_netbench import Scenario, fan_out, request_response
from pytest_netbench.scenario.certificates import certify

MADE = certify(fan_out(servers=2))


def test_a_handshake_with_the_name_and_the_authority_succeeds(tmp_path: Path) -> None:
    """Client and server meet in memory; the client checks chain and host name."""
    authority, key, chain = MADE.certificates
    (tmp_path / "chain.pem").write_text(chain.pem + key.pem)
    here, there = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    here.load_verify_locations(cadata=authority.pem)
    there.load_cert_chain(tmp_path / "chain.pem")
    wires = [ssl.MemoryBIO() for _ in range(2)]
    client = here.wrap_bio(wires[0], wires[1], server_hostname=f"0.{MADE.id}.net")
    server = there.wrap_bio(wires[1], wires[0], server_side=True)
    sides = [client, server]
    while sides:
        for side in list(sides):
            try:
                side.do_handshake()
                sides.remove(side)
            except ssl.SSLWantReadError:
                continue
    assert client.version() == "TLSv1.3"


def test_another_name_is_refused(tmp_path: Path) -> None:
    """The leaf is for this scenario's names only."""
    leaf = ssl.PEM_cert_to_DER_cert(MADE.certificates[2].pem)
    (tmp_path / "leaf.pem").write_text(ssl.DER_cert_to_PEM_cert(leaf))
    decoded = ssl._ssl._test_decode_cert(str(tmp_path / "leaf.pem"))  # type: ignore[attr-defined]
    assert decoded["subjectAltName"] == (("DNS", f"{MADE.id}.net"), ("DNS", f"*.{MADE.id}.net"))


def test_the_container_has_the_same_key() -> None:
    """PKCS#12 with an empty password, key and leaf, as one of the real drivers reads it."""
    key, leaf, more = pkcs12.load_key_and_certificates(MADE.certificates[1].pkcs12, b"")
    assert key is not None
    assert leaf is not None
    assert key.public_key() == leaf.public_key()
    assert not more


def test_servers_and_clients_point_at_them() -> None:
    """Key 1, chain 2, authority 0, for every server; the clients trust 0."""
    assert {(one.private_key, one.certificate, one.certificate_authority) for one in MADE.servers} == {(1, 2, 0)}
    assert MADE.clients[0].certificate_authorities == (0,)


@pytest.mark.parametrize("scenario", [MADE, request_response(servers=0)], ids=["has some", "no server"])
def test_nothing_is_made_twice_or_in_vain(scenario: Scenario) -> None:
    """A scenario with certificates, or without servers, stays as it is."""
    assert certify(scenario) is scenario
