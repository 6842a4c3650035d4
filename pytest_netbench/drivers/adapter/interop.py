"""How is the quic-interop-runner's contract kept without its containers? Test case, requests, files that are compared.

The contract is that of https://github.com/quic-interop/quic-interop-runner: HTTP/0.9 over QUIC, ALPN ``hq-interop``.
This file runs on hosts: standard library only.
"""

from __future__ import annotations

import random
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_netbench.drivers.adapter import container
from pytest_netbench.drivers.adapter.output import Said
from pytest_netbench.drivers.adapter.parts import Part, certificates
from pytest_netbench.drivers.driver import fill
from pytest_netbench.drivers.foreign import FOLDERS, placeholders
from pytest_netbench.errors import Unsupported
from pytest_netbench.roles import Role
from pytest_netbench.scenario.shape import Kind

if TYPE_CHECKING:
    from pytest_netbench.drivers.adapter.work import Work

_CHUNK = 1 << 20
_CERTS = {"cert": "cert.pem", "key": "priv.key", "ca": "ca.pem"}
"""The names that the contract gives to the files of a certificate."""


def parts(work: Work) -> list[Part]:
    """The commands of this side: one for a server; for each server as many clients as there are connections at once.

    :raises Unsupported: if the program wants the contract's folders under ``/``, or its port, and the kernel doesn't
        allow that.
    """
    if work.role is Role.SERVER:
        _check_port(work)
        return [_part(work, 0, work.bind, work.port, work.index, range(0))]
    each = _files(work) // work.commands_a_client
    return [
        _part(work, server * work.commands_a_client + number, peer.host, peer.port, server, wanted)
        for server, peer in enumerate(work.peers)
        for number in range(work.commands_a_client)
        for wanted in (range(number * each, (number + 1) * each),)
    ]


def _check_port(work: Work) -> None:
    """By a socket of TCP, which isn't taken for a listener: who may bind a port may with either transport."""
    with socket.socket(socket.AF_INET6 if ":" in work.bind else socket.AF_INET) as sock:
        try:
            sock.bind((work.bind, work.port))
        except PermissionError as error:
            raise Unsupported(
                f"{work.driver.name} serves at port {work.port}, which isn't for ordinary users here: let its line "
                f"have {{port}}, or `sysctl net.ipv4.ip_unprivileged_port_start={work.port}`"
            ) from error
        except OSError:  # the program says it itself
            return


def _files(work: Work) -> int:
    """How many files there are: one for each stream of a client's connections to a server."""
    return work.plain.connections * work.plain.streams


def _file(number: int) -> str:
    return f"file{number}"


def _testcase(work: Work) -> str:
    if work.plain.kind is Kind.DOWNLOAD:
        return "transfer"
    return "handshake" if work.plain.connections == 1 else "multiconnect"


def _part(work: Work, number: int, host: str, port: int, server: int, wanted: range) -> Part:
    folders = _folders(work, number, server)
    line, texts = work.foreign.line(work.role, work.plain.kind), work.driver.commands[work.role].env
    by_root = not set(FOLDERS) & set(placeholders(*line, *texts.values()))
    named = by_root or (work.role is Role.CLIENT and container.why_not() is None)
    authority = work.name if named else f"[{host}]" if ":" in host else host
    requests = [f"https://{authority}:{port}/{_file(one)}" for one in wanted]
    values = {
        "host": host,
        "port": str(port),
        "local": work.bind,
        "name": work.name,
        "python": sys.executable,
        "testcase": _testcase(work),
        "requests": " ".join(requests),
        **{name: str(folder) for name, folder in folders.items()},
    }
    contract = {"ROLE": work.role.value, "TESTCASE": values["testcase"]}
    if "QLOGDIR" in work.env:
        contract["QLOGDIR"] = f"{'/logs' if by_root else folders['logs']}/qlog/"
    if work.role is Role.CLIENT:
        contract |= {"REQUESTS": values["requests"], "SERVER": f"{authority}:{port}"}
    return Part(
        argv=(str(work.driver.find(line[0])), *_words(line[1:], values, requests), *work.arguments),
        env={**work.env, **contract, **{key: fill(text, values) for key, text in texts.items()}},
        output=work.outbox / f"command-{number}.out",
        port=port,
        server=server,
        connections=work.plain.connections // work.commands_a_client,
        root=_root(work, number, folders if by_root else {}, host) if named else None,
        downloads=tuple((one, str(folders["downloads"] / _file(one))) for one in wanted),
    )


