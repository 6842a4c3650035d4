"""Does the pilot find the shortest length that leaves the start out, and nothing that is another benchmark?"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_netbench.ab.pilot import longer, part_of, pilot
from pytest_netbench.errors import Unsupported
from pytest_netbench.gate.length import (
    LEAST_S,
    LIMIT,
    MOST_S,
    REPEATS,
    START,
    WHOLE,
    Length,
    Needs,
    Seen,
    by_bytes,
    fitted,
    needed_samples,
    start_share,
    step,
)
from pytest_netbench.result.model import Round
from pytest_netbench.scenario.analysis import analyse
from pytest_netbench.scenario.catalog import connect, download, open_loop, ping, request_response, requests
from pytest_netbench.scenario.model import Scenario
from pytest_netbench.scenario.scale import Part
from tests.gate.gate_cases import round_

CPU = "client.cpu_per_byte"


def found(
    start: float, each: float, *, needs: Needs | None = None, samples: int = 0, noise: float = 0.0
) -> tuple[Length, list[Fraction]]:
    """What the pilot finds where a round takes ``start`` and ``each`` times its length seconds; which rounds it ran."""
    wanted = needs or Needs({}, None, lambda _: True)
    rng, run = random.Random(1), list[Fraction]()
    seen: dict[Fraction, list[Seen]] = {}
    first: Seen | None = None
    due: Fraction | Length = WHOLE
    while not isinstance(due, Length):
        run.append(due)
        seconds = (start + each * float(due)) * rng.lognormvariate(0, noise)
        one = Seen(seconds, float(due), {"ping": int(samples * due)})
        if first is None:
            first = one
        else:
            seen.setdefault(due, []).append(one)
        due = step(first, seen, wanted)
    return due, run


@pytest.mark.parametrize(
    ("start", "each", "factor"),
    [
        (0.001, 0.04, Fraction(4)),  # 40 ms become 160: the first power of two above 100
        (0.001, 0.15, Fraction(1)),  # long enough as it is
        (0.001, 15.0, Fraction(1, 64)),  # a quarter of a second is enough
        (0.5, 0.5, Fraction(2)),  # half a second of slow start: as long as may be
        (0.05, 0.05, Fraction(16)),  # its start is small there
    ],
)
def test_it_is_the_shortest_whose_start_is_a_small_part(start: float, each: float, factor: Fraction) -> None:
    """By powers of two, at least a tenth of a second, at most two seconds."""
    length, run = found(start, each)
    assert length.factor == factor
    assert run.count(factor) >= REPEATS
    assert len(run) <= 1 + 4 * REPEATS
    rest = start / (start + each * float(factor))
    assert rest <= START or "the start still is" in length.why


@given(st.floats(0, 1), st.floats(1e-4, 30), st.floats(0, 0.3))
def test_it_always_ends_within_its_limits(start: float, each: float, noise: float) -> None:
    """Whatever the machine does, in some tens of rounds; the same rounds give the same length."""
    length, run = found(start, each, noise=noise)
    assert Fraction(1, LIMIT) <= length.factor <= LIMIT
    assert len(run) <= 1 + 13 * REPEATS
    assert found(start, each, noise=noise) == (length, run)


def test_a_percentile_needs_its_samples_at_the_first_look() -> None:
    """p99: 3,000 an arm in eight pairs; a median is content with a hundred."""
    assert needed_samples(["ping.p99", "ping.p50", "goodput"]) == {"ping": 375}
    assert needed_samples(["ping.p50"]) == {"ping": 100}
    needs = Needs({"ping": 375}, None, lambda _: True)
    assert found(0.0, 0.2, needs=needs, samples=100)[0].factor == 4


def test_each_loop_takes_its_tenth_of_a_second() -> None:
    """Four sizes one after another are four loops."""
    needs = Needs({}, 0.2, lambda _: True)
    assert found(0.0, 0.8, needs=needs)[0].factor == Fraction(1, 2)


def test_what_cant_be_longer_stays() -> None:
    """And says so."""
    length, _ = found(0.0, 0.01, needs=Needs({}, None, lambda factor: factor <= 1))
    assert length.factor == 1
    assert "can't be longer" in length.why


def test_the_start_is_what_two_lengths_have_in_common() -> None:
    """0.1 s of start in rounds of 0.3 and 0.5; more work in no more time is no start."""
    shorter, longer_ = [Seen(0.3, 1.0)], [Seen(0.5, 2.0)]
    assert start_share(shorter, longer_) == pytest.approx(0.2)
    assert start_share([Seen(0.5, 1.0)], [Seen(0.5, 2.0)]) == 1.0
    assert start_share([Seen(0.2, 0.0)], [Seen(0.4, 0.0)]) == 0.0


def test_a_much_slower_candidate_shortens_both() -> None:
    """To two seconds, but never below what the scenario says."""
    long = Length(Fraction(16), "x")
    assert fitted(long, 1.9) == long
    assert fitted(long, 7.0).factor == 4
    assert fitted(long, 1000.0).factor == 1
    assert fitted(Length(Fraction(1, 4)), 1000.0).factor == Fraction(1, 4)


@pytest.mark.parametrize(
    ("scenario", "gated", "part"),
    [
        (ping(time=0.1, size=[1000]), ["ping_1KB.p50"], Part.REPETITIONS),
        (requests(seconds=0.1), ["request.p50"], Part.REPETITIONS),
        (open_loop(seconds=0.1), ["request.p50"], Part.REPETITIONS),
        (connect(10), ["connect.p50"], Part.REPETITIONS),
        (download(4_000_000), [CPU, "goodput"], Part.BYTES),
    ],
    ids=str,
)
def test_repetitions_before_bytes(scenario: Scenario, gated: Sequence[str], part: Part) -> None:
    """An operation stays what it is where something is repeated; both ends agree on eight times as much."""
    assert part_of(scenario, gated) is part
    made = longer(scenario, Length(Fraction(8)), gated)
    before, after = analyse(scenario), analyse(made)
    assert (after.shortest_s, after.connects, after.server_to_client_bytes) != (
        before.shortest_s,
        before.connects,
        before.server_to_client_bytes,
    )
    assert longer(scenario, Length(), gated) == scenario


@pytest.mark.parametrize(
    ("gated", "words"),
    [(["response.p50"], "response.p50 is of whole transfers"), ([CPU, "client.cpu_per_op"], "client.cpu_per_op is")],
)
def test_the_size_of_a_transfer_stays_where_its_time_is_gated(gated: Sequence[str], words: str) -> None:
    """Ten megabytes aren't five of two."""
    assert words in str(part_of(request_response(response=4_000_000), gated))
    assert by_bytes(["goodput", "goodput.fairness", CPU]) == ""


