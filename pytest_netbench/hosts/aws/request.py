"""What is asked of EC2, word for word? Requests from a plan, complete before anything is sent; pure.

They are written into the ledger before they are sent, and sent again, the same, when an answer was lost: what is in
them depends on nothing but their arguments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pytest_netbench.hosts.aws.plan import Launch
from pytest_netbench.hosts.aws.policy import MADE, SPOT

RUN, OWNER, EXPIRES = "nb:run", "nb:owner", "nb:expires"
"""Tags of everything that a run makes."""
DISK_GB = 8
MTU = 9001
"""Bytes: of an instance's interface within its network."""

_USER_DATA = """\
#!/bin/sh
# Ends this machine when its time is over, whatever becomes of who started it; a reboot arms it again.
units=${{NETBENCH_UNITS:-/etc/systemd/system}}
cat >"$units/netbench-end.service" <<'UNIT'
[Unit]
Description=the end of a benchmark's host
[Service]
Type=oneshot
ExecStart=systemctl poweroff
UNIT
cat >"$units/netbench-end.timer" <<'UNIT'
[Unit]
Description=when the end of a benchmark's host comes
[Timer]
OnBootSec={minutes}min
OnCalendar={at} UTC
Persistent=true
[Install]
WantedBy=timers.target
UNIT
systemctl daemon-reload
systemctl enable --now netbench-end.timer
shutdown -P +{minutes}
command -v python3.11 || command -v python3.12 || python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  dnf install -y -q python3.11 || true
command -v openssl || dnf install -y -q openssl || true
"""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose things they are, and until when, in seconds since the epoch; ``chance`` makes its tokens nobody else's."""

    run: str
    owner: str
    expires: int
    chance: str

    @property
    def tags(self) -> list[dict[str, str]]:
        """As AWS takes them."""
        named = {RUN: self.run, OWNER: self.owner, EXPIRES: str(self.expires), "Name": f"netbench {self.run}"}
        return [{"Key": key, "Value": value} for key, value in named.items()]

    def specification(self, *kinds: str) -> list[dict[str, Any]]:
        """The tags for things that a request makes."""
        return [{"ResourceType": kind, "Tags": self.tags} for kind in kinds]

    @property
    def group(self) -> str:
        """The name of the run's security group."""
        return f"netbench-{self.run}"

    def placement_group(self, zone: str, strategy: str) -> str:
        """The name of a placement group of the run."""
        return f"netbench-{self.run}-{zone}-{strategy}"

    def token(self, number: int) -> str:
        """A client token: at most 64 characters, its own for each launch of the run."""
        return f"{self.run[:36]}-{self.chance[:16]}-{number}"

    @property
    def prefix(self) -> str:
        """Where the run keeps its objects in the bucket."""
        return f"runs/{self.run}/"


@dataclass(frozen=True, slots=True)
class Base:
    """What all launches of a run share. ``images``: by machine."""

    identity: Identity
    images: Mapping[str, str]
    security_group: str
    instance_profile: str
    life: float
    spot: bool


def user_data(life: float, expires: int) -> str:
    """What a host does first: arm the timer that ends it after ``life`` seconds, and not after ``expires``."""
    at = datetime.fromtimestamp(expires, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return _USER_DATA.format(minutes=max(1, round(life / 60)), at=at)


def run_instances(base: Base, launch: Launch, subnet: str, machine: str, token: str, *, public: bool) -> dict[str, Any]:
    """One RunInstances: all of these hosts, or none."""
    count, identity = len(launch.slots), base.identity
    placement = {"AvailabilityZone": launch.zone}
    if launch.placement:
        placement["GroupName"] = identity.placement_group(launch.zone, launch.placement)
    market = {"MarketType": "spot", "SpotOptions": {"SpotInstanceType": "one-time"}}
    return {
        "ImageId": base.images[machine],
        "InstanceType": launch.type,
        "MinCount": count,
        "MaxCount": count,
        "ClientToken": token,
        "IamInstanceProfile": {"Name": base.instance_profile},
        "InstanceInitiatedShutdownBehavior": "terminate",
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1, "HttpEndpoint": "enabled"},
        "Placement": placement,
        "UserData": user_data(base.life, identity.expires),
        "NetworkInterfaces": [
            {
                "DeviceIndex": 0,
                "SubnetId": subnet,
                "Groups": [base.security_group],
                "AssociatePublicIpAddress": public,
                "DeleteOnTermination": True,
            }
        ],
        "TagSpecifications": identity.specification(*MADE, *([SPOT] if base.spot else [])),
        **({"InstanceMarketOptions": market} if base.spot else {}),
    }


def ingress(group: str, port: int, sources: Sequence[str]) -> list[dict[str, Any]]:
    """Who may speak with the hosts: each other, and the coordinator with the workers."""
    return [
        {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]},
        {
            "IpProtocol": "tcp",
            "FromPort": port,
            "ToPort": port,
            "IpRanges": [{"CidrIp": one, "Description": "the coordinator"} for one in sources],
        },
    ]
