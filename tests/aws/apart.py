"""What happens in a network without a default route, with emulated hosts that have networks of their own?

``python -m tests.aws.apart addresses|session FOLDER {...}``, in namespaces: the last line that it prints is JSON.
"""

from __future__ import annotations

import asyncio
import errno
import json
import socket
import sys
from pathlib import Path
from typing import Any

from pytest_netbench.hosts import namespace
from pytest_netbench.hosts.model import Need
from pytest_netbench.testing.aws.emulation import Emulation
from pytest_netbench.testing.aws.rules import Kind
from tests.aws.aws_runs import configure, left, on_host, provider, pytest_run

PROGRAM = """
import errno, socket, sys
for address in sys.argv[1:]:
    with socket.socket() as sock:
        sock.settimeout(2)
        print(errno.errorcode.get(sock.connect_ex((address, 9000)), "reached"))
"""


def reach(address: str, port: int = 9000) -> str:
    """What comes of a connection from outside."""
    with socket.socket() as sock:
        sock.settimeout(2)
        return errno.errorcode.get(sock.connect_ex((address, port)), "reached")


async def addresses(cloud: Emulation) -> dict[str, Any]:
    """Who reaches whom, and what a host knows of itself."""
    async with provider(cloud) as made, made.fleet(Need(2, 0)) as fleet:
        listed = cloud.client("ec2").describe_instances()["Reservations"]
        instances = [one for each in listed for one in each["Instances"]]
        private, public = ([one[f"{kind}IpAddress"] for one in instances] for kind in ("Private", "Public"))
        first = instances[0]["InstanceId"]
        return {
            "private": private,
            "public": public,
            "own": on_host(cloud, first, "hostname -I").split(),
            "routes": on_host(cloud, first, "ip route").splitlines(),
            "inside": on_host(cloud, first, f"python3 -c '{PROGRAM}' {private[1]} {public[1]}").split(),
            "outside": [reach(private[0]), reach(public[0]), reach(public[0], 22)],
            "facts": dict(fleet.servers[0].facts),
        }


def session(cloud: Emulation, folder: Path, told: dict[str, str]) -> dict[str, Any]:
    """A session of pytest."""
    configure(folder, cloud, control=told["control"], agent=10)
    with (folder / "netbench.toml").open("a") as file:
        file.write(told.get("rows", ""))
    process = pytest_run(folder, "--netbench-driver", told["driver"])
    said, _ = process.communicate(timeout=250)
    return {"status": process.returncode, "said": said, "left": left(cloud)}


def main(what: str, folder: str, told: str) -> None:
    """Do it, and say what came of it."""
    namespace.bring_up(65536)
    with Emulation(Kind.NAMESPACES, boot_s=0.05, agent_s=0.05, end_s=0.05) as cloud:
        cloud.set_up()
        done = asyncio.run(addresses(cloud)) if what == "addresses" else session(cloud, Path(folder), json.loads(told))
    sys.stdout.write(json.dumps(done) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
