"""Are a session's results where others can read them?"""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_netbench.errors import HostError
from pytest_netbench.hosts.aws.publish import publish
from pytest_netbench.testing.aws.emulation import Emulation
from pytest_netbench.testing.aws.rules import ApiFault

pytestmark = pytest.mark.timeout(300)


def test_results_are_published_with_their_types(cloud: Emulation, tmp_path: Path) -> None:
    """The link opens the report; nothing else of the folder travels."""
    cloud.set_up()
    (tmp_path / "runs" / "t").mkdir(parents=True)
    for name in ("report.html", "results.json", "secret.txt", "runs/t/driver.out"):
        (tmp_path / name).write_text(name)
    done = publish(cloud.settings(), "run-1", tmp_path, ("results.json", "report.html", "runs"))
    assert done.files == 3
    bucket = done.place.split("/")[2]
    found = cloud.client("s3").get_object(Bucket=bucket, Key="runs/run-1/report/report.html")
    assert found["ContentType"] == "text/html; charset=utf-8"
    assert "X-Amz-Expires=604800" in done.link


def test_publishing_says_what_is_wrong(cloud: Emulation, tmp_path: Path) -> None:
    """As everywhere."""
    cloud.set_up()
    cloud.faults(ApiFault("ExpiredToken", "sts"))
    with pytest.raises(HostError, match="sign in again"):
        publish(cloud.settings(), "run-1", tmp_path, ())
