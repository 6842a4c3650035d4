"""Is no test able to reach the real AWS?"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import urllib.request

import boto3
import pytest
from botocore.config import Config

from pytest_netbench.testing.aws import guard
from pytest_netbench.testing.aws.guard import RealAwsReached

REAL = ("https://ec2.us-west-2.amazonaws.com", "https://sts.amazonaws.com", "http://169.254.169.254")


@pytest.mark.parametrize("endpoint", REAL)
def test_a_client_of_the_real_endpoint_fails_at_once(endpoint: str) -> None:
    """Before a socket; botocore, which retries and wraps errors, hides it from nobody."""
    client = boto3.client("sts", region_name="us-west-2", endpoint_url=endpoint, config=Config(proxies={}))
    with pytest.raises(RealAwsReached, match=r"is AWS|metadata"):
        client.get_caller_identity()


def test_a_client_without_an_endpoint_finds_a_closed_port() -> None:
    """Who forgets to name the emulated endpoint is refused by this machine."""
    client = boto3.client("ec2", region_name="us-west-2", config=Config(retries={"max_attempts": 0}))
    assert client.meta.endpoint_url == "http://127.0.0.1:9"


def test_a_presigned_url_opened_by_urllib_is_caught() -> None:
    """What moto's own mocks let through."""
    with pytest.raises(RealAwsReached):
        urllib.request.urlopen("https://bucket.s3.amazonaws.com/key")


def test_other_threads_are_guarded() -> None:
    """The provider speaks with AWS in threads beside the loop."""

    async def reach() -> None:
        await asyncio.to_thread(socket.getaddrinfo, "ec2.us-east-1.amazonaws.com", 443)

    with pytest.raises(RealAwsReached):
        asyncio.run(reach())


def test_an_address_is_looked_at_before_the_socket() -> None:
    """Numbers of strangers, like the public addresses that moto hands out, are caught too."""
    with socket.socket() as sock, pytest.raises(RealAwsReached):
        sock.connect(("54.214.1.2", 443))


@pytest.mark.parametrize("host", ["127.77.0.4", "localhost", "::1", "10.0.0.1", "198.18.0.1", None, "example.org"])
def test_this_machine_and_private_addresses_are_left_alone(host: str | None) -> None:
    """Tests speak with what they made themselves."""
    assert guard.why_not(host) is None


def test_children_are_guarded() -> None:
    """A child that makes a client of netbench's puts the guard up first."""
    program = (
        "import socket\nfrom pytest_netbench.testing.aws import guard\nguard.put_up_if_told()\n"
        "try:\n socket.getaddrinfo('sts.amazonaws.com', 443)\n"
        "except BaseException as error:\n print(type(error).__name__)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "RealAwsReached\n"


def test_the_guard_can_be_taken_down() -> None:
    """It is a context manager for users' own tests, and leaves the environment as it was."""
    before = dict(os.environ)
    with guard.up():
        assert os.environ[guard.VARIABLE] == "1"
    assert dict(os.environ) == before
