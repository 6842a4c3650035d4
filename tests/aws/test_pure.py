"""Plans, requests, prices, settings, scripts, programs and clocks: are the rules right, without any cloud?"""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import zipfile
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_netbench.errors import HostError, UsageError
from pytest_netbench.hosts.aws import api, bundle, facts, onhost, prices, request, script
from pytest_netbench.hosts.aws.cargo import Platform
from pytest_netbench.hosts.aws.failures import AwsError, InUse, NoCapacity, QuotaReached, RightsMissing, failure
from pytest_netbench.hosts.aws.plan import Launch, TypeInfo, attempts, fits, slots
from pytest_netbench.hosts.aws.preflight import Network, Site
from pytest_netbench.hosts.aws.settings import AwsSettings, settings_from
from pytest_netbench.hosts.aws.template import template
from pytest_netbench.hosts.model import Hosts, Need
from pytest_netbench.roles import Role
from pytest_netbench.telemetry import allowances

ZONES = ("a", "b")
TYPES = {
    "big": TypeInfo("big", "x86_64", "", frozenset({"cluster", "spread"})),
    "tiny": TypeInfo("tiny", "x86_64", "", frozenset({"spread"})),
}
IDENTITY = request.Identity("20261125t181500-abc123", "netbench", 1_800_000_000, "0011223344556677")


def ways(need: Need, offered: dict[str, frozenset[str]] | None = None, **settings: Any) -> list[tuple[Launch, ...]]:
    chosen = AwsSettings(**{"types": ("big",), **settings})
    everywhere = dict.fromkeys(TYPES, frozenset(ZONES))
    return list(attempts(slots(need), chosen, ZONES, everywhere if offered is None else offered, TYPES))


def test_identical_hosts_are_one_launch() -> None:
    """Servers and clients of one kind, in one zone; the other zone is the second way."""
    first, second = ways(Need(3, 2))
    assert [(one.type, one.zone, one.placement, len(one.slots)) for one in first] == [("big", "a", "cluster", 5)]
    assert second[0].zone == "b"


def test_each_kind_is_a_launch_of_its_own() -> None:
    """A type that can't be in a cluster isn't put into one."""
    (first, *_) = ways(Need(1, 2, {Role.CLIENT: Hosts(type="tiny")}))
    assert [(one.type, one.placement, len(one.slots)) for one in first] == [("big", "cluster", 1), ("tiny", "", 2)]


def test_zones_without_the_type_are_passed_over() -> None:
    """None at all is an error that names it."""
    assert [way[0].zone for way in ways(Need(1, 1), {"big": frozenset({"b"})})] == ["b"]
    with pytest.raises(HostError, match="big"):
        ways(Need(1, 1), {"big": frozenset()})


@given(st.integers(0, 40), st.integers(0, 40), st.sampled_from(["", "big", "tiny"]), st.sampled_from(["", "a", "b"]))
def test_every_way_has_every_host_once(servers: int, clients: int, type_: str, zone: str) -> None:
    """Whatever is asked for."""
    need = Need(servers, clients, {Role.SERVER: Hosts(type=type_, zone=zone)})
    for way in ways(need, types=("big", "tiny")):
        assert sorted(slot.name for one in way for slot in one.slots) == sorted(slot.name for slot in slots(need))


def test_what_is_empty_in_a_kind_does_not_matter() -> None:
    """A host fits if what is asked for is what it is."""
    have = Hosts("big", "cluster", "a")
    assert fits(Hosts(), have)
    assert fits(Hosts(type="big", zone="a"), have)
    assert not fits(Hosts(type="tiny"), have)


def launched(**more: Any) -> dict[str, Any]:
    base = request.Base(IDENTITY, {"x86_64": "ami-1"}, "sg-1", "profile", 3600.0, spot=more.pop("spot", False))
    need = slots(Need(2, 0))
    return request.run_instances(base, Launch("big", "a", "cluster", need), "subnet-1", "x86_64", "t", public=True)


