"""Is a contest stopped where its arms didn't run in the same environment, and only there?"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_netbench.ab.interleaved import Interleaved
from pytest_netbench.errors import RunError
from pytest_netbench.gate import Gate, verdict
from pytest_netbench.gate.arms import CAND, REF
from pytest_netbench.gate.comparison import Comparison
from pytest_netbench.gate.course import Course, Track
from pytest_netbench.gate.environment import PATH, Meant
from pytest_netbench.gate.limits import limits
from pytest_netbench.gate.pairs import Pair, unequal, usable
from pytest_netbench.result.model import MetricVerdict, Round, Verdict
from tests.gate.gate_cases import CPU, Played, round_, set_to

Settings = dict[str, dict[str, str]]
NAMES = ("mtu", "governor", "tcp_congestion_control", "program")
FACTS = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["1500", "9000", "cubic"]))
HOSTS = st.dictionaries(st.sampled_from(["server-0", "client-0"]), FACTS)


def pair(ref: dict[str, str], cand: dict[str, str], index: int = 0) -> Pair:
    """A pair on a server that was set in these ways."""
    return Pair(set_to(round_(REF, index), **ref), set_to(round_(CAND, index + 1), **cand), (REF, CAND))


async def contest(spoil: Callable[[Round], Round], meant: Meant | None = None) -> tuple[MetricVerdict, Interleaved]:
    """One gated metric of equal arms, on hosts that ``spoil`` sets."""
    played = Played(spoil=spoil)
    run = Interleaved(played.play, 7, None, played.renew, played.clock, meant or Meant())
    course = Course({CPU: Track(limits(CPU, Gate()))}, 1)
    await run.gate(course)
    return verdict.gated(course, usable(run.screened), usable(run.fresh), "old")[CPU], run


async def test_what_is_changed_in_the_middle_makes_the_contest_invalid() -> None:
    """It says host, setting, and the values of both arms with their rounds; nothing more is run."""
    found, run = await contest(lambda one: set_to(one, mtu="1500" if one.index < 7 else "9000"))
    assert (found.state, len(run.screened)) == (Verdict.INVALID, 4)
    first, second = run.screened[-1].order
    assert found.reason == (
        f"server-0: mtu differs between the arms: "
        f"{'1500' if first == REF else '9000'} in round {run.screened[-1].ref.index} of ref and "
        f"{'9000' if second == CAND else '1500'} in round {run.screened[-1].cand.index} of cand"
    )


async def test_what_is_changed_between_two_pairs_does_so_too() -> None:
    """Then both arms had it before and have it now, and the figures are of two environments."""
    found, run = await contest(lambda one: set_to(one, governor="powersave" if one.index >= 8 else "performance"))
    assert (found.state, len(run.screened)) == (Verdict.INVALID, 5)
    assert "server-0: governor changed: performance in round" in found.reason
    assert "powersave in round 8 of" in found.reason


async def test_the_same_everywhere_is_no_difference() -> None:
    """Also where hosts differ from each other."""
    found, _ = await contest(lambda one: set_to(set_to(one, mtu="1500"), "client-0", mtu="9000"))
    assert found.state is Verdict.PASS


async def test_what_arms_are_meant_to_change_may_differ_but_not_change() -> None:
    """A link of each arm; whose MTU changes on the way."""

    def linked(late: str) -> Callable[[Round], Round]:
        return lambda one: set_to(one, mtu="1500" if one.arm == REF else late if one.index > 9 else "9000")

    assert (await contest(linked("9000"), Meant(PATH)))[0].state is Verdict.PASS
    found, _ = await contest(linked("4000"), Meant(PATH))
    assert (found.state, "server-0: mtu changed: 1500" in found.reason) == (Verdict.INVALID, True)


def test_many_differences_are_counted() -> None:
    """Three are spelled out."""
    facts = dict.fromkeys("abcde", "1")
    assert str(unequal([pair(facts, dict.fromkeys(facts, "2"))], Meant())).endswith("; and 2 more")


def test_an_option_explains_the_value_that_it_says() -> None:
    """A driver that sets the congestion control which its option asks for is what the arm is."""
    pairs = [pair({"tcp_congestion_control": "cubic"}, {"tcp_congestion_control": "bbr"})]
    assert unequal(pairs, Meant(cand=frozenset({"bbr"}))) is None
    assert unequal(pairs, Meant(ref=frozenset({"cubic"}))) is None
    assert unequal(pairs, Meant(cand=frozenset({"reno"}))) is not None


@given(HOSTS, HOSTS)
def test_what_a_round_doesnt_tell_isnt_compared(one: Settings, other: Settings) -> None:
    """Differences are found exactly where both tell the same fact of the same host with another value."""
    both = [Pair(round_(REF, environment=one), round_(CAND, environment=other), (REF, CAND))]
    told = [(facts, other.get(host, {})) for host, facts in one.items()]
    differs = any(facts[name] != others.get(name, facts[name]) for facts, others in told for name in facts)
    assert (unequal(both, Meant()) is not None) == differs
    assert unequal(both, Meant(frozenset(NAMES))) is None


@given(st.lists(FACTS, min_size=1, max_size=5))
def test_an_environment_that_stands_still_is_never_a_reason(facts: list[dict[str, str]]) -> None:
    """Whatever rounds tell or don't tell, if none contradicts another."""
    known = {name: value for one in facts for name, value in one.items()}
    pairs = [pair({name: known[name] for name in one}, known, 2 * at) for at, one in enumerate(facts)]
    assert unequal(pairs, Meant()) is None


def test_arms_that_a_test_compares_itself_are_held_to_the_same() -> None:
    """A ratio of two environments says nothing of the arms."""
    pairs = tuple(pair({"mtu": "1500"}, {"mtu": "9000"}, 2 * at) for at in range(3))
    with pytest.raises(RunError, match="cubic and bbr can't be compared: server-0: mtu differs"):
        Comparison(pairs, "cubic", "bbr").ratio(CPU)
    assert Comparison(pairs, "cubic", "bbr", meant=Meant(PATH)).ratio(CPU).value == 1
