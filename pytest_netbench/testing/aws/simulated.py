"""How are hundreds of emulated hosts ready in seconds? Their workers share one process; nothing else runs on them.

For measuring the coordinator's side: with ``simulated``, a host is no group of processes, its user data isn't run, and
of SSM's commands only the one that makes it ready does something: its worker, a real one with its own credentials,
listens in a process that all of them share. ``python -m pytest_netbench.testing.aws.simulated`` is that process.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import queue
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pytest_netbench.hosts.aws.onhost import fetch, fingerprint, make_key

_MANIFEST = re.compile(r"\"\$root\" '(http[^']+)' ([0-9a-f]{64})")
ANSWER_DEADLINE = 60.0


class Workers:
    """The process of all workers, seen from the emulation."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pytest_netbench.testing.aws.simulated"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._ready: dict[str, queue.Queue[str]] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._hear, daemon=True).start()

    def start(self, address: str, url: str, digest: str) -> str:
        """Let the worker of an address listen; the fingerprint of its certificate.

        :raises queue.Empty: if it doesn't.
        """
        pin = self._ready[address] = queue.Queue()
        self._say({"start": address, "url": url, "digest": digest})
        return pin.get(timeout=ANSWER_DEADLINE)

    def end(self, address: str) -> None:
        """End it."""
        self._say({"end": address})

    def close(self) -> None:
        """End all."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _say(self, what: Mapping[str, str]) -> None:
        assert self._process.stdin is not None
        with self._lock, contextlib.suppress(BrokenPipeError, ValueError):
            self._process.stdin.write(json.dumps(what) + "\n")
            self._process.stdin.flush()

    def _hear(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said = json.loads(line)
            self._ready[said["ready"]].put(said["pin"])


class Done:
    """What looks like a process that has run a command."""

    pid = 0

    def __init__(self, returncode: int, output: str) -> None:
        self.returncode, self._output = returncode, output

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:  # noqa: ARG002  as a process has it
        """Its output and its errors."""
        return self._output, ""


class SimulatedHost:
    """A host without processes of its own."""

    def __init__(self, workers: Workers, address: str, ended: Callable[[], None]) -> None:
        self.address, self.alive = address, True
        self._workers, self._ended = workers, ended

    def run(self, script: str, folder: str = "") -> Done:  # noqa: ARG002  as a host has it
        """Run nothing, but let its worker listen where the script is about that."""
        found = _MANIFEST.search(script)
        if found is None:
            return Done(0, "")
        try:
            pin = self._workers.start(self.address, found[1], found[2])
        except queue.Empty:
            return Done(1, "")
        return Done(0, json.dumps({"pin": pin, "facts": {"simulated": 1}}) + "\n")

    def pull_the_plug(self) -> None:
        """End it."""
        if self.alive:
            self.alive = False
            self._workers.end(self.address)
            self._ended()


# --- in the process of the workers ---------------------------------------------------------------------


class _Shared:
    """Serves workers at many addresses from one loop."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._manifests: dict[str, dict[str, Any]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Take orders until there are no more."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=1 << 20)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            order = json.loads(line)
            if (address := order.get("end")) is not None:
                if (task := self._tasks.pop(address, None)) is not None:
                    task.cancel()
                    await asyncio.wait({task})
            else:
                await self._start(order["start"], order["url"], order["digest"])

    async def _start(self, address: str, url: str, digest: str) -> None:
        from pytest_netbench.drivers import registry
        from pytest_netbench.worker import services
        from russula.credentials import Credentials
        from russula.worker import serve

        if digest not in self._manifests:
            self._manifests[digest] = json.loads(await asyncio.to_thread(fetch, url, digest))
        manifest = self._manifests[digest]
        name, folder = manifest["hosts"][address], self._folder / address
        folder.mkdir(exist_ok=True)
        (folder / "authority.pem").write_text(manifest["authority"])
        await asyncio.to_thread(make_key, folder, name)
        said = {"ready": address, "pin": fingerprint(folder, name)}
        serving = serve(
            f"tcp://{address}:{manifest['port']}",
            services(registry.load(manifest["table"])),
            directory=folder,
            credentials=Credentials.read(folder, name),
            ready=lambda _: print(json.dumps(said), flush=True),  # noqa: T201  the emulation reads it
        )
        self._tasks[address] = asyncio.create_task(serving)


def _main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_Shared(Path(folder)).run())


if __name__ == "__main__":
    _main()
