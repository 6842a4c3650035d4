"""Does the plugin behave as pytest's users expect? One behaviour a test, each a real pytest run."""

from __future__ import annotations

import html
import importlib.util

import pytest

from tests.plugin.conftest import results


def test_a_benchmark_leaves_results_report_summary_ledger_and_logs(project: pytest.Pytester) -> None:
    """One run writes everything that the contract names, and the table shows the figure."""
    outcome = project.runpytest_subprocess("test_ping.py")
    outcome.assert_outcomes(passed=1)
    folder = project.path / "netbench-results"
    assert {"results.json", "report.html", "summary.md", "ledger.jsonl", "runs"} <= {
        one.name for one in folder.iterdir()
    }
    (test,) = results(project)["tests"]
    assert (test["nodeid"], test["driver"], test["provider"]) == ("test_ping.py::test_ping[tcp]", "tcp", "local")
    assert (test["outcome"], test["verdict"]["state"]) == ("passed", "none")
    assert test["rounds"][0]["validity"] == []
    assert test["summary"]["ping_1KB.p50"]["unit"] == "s"
    outcome.stdout.fnmatch_lines(["*ping_1KB.p50*", "*report.html*"])


def test_each_host_of_each_round_leaves_its_files(project: pytest.Pytester) -> None:
    """runs/TEST/ROUND/HOST has what the driver and the worker wrote."""
    project.runpytest_subprocess("test_ping.py", "--netbench-rounds", "2")
    (test,) = (project.path / "netbench-results" / "runs").iterdir()
    hosts = {f"{place.parent.name}/{place.name}" for place in test.glob("*/*") if place.is_dir()}
    assert hosts == {f"{index}/{host}" for index in (0, 1) for host in ("server-0", "client-0")}
    assert all(any(place.iterdir()) for place in test.glob("*/*") if place.is_dir())


def test_quiet_is_quiet(project: pytest.Pytester) -> None:
    """With -q there is no table."""
    outcome = project.runpytest_subprocess("-q", "test_ping.py")
    assert "ping_1KB" not in outcome.stdout.str()


def test_collecting_starts_and_writes_nothing(project: pytest.Pytester) -> None:
    """--collect-only and a deselection leave no folder and no ledger."""
    project.runpytest_subprocess("--collect-only", "test_ping.py").stdout.fnmatch_lines(["*test_ping*tcp*"])
    project.runpytest_subprocess("-k", "nothing", "test_ping.py")
    assert not (project.path / "netbench-results").exists()
    assert not list(project.path.glob("**/*.jsonl"))


def test_other_peoples_tests_are_left_alone(project: pytest.Pytester) -> None:
    """Without a benchmark there is no section, no folder, and async tests keep their own mode and loop."""
    project.makepyfile(
        test_other="""
        import asyncio, pytest

        loops = set()

        @pytest.mark.asyncio
        async def test_one():
            loops.add(asyncio.get_running_loop())

        @pytest.mark.asyncio
        async def test_two():
            loops.add(asyncio.get_running_loop())
            assert len(loops) == 2
        """
    )
    outcome = project.runpytest_subprocess("test_other.py")
    outcome.assert_outcomes(passed=2)
    assert "netbench" not in outcome.stdout.str().split("collected")[1]
    assert not (project.path / "netbench-results").exists()


def test_fixtures_of_others_by_the_names_of_ours_make_no_test_ours(project: pytest.Pytester) -> None:
    """A parametrised test with `hosts` and `netbench` of its own runs as if we weren't there."""
    project.makepyfile(
        test_other="""
        import pytest

        @pytest.fixture
        def hosts():
            return ["a", "b"]

        @pytest.fixture
        def netbench(hosts):
            return len(hosts)

        @pytest.mark.parametrize("number", [1, 2])
        def test_theirs(netbench, number):
            assert netbench == 2
        """
    )
    project.runpytest_subprocess("test_other.py").assert_outcomes(passed=2)
    assert not (project.path / "netbench-results").exists()


@pytest.mark.parametrize("mode", ["strict", "auto"])
def test_by_hand_in_either_mode_of_pytest_asyncio(project: pytest.Pytester, mode: str) -> None:
    """An async test drives both coordinators itself, whatever the global asyncio mode."""
    project.makepyfile(
        test_hand="""
        import pytest
        from pytest_netbench import KB, NetbenchClient, NetbenchServer, request_response

        @pytest.mark.netbench(scenario=request_response(response=100 * KB))
        async def test_by_hand(netbench, server_coord, client_coord):
            await server_coord.run_till(NetbenchServer.RUNNING)
            await client_coord.run_till(NetbenchClient.DONE)
            await server_coord.run_till(NetbenchServer.DONE)
            result = await netbench.collect(server_coord, client_coord)
            assert 0 < result["response.p50"].value < 5

        @pytest.mark.netbench(scenario=request_response(response=100 * KB), rounds=1)
        async def test_arun(netbench):
            assert (await netbench.arun())["goodput"].value > 0
        """
    )
    chosen = ("-o", f"asyncio_mode={mode}", "-o", "asyncio_default_fixture_loop_scope=function")
    project.runpytest_subprocess("test_hand.py", *chosen).assert_outcomes(passed=2)


