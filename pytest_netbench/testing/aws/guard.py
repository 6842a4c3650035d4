"""How does no test ever reach the real AWS? Each address is looked at before a socket, here and in every child.

``with guard.up():`` puts it up for a process, and for the children that it starts: they inherit an environment in which
AWS is a closed port of this machine, and netbench refuses any other place. The error is no ``Exception``, so that
nothing that retries or suppresses errors hides it.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

VARIABLE = "NETBENCH_AWS_LOOPBACK_ONLY"
"""Set, it makes every process of netbench that is about to speak with AWS put the guard up first."""

_AWS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".amazonaws.eu", ".aws.dev", ".awsapps.com")
_METADATA = frozenset({"169.254.169.254", "169.254.170.2", "169.254.170.23", "fd00:ec2::254", "fd00:ec2::23"})

ENVIRONMENT: Mapping[str, str] = {
    VARIABLE: "1",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""Nobody listens at the discard port: who forgets to name the emulated endpoint is refused at once."""
_NAMES_OF_OTHERS = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_ROLE_ARN", "AWS_REGION")


class RealAwsReached(BaseException):
    """A test was about to speak with the real AWS, or with somebody else's machine."""


class _State:
    """An audit hook can't be taken away again: how often it is wanted, and whether it is there."""

    wanted = 0
    installed = False


def why_not(host: object) -> str | None:
    """Why nobody may speak with this host in a test; None for this machine and private addresses."""
    if isinstance(host, bytes):
        host = host.decode(errors="replace")
    if not isinstance(host, str):
        return None
    name = host.rstrip(".").lower()
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return f"{host} is AWS" if name.endswith(_AWS) or f".{name}" in _AWS else None
    if str(address) in _METADATA:
        return f"{host} is the instance metadata service"
    return f"{host} is a public address" if address.is_global else None


def _look(event: str, arguments: tuple[object, ...]) -> None:
    if not _State.wanted:
        return
    if event in {"socket.getaddrinfo", "socket.gethostbyname"}:
        host: object = arguments[0]
    elif event in {"socket.connect", "socket.sendto"}:
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else None
    else:
        return
    if (reason := why_not(host)) is not None:
        raise RealAwsReached(f"a test was about to leave this machine: {reason}")


def put_up() -> None:
    """Put the guard up in this process, for good."""
    if not _State.installed:
        sys.addaudithook(_look)
        _State.installed = True
    _State.wanted += 1


def put_up_if_told() -> None:
    """Put it up where a test's environment says so."""
    if os.environ.get(VARIABLE) and not _State.wanted:
        put_up()


@contextmanager
def up() -> Iterator[None]:
    """The guard, for this process and the children that it starts meanwhile."""
    changed = {**dict.fromkeys(_NAMES_OF_OTHERS), **ENVIRONMENT}
    before = {name: os.environ.get(name) for name in changed}
    put_up()
    _set(changed)
    try:
        yield
    finally:
        _set(before)
        _State.wanted -= 1


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