async def test_a_pilot_runs_the_scenario_at_each_length() -> None:
    """Forty milliseconds become a hundred and sixty; the first round, which is cold, doesn't count."""
    sizes: list[int | None] = []

    async def play(made: Scenario, factor: Fraction) -> Round:
        sizes.append(analyse(made).server_to_client_bytes)
        return replace(round_("ref"), duration_s=0.04 * float(factor))

    length = await pilot(play, download(1_000_000), [CPU], lambda: True)
    assert length.factor == 4
    assert sizes[0] == 1_000_000
    assert sorted(one or 0 for one in sizes[1:]) == [2_000_000] * REPEATS + [4_000_000] * REPEATS
    assert str(length).startswith("rounds are 4 times what the scenario says: one takes 0.16 s")


async def test_a_pilot_leaves_a_test_as_it_is_where_it_cant_say() -> None:
    """A round that doesn't count, or no time: the length is the scenario's, with the reason."""

    async def play(_: Scenario, __: Fraction) -> Round:
        return replace(round_("ref"), validity=("server-0: it crashed",))

    length = await pilot(play, download(1_000_000), [CPU], lambda: True)
    assert length.factor == 1
    assert "it crashed" in length.why
    assert "budget" in (await pilot(play, download(1_000_000), [CPU], lambda: False)).why

    async def refuse(_: Scenario, factor: Fraction) -> Round:
        if factor != WHOLE:
            raise Unsupported("only megabytes")
        return replace(round_("ref"), duration_s=0.04)

    length = await pilot(refuse, download(1_000_000), [CPU], lambda: True)
    assert length.factor == 1
    assert "another is unsupported: only megabytes" in length.why
    assert LEAST_S < MOST_S