def test_clients_before_servers_is_explained(project: pytest.Pytester) -> None:
    """Running the clients first names the line that is missing."""
    project.makepyfile(
        test_hand="""
        import pytest
        from pytest_netbench import NetbenchClient, connect

        @pytest.mark.netbench(scenario=connect(connections=1))
        async def test_by_hand(netbench, server_coord, client_coord):
            await client_coord.run_till(NetbenchClient.DONE)
        """
    )
    outcome = project.runpytest_subprocess("test_hand.py")
    outcome.assert_outcomes(failed=1)
    outcome.stdout.fnmatch_lines(["*await server_coord.run_till(NetbenchServer.RUNNING)*first*"])


@pytest.mark.parametrize(
    ("marker", "reason"),
    [
        ('scenario=SHORT, provider="azure"', "unknown provider 'azure'"),
        ('scenario=SHORT, drivers=["tpc"]', "unknown driver 'tpc': did you mean 'tcp'"),
        ("scenario=SHORT, ronds=1", "unknown argument 'ronds': did you mean 'rounds'"),
        ("clients=1", "needs servers="),
    ],
)
def test_a_mistake_in_a_marker_is_one_line_at_collection(project: pytest.Pytester, marker: str, reason: str) -> None:
    """The run ends with a non-zero status before anything is started."""
    text = (project.path / "test_ping.py").read_text().replace("scenario=SHORT, rounds=1", marker)
    project.makepyfile(test_ping=text)
    outcome = project.runpytest_subprocess("test_ping.py")
    assert outcome.ret == pytest.ExitCode.INTERRUPTED
    outcome.stdout.fnmatch_lines([f"*{reason}*"])
    assert "Traceback" not in outcome.stdout.str()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--netbench-driver", "tpc"], "unknown driver 'tpc': did you mean 'tcp'"),
        (["--netbench-provider", "locl"], "unknown provider 'locl': did you mean 'local'"),
    ],
)
def test_a_mistake_on_the_command_line_is_a_usage_error(
    project: pytest.Pytester, arguments: list[str], text: str
) -> None:
    """Unknown names end the run at once, naming the nearest known one."""
    outcome = project.runpytest_subprocess(*arguments)
    assert outcome.ret == pytest.ExitCode.USAGE_ERROR
    outcome.stderr.fnmatch_lines([f"*{text}*"])


def test_an_unknown_key_of_the_configuration_is_an_error(project: pytest.Pytester) -> None:
    """A misspelt key in netbench.toml ends the run, naming file and key."""
    (project.path / "netbench.toml").write_text("ronds = 3")
    outcome = project.runpytest_subprocess("test_ping.py")
    assert outcome.ret != 0
    outcome.stdout.fnmatch_lines(["*unknown key 'ronds': did you mean 'rounds'*"])


def test_what_a_provider_cannot_do_is_skipped_as_unsupported(project: pytest.Pytester) -> None:
    """A link can't be emulated locally: the test is skipped with the reason, never run without it."""
    text = (project.path / "test_ping.py").read_text()
    text = text.replace("rounds=1", "rounds=1, link=Link(rtt=0.05)").replace("import KB", "import Link, KB")
    project.makepyfile(test_ping=text)
    outcome = project.runpytest_subprocess("test_ping.py", "-rs")
    outcome.assert_outcomes(skipped=1)
    outcome.stdout.fnmatch_lines(["*unsupported*"])
    assert results(project)["tests"][0]["outcome"] == "skipped"


