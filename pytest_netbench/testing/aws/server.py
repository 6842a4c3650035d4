"""What runs in the emulation's own process? moto as a server, with hosts behind it, until its input ends.

``python -m pytest_netbench.testing.aws.server FOLDER DELAYS KIND`` prints one line of JSON when it serves.
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
from typing import TYPE_CHECKING, NoReturn

from pytest_netbench.testing.aws.rules import Kind

if TYPE_CHECKING:
    from werkzeug.serving import BaseWSGIServer

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


def serve(place: Path, delays: dict[str, float], kind: Kind) -> None:
    """Serve until the input ends, or SIGTERM comes.

    :raises OSError: if there may be no hosts of this kind here.
    """
    os.environ["MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION"] = "true"
    os.environ["MOTO_S3_ALLOW_CROSSACCOUNT_ACCESS"] = "false"
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    from pytest_netbench.testing.aws import cloudformation, ec2, rights, ssm
    from pytest_netbench.testing.aws.cloud import Cloud, Delays
    from pytest_netbench.testing.aws.front import Front
    from pytest_netbench.testing.aws.namespaced import NETWORK, Vpc, why_not_here

    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    network, claimed = claim()
    vpc = None
    if kind is Kind.NAMESPACES:
        if (why := why_not_here()) is not None:
            raise OSError(why)
        vpc = Vpc(int(network.split(".")[1]), lambda: server_at(server.server_port))
        network = NETWORK
    with claimed, Cloud(place, Delays(**delays), simulated=kind is Kind.SIMULATED, vpc=vpc) as cloud:
        if kind is not Kind.PLAIN:
            ec2.install(cloud)
            ssm.install(cloud)
            cloudformation.install()
            rights.install()
        app = Front(DomainDispatcherApplication(create_backend_app), cloud)

        def server_at(port: int) -> BaseWSGIServer:
            return make_server("127.0.0.1", port, app, threaded=True, request_handler=MotoRequestHandler)

        server = server_at(0)
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
        serve(Path(sys.argv[1]), json.loads(sys.argv[2]), Kind(sys.argv[3]))
    except (OSError, ImportError) as error:
        sys.stderr.write(f"{error}\n")
    finally:
        sys.stderr.flush()
        os._exit(0)  # threads of calls that hang have no end