def _words(line: Sequence[str], values: Mapping[str, str], requests: Sequence[str]) -> Iterator[str]:
    """The words of a line; requests that stand alone become a word each."""
    for word in line:
        if word == "{requests}":
            yield from requests
        else:
            yield fill(word, values)


def _folders(work: Work, number: int, server: int) -> dict[str, Path]:
    """The folders of the contract, filled for a server."""
    found = {name: work.folder / f"{name}{number}" for name in FOLDERS}
    for folder in (*found.values(), found["logs"] / "qlog"):
        folder.mkdir()
    for key, source in certificates(work, server).items():
        place = found["certs"] / _CERTS[key]
        place.touch(mode=0o600)
        place.write_bytes(Path(source).read_bytes())
    if work.role is Role.SERVER:
        for one in range(_files(work)):
            with (found["www"] / _file(one)).open("wb") as file:
                file.writelines(content(one, work.plain.bytes))
    return found


def _root(work: Work, number: int, folders: Mapping[str, Path], host: str) -> Callable[[], None]:
    if why := container.why_not():
        raise Unsupported(
            f"{work.driver.name} wants /www, /certs, /downloads and /logs, as in a container, and the kernel refuses a "
            f"mount namespace ({why}): say where they are by {{www}}, {{certs}} and {{downloads}} in its command line"
        )
    root, hosts = work.folder / f"root{number}", work.folder / f"hosts{number}"
    root.mkdir()
    hosts.write_text(f"127.0.0.1 localhost\n{host} {work.name}\n")
    return container.entering(root, folders, hosts)


def content(number: int, size: int) -> Iterator[bytes]:
    """What stands in a file: nothing that compresses, nor like another file, and the same at both ends."""
    source = random.Random(number)  # noqa: S311 - to tell files apart, not to hide
    for start in range(0, size, _CHUNK):
        yield source.randbytes(min(_CHUNK, size - start))


def compare(work: Work, made: Sequence[Part]) -> list[str]:
    """What is wrong with the files that clients downloaded, for people."""
    return [why for part in made for one, path in part.downloads if (why := _difference(work, one, Path(path)))]


def _difference(work: Work, number: int, path: Path) -> str:
    try:
        size = path.stat().st_size
    except OSError:
        return f"{_file(number)} wasn't downloaded"
    if size != work.plain.bytes:
        return f"{_file(number)} has {size:,} bytes after its download, it should have {work.plain.bytes:,}"
    with path.open("rb") as file:
        same = all(file.read(len(chunk)) == chunk for chunk in content(number, size))
    return "" if same else f"{_file(number)} isn't the same after its download"


def said(work: Work, part: Part) -> Said:
    """What the files of a client tell; a server's tell nothing. For ``multiconnect`` each was a connection."""
    if not part.downloads:
        return Said()
    sizes = [_size(Path(path)) for _, path in part.downloads]
    return Said(received=sum(sizes), connections=len(sizes) if work.plain.kind is Kind.CONNECT else None)


def keep_logs(work: Work) -> None:
    """Move what programs wrote into ``/logs`` to where it is fetched from."""
    for folder in work.folder.glob("logs*"):
        for log in folder.rglob("*"):
            if log.is_file() and log.stat().st_size:
                log.replace(work.outbox / f"{folder.name}-{log.name}")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
