"""Where does pytest meet netbench? Hooks only; what they call is loaded when a test needs it."""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from pytest_netbench.errors import NetbenchError, ResultsError, Unsupported, UsageError
from pytest_netbench.session.bridge import SESSION, TIMEOUT, is_ours, merged, session_of, spec
from pytest_netbench.settings import options

if TYPE_CHECKING:
    from pytest_netbench.session.session import Session
    from pytest_netbench.settings.options import Settings

_MARKERS = (
    "netbench(scenario=, drivers=, rounds=, ...): a network benchmark; README.md has all arguments",
    "connect: how long it takes until a connection can be used",
    "ping: how long small messages take there and back",
    "request_response: how fast responses arrive",
    "incast: many talk to one at once",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer ``--netbench-...``."""
    options.add_to(parser.getgroup("netbench", "network benchmarks"), prefix="netbench-")


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Let other plugins add providers, drivers, telemetry, limits and reports."""
    from pytest_netbench.session import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Register markers, fixtures and the recorder; refuse names on the command line that nothing has."""
    _spare_advice(config)
    from pytest_netbench.session import fixtures, recording

    for line in _MARKERS:
        config.addinivalue_line("markers", line)
    config.pluginmanager.register(fixtures, "netbench-fixtures")
    _ask_for_sources(config)
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(recording.Recorder(config), "netbench-recorder")
    if any(config.getoption(f"netbench_{name}") for name in ("driver", "provider", "baseline", "accept", "save")):
        _check_names(session_of(config))


def _spare_advice(config: pytest.Config) -> None:
    """Who has pytest-asyncio because of us, and set nothing of it, isn't asked at every run to set a loop scope."""
    if config.getini("asyncio_mode") == "strict" and not config.getini("asyncio_default_fixture_loop_scope"):
        warnings.filterwarnings("ignore", message="The configuration option .asyncio_default_fixture_loop_scope")


def _ask_for_sources(config: pytest.Config) -> None:
    """Have what other plugins measure before a marker names it, and in whatever process writes the report."""
    if found := merged(config.hook.pytest_netbench_telemetry(config=config)):
        from pytest_netbench.result import source

        try:
            session_of(config).sources = source.known(found)
        except UsageError as error:
            raise pytest.UsageError(str(error)) from error


def _check_names(session: Session) -> None:
    try:
        session.provider_class()
        for name in session.settings.drivers.over(None):
            session.driver(name)
        _ = (session.references, session.acceptances())
        if session.settings.save is not None:
            _check_save(session.settings)
    except (UsageError, ResultsError) as error:
        raise pytest.UsageError(str(error)) from error


def _check_save(chosen: Settings) -> None:
    """A baseline is replaced for a reason only, and not over one that can't be read."""
    from pytest_netbench.gate import baseline_file

    assert chosen.save is not None
    path = baseline_file.place(chosen.home, chosen.save)
    if path.exists():
        baseline_file.read(path)
        if chosen.reason is None:
            raise UsageError(f"{path} is there already: say why it is stored anew with --netbench-reason TEXT")


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_pycollect_makeitem() -> Generator[None, Any, Any]:
    """Give our async tests, and no others, the session's loop; pytest-asyncio's own wrapper then takes them."""
    made = yield
    for item in made if isinstance(made, list) else [made]:
        if isinstance(item, pytest.Function) and is_ours(item) and inspect.iscoroutinefunction(item.obj):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
    return made


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make each pair of drivers one parameter of the test."""
    if "netbench_driver" not in metafunc.fixturenames:
        return
    from pytest_netbench.session import planning

    try:
        pairs = planning.parameters(session_of(metafunc.config), spec(metafunc.definition))
    except NetbenchError as error:
        planning.refuse(error, metafunc.definition.nodeid)
    metafunc.parametrize("netbench_driver", pairs, ids=map(planning.label, pairs), indirect=True)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Count the benchmarks, over which budget and error rate are shared out, and make the arms that they need."""
    ours = [item for item in session.items if is_ours(item)]
    if ours and not session.config.option.collectonly:
        from pytest_netbench.session import matching, planning

        matching.prepare(session_of(session.config), ours)
        planning.forecast(session_of(session.config), ours)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """This test's need is no forecast any more."""
    if SESSION in item.config.stash:
        item.config.stash[SESSION].upcoming.pop(item.nodeid, None)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Whoever interrupts may not wait long: hosts that take their time to end are left to a reaper."""
    if exitstatus == pytest.ExitCode.INTERRUPTED and SESSION in session.config.stash:
        session.config.stash[SESSION].hurry()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Hang what a benchmark came to on its last report; what a driver can't do when it is run is skipped."""
    report = yield
    if is_ours(item):
        from pytest_netbench.session import recording

        if call.excinfo is not None and call.excinfo.errisinstance(Unsupported):
            recording.skip(item, report, f"unsupported: {call.excinfo.value}")
        recording.attach(item, report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable(report: object) -> Generator[None, Any, Any]:
    """Pack a record for the way from an xdist worker to the controller."""
    record = vars(report).pop("netbench", None)
    data = yield
    if record is not None:
        from pytest_netbench.session import recording

        data["netbench"] = recording.pack(record)
    return data


@pytest.hookimpl(wrapper=True)
def pytest_report_from_serializable(data: dict[str, Any]) -> Generator[None, Any, Any]:
    """Unpack it there."""
    packed = data.pop("netbench", None)
    report = yield
    if packed is not None:
        from pytest_netbench.session import recording

        report.netbench = recording.unpack(packed)
    return report


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Let a failing comparison with a metric show its rounds, and where the logs are."""
    metric = sys.modules.get("pytest_netbench.result.metric")
    return None if metric is None else metric.compare_lines(op, left, right)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:  # noqa: ANN401  a class of xdist's
    """Tell an xdist worker of which run it is a part."""
    node.workerinput["netbench_run"] = session_of(node.config).run


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: object) -> None:
    """Remember a test's timeout, so that its clock can be stopped while it waits for its turn."""
    item.stash[TIMEOUT] = settings


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove at once what is still held."""
    if SESSION in config.stash:
        config.stash[SESSION].close()
