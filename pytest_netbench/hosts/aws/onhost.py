"""What does an instance do with the bundle? It fetches what it needs, checks it, starts the worker, says what it is.

``python3 bundle.pyz boot FOLDER URL SHA256`` is what SSM runs, as root: it ends when the worker listens, and prints one
line of JSON. ``renew FOLDER`` puts a fresh worker in the place of the one that is there. ``work FOLDER`` is the worker,
as an ordinary user. Its key is made here, and never leaves: what is told is its certificate's fingerprint. This file
runs on hosts: standard library only.
"""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import shutil
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

FETCH_S, UP_S, DOWN_S = 60.0, 20.0, 10.0
"""Seconds for a file to come, for the worker to listen, and for one to end that was told to."""
KEY_DAYS = 7
"""For which a worker's certificate is good: longer than any host lives; who pins it doesn't ask."""
USER = "netbench"
EASED: Mapping[str, str] = {
    "net/ipv4/ip_unprivileged_port_start": "443",
    "kernel/apparmor_restrict_unprivileged_userns": "0",
}
"""What an ordinary user needs for programs of level interop: their port, and folders of their own at the root."""
ROOT_MARK = "@ROOT@"
"""Stands for this host's folder in the table of drivers, which is written where nobody knows it."""
LOG, READY, PID, TABLE, HOST, CREDENTIALS, SITE, BIN = (
    "worker.log",
    "ready",
    "pid",
    "table.json",
    "host.json",
    "credentials",
    "site",
    "bin",
)
TAIL = 4000


class BootError(Exception):
    """The host can't be made ready; its text goes into the invocation's errors."""


def main(words: Sequence[str]) -> int:
    """Boot, or work."""
    what, root = words[0], Path(words[1])
    if what == "work":
        return work(root)
    try:
        said = renew(root) if what == "renew" else boot(root, words[2], words[3])
        print(json.dumps(said))  # noqa: T201  SSM reads it
    except BootError as error:
        print(f"netbench: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def boot(root: Path, url: str, digest: str) -> Mapping[str, Any]:
    """Make the host ready; what it is.

    :raises BootError: if something doesn't come, isn't what it should be, or the worker isn't up in time.
    """
    manifest = json.loads(fetch(url, digest))
    address = next((one for one in own_addresses() if one in manifest["hosts"]), "")
    if not address:
        raise BootError(f"none of this host's addresses ({', '.join(own_addresses())}) is in the manifest")
    for one in manifest["files"]:
        _have(root, one)
    name = manifest["hosts"][address]
    if not (root / READY).exists():
        _unpack(root)
        _write(root, name, address, manifest)
        _start(root)
    _wait(root)
    from pytest_netbench.hosts.aws.facts import facts

    return {"name": name, "address": address, "pin": fingerprint(root / CREDENTIALS, name), "facts": facts(address)}


def renew(root: Path) -> Mapping[str, Any]:
    """Put a fresh worker in the place of the one that is there, with the same key.

    :raises BootError: if that doesn't end, or the fresh one isn't up in time.
    """
    _end(root)
    (root / READY).unlink(missing_ok=True)
    _start(root)
    _wait(root)
    return {}


def _end(root: Path) -> None:
    end, number = time.monotonic() + DOWN_S, int(signal.SIGTERM)
    while (pid := _worker(root)) is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        number = 0  # asks only
        if time.monotonic() > end:
            raise BootError(f"the worker doesn't end within {DOWN_S:g} s of SIGTERM")
        time.sleep(0.01)


def _worker(root: Path) -> int | None:
    """The worker's process, if it lives and is the worker: its number may be another's by now."""
    try:
        pid = int((root / PID).read_text())
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    return pid if words[-3:] == [b"work", os.fsencode(root), b""] else None


def own_addresses() -> list[str]:
    """This host's addresses, by ``hostname -I``."""
    done = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=False)
    return done.stdout.split()


def fetch(url: str, digest: str) -> bytes:
    """What is at a URL, if it is what was meant.

    :raises BootError: if it can't be had, or has another SHA-256.
    """
    what = url.partition("?")[0]
    try:
        with urllib.request.urlopen(url, timeout=FETCH_S) as answer:  # noqa: S310  https, or the emulation's own
            data: bytes = answer.read()
    except OSError as error:
        raise BootError(f"{what} can't be fetched: {error}") from error
    found = hashlib.sha256(data).hexdigest()
    if found != digest:
        raise BootError(f"{what} has SHA-256 {found}, expected {digest}")
    return data


def _have(root: Path, one: Mapping[str, Any]) -> None:
    """A program, packages, or what must be here already."""
    if "url" not in one:
        if not os.access(one["path"], os.X_OK):
            raise BootError(f"the image has no program {one['path']}, which [providers.aws.programs] names")
        return
    path = root / BIN / one["path"]
    _bring(path, one["url"], one["sha256"])
    if one["unpack"]:
        with zipfile.ZipFile(path) as packages:
            packages.extractall(root / SITE)


