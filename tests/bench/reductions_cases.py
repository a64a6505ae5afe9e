"""Which series are saved with which knowledge, and what was asked of each."""
import dataclasses

KEYFRAME, LOAD = "first tag alone, times smaller", "slowest load / first tag's load"
SERIES, LEAN = "series, bytes a parameter", "median replayed or delta tag, bytes a parameter"
TIMES, OVER_RAW = "all tags, times smaller", "added to an empty store / raw"
RATE = "first save with effort fast / of as many random bytes, rate"
BALANCE = "usual save / with effort fast, time"
LOAD_BUDGET = 4 * 1.15  # the default budget, and what a load may miss it by


@dataclasses.dataclass(frozen=True)
class Asked:
    figure: str
    must: float
    aim: float | None = None
    at_least: bool = False

    def verdict(self, value):
        if value is None:
            return "not measured"
        beats = (lambda limit: value >= limit) if self.at_least else (lambda limit: value <= limit)
        if not beats(self.must):
            return "**short**"
        return "ok, the aim too" if self.aim is not None and beats(self.aim) else "ok"


@dataclasses.dataclass(frozen=True)
class Case:
    """`roles`: "file", "without clip", "none" or "auto"; `effort`: what --effort gets."""
    regime: str
    roles: str = "file"
    asked: tuple = ()
    effort: str | None = None

    @property
    def name(self):
        effort = "" if self.effort is None else f", {self.effort}"
        return f"{self.regime}, roles: {self.roles}{effort}"


FIRST = Asked(KEYFRAME, 1.36, 1.42, at_least=True)
WITH_OPTIMIZER = (Asked(SERIES, 4.9, 4.3), Asked(LEAN, 3.7, 3.5), FIRST)
ROUNDED = (Asked(SERIES, 2.8, 2.3), Asked(LEAN, 1.6, 1.4), FIRST)
CASES = (
    Case("pretrain", asked=WITH_OPTIMIZER),
    Case("pretrain", "none"),
    Case("pretrain", effort="fast"),
    Case("pretrain", effort="small"),
    Case("pretrain-fused", asked=WITH_OPTIMIZER),
    Case("pretrain-bf16grad", asked=ROUNDED),
    Case("pretrain-bf16grad", "without clip", ROUNDED),
    Case("pretrain-gap5", asked=(Asked(SERIES, 9.7), FIRST)),
    Case("pretrain-gap20", asked=(Asked(SERIES, 10.2), FIRST)),
    Case("sft", asked=(Asked(SERIES, 4.9, 4.2), FIRST)),
    Case("weights-2e-6", asked=(Asked(LEAN, 0.11), Asked(SERIES, 0.20, 0.15))),
    Case("weights-1e-7", asked=(Asked(LEAN, 0.007), Asked(SERIES, 0.07, 0.05))),
    Case("lora", asked=(Asked(TIMES, 11, 13, at_least=True),)),
    Case("moe", asked=(Asked(TIMES, 5, 7, at_least=True),)),
    Case("moe", "none", (Asked(TIMES, 3, 3.6, at_least=True),)),
    Case("random", "none", (Asked(OVER_RAW, 1.001),)),
    Case("compressed", "none", (Asked(OVER_RAW, 1.001),)),
)


def cases_of(regime, knows_effort):
    """Those with an effort only where the program has the flag."""
    return [case for case in CASES
            if case.regime == regime and (case.effort is None or knows_effort)]
