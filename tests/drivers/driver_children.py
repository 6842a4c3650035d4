"""Which drivers behave badly? Small child programs for the tests of process control, each one fault.

Each says ``ready`` on the pipe that the environment names (``SAY``), where there is one, and then does its worst.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pytest_netbench.drivers.process import Process

HEAD = """
import os, signal, sys, time
def say(text):
    if 'SAY' in os.environ: os.write(int(os.environ['SAY']), text.encode() + b'\\n')
"""

PROGRAMS = {
    "ends": "sys.exit(0)",
    "exits_1": "print('it went wrong', file=sys.stderr); sys.exit(1)",
    "unsupported": "print('no multiplexing here', file=sys.stderr); sys.exit(127)",
    "waits": "say('ready'); signal.pause()",
    "ignores_sigterm": """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
say('ready')
while True: signal.pause()
""",
    "kills_itself": "os.kill(os.getpid(), signal.SIGKILL)",
    "burns": "while time.process_time() < 0.05: pass",
    "dumps": "import faulthandler; faulthandler.register(signal.SIGUSR1); say('ready'); signal.pause()",
    "dumps_when_armed": """
import faulthandler
faulthandler.register(signal.SIGUSR1)
os.write(int(os.environ['NETBENCH_ARM'].split(',')[1]), b'armed\\n')
while True: signal.pause()
""",
    "garbage": "os.write(1, bytes(range(256)) * 10); os.write(2, b'\\x1b[31mred\\xff\\n')",
    "daemonises": """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        say(str(os.getpid()))
        while True: signal.pause()
    os._exit(0)
os.wait()
signal.pause()
""",
    "listens": """
import socket
listener = socket.create_server((os.environ['IP'], int(os.environ['PORT'])))
signal.pause()
""",
    "listens_elsewhere": """
import socket
listener = socket.create_server((os.environ['IP'], 0))
open(os.environ['FIFO'], 'w').write(str(listener.getsockname()[1]))
signal.pause()
""",
    "listens_and_ends": """
import socket
listener = socket.create_server((os.environ['IP'], int(os.environ['PORT'])))
say('ready')
signal.sigwait({signal.SIGUSR2})
sys.exit(3)
""",
    "listens_and_is_deaf": """
import socket
signal.signal(signal.SIGTERM, signal.SIG_IGN)
listener = socket.create_server((os.environ['IP'], int(os.environ['PORT'])))
while True: signal.pause()
""",
}


def argv(name: str) -> list[str]:
    """The command line of one of them."""
    return [sys.executable, "-I", "-S", "-c", HEAD + PROGRAMS[name]]


def script(name: str, folder: Path) -> str:
    """One of them as an executable file."""
    path = folder / name
    path.write_text(f"#!{sys.executable} -IS\n{HEAD}\n{PROGRAMS[name]}\n")
    path.chmod(0o755)
    return str(path)


class Child:
    """One of them that runs."""

    def __init__(self, process: Process, said: asyncio.StreamReader) -> None:
        self.process = process
        self._said = said

    async def says(self) -> str:
        """Its next line."""
        return (await self._said.readline()).decode().strip()


@asynccontextmanager
async def running(name: str, folder: Path) -> AsyncIterator[Child]:
    """Start one of them; at the end it is gone."""
    reader, writer = os.pipe()
    said = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(said), os.fdopen(reader, "rb"))
    process = Process.start(
        argv(name),
        {**os.environ, "SAY": str(writer)},
        output=folder / f"{name}.out",
        errors=folder / f"{name}.err",
        folder=folder,
        pass_fds=(writer,),
    )
    os.close(writer)
    try:
        yield Child(process, said)
    finally:
        await process.kill()
        transport.close()
