"""What is an emulated instance with a network of its own? Namespaces, on a bridge that leads nowhere; no root.

Private addresses are there alone: nobody but the other hosts can reach them. A public one is the gateway's, an address
of the loopback on which the coordinator is: what connects to it, from where the security group lets it and at a port
that it opens, is carried to the private one. A host doesn't know its public address, and there is no default route, so
that who takes one address for the other reaches nobody.
"""

from __future__ import annotations

import ctypes
import ipaddress
import os
import select
import socket
import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pytest_netbench.testing.aws.loopback import LoopbackHost

if TYPE_CHECKING:
    from werkzeug.serving import BaseWSGIServer

T = TypeVar("T")

NETWORK = "10.77.0.0/16"
MTU = 9001
"""Bytes: as of EC2's interfaces within their network."""
_BRIDGE = "ip link set lo up && ip link add vpc mtu {mtu} type bridge && ip link set vpc up && echo up && exec cat"
_INIT = """\
set -e
mount -t sysfs none /sys  # of its own network
mount -t tmpfs none /run  # the machine's own init can't be spoken with
for program in shutdown poweroff halt reboot systemctl; do
  for path in /bin/$program /sbin/$program /usr/bin/$program /usr/sbin/$program; do
    [ ! -e $path ] || mount --bind "$SHIMS/$program" "$(readlink -f $path)"
  done
done
hostname "ip-$HOST_IP"
ip link set lo up
echo up
trap 'exit 0' TERM
while :; do sleep 86400 & wait $!; done
"""
_KINDS = ("--net", "--pid", "--mount", "--uts", "--ipc")
_NEW = ("unshare", *_KINDS, "--mount-proc", "--fork", "--kill-child=SIGKILL", "--")
_CLONE_NEWNET = 0x40000000
_DYING = 10.0
_libc = ctypes.CDLL(None, use_errno=True)


def why_not_here() -> str | None:
    """Why hosts may not have networks of their own beside this one; None if they may."""
    routes = Path("/proc/net/route").read_text().splitlines()[1:]
    if any(line.split()[1] == "00000000" for line in routes):
        return "this network has a default route, by which a mix-up of addresses would leave the machine"
    return None


@dataclass(frozen=True, slots=True)
class Opening:
    """Ports that a security group opens, and to whom."""

    ports: range
    source: ipaddress.IPv4Network


class Vpc:
    """The network of all hosts: a bridge, in a namespace that has nothing else.

    ``serve``: makes the API's server in the network in which it is called, where hosts find it at the endpoint's
    address; the only thing beside each other that they can reach.
    """

    def __init__(self, block: int, serve: Callable[[], BaseWSGIServer]) -> None:
        self._block, self.serve = block, serve
        self._process = subprocess.Popen(
            ["unshare", "--net", "--", "sh", "-c", _BRIDGE.format(mtu=MTU)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        _await_up(self._process)

    def public(self, private: str) -> str:
        """The public address of the host with a private one."""
        _, _, third, fourth = private.split(".")
        return f"127.{self._block}.{third}.{fourth}"

    def attach(self, pid: int, address: str) -> None:
        """Put the network namespace of a process on the bridge."""
        name = f"h{pid}"
        peer = ("peer", "name", "eth0", "mtu", str(MTU), "netns", str(pid))
        _in_network(self._process.pid, "ip", "link", "add", name, "mtu", str(MTU), "type", "veth", *peer)
        _in_network(self._process.pid, "ip", "link", "set", name, "master", "vpc", "up")
        _in_network(pid, "ip", "address", "add", f"{address}/{ipaddress.ip_network(NETWORK).prefixlen}", "dev", "eth0")
        _in_network(pid, "ip", "link", "set", "eth0", "up")

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


class NamespaceHost(LoopbackHost):
    """One instance in namespaces of its own, on the VPC's bridge."""

    def __init__(
        self, place: Path, name: str, address: str, minute_s: float, ended: Callable[[], None], vpc: Vpc
    ) -> None:
        self._vpc, self._inner, self._closing = vpc, 0, threading.Event()
        super().__init__(place, name, address, minute_s, ended)
        vpc.attach(self._inner, address)
        self._api = _within(self._inner, vpc.serve)
        threading.Thread(target=self._api.serve_forever, daemon=True).start()

    def open(self, openings: Sequence[Opening]) -> None:
        """Let through what the security groups open."""
        for opening in openings:
            for port in opening.ports:
                listener = socket.create_server((self._vpc.public(self.address), port))
                threading.Thread(target=self._carry, args=(listener, port, opening.source), daemon=True).start()

    def _begin(self) -> subprocess.Popen[bytes]:
        self.environment |= {"INIT": "1", "SHIMS": str(self.folder / "bin")}
        (self.folder / "bin" / "hostname").unlink()  # its own tells the truth here
        process = subprocess.Popen(
            [*_NEW, "sh", "-c", _INIT],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        _await_up(process)
        (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        self._inner = int(child)
        return process

    def _inside(self) -> tuple[str, ...]:
        return ("nsenter", f"--target={self._inner}", *_KINDS, "--")

    def _kill_all(self) -> None:
        """The kernel ends all processes with the first one; return when that is gone."""
        self._closing.set()
        with suppress(ProcessLookupError):
            descriptor = os.pidfd_open(self._inner)
            os.kill(self._inner, 9)
            select.select([descriptor], [], [], _DYING)
            os.close(descriptor)
        if hasattr(self, "_api"):
            threading.Thread(target=self._api.shutdown, daemon=True).start()

    def _carry(self, listener: socket.socket, port: int, source: ipaddress.IPv4Network) -> None:
        listener.settimeout(0.2)
        with listener:
            while not self._closing.is_set():
                try:
                    outer, peer = listener.accept()
                except TimeoutError:
                    continue
                if ipaddress.ip_address(peer[0]) not in source:
                    outer.close()
                    continue
                try:
                    inner = _within(self._inner, lambda: socket.create_connection((self.address, port), 5))
                except OSError:  # nobody listens there
                    outer.close()
                    continue
                inner.settimeout(None)
                for one, other in ((outer, inner), (inner, outer)):
                    threading.Thread(target=_pump, args=(one, other), daemon=True).start()


def _pump(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes one way, and their end."""
    with suppress(OSError):
        while data := one.recv(1 << 16):
            other.sendall(data)
    with suppress(OSError):
        other.shutdown(socket.SHUT_WR)


def _within(pid: int, what: Callable[[], T]) -> T:
    """Do something in the network of a process: what is opened there stays there."""
    done: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            _join(pid)
            done.append(what())
        except BaseException as error:  # noqa: BLE001  told to the thread that waits
            failed.append(error)

    thread = threading.Thread(target=run)  # it ends with its namespace
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return done[0]


def _join(pid: int) -> None:
    """Let this thread be in the network of a process."""
    with Path(f"/proc/{pid}/ns/net").open() as file:
        if _libc.setns(file.fileno(), _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "can't join a network namespace")


def _in_network(pid: int, *command: str) -> None:
    done = subprocess.run(
        ["nsenter", f"--target={pid}", "--net", "--", *command], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")


def _await_up(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    assert process.stderr is not None
    if process.stdout.readline() != b"up\n":
        process.kill()
        raise OSError(f"no namespace of its own: {process.stderr.read().decode(errors='replace').strip()}")
