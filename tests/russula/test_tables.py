"""Do the tables lead both sides to the same end, whatever the order in which they hear of each other?"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from pathlib import Path

import pytest

from pytest_netbench.protocols import (
    CLIENT,
    SERVER,
    ClientCoordinator,
    NetbenchClient,
    NetbenchServer,
    ServerCoordinator,
)
from russula.dialogue import Dialogue
from russula.errors import LocalProtocolError, RemoteProtocolError
from russula.introspect import markdown, mermaid, text
from russula.machine import Machine
from russula.protocol import Command, Finished, Protocol, Role
from russula.testing import Mishap, explore, unreached

BOTH = pytest.mark.parametrize("protocol", [SERVER, CLIENT], ids=lambda one: one.name)


@BOTH
def test_every_interleaving_ends_done_on_both_sides(protocol: Protocol) -> None:
    """The only joint state without a way out is DONE and DONE."""
    ends = explore(protocol).ends
    assert {(one and one.name, other and other.name) for one, other in ends} == {("DONE", "DONE")}


@BOTH
@pytest.mark.parametrize("mishaps", [Mishap.FAILURE, Mishap.LOSS, Mishap.FAILURE | Mishap.LOSS], ids=str)
def test_both_sides_end_in_agreement(protocol: Protocol, mishaps: Mishap) -> None:
    """Whatever fails, and whenever the connection breaks and is had again: both DONE, or both FAILED."""
    walk = explore(protocol, mishaps)
    assert not walk.problems
    assert {one and one.name for pair in walk.ends for one in pair} <= {"DONE", "FAILED"}
    assert all(one is other or (one and other and one.name == other.name) for one, other in walk.ends)


@BOTH
def test_whoever_is_left_comes_to_an_end(protocol: Protocol) -> None:
    """With either side crashed or given up at any step, nobody waits for ever, nor takes for done what isn't."""
    walk = explore(protocol, Mishap.ALL)
    assert not walk.problems
    assert any(one.coordinator is None for one in walk.stuck)
    assert any(one.worker is None for one in walk.stuck)


@BOTH
def test_an_announcement_taken_twice_would_be_found(protocol: Protocol, monkeypatch: pytest.MonkeyPatch) -> None:
    """The walk sees a log that begins anew on a new connection: the proof can fail."""
    monkeypatch.setattr(Dialogue, "resume", lambda self, _: setattr(self, "_next", 0))
    assert any("was due" in one for one in explore(protocol, Mishap.LOSS).problems)


@BOTH
def test_every_state_is_needed(protocol: Protocol) -> None:
    """No row stands in a table that no interleaving enters."""
    assert not unreached(protocol)


@BOTH
def test_a_forgotten_row_is_found(protocol: Protocol) -> None:
    """Whichever row of the worker's table is emptied, the walk ends elsewhere than in DONE and DONE."""
    role: Role[Enum] = protocol.worker
    for state in list(role.table)[:-1]:
        broken = replace(protocol, worker=replace(role, table={**role.table, state: {}}))
        assert {(one and one.name, other and other.name) for one, other in explore(broken).ends} != {
            ("DONE", "DONE")
        }, state


@BOTH
def test_a_command_waits_where_the_worker_rests(protocol: Protocol) -> None:
    """Where a coordinator waits for a command and nothing is under way, its worker can't go on by itself.

    That is what lets run_till() give a command as soon as it is possible: nothing is skipped by it.
    """
    for joint in explore(protocol).reached:
        waits = any(isinstance(one, Command) for one in protocol.coordinator.table[joint.coordinator])
        if waits and not joint.to_worker and not joint.to_coordinator:
            assert Finished() not in protocol.worker.table[joint.worker], joint


def test_a_fast_worker_is_not_overlooked() -> None:
    """Two announcements that come at once are both taken, in order."""
    machine = Machine(CLIENT.coordinator, CLIENT.worker)
    for state in (NetbenchClient.WAIT, NetbenchClient.READY):
        machine.heard(state)
    machine.fire(Command("run"))
    for state in (NetbenchClient.STARTING, NetbenchClient.ARMED):
        machine.heard(state)
    machine.fire(Command("go"))
    assert machine.heard(NetbenchClient.RUNNING) == [ClientCoordinator.RUNNING]
    assert machine.heard(NetbenchClient.STOPPED) == [ClientCoordinator.STOPPED]


def test_what_no_row_allows_is_an_error_of_this_side() -> None:
    """A command in the wrong state is refused, and nothing changes."""
    machine = Machine(SERVER.coordinator, SERVER.worker)
    with pytest.raises(LocalProtocolError, match="isn't possible in CHECK"):
        machine.fire(Command("stop"))
    assert machine.state is ServerCoordinator.CHECK


def test_a_peer_that_jumps_is_an_error_of_that_side() -> None:
    """An announcement that the peer's table doesn't allow is refused."""
    machine = Machine(SERVER.coordinator, SERVER.worker)
    machine.heard(NetbenchServer.WAIT)
    with pytest.raises(RemoteProtocolError, match="announced RUNNING after WAIT"):
        machine.heard(NetbenchServer.RUNNING)


@BOTH
def test_pictures_show_every_row(protocol: Protocol) -> None:
    """The drawings come from the tables: each transition stands in both forms."""
    for role, picture in zip((protocol.coordinator, protocol.worker), mermaid(protocol), strict=True):
        for state, row in role.table.items():
            for target in row.values():
                assert f"{state.name} --> {target.name}: " in picture
                assert state.name in text(protocol)


@BOTH
def test_the_documents_pictures_are_the_tables(protocol: Protocol) -> None:
    """docs/protocols.md has the diagrams as they are drawn today."""
    assert markdown(protocol) in (Path(__file__).parents[2] / "docs" / "protocols.md").read_text()
