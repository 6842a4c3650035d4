"""Does CPU time of whole processes give way to the slope between two sizes, and only where that says something?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_netbench.result.metrics import Spent, slopes, spent
from pytest_netbench.result.model import Round
from pytest_netbench.result.result import Result
from pytest_netbench.result.results_json import from_json, session_to_json
from pytest_netbench.result.summary import summarise
from pytest_netbench.run import sloped
from pytest_netbench.telemetry.model import CpuScope, CpuUse
from tests.result.result_cases import download, record, scenario, session

LARGE = Spent({"server": 0.5, "client": 0.4}, 10_000_000, 10)
SMALL = Spent({"server": 0.3, "client": 0.5}, 1_000_000, 10)
NOTHING: frozenset[str] = frozenset()
WHOLE = {"server.cpu_per_byte": 5e-8, "client.cpu_per_byte": 4e-8, "server.cpu_per_op": 0.05, "goodput": 1e9}
ROUND = Round(0, None, "", 1.0, WHOLE, 0.0, armed=False, control_bytes_in_run=0, validity=())
DONE = replace(ROUND, whole_process=frozenset({"server.cpu_per_byte", "client.cpu_per_byte", "server.cpu_per_op"}))


def test_a_slope_is_more_time_over_more_bytes() -> None:
    """What both needed to start cancels out; where no more operations were done, none can be told."""
    found = slopes(LARGE, SMALL)
    assert found["server.cpu_per_byte"] == pytest.approx(0.2 / 9e6)
    assert set(found) == {"server.cpu_per_byte", "client.cpu_per_byte"}


def test_a_start_that_is_known_does_not_count() -> None:
    """What a server used until it listened varies, and says nothing of a transfer."""
    served = download(size=1000)
    late = replace(served[0].driver, cpu=CpuUse(0.5, CpuScope.PROCESS, before=0.4))
    cost = spent(scenario(), [replace(served[0], driver=late), served[1]])
    assert cost.cpu == {"server": pytest.approx(0.1), "client": 0.25}


def test_a_slope_below_zero_is_none() -> None:
    """The smaller run took longer: that says nothing of a byte."""
    assert slopes(LARGE, SMALL)["client.cpu_per_byte"] is None


def test_more_operations_have_their_slope() -> None:
    """As of handshakes: their bytes don't count."""
    found = slopes(Spent({"client": 1.0}, 0, 100), Spent({"client": 0.5}, 0, 50))
    assert found == {"client.cpu_per_op": pytest.approx(0.01)}


def test_a_slope_takes_the_place_of_the_whole_process() -> None:
    """Its metric may then be gated; what has no slope stays what it was."""
    made = sloped(DONE, ROUND, {"server.cpu_per_byte": 2e-8, "client.cpu_per_byte": 3e-8, "goodput": 1.0}, NOTHING)
    assert made.metrics == {**WHOLE, "server.cpu_per_byte": 2e-8, "client.cpu_per_byte": 3e-8}
    assert made.whole_process == {"server.cpu_per_op"}
    assert made.slopes == {"server.cpu_per_byte", "client.cpu_per_byte"}
    assert summarise([made])["server.cpu_per_byte"].note == "slope between two sizes"
    assert summarise([made])["server.cpu_per_op"].note == "whole process"
    result = Result((made,))
    assert [name for name in result if result[name].whole_process] == ["server.cpu_per_op"]


def test_a_slope_that_says_nothing_makes_the_round_invalid() -> None:
    """Where it is gated: left out without a word, the gate would count only rounds that happened to go up."""
    found = {"server.cpu_per_byte": None, "client.cpu_per_byte": None}
    made = sloped(DONE, ROUND, found, frozenset({"server.cpu_per_byte"}))
    assert made.validity == (
        "server.cpu_per_byte: the larger run took no more CPU time than the smaller one, the slope needs more bytes",
    )
    assert not {"server.cpu_per_byte", "client.cpu_per_byte"} & set(made.metrics)
    assert sloped(DONE, ROUND, found, frozenset()).valid


def test_a_smaller_run_has_to_count() -> None:
    """Its reason is the round's."""
    made = sloped(DONE, replace(ROUND, validity=("client-0: it fell over",)), {}, NOTHING)
    assert made.validity == ("its smaller run doesn't count: client-0: it fell over",)


def test_it_is_kept_in_results() -> None:
    """By name, beside what covers whole processes."""
    made = replace(
        sloped(DONE, ROUND, {"server.cpu_per_byte": 2e-8}, NOTHING), untold=("x as client doesn't tell traces",)
    )
    (test,) = from_json(session_to_json(session(record(made)))).tests
    assert test.rounds[0].slopes == {"server.cpu_per_byte"}
    assert test.rounds[0].untold == made.untold
