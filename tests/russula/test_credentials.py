"""Who is let in, and what does a stranger get?"""

from __future__ import annotations

import asyncio
import ssl
import stat
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pytest_netbench.protocols import SERVER, NetbenchServer
from russula import AddressError, Coordinator, Target, WorkerLost, serve
from russula.credentials import COORDINATOR, Credentials, issue
from russula.errors import CredentialsError, RussulaError
from russula.tls import context
from tests.russula.sides import SERVES, Worker

HOUR = timedelta(hours=1)
RUN, OTHER = issue("run", ["w0"], HOUR), issue("other", ["w0"], HOUR)


async def driven(
    tmp_path: Path, mine: Credentials, *, pin: str = "", name: str = "w0", theirs: Credentials = RUN["w0"]
) -> None:
    """Drive a worker, mostly of RUN, over TCP to its end."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    worker = serve(
        "tcp://127.0.0.1:0",
        {SERVER: Worker(SERVES).service},
        directory=tmp_path,
        credentials=theirs,
        ready=ready.set_result,
    )
    task = asyncio.create_task(worker)
    try:
        target = Target(name, await ready, tmp_path / "results", pin=pin)
        async with Coordinator[NetbenchServer].connect(
            SERVER, [target], run="r", deadline=5, credentials=mine
        ) as coordinator:
            await coordinator.run_till(NetbenchServer.DONE)
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_a_run_goes_over_tcp_with_its_own_credentials(tmp_path: Path) -> None:
    """From WAIT to DONE, with the worker's certificate pinned."""
    await driven(tmp_path, RUN[COORDINATOR], pin=RUN["w0"].fingerprint)


@pytest.mark.parametrize(
    ("mine", "more"),
    [
        (OTHER[COORDINATOR], {}),
        (RUN[COORDINATOR], {"pin": OTHER["w0"].fingerprint}),
        (RUN[COORDINATOR], {"name": "w1"}),
    ],
    ids=["another run's", "another leaf", "another name"],
)
async def test_whoever_is_not_meant_is_not_spoken_to(tmp_path: Path, mine: Credentials, more: dict[str, Any]) -> None:
    """The coordinator refuses, and names the worker."""
    with pytest.raises(WorkerLost, match=more.get("name", "w0")):
        await driven(tmp_path, mine, **more)


OWN = replace(RUN["w0"], chain=OTHER["w0"].chain, key=OTHER["w0"].key)
"""A worker that obeys RUN, with a key and a certificate that RUN's authority knows nothing of."""


async def test_a_worker_may_have_made_its_key_itself_if_it_is_pinned(tmp_path: Path) -> None:
    """The very certificate is known: nobody else is asked about it."""
    await driven(tmp_path, RUN[COORDINATOR], pin=OWN.fingerprint, theirs=OWN)


@pytest.mark.parametrize("pin", ["", RUN["w0"].fingerprint], ids=["no pin", "another's"])
async def test_such_a_worker_is_nobody_without_its_pin(tmp_path: Path, pin: str) -> None:
    """The authority answers for its own alone."""
    with pytest.raises(WorkerLost, match="w0"):
        await driven(tmp_path, RUN[COORDINATOR], pin=pin, theirs=OWN)


async def test_a_pin_makes_no_coordinator(tmp_path: Path) -> None:
    """Whoever knows a worker's certificate isn't obeyed for that."""
    with pytest.raises(WorkerLost, match="w0"):
        await driven(tmp_path, OTHER[COORDINATOR], pin=RUN["w0"].fingerprint)


async def test_a_stranger_gets_a_closed_connection_and_costs_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """No certificate, no hello, no line in the log."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    worker = serve("tcp://127.0.0.1:0", {}, directory=tmp_path, credentials=RUN["w0"], ready=ready.set_result)
    task = asyncio.create_task(worker)
    host, _, port = (await ready).removeprefix("tcp://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(ConnectionResetError):
        while await reader.read():
            pass
        raise ConnectionResetError
    writer.close()
    task.cancel()
    await asyncio.wait([task])
    assert not caplog.records


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:0", "tcp://127.0.0.1:99999", "tcp:1", "http://x:1", "unix:", ""])
async def test_tcp_without_credentials_and_nonsense_are_refused(tmp_path: Path, address: str) -> None:
    """Before anything listens."""
    with pytest.raises(AddressError):
        await serve(address, {}, directory=tmp_path)


def test_credentials_are_written_for_their_owner_only(tmp_path: Path) -> None:
    """Mode 600, and read back equal."""
    RUN["w0"].write(tmp_path / "run")
    assert Credentials.read(tmp_path / "run", "w0") == RUN["w0"]
    assert stat.S_IMODE((tmp_path / "run" / "w0.pem").stat().st_mode) == 0o600


def test_a_key_never_stands_in_a_file_that_others_may_read(tmp_path: Path) -> None:
    """Not where such a file of its name was there before, nor where a link leads."""
    (tmp_path / "w0.pem").touch(mode=0o644)
    (tmp_path / "coordinator.pem").symlink_to(tmp_path / "elsewhere")
    for one in RUN.values():
        one.write(tmp_path)
        assert stat.S_IMODE((tmp_path / f"{one.name}.pem").lstat().st_mode) == 0o600
    assert not (tmp_path / "elsewhere").exists()


def test_missing_and_mixed_up_credentials_are_named(tmp_path: Path) -> None:
    """The file, or the side."""
    with pytest.raises(CredentialsError, match="no credentials of 'w0'"):
        Credentials.read(tmp_path, "w0")
    (tmp_path / "authority.pem").write_text("x")
    (tmp_path / "w0.pem").write_text("nothing")
    with pytest.raises(CredentialsError, match="expected a private key"):
        Credentials.read(tmp_path, "w0")
    mixed = Credentials("w0", RUN["w0"].authority, RUN["w0"].chain, OTHER["w0"].key)
    with pytest.raises(RussulaError, match="credentials of w0"):
        context(mixed)


def test_only_tls_1_3_with_certificates_on_both_sides() -> None:
    """Nothing older, and nobody without."""
    for one in RUN.values():
        assert context(one).minimum_version is ssl.TLSVersion.TLSv1_3
        assert context(one).verify_mode is ssl.CERT_REQUIRED
