"""What runs in the emulation's own process? moto as a server, with hosts behind it, until its input ends.

``python -m pytest_netbench.testing.aws.server FOLDER DELAYS [plain|simulated]`` prints one line of JSON when it serves.
``plain`` is moto as it is, whose SSM runs nothing; with ``simulated``, workers of all hosts share one process.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import NoReturn

_BLOCKS = range(192, 250)
"""Second bytes of loopback networks, of which each emulation takes one that no other has."""
_CLAIM = 8999
"""The port whose listener owns a network; the kernel gives it back when the emulation ends, however."""


def claim() -> tuple[str, socket.socket]:
    """A loopback network of our own, as CIDR, and what must stay open as long as it is ours.

    :raises OSError: if all are taken.
    """
    first = os.getpid() % len(_BLOCKS)
    for block in (*_BLOCKS[first:], *_BLOCKS[:first]):
        try:
            return f"127.{block}.0.0/16", socket.create_server((f"127.{block}.255.254", _CLAIM))
        except OSError:
            continue
    raise OSError(f"all loopback networks for emulations are taken: see who listens on port {_CLAIM}")


def serve(place: Path, delays: dict[str, float], *, plain: bool, simulated: bool) -> None:
    """Serve until the input ends, or SIGTERM comes."""
    os.environ["MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION"] = "true"
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    from pytest_netbench.testing.aws import ec2, ssm
    from pytest_netbench.testing.aws.cloud import Cloud, Delays
    from pytest_netbench.testing.aws.front import Front

    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    network, claimed = claim()
    with claimed, Cloud(place, Delays(**delays), simulated=simulated) as cloud:
        if not plain:
            ec2.install(cloud)
            ssm.install(cloud)
        app = Front(DomainDispatcherApplication(create_backend_app), cloud)
        server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=MotoRequestHandler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        said = {"endpoint": f"http://127.0.0.1:{server.server_port}", "network": network}
        os.write(1, json.dumps(said).encode() + b"\n")
        while os.read(0, 1):
            continue


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who holds our input
    try:
        serve(Path(sys.argv[1]), json.loads(sys.argv[2]), plain="plain" in sys.argv, simulated="simulated" in sys.argv)
    finally:
        sys.stdout.flush()
        os._exit(0)  # threads of calls that hang have no end