def test_a_request_is_safe_in_every_respect() -> None:
    """All or none, tagged when made, ended by itself, metadata by token only, no key."""
    made = launched()
    assert made["MinCount"] == made["MaxCount"] == 2
    assert made["InstanceInitiatedShutdownBehavior"] == "terminate"
    assert made["MetadataOptions"]["HttpTokens"] == "required"
    assert "KeyName" not in made
    tags = {one["Key"]: one["Value"] for one in made["TagSpecifications"][0]["Tags"]}
    assert (tags["nb:run"], tags["nb:owner"], tags["nb:expires"]) == (IDENTITY.run, "netbench", "1800000000")
    assert "InstanceMarketOptions" not in made
    assert launched(spot=True)["InstanceMarketOptions"]["MarketType"] == "spot"


def test_the_same_request_is_made_again_from_its_line_in_a_ledger() -> None:
    """Nothing in it is lost as JSON: else its token would name other parameters."""
    assert json.loads(json.dumps(launched())) == launched()


@given(st.text("abcdefgh-0123456789", min_size=1, max_size=90), st.integers(1, 10**6))
def test_tokens_fit_and_differ(run: str, number: int) -> None:
    """At most 64 characters; each launch of a run has its own."""
    one = request.Identity(run, "o", 0, "0" * 16)
    assert len(one.token(number)) <= 64
    assert one.token(number) != one.token(number + 1)


def test_user_data_arms_the_timer_now_and_after_a_reboot() -> None:
    """In valid shell; the absolute end too, so that reboots don't make it longer."""
    text = request.user_data(7200, 1_800_000_000)
    assert "shutdown -P +120" in text
    assert "OnBootSec=120min" in text
    assert "OnCalendar=2027-01-15 08:00:00 UTC" in text
    assert subprocess.run(["sh", "-n"], input=text, text=True, check=False).returncode == 0


def test_only_the_coordinator_is_let_in() -> None:
    """On the control port, from its network; no SSH, nobody from everywhere."""
    rules = request.ingress("sg-1", 9000, ["203.0.113.7/32"])
    assert [one["FromPort"] for one in rules if "IpRanges" in one] == [9000]
    assert "0.0.0.0/0" not in json.dumps(rules)


# --- money -------------------------------------------------------------------------------------------


def rate(type_: str = "c5n.large", region: str = "us-west-2", **own: float) -> prices.Rate:
    return prices.table().rate(type_, region, {name.replace("_", "."): price for name, price in own.items()})


def test_an_estimate_counts_hosts_to_the_end_of_their_life_and_data_between_zones() -> None:
    """With their disks and addresses; within one zone, over private addresses, data is free."""
    near = prices.estimate([rate()] * 2, 3600, 188e9, 1)
    far = prices.estimate([rate()] * 2, 3600, 188e9, 2)
    assert near.dollars == pytest.approx(2 * (0.108 + 0.005) + 2 * 8 * 0.08 / 730, rel=1e-6)
    assert near.data_dollars == 0
    assert far.data_dollars == pytest.approx(3.76)


def test_an_unknown_price_stops_everything_until_it_is_given() -> None:
    """In another region, too."""
    with pytest.raises(UsageError, match=r'"c9.huge" = DOLLARS_AN_HOUR'):
        rate("c9.huge")
    with pytest.raises(UsageError):
        rate("c5n.large", "eu-west-1")
    assert rate("c9.huge", "eu-west-1", c9_huge=3.6).machine == 3.6


def test_a_cap_is_a_cap() -> None:
    """What is there counts."""
    wanted = prices.estimate([prices.Rate("c9.huge", 1.0)] * 3, 2400, 25e9, 2)
    prices.check(2.5, wanted, 5.0)
    with pytest.raises(UsageError, match=r"3 hosts could cost \$2.50 beside \$2.60 .*--netbench-max-cost"):
        prices.check(2.6, wanted, 5.0)


def test_what_is_to_be_launched_is_told_in_a_line() -> None:
    """Each kind of host, how long it lives, and dollars; data where it costs something."""
    kinds = [rate()] * 2 + [rate("c6in.8xlarge")]
    told = "2 x c5n.large, 1 x c6in.8xlarge for at most 2 h, up to $"
    assert prices.estimate(kinds, 7200, 188e9, 1).brief == f"{told}4.10"
    assert prices.estimate(kinds, 7200, 188e9, 2).brief == f"{told}7.86 with 188.0 GB between zones"


