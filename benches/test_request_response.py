"""How fast does a response of some size arrive?"""

import pytest

from pytest_netbench import KB, MB, NetbenchClient, NetbenchServer, request_response


@pytest.mark.request_response
@pytest.mark.netbench(scenario=request_response(request=1 * KB, response=50 * MB))
def test_large_response(netbench):
    """One request, fifty megabytes back."""
    result = netbench.run()
    assert result["response.p50"].value < 2
    assert result["goodput"].value > 25 * MB


@pytest.mark.request_response
@pytest.mark.netbench(scenario=request_response(response=10 * MB))
async def test_by_hand(netbench, server_coord, client_coord):
    """The same flow, one step at a time, on the coordinators' own handles."""
    await server_coord.run_till(NetbenchServer.RUNNING)
    await client_coord.run_till(NetbenchClient.DONE)
    await server_coord.run_till(NetbenchServer.DONE)
    result = await netbench.collect(server_coord, client_coord)
    assert result["response.p50"].value < 1
