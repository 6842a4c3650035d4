"""How long does it take until a connection can be used?"""

import pytest

from pytest_netbench import connect, ms


@pytest.mark.connect
@pytest.mark.netbench(scenario=connect(connections=500))
def test_one_after_another(netbench):
    """Five hundred connections, each carrying one byte each way."""
    result = netbench.run()
    assert result["connect.p50"].value < 20 * ms