@pytest.mark.parametrize(
    ("types", "fits_in"), [(["m9.big"] * 2, True), (["m9.big"] * 3, False), (["x9.big"] * 9, True)]
)
def test_a_quota_counts_what_it_is_about(types: list[str], fits_in: bool) -> None:
    """The processors of its own families; other types have quotas that nobody has read."""
    infos = {one: TypeInfo(one, "x86_64", "", frozenset(), vcpus=8) for one in types}
    site = Site("1", Network("vpc", {}, "b", "p"), {}, infos, {}, Platform(), "", vcpus=16)
    with (
        nullcontext()
        if fits_in
        else pytest.raises(QuotaReached, match="3 hosts have 24 vCPUs, the account may have 16")
    ):
        site.check_quota(types)


def test_what_is_refused_shows_how_it_comes_about() -> None:
    """Each kind of host with the parts of its price, the data, and the day of the prices."""
    kinds = [rate()] * 2 + [rate("c6in.8xlarge")]
    with pytest.raises(UsageError) as refused:
        prices.check(0, prices.estimate(kinds, 7200, 188e9, 2), 5.0)
    said = str(refused.value).splitlines()
    assert said[1:4] == [
        "  2 x 2 h of c5n.large at $0.1080 + $0.0050 of public address + $0.0009 of 8 GB gp3 an hour = $0.46",
        "  1 x 2 h of c6in.8xlarge at $1.8144 + $0.0050 of public address + $0.0009 of 8 GB gp3 an hour = $3.64",
        "  188.0 GB between 2 zones, $0.01 each way = $3.76",
    ]
    assert prices.table().as_of in said[4]


# --- settings, failures, scripts -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"regoin": "x"}, "did you mean 'region'"),
        ({"accounts": 5}, "expected a text or a list"),
        ({"glibc": "two"}, 'as "2.39"'),
        ({"port": 22}, "from 1024"),
        ({"placement": "near"}, "cluster, none, spread"),
        ({"life": "25h"}, "one day"),
        ({"spot": "yes"}, "true or false"),
        ({"network": "10.0.0.0/8"}, "from /16 to /24"),
        ({"network": "10.0.0.1/16"}, "expected a network as"),
        ({"max_cost": -1}, "expected dollars"),
    ],
)
def test_a_bad_setting_is_named(section: dict[str, object], words: str) -> None:
    """With what was expected."""
    with pytest.raises(UsageError, match=words):
        settings_from(section)


@given(st.text(max_size=30), st.text(max_size=30))
def test_every_code_is_an_error_with_its_operation(code: str, message: str) -> None:
    """Also one that nobody has heard of."""
    assert str(failure("ec2:X", code, message)).startswith("ec2:X: ")


def test_codes_have_their_classes() -> None:
    """And a missing right names its action."""
    assert isinstance(failure("o", "Server.InsufficientInstanceCapacity", ""), NoCapacity)
    assert isinstance(failure("o", "DependencyViolation", ""), InUse)
    assert type(failure("o", "Other", "")) is AwsError
    told = failure("ec2:RunInstances", "AccessDenied", "User: x is not authorized to perform: iam:PassRole on y")
    assert isinstance(told, RightsMissing)
    assert "may not iam:PassRole" in str(told)


@pytest.mark.parametrize(
    ("code", "waits"), [("RequestLimitExceeded", [1, 2, 4, 8, 16, 16]), ("DependencyViolation", [1] * 50)]
)
def test_after_throttling_each_try_is_later(monkeypatch: pytest.MonkeyPatch, code: str, waits: list[float]) -> None:
    """What is in use is asked for again at the same pace; in both cases until the deadline."""
    slept: list[float] = []
    monkeypatch.setattr(api, "time", SimpleNamespace(monotonic=lambda: sum(slept), sleep=slept.append))

    def refused() -> None:
        raise failure("ec2:X", code, "")

    with pytest.raises(AwsError, match=code):
        api.patiently(refused, deadline=50, poll=1, on=(AwsError,))
    assert slept == waits


def test_the_script_is_shell_and_has_no_secret_but_urls() -> None:
    """What could end its quotes is refused."""
    lines = script.start("run-1", ("https://b/k?X-Amz-Signature=1&x=%2F", "0" * 64), ("https://b/m", "1" * 64))
    assert subprocess.run(["sh", "-n"], input="\n".join(lines), text=True, check=False).returncode == 0
    with pytest.raises(ValueError, match="not fit"):
        script.start("run'; true", ("u", "0"), ("u", "0"))


