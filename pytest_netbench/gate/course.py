"""Where does each gated metric of a test stand? Screened look by look, looked into when suspect; runs nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pytest_netbench.errors import UsageError
from pytest_netbench.gate.arms import CAND, REF
from pytest_netbench.gate.decision import Confirmation, Screen, confirm, screen, seen
from pytest_netbench.gate.limits import Limits
from pytest_netbench.gate.pairs import NoRatio, Pair, ratios
from pytest_netbench.gate.sender import limited
from pytest_netbench.result.model import Round
from pytest_netbench.result.summary import too_few


def whole_process(name: str) -> str:
    """Why a metric that covers a driver's start can't be gated."""
    remedy = "gate a latency, or use a driver that tells when payload came or connections were made"
    if ".cpu_per_" in name:
        remedy = "use a scenario that can be made smaller for a slope, or a driver that tells its CPU in the window"
    return (
        f"{name} can't be gated with this driver: it covers its whole process, whose start hides what the transport "
        f"does; {remedy}"
    )


@dataclass
class Track:
    """One metric's way. ``looks``: after how many pairs it was looked; ``trouble``: why it has no verdict, if so.

    ``lacking``: the reference never gave it, so that it is new.
    """

    limits: Limits
    screened: Screen = Screen.NEXT
    looks: list[int] = field(default_factory=list)
    confirmed: Confirmation = Confirmation.NEXT
    fresh_looks: list[int] = field(default_factory=list)
    trouble: str = ""
    lacking: bool = False

    @property
    def settled(self) -> bool:
        """Whether nothing more is to be found out about it."""
        return bool(self.trouble) or self.lacking


@dataclass
class Course:
    """The metrics of one test; ``entries``: gated metrics of the session, over which the error rate is shared out."""

    tracks: Mapping[str, Track]
    entries: int

    @property
    def undecided(self) -> tuple[str, ...]:
        """Those for which the screen goes on."""
        return tuple(name for name, one in self.tracks.items() if one.screened is Screen.NEXT and not one.settled)

    @property
    def suspects(self) -> tuple[str, ...]:
        """Those that wait for a confirmation."""
        return tuple(
            name
            for name, one in self.tracks.items()
            if one.screened is Screen.SUSPECT and one.confirmed is Confirmation.NEXT and not one.settled
        )

    def look(self, pairs: Sequence[Pair], *, last: bool) -> None:
        """Take one look at the screen's pairs."""
        for name in self.undecided:
            track = self.tracks[name]
            found = self._ratios(track, name, pairs, last=last)
            if found is None:
                continue
            track.looks.append(len(pairs))
            track.screened = screen(seen(found, track.limits), track.limits, last=last)

    def look_again(self, fresh: Sequence[Pair], screened: Sequence[Pair], part: float, *, last: bool) -> None:
        """Take one look at the confirmation's pairs, at this part of the error rate."""
        for name in self.suspects:
            track = self.tracks[name]
            found = self._ratios(track, name, fresh, last=last)
            if found is None:
                continue
            track.fresh_looks.append(len(fresh))
            earlier = ratios(screened, name)[: track.looks[-1]]
            alpha = track.limits.alpha / self.entries * part
            track.confirmed = confirm(found, earlier, track.limits, alpha, last=last)

    def stop(self, trouble: str) -> None:
        """Nothing can be said of any metric any more."""
        for track in self.tracks.values():
            track.trouble = track.trouble or trouble

    def check(self, pair: Pair) -> None:
        """Refuse what can't be gated, as soon as the first pair shows it.

        :raises UsageError: for a metric that covers the whole process, start included, or that neither arm gives.
        """
        for name, track in self.tracks.items():
            given = [one for one in pair.rounds.values() if name in one.metrics]
            if any(name in one.whole_process for one in given):
                raise UsageError(whole_process(name))
            if not given and pair.ref.valid and pair.cand.valid:
                known = ", ".join(sorted(pair.cand.metrics)) or "none"
                raise UsageError(f"{name} is gated, but these rounds don't give it; there are: {known}")
            track.lacking = name not in pair.ref.metrics and pair.ref.valid

    def _ratios(self, track: Track, name: str, pairs: Sequence[Pair], *, last: bool) -> list[float] | None:
        """The metric's ratios, or None while its samples are too few, or where it has none that say anything."""
        scarce = self._scarce(name, pairs)
        if scarce:
            track.trouble = scarce if last else ""
            return None
        if (why := limited(name, pairs)) is not None:
            track.trouble = why
            return None
        try:
            return ratios(pairs, name)
        except NoRatio as error:
            track.trouble = str(error)
            return None

    @staticmethod
    def _scarce(name: str, pairs: Sequence[Pair]) -> str:
        arms: tuple[tuple[str, list[Round]], ...] = (
            (REF, [pair.ref for pair in pairs]),
            (CAND, [pair.cand for pair in pairs]),
        )
        found = ((arm, too_few(rounds, name)) for arm, rounds in arms)
        return next((f"{arm}: {why}" for arm, why in found if why is not None), "")
