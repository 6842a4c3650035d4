"""Does a test get its numbers pleasantly, and a clear error where there are none?"""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import replace

import pytest

from pytest_netbench.errors import RunError, TooFewSamples, UnknownMetric, UsageError
from pytest_netbench.result.metric import compare_lines
from pytest_netbench.result.model import Better, Verdict
from pytest_netbench.result.result import Result
from tests.result.result_cases import round_, sampled

MB = 1_000_000
THREE = Result(
    tuple(round_(number, goodput=value * MB) for number, value in enumerate((90.0, 91.0, 99.0))), folder="out"
)
BROKEN = replace(round_(3, goodput=1.0), validity=("client0: starved",))


def test_a_metric_has_value_interval_count_and_unit() -> None:
    """``value`` is the median over valid rounds, ``ci`` its interval, ``n`` the number of rounds."""
    metric = THREE["goodput"]
    assert (float(metric.value), metric.n, metric.unit, metric.better) == (91e6, 3, "B/s", Better.HIGHER)
    assert metric.ci.low < 90 * MB < 99 * MB < metric.ci.high
    assert metric.by_round == (90 * MB, 91 * MB, 99 * MB)


def test_a_value_is_a_float_in_every_way() -> None:
    """It compares, adds, formats, hashes, copies, pickles and goes into JSON as the float that it is."""
    value = THREE["goodput"].value
    assert isinstance(value, float)
    assert type(value + 1) is float
    assert (f"{value:.0f}", str(value), json.dumps(value)) == ("91000000", "91000000.0", "91000000.0")
    assert hash(value) == hash(91e6)
    assert value == pytest.approx(91e6)
    for same in (copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
        assert same == value


def test_the_interval_of_two_rounds_is_refused() -> None:
    """Below three valid rounds ``.ci`` says how many there are, and how many didn't count."""
    result = Result((*THREE.rounds[:2], BROKEN))
    with pytest.raises(TooFewSamples, match=r"needs 3 valid rounds, there are 2: .* \(1 round did not count\)"):
        _ = result["goodput"].ci


def test_a_percentile_of_too_few_samples_is_refused() -> None:
    """Asking for it raises; median and maximum are there."""
    result = Result((sampled(50), sampled(50, 1)))
    assert result["t.p50"].value == pytest.approx(0.0255)
    assert result["t.max"].value == 0.05
    with pytest.raises(TooFewSamples, match=r"t.p99 needs 3,000 samples over all valid rounds, there are 100"):
        _ = result["t.p99"]
    assert "t.p99" not in result


def test_an_unknown_metric_names_the_nearest() -> None:
    """A misspelt name is refused with what there is."""
    with pytest.raises(UnknownMetric, match=r"unknown metric 'godput': did you mean 'goodput'\? known: goodput"):
        _ = THREE["godput"]


def test_a_known_metric_that_the_rounds_lack_says_why() -> None:
    """A metric of the table that nobody measured isn't called unknown."""
    with pytest.raises(UnknownMetric, match=r"gave no 'server.peak_rss' \(largest resident .*there are: goodput"):
        _ = THREE["server.peak_rss"]


def test_samples_merge_all_valid_rounds() -> None:
    """All samples of a trace, in the order of the rounds, without those that don't count."""
    result = Result((sampled(2), sampled(1, 1), sampled(5, 2, validity=("late",))))
    assert result.samples("t") == (0.001, 0.002, 0.001)
    with pytest.raises(UnknownMetric, match=r"no samples of 'u'.*known: t"):
        result.samples("u")


@pytest.mark.parametrize("ask", ["result['goodput']", "result.samples('t')", "result.no_regression()"])
def test_without_a_valid_round_nothing_is_given(ask: str) -> None:
    """If no round counts, each round's reasons and logs are named."""
    result = Result((replace(BROKEN, index=0), replace(BROKEN, index=1, logs="runs/test/1")), folder="out")
    with pytest.raises(RunError) as caught:
        eval(ask, {"result": result})
    assert "none of 2 rounds counts" in str(caught.value)
    assert "round 1: client0: starved (logs: out/runs/test/1)" in str(caught.value)


def test_no_round_at_all_is_said() -> None:
    """A result without rounds says so."""
    with pytest.raises(RunError, match="no round was run"):
        _ = Result(())["goodput"]


def test_invalid_rounds_are_kept_and_do_not_count() -> None:
    """They are listed with their reasons, and leave the numbers alone."""
    result = Result((*THREE.rounds, BROKEN))
    assert result["goodput"].value == 91e6
    assert result.invalid == (BROKEN,)
    assert "round 3 doesn't count: client0: starved" in str(result)


def test_arms_are_read_apart() -> None:
    """``result[NAME]`` is the candidate's, ``result.ref[NAME]`` the reference's."""
    rounds = [replace(one, arm=arm) for one in THREE.rounds[:2] for arm in ("ref", "cand")]
    rounds = [replace(one, metrics={"goodput": 1.0}) if one.arm == "ref" else one for one in rounds]
    result = Result(tuple(rounds))
    assert (result["goodput"].n, result.ref["goodput"].value) == (2, 1.0)
    with pytest.raises(RunError, match="no reference"):
        _ = THREE.ref


def test_without_a_reference_no_regression_says_so_and_passes() -> None:
    """The verdict is ``none``, and its reason is kept for the report."""
    result = Result(THREE.rounds)
    assert result.no_regression() is Verdict.NONE
    assert (result.verdict, result.reason) == (Verdict.NONE, "no reference to compare any metric with")


def test_expect_holds_or_fails_with_a_sentence() -> None:
    """``expect`` says value, bound, interval, rounds and logs."""
    THREE.expect("goodput", above=90 * MB, below=92 * MB)
    with pytest.raises(AssertionError) as caught:
        THREE.expect("goodput", above=100 * MB)
    assert str(caught.value).splitlines() == [
        "goodput is 91 MB/s, expected above 100 MB/s",
        "  goodput: median of 3 valid rounds, 95 % interval 81.92 to 106.1 MB/s",
        "  rounds: 90, 91, 99 MB/s",
        "  logs: out/runs/test",
    ]
    with pytest.raises(UsageError, match="needs above= or below="):
        THREE.expect("goodput")


def test_a_failing_comparison_has_rounds_and_those_that_do_not_count() -> None:
    """The text has both numbers in one unit, the rounds, the reasons of invalid ones, and the logs."""
    value = Result((*THREE.rounds, BROKEN), folder="out")["goodput"].value
    assert compare_lines(">", value, 100 * MB) == [
        "goodput 91 MB/s > 100 MB/s",
        "goodput: median of 3 valid rounds, 95 % interval 81.92 to 106.1 MB/s",
        "rounds: 90, 91, 99 MB/s",
        "round 3 doesn't count: client0: starved",
        "logs: out/runs/test",
    ]


def test_numbers_that_look_alike_are_shown_exactly() -> None:
    """If both sides read the same, the exact numbers are added."""
    lines = compare_lines(">", THREE["goodput"].value, 91_000_001)
    assert lines is not None
    assert lines[:2] == ["goodput 91 MB/s > 91 MB/s", "exactly: 91000000.0 > 91000001.0"]


def test_an_end_of_the_interval_is_named() -> None:
    """A comparison with an end of the interval says which."""
    lines = compare_lines("<", THREE["goodput"].ci.high, 100 * MB)
    assert lines is not None
    assert lines[0] == "goodput ci.high 106.1 MB/s < 100 MB/s"


def test_two_metrics_are_both_explained() -> None:
    """A comparison of two metrics shows where each comes from."""
    result = Result((round_(0, a__p50=0.001, b__p50=0.002),))
    lines = compare_lines(">", result["a.p50"].value, result["b.p50"].value)
    assert lines is not None
    assert lines[0] == "a.p50 1 ms > b.p50 2 ms"
    assert sum("median of 1 valid round" in line for line in lines) == 2


@pytest.mark.parametrize(("left", "right"), [(1.0, 2.0), ("a", "b"), (THREE["goodput"].value, "text")])
def test_other_comparisons_are_left_alone(left: object, right: object) -> None:
    """What isn't a comparison of a metric with a number is pytest's own."""
    assert compare_lines("==", left, right) is None


def test_the_failing_assertion_shows_value_bound_rounds_and_logs(pytester: pytest.Pytester) -> None:
    """The text of a plain ``assert`` has all that is needed to go on."""
    pytester.makeconftest("""
        from pytest_netbench.result.metric import compare_lines
        def pytest_assertrepr_compare(op, left, right):
            return compare_lines(op, left, right)
    """)
    pytester.makepyfile(FAILING)
    pytester.runpytest(*BARE).stdout.fnmatch_lines(
        [
            "E * assert goodput 91 MB/s > 100 MB/s",
            "E *goodput: median of 3 valid rounds, 95 % interval 81.92 to 106.1 MB/s",
            "E *rounds: 90, 91, 99 MB/s",
            "E *logs: out/runs/test",
        ]
    )


def test_the_failing_assertion_shows_them_also_without_a_hook(pytester: pytest.Pytester) -> None:
    """Value, bound, rounds and logs are in pytest's own text too."""
    pytester.makepyfile(FAILING)
    pytester.runpytest(*BARE).stdout.fnmatch_lines(
        [
            "E * assert <goodput 91 MB/s, median of 3 rounds: 90, 91, 99 MB/s> > 100000000",
            "E *where * = <goodput = 91 MB/s, median of 3 rounds: 90, 91, 99 MB/s, logs out/runs/test>.value",
        ]
    )


BARE = ("-p", "no:cacheprovider", "-p", "no:netbench", "-p", "no:asyncio")
FAILING = """
    from pytest_netbench.result.model import Round
    from pytest_netbench.result.result import Result

    def test_goodput():
        rounds = tuple(
            Round(number, None, "", 1.0, {"goodput": value * 1e6}, 0.0, True, 0, (), logs=f"runs/test/{number}")
            for number, value in enumerate((90.0, 91.0, 99.0))
        )
        result = Result(rounds, folder="out")
        assert result["goodput"].value > 100000000
"""
