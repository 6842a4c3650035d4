"""Where does moto's enforcement of rights differ from AWS's? What a call needs besides, and URLs that were signed.

Conditions and resources of policies aren't read, here as there.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import moto.iam.access_control
from moto import settings
from moto.core.authorization import ActionAuthenticatorMixin
from moto.iam.access_control import IAMRequest, S3IAMRequest


class _Besides(IAMRequest):
    """A right that the call of another name needs too."""

    def __init__(self, response: Any, action: str) -> None:
        super().__init__(
            account_id=response.current_account,
            method=response.method,
            path=response.raw_path,
            data=response.data,
            body=response.raw_body,
            headers=response.headers,
            action="",
        )
        self._action = action


class _Signed(S3IAMRequest):
    """A request for an object, also one by a URL that somebody signed: it has the rights of who signed it."""

    def __init__(self, *, path: str, headers: dict[str, str], **more: Any) -> None:
        query = parse_qs(urlsplit(path).query)
        self._by_url = "Authorization" not in headers and "X-Amz-Credential" in query
        if self._by_url:
            headers = {**headers, "Authorization": f"Credential={query['X-Amz-Credential'][0]},"}
        super().__init__(path=path, headers=headers, **more)

    def check_signature(self) -> None:
        """That of a URL isn't looked at."""
        if not self._by_url:
            super().check_signature()


def need(response: Any, *actions: str) -> None:
    """Refuse a request of EC2 whose sender hasn't these rights too, where rights are enforced."""
    if ActionAuthenticatorMixin.request_count >= settings.INITIAL_NO_AUTH_ACTION_COUNT:
        for action in actions:
            _Besides(response, action).check_action_permitted("*")


def install() -> None:
    """Put these in the place of moto's own."""
    moto.iam.access_control.S3IAMRequest = _Signed  # type: ignore[assignment, misc]