def test_hosts_that_can_not_be_had_are_an_error_of_few_lines(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its text, not the way to it through fixtures; in the summary, too."""
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "nowhere")
    outcome = project.runpytest_subprocess("test_ping.py", "--netbench-provider", "aws")
    outcome.assert_outcomes(errors=1)
    outcome.stdout.fnmatch_lines(["in which region?*", "ERROR test_ping.py*UsageError*"])
    outcome.stdout.no_fnmatch_line("*asyncio*def *")
    outcome.stdout.no_fnmatch_line("*in __aenter__*")


def test_an_absent_driver_is_skipped_with_the_line_that_installs_it(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``cargo install --locked ...`` stands in the reason."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(project.path))
    monkeypatch.delenv("CARGO_HOME", raising=False)
    outcome = project.runpytest_subprocess("test_ping.py", "--netbench-driver", "s2n-quic", "-rs")
    outcome.assert_outcomes(skipped=1)
    outcome.stdout.fnmatch_lines(["*cargo install --locked s2n-netbench-driver-s2n-quic@0.1.0*"])


def test_under_xdist_the_controller_writes_all_rounds(project: pytest.Pytester) -> None:
    """Tests of two workers stand in one results.json, with their logs."""
    text = (project.path / "test_ping.py").read_text()
    project.makepyfile(test_ping=text, test_again=text)
    outcome = project.runpytest_subprocess("-n", "2", "test_ping.py", "test_again.py")
    outcome.assert_outcomes(passed=2)
    assert {one["nodeid"] for one in results(project)["tests"]} == {
        "test_ping.py::test_ping[tcp]",
        "test_again.py::test_ping[tcp]",
    }
    assert len(list((project.path / "netbench-results" / "runs").iterdir())) == 2


@pytest.mark.parametrize("plugin", ["pytest_benchmark", "pytest_html", "pytest_timeout"])
def test_beside_other_plugins(project: pytest.Pytester, plugin: str) -> None:
    """Ours and theirs work in one run."""
    assert importlib.util.find_spec(plugin)
    extra = {"pytest_html": ["--html=page.html", "--self-contained-html"], "pytest_timeout": ["--timeout=30"]}
    project.makepyfile(
        test_bench="def test_theirs(benchmark):\n    benchmark(abs, 1)\n" if plugin == "pytest_benchmark" else ""
    )
    project.runpytest_subprocess("test_ping.py", *extra.get(plugin, [])).assert_outcomes(passed=1)
    if plugin == "pytest_html":
        assert "<svg" in html.unescape((project.path / "page.html").read_text())


def test_a_failing_assertion_shows_value_bound_rounds_and_logs(project: pytest.Pytester) -> None:
    """What a reader needs stands in the failure itself."""
    text = (project.path / "test_ping.py").read_text().replace("> 0", "> 10")
    project.makepyfile(test_ping=text)
    outcome = project.runpytest_subprocess("test_ping.py")
    outcome.assert_outcomes(failed=1)
    outcome.stdout.fnmatch_lines(["*ping_1KB.p50*> 10*"])
    assert "runs/" in outcome.stdout.str()


def test_a_result_folder_that_cannot_be_written_is_found_before_anything_starts(project: pytest.Pytester) -> None:
    """The run ends with one message that names the folder."""
    (project.path / "taken").write_text("a file, not a folder")
    outcome = project.runpytest_subprocess("test_ping.py", "--netbench-out", "taken/results")
    assert outcome.ret == pytest.ExitCode.USAGE_ERROR
    outcome.stderr.fnmatch_lines(["*taken/results*"])


def test_a_stranger_in_the_result_folder_is_left_alone(project: pytest.Pytester) -> None:
    """An earlier run's files are replaced, others stay."""
    folder = project.path / "netbench-results"
    (folder / "runs" / "old").mkdir(parents=True)
    (folder / "notes.txt").write_text("mine")
    project.runpytest_subprocess("test_ping.py").assert_outcomes(passed=1)
    assert (folder / "notes.txt").read_text() == "mine"
    assert not (folder / "runs" / "old").exists()


def test_a_project_gates_what_its_tests_leave_open(project: pytest.Pytester) -> None:
    """A hook's limits hold for a marker without any, and not for one that has its own, or none on purpose."""
    project.makeconftest(
        """
        from pytest_netbench import Gate

        def pytest_netbench_gates(item):
            return {"goodput": Gate(fail_above=0.9, must_detect=0.99)} if item.name.startswith("test_") else None
        """
    )
    project.makepyfile(
        test_gates="""
        import pytest
        from pytest_netbench import KB, Gate, download

        @pytest.mark.netbench(scenario=download(100 * KB), rounds=1)
        def test_open(netbench):
            assert list(netbench.run().gates) == ["goodput"]

        @pytest.mark.netbench(scenario=download(100 * KB), rounds=1, gate={"connect.p50": Gate()})
        def test_own(netbench):
            assert list(netbench.run().gates) == ["connect.p50"]

        @pytest.mark.netbench(scenario=download(100 * KB), rounds=1, gate={})
        def test_none(netbench):
            assert not netbench.run().gates
        """
    )
    project.runpytest_subprocess("test_gates.py").assert_outcomes(passed=3)
