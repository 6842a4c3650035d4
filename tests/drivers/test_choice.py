"""Does each side get its own options, and is one that it hasn't got told from one that nobody has?"""

from __future__ import annotations

import pytest

from pytest_netbench.drivers.choice import of_side
from pytest_netbench.drivers.registry import KNOWN
from pytest_netbench.drivers.support import check
from pytest_netbench.errors import Unsupported, UsageError
from pytest_netbench.roles import Role
from pytest_netbench.scenario.analysis import analyse
from pytest_netbench.scenario.catalog import connect

TCP, TLS, S2N_TLS, NATIVE = (KNOWN[name] for name in ("tcp", "tls", "s2n-tls", "s2n-native-tls"))


def test_a_prefix_gives_an_option_to_one_side() -> None:
    """Without, it is both sides'."""
    options = {"tcp.nodelay": False, "server.cpus": "0", "client.cpus": "1", "server.tcp.send_buffer": 5}
    assert of_side(options, TCP, Role.SERVER) == {"tcp.nodelay": False, "cpus": "0", "tcp.send_buffer": 5}
    assert of_side(options, TCP, Role.CLIENT) == {"tcp.nodelay": False, "cpus": "1"}


def test_an_option_of_one_side_reaches_that_side_alone() -> None:
    """Whether its prefix says so or not; to give it to the other is a mistake."""
    assert of_side({"processes": 4}, TCP, Role.SERVER) == {"processes": 4}
    assert of_side({"processes": 4}, TCP, Role.CLIENT) == {}
    with pytest.raises(UsageError, match=r"option 'client.processes': only a server has it"):
        of_side({"client.processes": 4}, TCP, Role.CLIENT)


def test_a_driver_does_as_the_other_side_needs() -> None:
    """Our TLS asks by name where it meets s2n-tls, unless it is told otherwise."""
    assert of_side({}, TLS, Role.CLIENT, S2N_TLS) == {"tls.connection_id": "sni"}
    assert of_side({"tls.connection_id": "preamble"}, TLS, Role.CLIENT, S2N_TLS) == {"tls.connection_id": "preamble"}
    assert of_side({}, TLS, Role.SERVER, NATIVE) == of_side({}, TLS, Role.SERVER, TLS) == {}
    assert of_side({}, S2N_TLS, Role.SERVER, TLS) == {}


def test_what_another_driver_has_is_unsupported() -> None:
    """The test is skipped with that reason; what nobody has is a mistake."""
    analysis = analyse(connect())
    with pytest.raises(Unsupported, match="driver s2n-tls has no option 'cpus', only tcp, tls"):
        check(S2N_TLS, analysis, Role.SERVER, {"cpus": "0"})
    check(S2N_TLS, analysis, Role.SERVER, {"client.cpus": "0"})
    with pytest.raises(UsageError, match=r"driver tcp has no option 'tcp.nodely': did you mean 'tcp.nodelay'"):
        check(TCP, analysis, Role.SERVER, {"tcp.nodely": True})
