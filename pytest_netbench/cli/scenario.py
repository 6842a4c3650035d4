"""What does `netbench scenario` do? It writes one of the catalogue's scenarios, or says what a file does."""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_netbench import units
from pytest_netbench.errors import UsageError, nearest

if TYPE_CHECKING:
    from pytest_netbench.scenario.analysis import Analysis
    from pytest_netbench.scenario.model import Scenario

_SIZES = {"request", "response", "unblock", "size", "upload", "answer"}
_TIMES = {"time", "delay"}


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Offer the subcommand; each scenario's options are its function's parameters."""
    from pytest_netbench.scenario.catalog import CATALOG

    parser = commands.add_parser("scenario", help="write or check a scenario file", description=__doc__)
    parser.add_argument("name", nargs="?", metavar="NAME", help=f"one of {', '.join(CATALOG)}")
    parser.add_argument("--check", metavar="FILE", type=Path, help="say what a file does, and what can't run it")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="where to write (default: NAME.json)")
    parser.add_argument("options", nargs=argparse.REMAINDER, metavar="...", help="as `NAME --help` lists them")


def run(args: argparse.Namespace) -> int:
    """Write a scenario, or check a file; a malformed one ends with 2.

    :raises UsageError: for an unknown scenario or a bad value.
    """
    from pytest_netbench.scenario.catalog import CATALOG
    from pytest_netbench.scenario.netbench_json import read

    if args.check is not None:
        print("\n".join(description(read(args.check))))
        return 0
    if args.name is None:
        raise UsageError("which scenario? `netbench scenario NAME -o FILE`, or `netbench scenario --check FILE`")
    if args.name not in CATALOG:
        raise UsageError(f"unknown scenario {args.name!r}: {nearest(args.name, CATALOG)}")
    output, values = _parse(args.name, CATALOG[args.name], args.options)
    path = output or args.output or Path(f"{args.name}.json")
    CATALOG[args.name](**values).write(path)
    print(f"created: {path}", file=sys.stderr)
    return 0


def _parse(name: str, make: Callable[..., Scenario], words: Sequence[str]) -> tuple[Path | None, dict[str, Any]]:
    parser = argparse.ArgumentParser(prog=f"netbench scenario {name}", description=inspect.getdoc(make))
    parser.add_argument("-o", "--output", metavar="FILE", type=Path)
    for one in inspect.signature(make).parameters.values():
        _offer(parser, name, one)
    found = vars(parser.parse_args(words))
    return found.pop("output"), {key: value for key, value in found.items() if value is not None}


def _offer(parser: argparse.ArgumentParser, scenario: str, parameter: inspect.Parameter) -> None:
    flag, default = "--" + parameter.name.replace("_", "-"), parameter.default
    if isinstance(default, bool):
        parser.add_argument(flag, dest=parameter.name, action="store_true", default=None)
        return
    shown, parse = _kind(parameter)
    many = isinstance(default, tuple)
    text = "none" if default is None else ",".join(map(str, default)) if many else default
    parser.add_argument(
        flag,
        dest=parameter.name,
        metavar=shown,
        type=_Parsed(f"{scenario}.{parameter.name}", parse, many=many),
        help=f"default: {text}",
    )


class _Parsed:
    """A parser of one option's text, whose complaint says what was expected."""

    def __init__(self, name: str, parse: Callable[[str], Any], *, many: bool) -> None:
        self._name, self._parse, self._many = name, parse, many

    def __call__(self, text: str) -> Any:  # noqa: ANN401  the parameter's type
        try:
            return tuple(map(self._parse, text.split(","))) if self._many else self._parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{self._name}: {error}") from error


def _kind(parameter: inspect.Parameter) -> tuple[str, Callable[[str], Any]]:
    if parameter.name in _SIZES:
        return "BYTES", units.parse_bytes
    if parameter.name in _TIMES:
        return "TIME", units.parse_time
    if parameter.name.endswith("_rate"):
        return "RATE", lambda text: None if text.upper() == "NONE" else units.parse_rate(text)
    return "N", int


def description(scenario: Scenario) -> list[str]:
    """What a scenario does, in lines for people."""
    from pytest_netbench.scenario.analysis import analyse

    found = analyse(scenario)
    lines = [
        f"{scenario} ({scenario.id})",
        f"  hosts: {found.servers} to serve, {found.clients} to dial",
        f"  connections: {found.connects}, at most {found.streams_per_connection} streams on one",
        f"  client to server: {_bytes(found.client_to_server_bytes)}",
        f"  server to client: {_bytes(found.server_to_client_bytes)}",
        f"  lasts at least: {found.shortest_s:g} s",
        f"  traces: {', '.join(scenario.traces) or 'none'}",
    ]
    lines += [f"  needs: {feature}" for feature in sorted(found.needs)]
    return lines + _faults(scenario, found)


def _bytes(amount: int | None) -> str:
    return "as many as the time allows" if amount is None else f"{amount} bytes ({units.show_bytes(amount)})"


def _faults(scenario: Scenario, found: Analysis) -> list[str]:
    lines = [f"  {', '.join(sorted(one.breaks))} can't: {one.path}: {one.why}" for one in found.findings]
    if not scenario.certificates:
        lines.append("  the file has no certificates: drivers with TLS need some, which `netbench run` makes")
    return lines
