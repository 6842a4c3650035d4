"""What does a report show of a regression's evidence? The difference of the arms' profiles on each side, and qlogs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_netbench.errors import ResultsError
from pytest_netbench.gate.arms import CAND, REF
from pytest_netbench.report import flame
from pytest_netbench.result.model import Comparison, Profile, TestRecord
from pytest_netbench.result.words import count
from pytest_netbench.roles import Role
from pytest_netbench.telemetry.stacks import Stack, left, merged


@dataclass(frozen=True, slots=True)
class Side:
    """What is shown of one side: a picture as SVG, its table, where the stacks are, and on how much it rests."""

    title: str
    svg: str
    rows: Sequence[flame.Row]
    about: str
    folders: Sequence[str]


@dataclass(frozen=True, slots=True)
class Shown:
    """All that is shown of one test's evidence."""

    sides: Sequence[Side]
    qlogs: Sequence[str]
    notes: Sequence[str]

    def __bool__(self) -> bool:
        return bool(self.sides or self.qlogs or self.notes)


NOTHING = Shown((), (), ())


def shown(test: TestRecord, folder: Path | None, mark: str) -> Shown:
    """The evidence of a test whose result folder this is; ``mark``: what tells its ids from others' on the page."""
    if test.comparison is None:
        return NOTHING
    found, notes = test.comparison.evidence, list[str]()
    sides = [] if folder is None else list(_sides(test, test.comparison, folder, mark, notes))
    return Shown(sides, found.qlogs, (*found.notes, *notes))


def _sides(test: TestRecord, compared: Comparison, folder: Path, mark: str, notes: list[str]) -> Iterator[Side]:
    for role in Role:
        profiles = [one for one in compared.evidence.profiles if one.role == role.value]
        by_arm = {arm: [one for one in profiles if one.arm == arm] for arm in (REF, CAND)}
        if not all(by_arm.values()):
            continue
        unit, costs = _costs(test, role)
        try:
            ref, cand = (flame.Arm(_stacks(by_arm[arm], folder), costs.get(arm, 1.0)) for arm in (REF, CAND))
        except (ResultsError, OSError) as error:
            notes.append(f"the profiles of the {role.value} can't be read: {error}")
            continue
        if ref.samples and cand.samples:
            title = f"where the {role.value}'s CPU time goes: {compared.cand} against {compared.ref}"
            yield Side(
                title,
                flame.svg(ref, cand, unit, title, f"{mark}-{role.value}"),
                flame.table(ref, cand, unit),
                f"{count(cand.samples, 'sample')} against {ref.samples}, by {' and '.join(_makers(profiles))}",
                [one.folder for one in profiles],
            )


def _makers(profiles: Sequence[Profile]) -> list[str]:
    return list(dict.fromkeys(one.by for one in profiles))


def _stacks(profiles: Sequence[Profile], folder: Path) -> Mapping[Stack, int]:
    return merged(left(folder / one.folder) for one in profiles)


def _costs(test: TestRecord, role: Role) -> tuple[str, dict[str, float]]:
    """What a byte or an operation cost in measured rounds of each arm, and its unit; of gated figures first."""
    names = [f"{role.value}.cpu_per_byte", f"{role.value}.cpu_per_op"]
    names.sort(key=lambda name: not (name in test.verdicts and test.verdicts[name].gated))
    for name in names:
        if (ref := test.summary_ref.get(name)) and (cand := test.summary.get(name)) and ref.median > 0 < cand.median:
            return cand.unit, {REF: ref.median, CAND: cand.median}
    return "", {}
