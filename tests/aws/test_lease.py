"""How long do hosts live? Longer than a test that uses them, never for ever; those that are kept say until when."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_netbench.cli.main import main
from pytest_netbench.errors import UsageError
from pytest_netbench.hosts.aws import cleanup, pool
from pytest_netbench.hosts.ledger import KEPT, Ledger
from pytest_netbench.hosts.model import Need
from pytest_netbench.hosts.reap import kept_until
from pytest_netbench.testing.aws.emulation import Emulation
from tests.aws.aws_runs import configure, left, provider, pytest_run
from tests.aws.test_end_to_end import LONG, ends
from tests.aws.test_hosts import ready

pytestmark = pytest.mark.timeout(300)
TEST = """
import pytest
from pytest_netbench import KB, download

@pytest.mark.netbench(scenario=download(20 * KB), rounds=1)
def test_it(netbench):
    netbench.run()
"""


def tag(cloud: Emulation, instance: object) -> int:
    """When an instance says that its time is over."""
    found = cloud.client("ec2").describe_instances(InstanceIds=[str(instance)])["Reservations"][0]["Instances"][0]
    return int({one["Key"]: one["Value"] for one in found["Tags"]}["nb:expires"])


async def test_hosts_whose_time_is_nearly_over_give_way(
    stack: Emulation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session may be longer than a host's life: the next test has others, which live on, and obey."""
    async with provider(stack, life="10m") as made:
        async with made.fleet(Need(1, 0)) as first:
            old = first.servers[0].facts["instance"]
        later = SimpleNamespace(monotonic=lambda: time.monotonic() + 300, time=lambda: time.time() + 300)
        monkeypatch.setattr(pool, "time", later)
        async with made.fleet(Need(1, 0, seconds=60)) as second:
            assert second.servers[0].facts["instance"] == old
        async with made.fleet(Need(1, 0, seconds=200)) as third:
            new = third.servers[0].facts["instance"]
            assert tag(stack, new) >= tag(stack, old) + 300
            await ready(third, tmp_path, third.servers[0].pin)
        assert new != old
    assert left(stack) == []


async def test_a_test_that_is_longer_than_any_host_lives_is_refused(stack: Emulation) -> None:
    """Before a host is made, with the setting."""
    before = len(stack.state()["hosts"])
    with pytest.raises(UsageError, match=r"takes 500 s at least, hosts live for 600 s: \[providers.aws\] life"):
        async with provider(stack, life="10m") as made, made.fleet(Need(1, 0, seconds=500)):
            pass
    assert len(stack.state()["hosts"]) == before


def test_a_run_is_expired_when_its_last_host_is() -> None:
    """Its security group was made with the first."""

    def tagged(run: str, expires: int) -> dict[str, Any]:
        return {"Tags": [{"Key": "nb:run", "Value": run}, {"Key": "nb:expires", "Value": str(expires)}]}

    class Aws:
        def pages(self, _operation: str, key: str, **_: Any) -> list[Any]:
            if key == "Reservations":
                return [{"Instances": [{"State": {"Name": "running"}, **tagged("long", 300)}]}]
            return [tagged("long", 100), tagged("over", 100)]

        def call(self, *_: Any, **__: Any) -> Any:
            return {"PlacementGroups": []}

    assert cleanup.expired_runs(Aws(), "netbench", 200.0) == ("over",)  # type: ignore[arg-type]


def test_kept_hosts_are_told_of_with_their_end(
    stack: Emulation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Until when they live, and what ends them before; with that, nothing is left."""
    (tmp_path / "test_it.py").write_text(TEST)
    configure(tmp_path, stack, life="1h")
    status, said = ends(pytest_run(tmp_path, "--netbench-keep-hosts"))
    assert status == 0, said
    told = re.search(r"hosts are kept until (\S+ \S+) UTC: `netbench reap (\S+)` ends them", said)
    assert told
    until = time.mktime(time.strptime(told[1], "%Y-%m-%d %H:%M")) - time.timezone
    assert 0 < until - time.time() <= 3600
    assert [one for one in stack.state()["hosts"].values() if one["state"] == "running"]
    assert main(["reap", told[2]]) == 0
    assert left(stack) == []


def test_hosts_are_kept_for_who_interrupts_too(stack: Emulation, tmp_path: Path) -> None:
    """Ctrl-C in the middle of a test: they are told of all the same."""
    (tmp_path / "test_long.py").write_text(LONG)
    configure(tmp_path, stack)
    process = pytest_run(tmp_path, "--netbench-keep-hosts")
    assert process.stdout is not None
    assert any("now" in line for line in process.stdout)
    process.send_signal(signal.SIGINT)
    told = re.search(r"hosts are kept until \S+ \S+ UTC: `netbench reap (\S+)`", ends(process)[1])
    assert told
    assert main(["reap", told[1]]) == 0
    assert left(stack) == []


def test_what_is_kept_on_this_machine_has_its_end_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A day, where nothing else is said."""
    with Ledger.open("run") as ledger:
        assert kept_until(ledger.path) is None
        ledger.made(KEPT, "run")
        until = kept_until(ledger.path)
        assert until is not None
        assert until - time.time() == pytest.approx(24 * 3600, abs=60)
        ledger.made(KEPT, "run", {"until": 5})
        assert kept_until(ledger.path) == 5
