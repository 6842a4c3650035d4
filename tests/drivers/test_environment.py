"""Is a driver told all that the contract says, and nothing of whoever started the worker?"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_netbench.drivers import registry
from pytest_netbench.drivers.driver import Driver
from pytest_netbench.drivers.environment import Invocation, configured, endpoint, invocation
from pytest_netbench.drivers.job import Job
from pytest_netbench.errors import RunError
from pytest_netbench.roles import Role

SERVER = Job(Role.SERVER, 3, "s2n-tcp", bind="127.1.2.3")
CLIENT = Job(Role.CLIENT, 1, "s2n-tcp", peers=("127.1.2.3:5000", "[::1]:5001"), bind="127.4.5.6")


def called(driver: Driver, job: Job, **more: Any) -> Invocation:
    given: dict[str, Any] = {"port": 5000, "multiplex": False, "options": {}, "inherited": {}, **more}
    paths: dict[str, Any] = {
        "executable": Path("/bin/driver"),
        "scenario": Path("/in/s.json"),
        "report": Path("/out/r.json"),
    }
    return invocation(driver, job, **paths, **given)


def test_a_server_is_told_where_to_listen() -> None:
    """Address, port and index, by the environment; a real driver takes the address only as an argument."""
    call = called(registry.KNOWN["s2n-tcp"], SERVER)
    assert call.argv == ("/bin/driver", "--ip", "127.1.2.3")
    assert call.env == {
        "SCENARIO": "/in/s.json",
        "NETBENCH_REPORT": "/out/r.json",
        "TRACE": "stdio",
        "SERVER_ID": "3",
        "IP": "127.1.2.3",
        "PORT": "5000",
        "MULTIPLEX": "false",
    }


def test_a_client_is_told_who_serves() -> None:
    """Each server by its index, and from where to dial."""
    env = called(registry.KNOWN["s2n-tcp"], CLIENT, multiplex=True).env
    assert (env["CLIENT_ID"], env["LOCAL_IP"]) == ("1", "127.4.5.6")
    assert (env["SERVER_0"], env["SERVER_1"]) == ("127.1.2.3:5000", "[::1]:5001")
    assert (env["MULTIPLEX"], env["MULTITHREADED"]) == ("true", "true")
    assert "PORT" not in env


def test_nothing_of_the_contract_is_inherited() -> None:
    """What the user's shell has in these variables reaches no driver; the rest does."""
    inherited = {"PATH": "/bin", "TRACE": "throughput", "SERVER_9": "x:1", "MULTIPLEX": "1", "NETBENCH_ARM": "3,4"}
    env = called(registry.KNOWN["s2n-tcp"], CLIENT, inherited=inherited).env
    assert env["PATH"] == "/bin"
    assert not {"SERVER_9", "NETBENCH_ARM"} & set(env)
    assert env["MULTIPLEX"] == "false"
    assert env["TRACE"] == "stdio"


def test_options_become_arguments_or_configuration() -> None:
    """Flags for a real driver; for a built-in one they are in the scenario instead."""
    options = {"tcp.nodelay": False}
    assert called(registry.KNOWN["s2n-tcp"], SERVER, options=options).argv[3:] == ("--nagle",)
    builtin = called(registry.KNOWN["tcp"], SERVER, options=options)
    assert builtin.argv[-2:] == ("tcp", "server")


def test_placeholders_are_filled() -> None:
    """In arguments and in the row's own environment."""
    section = {"server": "x -p {port} {scenario}", "env": {"AT": "{ip}", "TRACE": "disabled"}}
    call = called(registry.table({"mine": section})["mine"], replace(SERVER, driver="mine"))
    assert call.argv[1:] == ("-p", "5000", "/in/s.json")
    assert (call.env["AT"], call.env["TRACE"]) == ("127.1.2.3", "disabled")


def test_options_are_texts_in_the_scenario() -> None:
    """As its ``configuration`` has them: of this endpoint only, what stands there stays."""
    document = {"id": "x", "clients": [{"a": 1}, {"configuration": {"kept": "1"}}], "servers": []}
    changed = json.loads(
        configured(json.dumps(document).encode(), Role.CLIENT, 1, {"on": True, "size": 7, "cc": "bbr"})
    )
    assert changed["clients"][0] == {"a": 1}
    assert changed["clients"][1]["configuration"] == {"kept": "1", "on": "true", "size": "7", "cc": "bbr"}


@pytest.mark.parametrize(("address", "text"), [("127.0.0.1", "127.0.0.1:80"), ("::1", "[::1]:80")])
def test_an_ipv6_address_is_in_brackets(address: str, text: str) -> None:
    """A port can then be told from it."""
    assert endpoint(address, 80) == text


@pytest.mark.parametrize("job", [SERVER, CLIENT, replace(CLIENT, options={"a": 1, "b": True}, multiplex=True, port=80)])
def test_a_job_survives_its_way(job: Job) -> None:
    """What a worker gets is what was ordered."""
    assert Job.from_order(json.loads(json.dumps(job.to_order()))) == job


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"role": "router"}, "role must be 'server' or 'client', got 'router'"),
        ({"role": []}, "role must be"),
        ({"index": -1}, "index must be an index"),
        ({"driver": "a\0b"}, "driver must be a driver's name"),
        ({"bind": "localhost"}, "bind must be an IP address, got 'localhost'"),
        ({"port": 70000}, "port must be a port"),
        ({"peers": "x:1"}, "peers must be a list of HOST:PORT"),
        ({"timeout_s": float("nan")}, "timeout_s must be seconds"),
        ({"timeout_s": True}, "timeout_s must be seconds"),
        ({"options": []}, "options must be a map"),
        ({"command": ["rm"]}, r"unknown fields \['command'\]"),
    ],
)
def test_nothing_in_an_order_is_taken_on_trust(change: dict[str, Any], text: str) -> None:
    """A field that is wrong, or that no job has, refuses the whole order by name."""
    with pytest.raises(RunError, match=text):
        Job.from_order({**CLIENT.to_order(), **change})


def test_an_order_must_say_the_least() -> None:
    """Role, index and driver have no defaults."""
    with pytest.raises(RunError, match=r"missing fields \['driver', 'index', 'role'\]"):
        Job.from_order({})
