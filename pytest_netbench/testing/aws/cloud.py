"""What is behind the emulated API? Hosts that boot, serve and end in their own time, and what goes wrong with them."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from moto.ec2.models.instances import InstanceState, StateReason

from pytest_netbench.testing.aws.loopback import LoopbackHost, Refused
from pytest_netbench.testing.aws.namespaced import NamespaceHost, Opening, Vpc
from pytest_netbench.testing.aws.rules import ApiFault, Cause, Fate, HostFault
from pytest_netbench.testing.aws.simulated import SimulatedHost, Workers

if TYPE_CHECKING:
    from moto.ec2.models.instances import Instance

PENDING, RUNNING = InstanceState("pending", 0), InstanceState("running", 16)
SHUTTING_DOWN, TERMINATED = InstanceState("shutting-down", 32), InstanceState("terminated", 48)
OVER = frozenset({"shutting-down", "terminated"})


@dataclass(frozen=True, slots=True)
class Delays:
    """How long things take, in seconds.

    From RunInstances to running; from running to SSM's agent; from TerminateInstances to terminated; until a new
    instance is seen by who asks; and a minute of ``shutdown``. ``skew_s``: how far the cloud's clock is ahead of ours.
    """

    boot_s: float = 0.3
    agent_s: float = 0.2
    end_s: float = 0.2
    visible_s: float = 0.0
    minute_s: float = 60.0
    skew_s: float = 0.0

    def with_changes(self, changes: dict[str, float]) -> Delays:
        """Others in the place of these.

        :raises ValueError: for one that there isn't.
        """
        unknown = set(changes) - {one.name for one in fields(self)}
        if unknown:
            raise ValueError(f"no delay is named {', '.join(sorted(unknown))}")
        return replace(self, **changes)


def _state(of: InstanceState) -> InstanceState:
    """A copy: moto changes states in place."""
    return InstanceState(of.name, of.code)


class Machine:
    """An instance of the API and its host. ``managed``: it has a profile, so that SSM may hear of it."""

    def __init__(self, instance: Instance, *, managed: bool) -> None:
        self.instance, self.managed = instance, managed
        self.born = time.monotonic()
        self.booted: float | None = None
        self.host: LoopbackHost | SimulatedHost | None = None
        self.cause = Cause.SHUTDOWN
        self.without_agent = False

    @property
    def state(self) -> str:
        """As EC2 names it."""
        return str(self.instance._state.name)  # noqa: SLF001  moto gives no other way to it

    def become(self, state: InstanceState) -> None:
        """Change what EC2 says."""
        self.instance._state = _state(state)  # noqa: SLF001


class Cloud:
    """The machines of one emulation, and its rules; a context manager that pulls every plug.

    ``simulated``: hosts have no processes of their own, and their workers share one. ``vpc``: hosts have networks of
    their own on it.
    """

    def __init__(self, place: Path, delays: Delays, *, simulated: bool = False, vpc: Vpc | None = None) -> None:
        self.place, self.delays, self._vpc = place, delays, vpc
        self._workers = Workers() if simulated else None
        self.lock = threading.RLock()
        self.machines: dict[str, Machine] = {}
        self.api_faults: tuple[ApiFault, ...] = ()
        self.host_faults: list[HostFault] = []
        self.log: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for machine in list(self.machines.values()):
            if machine.host is not None:
                machine.host.pull_the_plug()
        if self._workers is not None:
            self._workers.close()
        if self._vpc is not None:
            self._vpc.close()

    def public(self, private: str) -> str:
        """The public address of an instance: the private one, where hosts have no networks of their own."""
        return private if self._vpc is None else self._vpc.public(private)

    def launch(self, instance: Instance, *, managed: bool, user_data: str) -> None:
        """Let a new instance boot."""
        machine = self.machines[instance.id] = Machine(instance, managed=managed)
        machine.become(PENDING)
        machine.without_agent = self._has_fate(Fate.NO_AGENT, instance)
        if self._has_fate(Fate.NEVER_BOOTS, instance):
            return
        fails = self._has_fate(Fate.BOOT_FAILS, instance)
        _later(self.delays.boot_s, lambda: self._no_room(machine) if fails else self._boot(machine, user_data))

    def _boot(self, machine: Machine, user_data: str) -> None:
        address = machine.instance.private_ip
        with self.lock:
            if machine.state != PENDING.name or address is None:
                return
            name = machine.instance.id
            host = machine.host = self._host(machine, address)
            machine.booted = time.monotonic()
            machine.become(RUNNING)
        if user_data:
            try:
                host.run(user_data)
            except (OSError, Refused) as error:
                self.log.append(f"{name}: user data: {error}")

    def _host(self, machine: Machine, address: str) -> LoopbackHost | SimulatedHost:
        def ended() -> None:
            self._ended(machine)

        if self._workers is not None:
            return SimulatedHost(self._workers, address, ended)
        common = self.place, machine.instance.id, address, self.delays.minute_s, ended
        if self._vpc is None:
            return LoopbackHost(*common)
        host = NamespaceHost(*common, self._vpc)
        host.open(_openings(machine.instance))
        return host

    def _no_room(self, machine: Machine) -> None:
        self._terminate(machine, "Server.InsufficientInstanceCapacity", "Insufficient capacity to satisfy the request")

    def _has_fate(self, fate: Fate, instance: Instance) -> bool:
        tags = str(instance.get_tags())
        with self.lock:
            for index, rule in enumerate(self.host_faults):
                if rule.fate is fate and rule.tag in tags and rule.times > 0:
                    self.host_faults[index] = replace(rule, times=rule.times - 1)
                    return True
        return False

    def _ended(self, machine: Machine) -> None:
        """A host ended without EC2's doing."""
        if machine.state in OVER or machine.cause is Cause.CRASH:
            return
        if machine.cause is Cause.SPOT:
            self._terminate(machine, "Server.SpotInstanceTermination", "Instance terminated due to spot interruption")
        elif machine.instance.instance_initiated_shutdown_behavior == "terminate":
            self._terminate(machine, "Client.InstanceInitiatedShutdown", "Instance initiated shutdown")
        else:
            machine.instance.stop()

    def _terminate(self, machine: Machine, code: str, words: str) -> None:
        machine.instance.terminate()
        machine.become(TERMINATED)
        machine.instance.state_reason = StateReason(f"{code}: {words}", code)

    def end(self, machine: Machine) -> None:
        """Terminate it, as asked by the API."""
        machine.instance.terminate()
        machine.become(SHUTTING_DOWN)

        def finish() -> None:
            if machine.host is not None:
                machine.host.pull_the_plug()
            time.sleep(self.delays.end_s)
            machine.become(TERMINATED)

        _later(0, finish)

    def kill(self, name: str, cause: Cause) -> None:
        """Pull the plug of a host."""
        machine = self.machines[name]
        machine.cause = cause
        if machine.host is not None:
            machine.host.pull_the_plug()

    def is_visible(self, name: str) -> bool:
        """Whether an instance is seen by who asks: the cloud is consistent only in the end."""
        machine = self.machines.get(name)
        return machine is None or time.monotonic() - machine.born >= self.delays.visible_s

    def managed(self, region: str) -> dict[str, str]:
        """Whom SSM knows in a region: instance to ping status."""
        now, found = time.monotonic(), {}
        for name, machine in list(self.machines.items()):
            here = machine.instance.region_name == region and machine.managed and not machine.without_agent
            if here and machine.host and machine.booted and now - machine.booted >= self.delays.agent_s:
                if machine.state in OVER:
                    continue
                found[name] = "Online" if machine.host.alive else "ConnectionLost"
        return found


def _openings(instance: Instance) -> list[Opening]:
    """What the security groups of an instance open to addresses, at its boot."""
    groups = {group.id: group for nic in instance.nics.values() for group in nic.group_set}
    return [
        Opening(range(int(rule.from_port), int(rule.to_port) + 1), ipaddress.IPv4Network(rule.ip_range["CidrIp"]))
        for group in groups.values()
        for rule in group.ingress_rules
        if rule.ip_protocol == "tcp" and (rule.ip_range or {}).get("CidrIp")
    ]


def _later(seconds: float, what: Callable[[], None]) -> None:
    def run() -> None:
        time.sleep(seconds)
        what()

    threading.Thread(target=run, daemon=True).start()
