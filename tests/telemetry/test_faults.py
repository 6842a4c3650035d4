"""Are the real drivers' silent faults caught, by what they leave?"""

from __future__ import annotations

from pytest_netbench.result.validity import judge
from pytest_netbench.roles import Role
from pytest_netbench.scenario.analysis import analyse
from pytest_netbench.scenario.model import Scenario
from pytest_netbench.telemetry.model import Ending, HostReport
from tests.telemetry.trace_cases import EXCHANGE, PING, read


def reasons(name: str, scenario: Scenario) -> tuple[str, ...]:
    """Why a recorded round doesn't count, although both drivers ended as they should."""
    endings = {Role.CLIENT: Ending(0, None, expected=True), Role.SERVER: Ending(None, 15, expected=True)}
    hosts = [
        HostReport(role.value, role, 0, False, 0, 1, read(name, scenario, role), endings[role], counters=None)
        for role in Role
    ]
    return judge(scenario, analyse(scenario), hosts, 0.0, armed=False, control_bytes=0)


def test_whole_data_make_a_valid_round() -> None:
    """Nothing is said of a round without fault, timed or not."""
    assert reasons("tcp_exchange", EXCHANGE) == ()
    assert reasons("quic_ping", PING) == ()


def test_modes_that_differ_are_caught_by_the_bytes() -> None:
    """The client exits 0 having received nothing: the bytes say so."""
    found = " ".join(reasons("tcp_modes_differ", EXCHANGE))
    assert "the scenario sends 300,000 bytes to the clients, they received 0" in found
