"""What does SSM run on every host? A few lines of shell, the same for all; what is secret in them are URLs that end."""

from __future__ import annotations

import re

_SAFE = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&()*+,;=%-]+")
_ROOT = "${NETBENCH_ROOT:-/opt/netbench}"

_PYTHON = """\
set -eu
for python in python3 python3.13 python3.12 python3.11 ''; do
  [ -n "$python" ] || { echo 'netbench: no Python 3.11 or newer on this host' >&2; exit 9; }
  "$python" -I -S -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break
done
root="@ROOT@/@RUN@"
"""
_START = """\
umask 022
mkdir -p "$root"
cd "$root"
exec "$python" -I -S - '@BUNDLE@' @BUNDLE_SHA256@ "$root" '@MANIFEST@' @MANIFEST_SHA256@ <<'PYTHON'
import hashlib, runpy, sys, urllib.request
url, digest, *words = sys.argv[1:]
data = urllib.request.urlopen(url, timeout=60).read()
if hashlib.sha256(data).hexdigest() != digest:
    sys.exit(f"netbench: the bundle is not what was meant: expected SHA-256 {digest}")
with open("bundle.pyz", "wb") as file:
    file.write(data)
sys.argv = ["bundle.pyz", "boot", *words]
runpy.run_path("bundle.pyz", run_name="__main__")
PYTHON
"""
_RENEW = 'exec "$python" -I -S "$root/bundle.pyz" renew "$root"\n'


def start(run: str, bundle: tuple[str, str], manifest: tuple[str, str]) -> list[str]:
    """The lines that make a host ready; each pair is a URL and a SHA-256.

    :raises ValueError: if a text could end the quotes that it stands in.
    """
    fetched = {"BUNDLE": bundle[0], "BUNDLE_SHA256": bundle[1], "MANIFEST": manifest[0], "MANIFEST_SHA256": manifest[1]}
    return _filled(_PYTHON + _START, run, **fetched)


def renew(run: str) -> list[str]:
    """The lines that put a fresh worker in the place of a host's own.

    :raises ValueError: as for ``start``.
    """
    return _filled(_PYTHON + _RENEW, run)


def log_tail(run: str, characters: int) -> list[str]:
    """The lines that show the end of the worker's log.

    :raises ValueError: as for ``start``.
    """
    return [f'tail -c {characters} "{_ROOT}/{_safe(run)}/worker.log"']


def _filled(text: str, run: str, **values: str) -> list[str]:
    known = {"ROOT": _ROOT, "RUN": _safe(run), **{name: _safe(value) for name, value in values.items()}}
    return re.sub(r"@([A-Z0-9_]+)@", lambda match: known[match[1]], text).splitlines()


def _safe(text: str) -> str:
    if not _SAFE.fullmatch(text):
        raise ValueError(f"not fit for a script: {text!r}")
    return text
