"""What can be done with russula by hand? See a protocol: `python -m russula draw PROTOCOL`."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from importlib.metadata import entry_points

from russula.errors import RussulaError
from russula.introspect import mermaid, text
from russula.protocol import Protocol

GROUP = "russula.protocols"
"""The group of entry points in which packages offer their protocols."""

_FORMS = {"mermaid": mermaid, "text": text}


def find(name: str) -> Protocol:
    """A protocol by the name under which a package offers it, or as ``module:NAME``.

    :raises RussulaError: if there is none; names those that there are.
    """
    offered = {one.name: one for one in entry_points(group=GROUP)}
    if name in offered:
        found = offered[name].load()
    elif ":" in name:
        module, _, attribute = name.partition(":")
        try:
            found = getattr(import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise RussulaError(f"no protocol {name!r}: {error}") from error
    else:
        raise RussulaError(f"no protocol {name!r}; offered: {', '.join(sorted(offered)) or 'none'}, or module:NAME")
    if not isinstance(found, Protocol):
        raise RussulaError(f"{name!r} is {type(found).__name__}, not a protocol")
    return found


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m russula", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    draw = commands.add_parser("draw", help="print a protocol's tables")
    draw.add_argument("protocol", metavar="PROTOCOL", help="name of an offered protocol, or module:NAME")
    draw.add_argument("--form", choices=sorted(_FORMS), default=None, help="only this form (default: both)")
    given = parser.parse_args(arguments)
    try:
        protocol = find(given.protocol)
    except RussulaError as error:
        print(f"russula: {error}", file=sys.stderr)  # noqa: T201  a command prints
        return 2
    for form in [given.form] if given.form else sorted(_FORMS):
        print(_FORMS[form](protocol), end="")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
