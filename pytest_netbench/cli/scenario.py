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

_SIZES = {"request", "response", "unblock", "size", "upload", "answer", "bytes"}
_TIMES = {"time", "delay", "seconds"}


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Offer the subcommand; each scenario's options are its function's parameters."""
    from pytest_netbench.scenario.catalog import CATALOG

    parser = commands.add_parser("scenario", help="write or check a scenario file", description=__doc__)
    parser.add_argument("name", nargs="?", metavar="NAME", help=f"one of {', '.join(CATALOG)}, or a file to be lowered")
    parser.add_argument("--check", metavar="FILE", type=Path, help="say what a file does, and what can't run it")
    _offer_both(parser)
    parser.add_argument("options", nargs=argparse.REMAINDER, metavar="...", help="as `NAME --help` lists them")


def _offer_both(parser: argparse.ArgumentParser) -> None:
    """What may stand before a scenario's name and behind it."""
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="where to write (default: NAME.json)")
    parser.add_argument(
        "--lower",
        metavar="N",
        type=int,
        help="write it in plain netbench, for drivers that have no more: what a time decides is repeated N times",
    )


def run(args: argparse.Namespace) -> int:
    """Write a scenario, or check a file; a malformed one ends with 2.

    :raises UsageError: for an unknown scenario or a bad value.
    :raises ScenarioError: for a file that is malformed, or a scenario that can't be lowered; names the element.
    """
    from pytest_netbench.scenario.catalog import CATALOG
    from pytest_netbench.scenario.lower import lower
    from pytest_netbench.scenario.netbench_json import read

    if args.check is not None:
        print("\n".join(description(read(args.check))))
        return 0
    if args.name is None:
        raise UsageError("which scenario? `netbench scenario NAME -o FILE`, or `netbench scenario --check FILE`")
    chosen = args
    if args.name in CATALOG:
        chosen, values = _parse(args.name, CATALOG[args.name], args.options)
        scenario = CATALOG[args.name](**values)
    elif Path(args.name).is_file():
        chosen = _parser(args.name).parse_args(args.options)
        scenario = read(args.name)
    else:
        raise UsageError(f"unknown scenario {args.name!r}: {nearest(args.name, CATALOG)}; nor is it a file")
    times = args.lower if chosen.lower is None else chosen.lower
    if times is not None:
        scenario = lower(scenario, times)
    elif args.name not in CATALOG:
        raise UsageError(f"{args.name}: to do what with it? `--lower N` writes it in plain netbench, `--check` tells")
    path = chosen.output or args.output or Path(f"{scenario}.json")
    scenario.write(path)
    print(f"created: {path}", file=sys.stderr)
    return 0


def _parser(name: str, description: str | None = None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"netbench scenario {name}", description=description)
    _offer_both(parser)
    return parser


def _parse(name: str, make: Callable[..., Scenario], words: Sequence[str]) -> tuple[argparse.Namespace, dict[str, Any]]:
    parser, parameters = _parser(name, inspect.getdoc(make)), inspect.signature(make).parameters
    for one in parameters.values():
        _offer(parser, name, one)
    found = parser.parse_args(words)
    return found, {key: value for key, value in vars(found).items() if key in parameters and value is not None}


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
    from pytest_netbench.scenario.features import PLAIN

    found = analyse(scenario)
    lines = [
        f"{scenario} ({scenario.id})",
        f"  hosts: {found.servers} to serve, {found.clients} to dial",
        f"  connections: {_connections(found)}",
        f"  client to server: {_bytes(found.client_to_server_bytes)}",
        f"  server to client: {_bytes(found.server_to_client_bytes)}",
        f"  lasts at least: {found.shortest_s:g} s",
        f"  traces: {', '.join(scenario.traces) or 'none'}",
    ]
    lines += [f"  needs: {one}" if one in PLAIN else f"  requires: {one.word}: {one}" for one in sorted(found.needs)]
    return lines + _faults(scenario, found)


def _connections(found: Analysis) -> str:
    from pytest_netbench.scenario.features import Feature

    connects = "as many as the time allows" if found.connects is None else found.connects
    most = f"at most {found.streams_per_connection} streams on one"
    return f"{connects}, {'a stream for each repetition' if Feature.FRESH_STREAMS in found.needs else most}"


def _bytes(amount: int | None) -> str:
    return "as many as the time allows" if amount is None else f"{amount} bytes ({units.show_bytes(amount)})"


def _faults(scenario: Scenario, found: Analysis) -> list[str]:
    lines = [f"  {', '.join(sorted(one.breaks))} can't: {one.path}: {one.why}" for one in found.findings]
    if not scenario.certificates:
        lines.append("  the file has no certificates: drivers with TLS need some, which `netbench run` makes")
    return lines
