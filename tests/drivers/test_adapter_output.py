"""Is what performance tools print read, with its units, and is what doesn't fit told in one line?"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_netbench.drivers.adapter.output import PARSERS, Said, Unreadable, read
from pytest_netbench.drivers.foreign import Output

IPERF3 = Output(parser="iperf3-json")


def run(*, sender: bool, size: int = 1000, **more: Any) -> dict[str, Any]:
    """One run as iperf3 tells it: two sums, the end's own one marked by who is the sender."""
    sums = {"seconds": 0.5, "sender": sender}
    end = {"sum_sent": {"bytes": size, **sums}, "sum_received": {"bytes": size - 1, **sums}}
    return {"start": {"test_start": {"num_streams": 2}}, "end": end, **more}


def test_iperf3_tells_its_own_direction() -> None:
    """Of the two sums, that of what this end did."""
    assert read(IPERF3, json.dumps(run(sender=True))) == Said(1000, 0, None, 0.5, 2)
    assert read(IPERF3, json.dumps(run(sender=False))) == Said(0, 999, None, 0.5, 2)


def test_several_runs_of_iperf3_add_up() -> None:
    """As a server prints them that served one client after another."""
    text = json.dumps(run(sender=False), indent=1) + "\n" + json.dumps(run(sender=False, size=11)) + "\n"
    assert read(IPERF3, text) == Said(0, 999 + 10, None, 1.0, 4)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it printed nothing"),
        ("[  5] local 127.0.0.1\niperf Done.", "isn't iperf3's JSON .*its last line is 'iperf Done.'"),
        (json.dumps({"end": {}, "error": "unable to connect to server"}), "iperf3 says 'unable to connect to server'"),
        (json.dumps({"end": {"sum_sent": 7}}), "isn't iperf3's JSON"),
        ('{"end": {"sum_sent": {"bytes": 1', "isn't iperf3's JSON"),
    ],
)
def test_what_is_no_json_of_iperf3_is_told(text: str, why: str) -> None:
    """What stands there instead."""
    with pytest.raises(Unreadable, match=why):
        read(IPERF3, text)


def test_an_expression_reads_groups_in_their_units() -> None:
    """The row's unit, or the one that stands beside the number; the last match counts."""
    rule = Output(pattern=r"(?P<bytes>[\d.]+) (?P<bytes_unit>\w+) in (?P<seconds>[\d.]+)", units={"seconds": "ms"})
    said = read(rule, "1 KiB in 7\n1.5 MB in 250\n")
    assert (said.moved, said.seconds) == (1_500_000, 0.25)


def test_a_rate_and_an_amount_are_a_time() -> None:
    """For tools that tell only how fast they were."""
    rule = Output(pattern=r"(?P<received>\d+) bytes, (?P<rate>\S+) Mbit/s", units={"rate": "Mbit/s"})
    assert read(rule, "1000000 bytes, 8 Mbit/s").seconds == pytest.approx(1.0)


def test_every_handshake_counts() -> None:
    """Of `connect` all matches are samples."""
    rule = Output(pattern=r"took (?P<connect>\d+) us", units={"connect": "us"})
    assert read(rule, "took 100 us\ntook 300 us\n").connects == pytest.approx((1e-4, 3e-4))


def test_alternatives_may_tell_in_several_lines() -> None:
    """What one match leaves open, another tells."""
    rule = Output(pattern=r"^(?P<connections>\d+) connections|^in (?P<seconds>\d+) s")
    said = read(rule, "12 connections\nin 3 s\n")
    assert (said.connections, said.seconds) == (12, 3.0)


def test_openssl_counts_handshakes() -> None:
    """As the page of level command has it: how many, of what s_time prints; its seconds are up to one too long."""
    page = (Path(__file__).parents[2] / "docs" / "driver-command.md").read_text()
    (pattern,) = re.findall(r"^output.client = '(.*connections.*)'$", page, re.MULTILINE)
    said = read(
        Output(pattern=pattern), "423 connections in 0.21s; 2014.29 x\n423 connections in 2 real seconds, 0 x\n"
    )
    assert (said.connections, said.seconds) == (423, None)


@pytest.mark.parametrize(
    ("pattern", "text", "why"),
    [
        (r"(?P<bytes>\d+) bytes", "", "it printed nothing"),
        (r"(?P<bytes>\d+) bytes", "all\nfine", "doesn't fit .* its last line is 'fine'"),
        (r"(?P<bytes>\S+) bytes", "many bytes", "in its output bytes is 'many', expected a number"),
        (r"(?P<bytes>\d+) (?P<bytes_unit>\w+)", "7 bushels", "counts bytes in 'bushels', known are B, KB"),
    ],
)
def test_what_does_not_fit_is_told(pattern: str, text: str, why: str) -> None:
    """What stands there instead."""
    with pytest.raises(Unreadable, match=why):
        read(Output(pattern=pattern), text)


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
@pytest.mark.parametrize("rule", [Output(parser=name) for name in PARSERS], ids=lambda rule: rule.parser)
def test_nothing_breaks_a_parser(rule: Output, text: str) -> None:
    """Whatever is printed is read or told, never a traceback."""
    try:
        read(rule, text)
    except Unreadable as error:
        assert str(error)  # noqa: PT017 - both ends are right
