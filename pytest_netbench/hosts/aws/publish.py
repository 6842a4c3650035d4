"""How does a session's result folder get where others can read it? Into the bucket, each file with its content type."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_netbench.hosts.aws.api import Aws, Where
from pytest_netbench.hosts.aws.preflight import check_account, stack_network
from pytest_netbench.hosts.aws.settings import settings_from

LINK_LIFE = 7 * 24 * 3600
"""Seconds for which the link is good at most; it ends earlier with the credentials that signed it."""
_TYPES: Mapping[str, str] = {
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".jsonl": "application/x-ndjson",
    ".md": "text/markdown; charset=utf-8",
    **dict.fromkeys((".log", ".out", ".err", ".txt"), "text/plain; charset=utf-8"),
}


@dataclass(frozen=True, slots=True)
class Published:
    """Where it is, and a link to the report that anybody can open for a while."""

    place: str
    link: str
    files: int


def content_type(path: Path) -> str:
    """As what a browser should take it."""
    return _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"


def files(folder: Path, names: tuple[str, ...]) -> Iterator[Path]:
    """The files of ours in a result folder."""
    for name in names:
        place = folder / name
        if place.is_file():
            yield place
        elif place.is_dir():
            yield from sorted(path for path in place.rglob("*") if path.is_file() and not path.is_symlink())


def publish(section: Mapping[str, object], run: str, folder: Path, names: tuple[str, ...]) -> Published:
    """Copy the result folder to ``runs/RUN/report/`` of the bucket.

    :raises HostError: if AWS says no.
    :raises UsageError: if the account isn't one in which runs may be.
    """
    settings = settings_from(section)
    aws = Aws(Where.of(settings))
    check_account(aws, settings)
    bucket = settings.bucket or stack_network(aws, settings).bucket
    prefix, count = f"runs/{run}/report/", 0
    for path in files(folder, names):
        key = prefix + path.relative_to(folder).as_posix()
        aws.call("s3:PutObject", Bucket=bucket, Key=key, Body=path.read_bytes(), ContentType=content_type(path))
        count += 1
    return Published(f"s3://{bucket}/{prefix}", aws.presigned(bucket, f"{prefix}report.html", LINK_LIFE), count)
