"""Do sections of level command and interop become rows, and is each mistake in them named?"""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_netbench.drivers import registry
from pytest_netbench.drivers.driver import Driver, Level, Transport
from pytest_netbench.drivers.row_json import from_json, to_json
from pytest_netbench.drivers.support import check
from pytest_netbench.errors import Unsupported, UsageError
from pytest_netbench.roles import Role
from pytest_netbench.scenario.analysis import analyse
from pytest_netbench.scenario.catalog import connect, download, fan_out, handshakes, ping, upload
from pytest_netbench.scenario.shape import Kind
from tests.scenario.test_shape import SECOND, repeated

COMMAND: dict[str, Any] = {
    "level": "command",
    "server": "tool -s {host}:{port}",
    "client": {"download": "tool -c {host} -n {bytes}", "upload": ["tool", "-u", "{total_bytes}", "{connections}"]},
    "output": "iperf3-json",
    "one_at_a_time": True,
    "ends": [1],
    "env": {"TOOL_KEY": "{port}"},
    "version": "tool --version",
}
INTEROP: dict[str, Any] = {"level": "interop", "server": "server", "client": "client {requests}"}


def row(section: dict[str, Any], **change: Any) -> Driver:
    """The row of a section."""
    return registry.table({"mine": {**section, **change}})["mine"]


@pytest.mark.parametrize("section", [COMMAND, INTEROP], ids=["command", "interop"])
def test_a_row_survives_its_way_to_a_host(section: dict[str, Any]) -> None:
    """What a worker gets is what the coordinator has."""
    made = row(section)
    assert from_json(json.loads(json.dumps(to_json(made)))) == made


def test_a_command_has_a_line_for_each_kind() -> None:
    """One for every kind at the server, one for each at the client; it is found by the first."""
    made = row(COMMAND)
    assert made.foreign is not None
    assert made.foreign.line(Role.SERVER, Kind.UPLOAD) == ("tool", "-s", "{host}:{port}")
    assert made.foreign.line(Role.CLIENT, Kind.UPLOAD) == ("tool", "-u", "{total_bytes}", "{connections}")
    assert made.commands[Role.CLIENT].argv[0] == "tool"
    assert (made.secure, made.foreign.ends, made.can_be_armed) == (False, (1,), False)


def test_who_wants_certificates_gets_them() -> None:
    """A placeholder for one of the three files is enough; interop is always over TLS."""
    assert row(COMMAND, server="tool -s --key {key}").secure
    assert row(INTEROP).secure


def test_interop_listens_where_its_runner_has_it() -> None:
    """At UDP port 443, or at any if its line takes one."""
    made = row(INTEROP)
    assert (made.level, made.transport, made.port) == (Level.INTEROP, Transport.UDP, 443)
    assert row(INTEROP, server="server {port}").port == 0
    assert row(INTEROP, env={"LISTEN": "{port}"}).port == 0
    assert row(INTEROP, port=4433).port == 4433


@pytest.mark.parametrize(
    ("section", "change", "text"),
    [
        (COMMAND, {"level": "comand"}, "level: unknown value 'comand': did you mean 'command'"),
        (COMMAND, {"arming": "pipe"}, "unknown key 'arming': .*known: build, client"),
        (COMMAND, {"client": "tool"}, "client: expected a line for each kind of transfer that it can do: client.down"),
        (COMMAND, {"client": {}}, "client: expected a command line for one at least of download, upload, connect"),
        (COMMAND, {"client": {"downlaod": "x"}}, "client: unknown key 'downlaod': did you mean 'download'"),
        (COMMAND, {"server": "tool {hots}"}, "server: unknown placeholder 'hots': did you mean 'host'"),
        (COMMAND, {"env": {"A": "{byte}"}}, "unknown placeholder 'byte': .*'bytes'.*{{byte}} stands for {byte}"),
        (COMMAND, {"output": "iperf3"}, "output: 'iperf3' is no parser.*did you mean 'iperf3-json'"),
        (COMMAND, {"output": "(?P<bytes>[0-9+"}, "output: .* isn't a regular expression: unterminated"),
        (COMMAND, {"output": "(?P<bites>.)"}, "output: unknown group 'bites': did you mean 'bytes'"),
        (COMMAND, {"output": "(?P<seconds>.)", "units": {"seconds": "sec"}}, "units.seconds: unknown unit 'sec'"),
        (COMMAND, {"units": {"seconds": "ms"}}, "units: the parser 'iperf3-json' knows its own units"),
        (COMMAND, {"output": {"servr": "x"}}, "output: unknown key 'servr': did you mean 'server'"),
        (COMMAND, {"ends": 1}, r"ends: expected a list of exit statuses, as \[1\], got 1"),
        (COMMAND, {"server": "$OUT/tool"}, r"its commands want \$OUT, the products of its `build`, and it has none"),
        (INTEROP, {"output": "iperf3-json"}, "unknown key 'output'"),
        (INTEROP, {"client": "client {request}"}, "unknown placeholder 'request': did you mean 'requests'"),
        (INTEROP, {"port": 0}, "port: expected a port, got 0"),
    ],
)
def test_a_mistake_is_named(section: dict[str, Any], change: dict[str, Any], text: str) -> None:
    """The section, the key, what was expected, and the nearest that is known."""
    with pytest.raises(UsageError, match=r"\[drivers.mine\].*" + text):
        row(section, **change)


@pytest.mark.parametrize(
    ("section", "scenario", "why"),
    [
        (COMMAND, ping(time=0.1), "downloads, uploads and handshakes only: a plain transfer has no `iterate`"),
        (COMMAND, connect(3), "it has no `connect`, only `download`, `upload`"),
        ({**COMMAND, "client": {"download": "x {seconds}"}}, download(), "wants {seconds}, the scenario says how much"),
        ({**COMMAND, "client": {"connect": "x"}}, repeated(SECOND), "has no {seconds}, the scenario says how long"),
        (COMMAND, download(seconds=1), "its `download` has no {seconds}, the scenario says how long"),
        (INTEROP, download(seconds=1), "a file has a size, the scenario says how long"),
        (INTEROP, upload(), "it has no `upload`, only `download`, `connect`"),
    ],
)
def test_what_has_no_line_is_unsupported_by_name(section: dict[str, Any], scenario: Any, why: str) -> None:
    """Said before anything is started."""
    with pytest.raises(Unsupported, match=why):
        check(row(section), analyse(scenario), Role.CLIENT, {})


def test_a_line_that_says_how_long_does_transfers_for_a_time() -> None:
    """Those that say how much then take another line."""
    made = row(COMMAND, client={"download": "tool {seconds}"})
    check(made, analyse(download(seconds=2)), Role.CLIENT, {})
    check(made, analyse(fan_out(servers=2, seconds=2)), Role.CLIENT, {})


def test_handshakes_for_a_time_take_a_line_that_says_how_long() -> None:
    """What extends netbench's language there is in the line; sessions that are resumed are not."""
    made = row(COMMAND, client={"connect": "tool {seconds}"})
    check(made, analyse(handshakes(seconds=1)), Role.CLIENT, {})
    with pytest.raises(Unsupported, match="it requires resumption, which no plain transfer has"):
        check(made, analyse(handshakes(resume=True)), Role.CLIENT, {})


@pytest.mark.parametrize("scenario", [download(), upload(), fan_out()], ids=str)
def test_what_has_a_line_is_supported(scenario: Any) -> None:
    """On both sides."""
    for role in Role:
        check(row(COMMAND), analyse(scenario), role, {})