def _bring(path: Path, url: str, digest: str) -> None:
    """A program, unless it is here already."""
    if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(fetch(url, digest))
    part.chmod(0o755)
    part.replace(path)


def _user() -> str:
    """The ordinary user that runs the worker, made if need be; none in an emulated host, which has no users."""
    if "NETBENCH_ROOT" in os.environ or os.getuid() != 0:
        return ""
    try:
        pwd.getpwnam(USER)
    except KeyError:
        subprocess.run(["useradd", "--system", "--create-home", "--shell", "/usr/sbin/nologin", USER], check=True)
    return USER


def ease(place: Path = Path("/proc/sys")) -> None:
    """Let ordinary users of this machine do what drivers need; what its kernel doesn't have isn't made."""
    for name, value in EASED.items():
        if (place / name).exists():
            (place / name).write_text(value)


def _unpack(root: Path) -> None:
    """The bundle as files: drivers are programs of their own."""
    with zipfile.ZipFile(sys.argv[0]) as bundle:
        bundle.extractall(root / SITE)
    if not any((root / SITE).rglob(f"*.{sys.implementation.cache_tag}.pyc")):  # compiled by another Python
        import compileall

        compileall.compile_dir(root / SITE, quiet=2)


def _write(root: Path, name: str, address: str, manifest: Mapping[str, Any]) -> None:
    user = _user()
    (root / TABLE).write_text(manifest["table"].replace(ROOT_MARK, str(root)))
    host = {"name": name, "address": f"tcp://{address}:{manifest['port']}", "run": manifest["run"], "user": user}
    (root / HOST).write_text(json.dumps(host))
    folder = root / CREDENTIALS
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / "authority.pem").write_text(manifest["authority"])
    make_key(folder, name)
    (root / "work").mkdir(mode=0o700, exist_ok=True)
    if user:
        ease()
        for path in (root, folder, *folder.iterdir(), root / "work"):
            shutil.chown(path, user, user)


def make_key(folder: Path, name: str) -> None:
    """Make the worker's key and its certificate, which it signs itself, where ``Credentials.read`` finds them.

    :raises BootError: if there is no ``openssl`` here, or it fails; with its words.
    """
    key, chain = folder / "key", folder / "chain"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-config", "/dev/stdin", "-days", str(KEY_DAYS), "-keyout", str(key), "-out", str(chain)]
    asked = f"[req]\nprompt = no\ndistinguished_name = name\n[name]\nCN = {name}\n"
    mask = os.umask(0o077)
    try:
        done = subprocess.run(command, input=asked, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BootError(f"no key can be made: {done.stderr.strip()}")
        (folder / f"{name}.pem").write_text(key.read_text() + chain.read_text())
    except FileNotFoundError:
        raise BootError("no key can be made: the image needs the program openssl") from None
    finally:
        os.umask(mask)
        for path in (key, chain):
            path.unlink(missing_ok=True)


def fingerprint(folder: Path, name: str) -> str:
    """SHA-256 of a worker's certificate: what the coordinator pins."""
    _, mark, chain = (folder / f"{name}.pem").read_text().partition("-----BEGIN CERTIFICATE-----")
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(mark + chain)).hexdigest()


def _start(root: Path) -> None:
    """Start the worker as a service of its own, which outlives this command."""
    host = json.loads((root / HOST).read_text())
    program = [sys.executable, "-I", "-S", str(root / SITE / "__main__.py"), "work", str(root)]
    unit = f"--unit=netbench-{host['run']}-{os.getpid()}"  # an earlier one's may not be forgotten yet
    options = ["--quiet", "--collect", unit, "--property=LimitNOFILE=1048576"]
    command = ["systemd-run", *options, *([f"--uid={host['user']}"] if host["user"] else []), "--", *program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BootError(f"the worker can't be started: {done.stderr.strip()}")


def _wait(root: Path) -> None:
    end = time.monotonic() + UP_S
    while not (root / READY).exists():
        if time.monotonic() > end:
            raise BootError(f"the worker doesn't listen after {UP_S:g} s:\n{tail(root / LOG)}")
        time.sleep(0.01)


def tail(path: Path) -> str:
    """The end of a log."""
    try:
        return path.read_text(errors="replace")[-TAIL:].strip()
    except OSError:
        return "(there is no log)"


def work(root: Path) -> int:
    """Be the worker; what it says goes into its log."""
    log = os.open(root / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.umask(0o077)
    from pytest_netbench import worker
    from russula.credentials import Credentials

    host = json.loads((root / HOST).read_text())
    (root / PID).write_text(str(os.getpid()))

    def ready(address: str) -> None:
        part = root / f"{READY}.part"
        part.write_text(address)
        part.replace(root / READY)

    credentials = Credentials.read(root / CREDENTIALS, host["name"])
    with suppress(KeyboardInterrupt):
        worker.main(host["address"], (root / TABLE).read_text(), root / "work", ready, credentials)
    return 0
