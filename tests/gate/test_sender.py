"""Is goodput not compared where the application limits it, and only there?"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_netbench import MB, Gate, Link, download, open_loop, ping, request_response
from pytest_netbench.errors import RunError, UsageError
from pytest_netbench.gate import verdict
from pytest_netbench.gate.comparison import Comparison
from pytest_netbench.gate.course import Course, Track
from pytest_netbench.gate.limits import limits
from pytest_netbench.gate.pairs import Pair
from pytest_netbench.gate.sender import IDLE, LIMITED, limited
from pytest_netbench.result.model import Round, Sending, Verdict
from pytest_netbench.scenario.model import Scenario
from pytest_netbench.settings.marker import spec_of
from tests.gate.gate_cases import CPU, pairs

SHARE = st.floats(0, 1)
SENDING = st.none() | st.builds(Sending, st.floats(0, 0.89), st.none() | SHARE)


def sent(*sending: Sending | None, foreign: float | None = 0.0, cand: Sending | None = None) -> list[Pair]:
    """Pairs whose senders did that, in both arms or with another candidate."""

    def told(one: Round, by: Sending | None) -> Round:
        return replace(one, sending=by, foreign=foreign)

    found = zip(pairs(len(sending)), sending, strict=True)
    return [replace(pair, ref=told(pair.ref, one), cand=told(pair.cand, cand or one)) for pair, one in found]


def looked(found: list[Pair]) -> dict[str, Verdict]:
    """The verdicts of goodput and of CPU time after a look at these pairs."""
    course = Course({name: Track(limits(name, Gate())) for name in ("goodput", CPU)}, 2)
    course.look(found, last=True)
    return {name: one.state for name, one in verdict.gated(course, found, (), "old").items()}


def test_a_scenario_that_asks_for_nearly_all_of_the_time_makes_goodput_invalid() -> None:
    """What a byte costs is told all the same."""
    found = sent(*[Sending(0.95)] * 8)
    assert looked(found) == {"goodput": Verdict.INVALID, CPU: Verdict.PASS}
    assert limited("goodput", found) == (
        "goodput is what the scenario's own rates and pauses ask for: 95 % (ref) and 95 % (cand) of its time"
    )


def test_senders_without_anything_under_way_make_goodput_invalid() -> None:
    """One arm's are enough; the reason says both."""
    found = sent(*[Sending(0.0, 0.01)] * 8, cand=Sending(0.0, 0.8))
    assert looked(found)["goodput"] is Verdict.INVALID
    assert limited("goodput", found) == (
        "the application limits goodput: senders slept with nothing under way in 1 % (ref) and 80 % (cand) of its time"
    )


def test_one_late_round_is_no_limit() -> None:
    """The median counts."""
    assert looked(sent(Sending(0.0, 1.0), *[Sending(0.0, 0.02)] * 7))["goodput"] is Verdict.PASS


def test_what_other_programs_took_isnt_the_applications() -> None:
    """On a busy machine senders wait for a processor; where it isn't known how busy it was, nothing is said."""
    assert limited("goodput", sent(*[Sending(0.0, 0.6)] * 8, foreign=0.5)) is None
    assert limited("goodput", sent(*[Sending(0.0, 0.6)] * 8, foreign=None)) is None
    assert limited("goodput", sent(*[Sending(0.0, 0.6)] * 8)) is not None


@given(st.lists(SENDING, min_size=1, max_size=9), st.none() | SHARE)
def test_only_what_is_known_of_most_rounds_decides(sending: list[Sending | None], foreign: float | None) -> None:
    """Drivers that don't tell are never called limited; other metrics aren't, either."""
    found = sent(*sending, foreign=foreign)
    known = sorted(one.idle for one in sending if one is not None and one.idle is not None)
    if foreign is None or not known or known[-1] - foreign < IDLE:
        assert limited("goodput", found) is None
    elif known[0] - foreign >= IDLE:
        assert limited("goodput", found) is not None
    assert limited(CPU, found) is None


def test_a_ratio_of_limited_goodput_isnt_given() -> None:
    """That of what a byte costs is."""
    made = Comparison(tuple(sent(*[Sending(1.0)] * 4)), "cubic", "bbr")
    with pytest.raises(RunError, match="rates and pauses ask for: 100 %"):
        made.ratio("goodput")
    assert made.ratio(CPU).n == 4


RATED = request_response(response=100 * MB, server_send_rate=(1 * MB, 0.01))


@pytest.mark.parametrize(
    ("rate", "scenario"),
    [(200 * MB, RATED), (500 * MB, request_response(response=100 * MB, delay=1)), (5 * MB, open_loop(rate=1000))],
    ids=str,
)
def test_a_rate_below_that_of_the_link_is_a_mistake_at_collection(rate: float, scenario: Scenario) -> None:
    """100 MB a second on a link of 200: goodput is always 100."""
    for name in (*LIMITED, "request.achieved"):
        with pytest.raises(
            UsageError, match=f"{name} is gated, but it would be what .* the link carries the payload in"
        ):
            spec_of([((), {"scenario": scenario, "link": Link(rate=rate), "gate": {name: Gate()}})]).check_gates()


@pytest.mark.parametrize("scenario", [RATED, download(100 * MB), ping(), None], ids=str)
def test_a_scenario_that_asks_for_more_than_the_link_gives_may_be_gated(scenario: Scenario | None) -> None:
    """So may any, where the link isn't known, and other metrics."""
    for more in ({"link": Link(rate=50 * MB)}, {"link": Link(rtt=0.1)}, {}):
        spec_of([((), {"scenario": scenario, "gate": {"goodput": Gate()}, **more})]).check_gates()
    slow = {"scenario": scenario, "gate": {CPU: Gate()}, "link": Link(rate=1e12)}
    spec_of([((), slow)]).check_gates()
