"""How fast does a response of some size arrive?"""

import pytest

from pytest_netbench import KB, MB, NetbenchClient, NetbenchServer, bidi, ms, open_loop, request_response, requests


@pytest.mark.request_response
@pytest.mark.netbench(scenario=request_response(request=1 * KB, response=50 * MB))
def test_large_response(netbench):
    """One request, fifty megabytes back."""
    result = netbench.run()
    assert result["response.p50"].value < 2
    assert result["goodput"].value > 25 * MB


@pytest.mark.request_response
@pytest.mark.netbench(scenario=bidi(bytes=25 * MB))
def test_both_ways_at_once(netbench):
    """Twenty-five megabytes each way on one connection, at the same time."""
    result = netbench.run()
    assert result["goodput"].value > 25 * MB


@pytest.mark.request_response
@pytest.mark.netbench(scenario=requests(1 * KB, 4 * KB, seconds=0.5))
def test_a_stream_for_each_request(netbench):
    """As many requests as half a second takes, one after another."""
    result = netbench.run()
    assert result["request.rate"].value > 100


@pytest.mark.request_response
@pytest.mark.netbench(scenario=open_loop(rate=250, seconds=0.8))
def test_a_fixed_load(netbench):
    """A request every four milliseconds, whether the one before was answered or not."""
    result = netbench.run()
    assert result["request.p50"].value < 50 * ms


@pytest.mark.request_response
@pytest.mark.netbench(scenario=request_response(response=10 * MB))
async def test_by_hand(netbench, server_coord, client_coord):
    """The same flow, one step at a time, on the coordinators' own handles."""
    await server_coord.run_till(NetbenchServer.RUNNING)
    await client_coord.run_till(NetbenchClient.DONE)
    await server_coord.run_till(NetbenchServer.DONE)
    result = await netbench.collect(server_coord, client_coord)
    assert result["response.p50"].value < 1
