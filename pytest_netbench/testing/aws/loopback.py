"""What is an emulated instance? A group of processes on a loopback address of its own that really does what it is told.

No privileges, and no isolation: hosts see each other's files, and all traffic stays on this machine. Programs that
would end a machine are replaced, and a script that names one of them by its path is refused.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

MARK = "EMULATED_EC2"
"""The variable by which every process of a host is known, also one that left its group."""

_DYING = 0.002
"""Seconds until it is looked whether those that were killed are gone."""
_DANGEROUS = re.compile(r"/(shutdown|poweroff|systemctl|halt|reboot)\b")
_POWER = """\
#!/bin/sh
# Stands for shutdown, poweroff, halt, reboot and systemctl; a minute takes $MINUTE seconds.
case "$0" in
*systemctl) case " $* " in *" poweroff "*) kill -TERM $INIT ;; esac; exit 0 ;;
*shutdown) ;;
*) kill -TERM $INIT; exit 0 ;;
esac
minutes=1
for word; do
  case "$word" in
  -c) kill "$(cat "$TIMER")"; exit 0 ;;
  +*) minutes=${word#+} ;;
  now) minutes=0 ;;
  esac
done
setsid sh -c 'echo $$ >"$TIMER"; sleep "$(awk "BEGIN { print $1 * $MINUTE }")"; kill -TERM $INIT' sh "$minutes" \\
  >/dev/null 2>&1 &
"""
_HOSTNAME = '#!/bin/sh\ncase "$1" in -I) echo "$HOST_IP" ;; *) echo "ip-$HOST_IP" | tr . - ;; esac\n'
_SYSTEMD_RUN = """\
#!/bin/sh
# Starts what follows `--`, detached, as systemd-run does with a service.
while [ "$1" != -- ]; do shift; done
shift
setsid "$@" </dev/null >/dev/null 2>&1 &
"""
_SHIMS = {
    **dict.fromkeys(("shutdown", "poweroff", "halt", "reboot", "systemctl"), _POWER),
    "hostname": _HOSTNAME,
    "systemd-run": _SYSTEMD_RUN,
    "useradd": "#!/bin/sh\n",
    "id": "#!/bin/sh\n",
}


class Refused(Exception):
    """A script would harm the machine that emulates."""


class LoopbackHost:
    """One instance; ``ended`` is called, once, when it has ended by itself or its plug was pulled."""

    def __init__(self, place: Path, name: str, address: str, minute_s: float, ended: Callable[[], None]) -> None:
        self.address, self._mark, self._ended = address, f"{MARK}={place.name}/{name}", ended
        self.folder = place / name
        (self.folder / "bin").mkdir(parents=True)
        for shim, text in _SHIMS.items():
            path = self.folder / "bin" / shim
            path.write_text(text)
            path.chmod(0o755)
        self._off = threading.Event()
        programs = [str(self.folder / "bin"), str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
        self.environment = {
            "PATH": os.pathsep.join(programs),
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),
            "LANG": "C.UTF-8",
            "NETBENCH_ROOT": str(self.folder / "netbench"),
            "NETBENCH_UNITS": str(self.folder),
            "HOST_IP": address,
            "TIMER": str(self.folder / "timer"),
            "MINUTE": str(minute_s),
            MARK: f"{place.name}/{name}",
        }
        self._init = self._begin()
        threading.Thread(target=self._wait, daemon=True).start()

    def _begin(self) -> subprocess.Popen[bytes]:
        """Start the process that is the host's life."""
        process = subprocess.Popen(["sleep", "infinity"], start_new_session=True)
        self.environment["INIT"] = str(process.pid)
        return process

    def _inside(self) -> tuple[str, ...]:
        """What stands before a command that is run in it."""
        return ()

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return not self._off.is_set()

    def run(self, script: str, folder: str = "") -> subprocess.Popen[str]:
        """Start a script in it, as root would on an instance.

        :raises Refused: if it names a program that ends machines by its path.
        """
        if found := _DANGEROUS.search(script):
            raise Refused(f"a script on a loopback host may not name {found[0]}: write the name alone")
        place = f"cd {shlex.quote(folder)}\n" if folder else ""
        return subprocess.Popen(
            [*self._inside(), "sh", "-c", place + script],
            env=self.environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )

    def pull_the_plug(self) -> None:
        """End it at once; returns when nothing of it is left."""
        with suppress(ProcessLookupError):
            self._init.kill()
        self._kill_all()
        self._off.wait()

    def _wait(self) -> None:
        self._init.wait()
        self._kill_all()
        self._off.set()
        self._ended()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _kill_all(self) -> None:
        mark = self._mark.encode()
        while found := [pid for pid in _processes() if mark in _environment(pid)]:
            for pid in found:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(_DYING)


def _processes() -> list[int]:
    return [int(one) for one in os.listdir("/proc") if one.isdigit()]  # noqa: PTH208  names, not paths


def _environment(pid: int) -> list[bytes]:
    """The environment of a process; empty for one that is gone, a zombie, or another user's."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []
