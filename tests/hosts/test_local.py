"""What does the provider of this machine promise, before anything is made?"""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_netbench.errors import UsageError
from pytest_netbench.hosts.ledger import Ledger
from pytest_netbench.hosts.local import LocalProvider, address
from pytest_netbench.hosts.model import Hosts, Link, Need
from pytest_netbench.hosts.provider import ProviderContext
from pytest_netbench.roles import Role


@given(st.sets(st.tuples(st.sampled_from(Role), st.integers(0, 5000)), max_size=20), st.none() | st.text())
def test_every_host_has_a_loopback_address_of_its_own(hosts: set[tuple[Role, int]], run: str | None) -> None:
    """In 127.0.0.0/8, never 127.0.0.1, no two alike."""
    found = {ip_address(address(role, index, run)) for role, index in hosts}
    assert len(found) == len(hosts)
    assert all(one in ip_network("127.0.0.0/8") and one != ip_address("127.0.0.1") for one in found)


@pytest.mark.parametrize(
    ("need", "word"),
    [
        (Need(1, 1, link=Link(rtt=0.05)), "link"),
        (Need(1, 1, kinds={Role.CLIENT: Hosts(type="c6in.large")}), "c6in.large"),
        (Need(1, 1, mtu=9000), "MTU"),
    ],
)
def test_what_one_loopback_cannot_be_is_refused_with_the_reason(need: Need, word: str) -> None:
    """At collection, before anything is made."""
    assert word in (LocalProvider.refuses(need) or "")


def test_plain_hosts_are_given() -> None:
    """So are kinds that ask for nothing."""
    assert LocalProvider.refuses(Need(10, 3, kinds={Role.SERVER: Hosts()})) is None


def test_an_unknown_setting_names_the_nearest(tmp_path_factory: pytest.TempPathFactory) -> None:
    """``[providers.local]`` has one key."""
    with (
        Ledger("run", tmp_path_factory.mktemp("state") / "run.jsonl") as ledger,
        pytest.raises(UsageError, match="did you mean 'namespace'"),
    ):
        LocalProvider(ProviderContext("run", ledger, "{}", {"namespaces": False}))
