"""What can be done with russula by hand? See a protocol, make credentials, be a worker, drive workers."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from russula.errors import AddressError, CredentialsError, LocalProtocolError, RussulaError
from russula.introspect import markdown, mermaid, text
from russula.protocol import Protocol

GROUP = "russula.protocols"
"""The group of entry points in which packages offer their protocols."""

_FORMS: Mapping[str, Callable[[Protocol], str]] = {
    "mermaid": lambda protocol: "\n".join(mermaid(protocol)),
    "markdown": markdown,
    "text": text,
}


class NoSuchProtocolError(RussulaError):
    """Nobody offers a protocol of that name; names those that are offered."""


def find(name: str) -> Protocol:
    """A protocol by the name under which a package offers it, or as ``module:NAME``.

    :raises NoSuchProtocolError: if there is none; names those that there are.
    """
    offered = {one.name: one for one in entry_points(group=GROUP)}
    if name in offered:
        found = offered[name].load()
    elif ":" in name:
        module, _, attribute = name.partition(":")
        try:
            found = getattr(import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise NoSuchProtocolError(f"no protocol {name!r}: {error}") from error
    else:
        raise NoSuchProtocolError(
            f"no protocol {name!r}; offered: {', '.join(sorted(offered)) or 'none'}, or module:NAME"
        )
    if not isinstance(found, Protocol):
        raise NoSuchProtocolError(f"{name!r} is {type(found).__name__}, not a protocol")
    return found


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m russula", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    draw = _command(commands, "draw", "print a protocol's tables", protocol=True)
    draw.add_argument("--form", choices=sorted(_FORMS), default=None, help="only this form (default: mermaid and text)")
    made = _command(commands, "credentials", "write a run's authority and leaves")
    made.add_argument("folder", metavar="DIR", type=Path)
    worker = _command(commands, "worker", "be a worker that plays a driver", protocol=True)
    worker.add_argument(
        "--listen", metavar="ADDRESS", required=True, help="unix:PATH, or tcp://HOST:PORT (port 0: any)"
    )
    worker.add_argument("--simulate", metavar="SECONDS", type=float, default=0.0, help="how long the driver runs")
    drive = _command(commands, "coordinator", "drive workers to a state", protocol=True)
    drive.add_argument("--workers", metavar="ADDRESS", nargs="+", required=True)
    drive.add_argument("--till", metavar="STATE", help="a worker's state (default: the end)")
    drive.add_argument("--deadline", metavar="S", type=float, default=60.0, help="seconds (default: 60)")
    for one in (worker, drive):
        one.add_argument("--credentials", metavar="DIR", type=Path, help="of this run; TCP needs them")
        one.add_argument("--log", action="store_true", help="write each transition to standard error, a JSON line each")
    return top


def _command(commands: Any, name: str, text: str, *, protocol: bool = False) -> argparse.ArgumentParser:  # noqa: ANN401
    made: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    if protocol:
        made.add_argument("protocol", metavar="PROTOCOL", help="name of an offered protocol, or module:NAME")
    return made


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status: 0 at the state, 1 if it wasn't reached, 2 for a wrong call."""
    given = parser().parse_args(arguments)
    if vars(given).get("log"):
        logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        return _run(given)
    except (LocalProtocolError, AddressError, CredentialsError, NoSuchProtocolError) as error:
        print(f"russula: {error}", file=sys.stderr)
        return 2
    except (RussulaError, OSError) as error:
        print(f"russula: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _run(given: argparse.Namespace) -> int:
    from russula import by_hand

    match given.command:
        case "draw":
            protocol = find(given.protocol)
            for form in [given.form] if given.form else ["mermaid", "text"]:
                print(_FORMS[form](protocol), end="")
        case "credentials":
            by_hand.write_credentials(given.folder)
        case "worker":
            asyncio.run(by_hand.work(find(given.protocol), given.listen, given.credentials, given.simulate))
        case "coordinator":
            protocol = find(given.protocol)
            print(asyncio.run(by_hand.drive(protocol, given.workers, given.credentials, given.till, given.deadline)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
