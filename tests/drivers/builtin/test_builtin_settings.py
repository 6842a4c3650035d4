"""What does the environment say to the driver? The contract of netbench drivers, and what is wrong with an offence."""

from __future__ import annotations

import pytest

from pytest_netbench.drivers.builtin import settings, tcp
from pytest_netbench.drivers.builtin.ending import Misused
from pytest_netbench.roles import Role

BASE = {"SCENARIO": "x.json"}


def test_defaults_are_the_real_drivers() -> None:
    """Endpoint 0, port 4433, every address of both families."""
    found = settings.read(["tcp", "server"], BASE)
    assert (found.role, found.index, found.port, found.ip, found.report, found.arm) == (
        Role.SERVER, 0, 4433, "::", None, None,
    )  # fmt: skip


def test_a_client_reads_who_and_whom() -> None:
    """Its own number and address, and the servers by number."""
    env = {
        "CLIENT_ID": "3",
        "SERVER_0": "127.0.0.1:1",
        "SERVER_12": "[::1]:2",
        "SERVER_ID": "9",
        "LOCAL_IP": "127.0.0.9",
    }
    found = settings.read(["tcp", "client", "y.json"], {**BASE, **env, "NETBENCH_ARM": "5,6"})
    assert (found.index, found.local_ip, found.arm, str(found.scenario)) == (3, "127.0.0.9", (5, 6), "y.json")
    assert found.peers == {0: ("127.0.0.1", 1), 12: ("::1", 2)}


@pytest.mark.parametrize(
    ("arguments", "env", "text"),
    [
        ([], BASE, "usage: "),
        (["tcp", "router"], BASE, "usage: "),
        (["udp", "server"], BASE, "no transport 'udp'"),
        (["tcp", "server"], {}, "no scenario"),
        (["tcp", "server"], {**BASE, "PORT": "65536"}, "PORT: expected a port"),
        (["tcp", "server"], {**BASE, "SERVER_ID": "-1"}, "SERVER_ID: expected a number, found '-1'"),
        (["tcp", "client"], {**BASE, "SERVER_0": "host"}, "SERVER_0: expected HOST:PORT, found 'host'"),
        (["tcp", "client"], {**BASE, "SERVER_0": "host:x"}, "SERVER_0: expected a port"),
        (["tcp", "client"], {**BASE, "NETBENCH_ARM": "5"}, "NETBENCH_ARM: expected READFD,WRITEFD"),
        (["tcp", "client"], {**BASE, "MULTIPLEX": "1"}, "MULTIPLEX: expected true or false, found '1'"),
    ],
)
def test_an_offence_is_named(arguments: list[str], env: dict[str, str], text: str) -> None:
    """The variable, what was expected, what was found."""
    with pytest.raises(Misused, match=text):
        settings.read(arguments, env)


@pytest.mark.parametrize(("text", "asked"), [("true", True), ("false", False), ("", None), (None, None)])
def test_the_mode_is_asked_for_or_left_to_the_scenario(text: str | None, asked: bool | None) -> None:
    """As the real drivers have it: exactly true or false."""
    env = BASE if text is None else {**BASE, "MULTIPLEX": text}
    assert settings.read(["tcp", "server"], env).multiplex is asked


def test_options_are_read_from_the_configuration() -> None:
    """Keys of TCP with their types; others belong to somebody else."""
    said = {"tcp.nodelay": "false", "tcp.congestion_control": "reno", "tcp.send_buffer": "65536", "other": "x"}
    assert tcp.options(said) == tcp.Options(nodelay=False, congestion_control="reno", send_buffer=65536)
    assert tcp.options({}) == tcp.Options()


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("tcp.nodelai", "true", "did you mean 'tcp.nodelay'"),
        ("tcp.nodelay", "perhaps", "expected true or false, found 'perhaps'"),
        ("tcp.send_buffer", "1k", "expected bytes"),
        ("tcp.receive_buffer", "0", "expected bytes"),
        ("tcp.congestion_control", "x" * 16, "at most 15 characters"),
    ],
)
def test_a_wrong_option_is_named(key: str, value: str, text: str) -> None:
    """With what was expected, and the nearest known one."""
    with pytest.raises(Misused, match=text):
        tcp.options({key: value})


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (("127.0.0.1", 5), "127.0.0.1:5"),
        (("::ffff:127.0.0.1", 5, 0, 0), "127.0.0.1:5"),
        (("::1", 5, 0, 0), "[::1]:5"),
    ],
)
def test_an_address_has_one_text(address: tcp.SocketAddress, text: str) -> None:
    """Both ends write the same, also where one of them listens on both families."""
    assert tcp.text(address) == text