# --- what travels --------------------------------------------------------------------------------------


def test_the_bundle_is_the_same_bytes_and_runs_alone(tmp_path: Path) -> None:
    """With this Python and nothing else on its path."""
    assert bundle.bundle().sha256 == bundle._bundle.__wrapped__().sha256
    names = zipfile.ZipFile(io.BytesIO(bundle.bundle().data)).namelist()
    assert not [one for one in names if "pytest_netbench/report" in one or "hosts/aws/api" in one]
    path = tmp_path / "bundle.pyz"
    path.write_bytes(bundle.bundle().data)
    done = subprocess.run(
        [sys.executable, "-I", "-S", path, "boot", tmp_path, "http://127.0.0.1:9/m", "0" * 64],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "can't be fetched" in done.stderr) == (1, True), done.stderr


def test_the_stack_is_complete() -> None:
    """A subnet and a route in each zone; hosts have SSM's rights and no others."""
    made = template(["us-west-2a", "us-west-2b"], network="10.77.0.0/16")
    kinds = [one["Type"] for one in made["Resources"].values()]
    assert kinds.count("AWS::EC2::Subnet") == kinds.count("AWS::EC2::SubnetRouteTableAssociation") == 2
    role = made["Resources"]["HostRole"]["Properties"]
    assert role["ManagedPolicyArns"] == ["arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"]
    assert made["Resources"]["Logs"]["Properties"]["RetentionInDays"] == 30
    assert "NatGateway" not in json.dumps(made)


def test_a_host_lets_its_ordinary_users_do_what_drivers_need(tmp_path: Path) -> None:
    """Their port, and mounts of their own; a kernel without such a rule gets none."""
    rule = tmp_path / "net/ipv4/ip_unprivileged_port_start"
    rule.parent.mkdir(parents=True)
    rule.write_text("1024")
    onhost.ease(tmp_path)
    assert rule.read_text() == "443"
    assert not (tmp_path / "kernel").exists()


# --- what a host says of itself --------------------------------------------------------------------------


TRACKING = "A9FEA97B,169.254.169.123,4,1764094500.1,-0.000002,0.000001,0.000003,-5.1,0,0.02,0.0002,0.00005,16,Normal"


def test_chronys_tracking_is_read() -> None:
    """The bound: half of the root delay, the dispersion, and the offset."""
    found = facts.tracking(TRACKING)
    assert (found["clock_source"], found["clock_stratum"], found["clock_state"]) == ("169.254.169.123", 4, "Normal")
    assert found["clock_error_bound_s"] == pytest.approx(0.000152)


@given(st.text(max_size=120))
def test_what_chrony_does_not_say_is_left_out(text: str) -> None:
    """Never an error."""
    assert isinstance(facts.tracking(text), dict)


def test_a_cards_facts_are_read(tmp_path: Path) -> None:
    """MTU, driver, and how far its own clock may be off."""
    card = tmp_path / "sys/class/net/ens5"
    (card / "device").mkdir(parents=True)
    (card / "mtu").write_text("9001\n")
    (card / "device/driver").symlink_to("/sys/bus/pci/drivers/ena")
    (card / "device/phc_error_bound").write_text("12000\n")
    assert facts.interface_facts("ens5", tmp_path) == {"mtu": 9001, "nic_driver": "ena", "phc_error_bound_ns": 12000}
    assert facts.interface_facts("none", tmp_path) == {}


def test_the_loopback_is_found_by_its_address() -> None:
    """The interface of an address."""
    assert facts.interface_of("127.0.0.1") == "lo"
    assert facts.interface_of("203.0.113.1") == ""


@given(st.dictionaries(st.text("abcdefghij_", min_size=1, max_size=31), st.integers(0, 2**64 - 1), max_size=20))
def test_counters_are_read_from_the_kernels_two_tables(counters: dict[str, int]) -> None:
    """Names of 32 bytes, values of 8."""
    names = b"".join(one.encode().ljust(32, b"\0") for one in counters)
    values = struct.pack(f"{len(counters)}Q", *counters.values())
    assert allowances.named(names, values, len(counters)) == counters


def test_a_card_without_such_counters_has_none() -> None:
    """As on this machine."""
    assert all(name.endswith(allowances.SUFFIX) for name in allowances.exceeded())
