"""Do the shipped examples run, and can they be trusted as examples?"""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_netbench.protocols import CLIENT, SERVER
from russula.examples import warm_up
from russula.protocol import Protocol
from russula.testing import Mishap, explore, unreached


@pytest.mark.parametrize("protocol", [SERVER, CLIENT, warm_up.WARM_UP], ids=lambda one: one.name)
def test_every_shipped_protocol_ends_in_agreement_whatever_happens(protocol: Protocol) -> None:
    """No state without a way out but the ends, no announcement lost or taken twice, no row that nobody needs."""
    assert not explore(protocol, Mishap.ALL).problems
    assert not unreached(protocol)


async def test_workers_meet_at_the_barrier(tmp_path: Path) -> None:
    """Whoever is warm first waits for the last; then all begin after one instant."""
    tmp_path.chmod(0o700)
    assert 0 <= await warm_up.main(tmp_path) < 5


def test_the_worked_example_is_short() -> None:
    """A protocol with its worker and coordinator stands in under 80 lines."""
    assert Path(warm_up.__file__).read_text().count("\n") < 80
