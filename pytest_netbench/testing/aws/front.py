"""Who stands before moto? A layer of WSGI that counts calls, lets some of them fail, and takes orders from tests.

``POST /_emulation/faults|kill|delays|stack``, ``GET /_emulation/state``; everything else goes on to moto.
"""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from pytest_netbench.testing.aws import cloudformation
from pytest_netbench.testing.aws.cloud import Cloud
from pytest_netbench.testing.aws.rules import DROP, HANG, ApiFault, Cause, HostFault, error_body, from_json, met, skewed

Environ: TypeAlias = dict[str, Any]
Start: TypeAlias = Callable[..., Any]
App: TypeAlias = Callable[[Environ, Start], Iterable[bytes]]

OURS = "/_emulation/"
_NEVER = threading.Event()


class Front:
    """The layer; an application itself."""

    def __init__(self, app: App, cloud: Cloud) -> None:
        self._app, self._cloud = app, cloud
        self.calls: list[str] = []

    def __call__(self, environ: Environ, start: Start) -> Iterable[bytes]:
        """Serve one request."""
        if environ["PATH_INFO"].startswith(OURS):
            return self._order(environ, start)
        if environ["PATH_INFO"].startswith("/moto-api/"):
            return self._app(environ, start)
        service, action, body = which(environ)
        with self._cloud.lock:
            self.calls.append(f"{service}.{action}")
            fault, self._cloud.api_faults = met(self._cloud.api_faults, service, action, body)
        if "HTTP_AUTHORIZATION" in environ:
            fault = fault or skewed(service, self._cloud.delays.skew_s)
        if fault is None:
            return self._app(environ, start)
        if fault.after:
            for _ in self._app(environ, lambda *_a, **_k: lambda _data: None):
                pass
        return _fail(environ, start, service, fault)

    def _order(self, environ: Environ, start: Start) -> Iterable[bytes]:
        what = environ["PATH_INFO"].removeprefix(OURS)
        length = int(environ.get("CONTENT_LENGTH") or 0)
        given: Any = json.loads(environ["wsgi.input"].read(length)) if length else None
        cloud = self._cloud
        try:
            if what == "faults":
                rules = [from_json(one) for one in given]
                with cloud.lock:
                    cloud.api_faults = tuple(one for one in rules if isinstance(one, ApiFault))
                    cloud.host_faults = [one for one in rules if isinstance(one, HostFault)]
            elif what == "kill":
                cloud.kill(given["instance"], Cause(given["cause"]))
            elif what == "delays":
                cloud.delays = cloud.delays.with_changes(given)
            elif what == "stack":
                cloudformation.force(**given)
        except (ValueError, KeyError) as error:
            start("400 Bad Request", [("Content-Type", "text/plain")])
            return [str(error).encode()]
        start("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(self._state()).encode()]

    def _state(self) -> Mapping[str, Any]:
        machines = list(self._cloud.machines.items())
        hosts = {name: {"state": one.state, "alive": one.host is not None and one.host.alive} for name, one in machines}
        return {"hosts": hosts, "calls": list(self.calls), "log": list(self._cloud.log)}


def which(environ: Environ) -> tuple[str, str, str]:
    """Which call a request is: service, action, body; of S3 the method, and no body, which may be large."""
    scope = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2].split("/")
    service = scope[3] if len(scope) > 3 else "s3"  # noqa: PLR2004  KEY/DATE/REGION/SERVICE
    if service == "s3":
        return service, environ["REQUEST_METHOD"], ""
    raw = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(raw)
    body = raw.decode(errors="replace")
    target = environ.get("HTTP_X_AMZ_TARGET", "").partition(".")[2]
    named = (part.removeprefix("Action=") for part in body.split("&") if part.startswith("Action="))
    return service, target or next(named, environ["REQUEST_METHOD"]), body


def _fail(environ: Environ, start: Start, service: str, fault: ApiFault) -> Iterable[bytes]:
    if fault.code == HANG:
        _NEVER.wait()
    if fault.code == DROP:
        environ["werkzeug.socket"].shutdown(2)
        raise ConnectionAbortedError
    kind, text = error_body(service, fault)
    start(f"{fault.status} Injected", [("Content-Type", kind), ("x-amzn-RequestId", "emulated")])
    return [text.encode()]
