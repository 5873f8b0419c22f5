"""What the doctor says: one finding per check, the same on the page, on the command line and in the daily run."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from django.db import models
from django.urls import reverse
from django.utils import dateformat, timezone

from capi.models import ConversionRule
from capi.selectors.explanations.states import Tone


class Level(models.TextChoices):
    """How things stand. In the order in which they are shown."""

    RED = "red", "To mend"
    AMBER = "amber", "Look here"
    UNKNOWN = "unknown", "Can't tell"
    GREEN = "green", "Fine"


class Check(models.TextChoices):
    """What is looked at."""

    TOKEN = "token", "Access token"
    EXPIRY = "expiry", "Token's expiry date"
    VERSION = "version", "API version"
    ACCOUNT = "account", "Ad account"
    ACTIVE = "active", "Active rules"
    PAUSED = "paused", "Rule ids"
    SEEN = "seen", "Last sent"
    AT_LINKEDIN = "at_linkedin", "The rules at LinkedIn"
    CLOCK = "clock", "Clock"
    LEADS = "leads", "Leads with an e-mail"
    ON_HOLD = "on_hold", "Events on hold"
    REST = "rest", "Waiting for LinkedIn"
    SIZE = "size", "Size of requests"
    DUE = "due", "Events whose turn it is"
    SWEEP = "sweep", "Worker"


# What it is nearly always, and so what is shown even where it is fine.
USUAL_CAUSES: Final = (Check.TOKEN, Check.ACTIVE, Check.PAUSED, Check.ACCOUNT)

TONES: Final[dict[Level, Tone]] = {Level.RED: "bad", Level.AMBER: "wait", Level.UNKNOWN: "plain", Level.GREEN: "good"}
ICONS: Final[dict[Level, str]] = {
    Level.RED: "exclamation-circle",
    Level.AMBER: "exclamation-circle",
    Level.UNKNOWN: "question-mark-circle",
    Level.GREEN: "check-circle",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """How one thing stands, in a sentence; `mend` says what to do, `link` where, and `topic` is its place in the help
    ("" where there is nothing).
    """

    check: Check
    level: Level
    sentence: str
    mend: str = ""
    link: str = ""
    topic: str = ""

    @property
    def links(self) -> list[str]:
        """Where to go and where to read more, of what somebody should see; nothing where all is fine."""
        if self.level == Level.GREEN:
            return []
        return [link for link in (self.link, self.topic and help_on(self.topic, page="troubleshooting")) if link]

    @property
    def tone(self) -> Tone:
        return TONES[self.level]

    @property
    def icon(self) -> str:
        return ICONS[self.level]


@dataclass(frozen=True, slots=True)
class Counts:
    """How many findings there are of each level that somebody should see."""

    red: int
    amber: int
    unknown: int

    @property
    def sentence(self) -> str:
        """The whole in a few words: "1 thing to mend, 2 to look at"."""
        parts = [
            f"{self.red} thing{'' if self.red == 1 else 's'} to mend" if self.red else "",
            f"{self.amber} to look at" if self.amber else "",
            f"{self.unknown} that can't be told" if self.unknown else "",
        ]
        return ", ".join(filter(None, parts)) or "all is well"


def counted(findings: Iterable[Finding]) -> Counts:
    levels = [finding.level for finding in findings]
    return Counts(levels.count(Level.RED), levels.count(Level.AMBER), levels.count(Level.UNKNOWN))


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """What is to be mended first, and in the order of the checks where the levels are the same."""
    levels, checks = list(Level), list(Check)
    return sorted(findings, key=lambda finding: (levels.index(finding.level), checks.index(finding.check)))


def as_json(findings: Iterable[Finding]) -> list[dict[str, str]]:
    return [asdict(finding) for finding in findings]


def from_json(stored: Iterable[dict[str, Any]]) -> list[Finding]:
    """The findings that were stored, without those of checks that this version no longer makes."""
    known = [each for each in stored if each["check"] in Check.values and each["level"] in Level.values]
    return [Finding(**{**each, "check": Check(each["check"]), "level": Level(each["level"])}) for each in known]


def step(number: int) -> str:
    """Where one of the three steps stands."""
    return reverse("linkedin") + ("#connect", "#map", "#verify")[number - 1]


def help_on(topic: str, *, page: str = "faq") -> str:
    """Where the help speaks of it."""
    return f"{reverse('help_page', args=[page])}#{topic}"


def moment(at: datetime) -> str:
    """As "24 Nov, 15:00", in the company's time zone."""
    return dateformat.format(timezone.localtime(at), "j M, H:i")


def listed(names: Iterable[str], *, at_most: int = 5) -> str:
    """The names in a row, and how many more there are."""
    each = list(names)
    more = len(each) - at_most
    return ", ".join(each[:at_most]) + (f" and {more} more" if more > 0 else "")


def with_ids(rules: Iterable[ConversionRule]) -> str:
    """The rules in a row, each with its id in Campaign Manager."""
    return listed(f"{rule.name} ({rule.linkedin_id})" for rule in rules)
