"""The doctor's findings, the same on the page, on the command line and in the daily check-up."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

from django.db import models
from django.urls import reverse
from django.utils import dateformat, timezone

from capi.models import ConversionRule
from capi.selectors.explanations.states import Tone


class Level(models.TextChoices):
    """How serious a finding is, in display order."""

    RED = "red", "Needs fixing"
    AMBER = "amber", "Check"
    UNKNOWN = "unknown", "Unknown"
    GREEN = "green", "OK"


class Check(models.TextChoices):
    """What is checked."""

    TOKEN = "token", "Access token"
    EXPIRY = "expiry", "Token expiry"
    VERSION = "version", "API version"
    ACCOUNT = "account", "Ad account"
    ACTIVE = "active", "Active rules"
    PAUSED = "paused", "Rule ids"
    SEEN = "seen", "Last sent"
    AT_LINKEDIN = "at_linkedin", "Rules at LinkedIn"
    CLOCK = "clock", "Clock"
    LEADS = "leads", "Leads with an e-mail"
    SENDING = "sending", "Sending"
    ON_HOLD = "on_hold", "Events on hold"
    REST = "rest", "Waiting for LinkedIn"
    SIZE = "size", "Size of requests"
    DUE = "due", "Due events"
    SWEEP = "sweep", "Worker"


TONES: Final[dict[Level, Tone]] = {
    Level.RED: "bad",
    Level.AMBER: "wait",
    Level.UNKNOWN: "plain",
    Level.GREEN: "good",
}
ICONS: Final[dict[Level, str]] = {
    Level.RED: "exclamation-circle",
    Level.AMBER: "exclamation-circle",
    Level.UNKNOWN: "question-mark-circle",
    Level.GREEN: "check-circle",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check: a sentence, what to do (`fix`), where (`link`), and the `topic` in the help.

    `ask_admin` is what non-admins are to do, where `fix` needs an admin. Each of these four may be "".
    """

    check: Check
    level: Level
    sentence: str
    fix: str = ""
    link: str = ""
    topic: str = ""
    ask_admin: str = ""
    checked_at: datetime | None = None  # None: just now

    @property
    def links(self) -> list[str]:
        """Where to go and where to read more. Empty if the finding is OK."""
        if self.level == Level.GREEN:
            return []
        return [
            link
            for link in (
                self.link,
                self.topic and help_on(self.topic, page="troubleshooting"),
            )
            if link
        ]

    @property
    def tone(self) -> Tone:
        return TONES[self.level]

    @property
    def icon(self) -> str:
        return ICONS[self.level]


FIELDS: Final = frozenset(each.name for each in fields(Finding))


@dataclass(frozen=True, slots=True)
class Counts:
    """The number of findings of each level but green."""

    red: int
    amber: int
    unknown: int

    @property
    def sentence(self) -> str:
        """A summary such as "1 thing to fix, 2 to check"."""
        things = "thing" if self.red == 1 else "things"
        parts = [
            (self.red, f"{self.red} {things} to fix"),
            (self.amber, f"{self.amber} to check"),
            (self.unknown, f"{self.unknown} unknown"),
        ]
        return ", ".join(text for count, text in parts if count) or "everything is OK"


def counted(findings: Iterable[Finding]) -> Counts:
    levels = [finding.level for finding in findings]
    return Counts(
        levels.count(Level.RED), levels.count(Level.AMBER), levels.count(Level.UNKNOWN)
    )


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """Sorted by level, then in the order of the checks."""
    levels, checks = list(Level), list(Check)
    return sorted(
        findings,
        key=lambda finding: (levels.index(finding.level), checks.index(finding.check)),
    )


def as_json(findings: Iterable[Finding]) -> list[dict[str, str]]:
    """The findings for the database, which stores the time of the check-up, not of each finding."""
    stored = [field.name for field in fields(Finding) if field.name != "checked_at"]
    return [{name: getattr(finding, name) for name in stored} for finding in findings]


def from_json(
    stored: Iterable[dict[str, Any]], checked_at: datetime | None = None
) -> list[Finding]:
    """The stored findings, without checks, levels and fields that this version doesn't know."""
    findings: list[Finding] = []
    for each in stored:
        if each["check"] in Check.values and each["level"] in Level.values:
            given = {name: value for name, value in each.items() if name in FIELDS}
            given |= {"check": Check(each["check"]), "level": Level(each["level"])}
            findings.append(Finding(**given, checked_at=checked_at))
    return findings


def step(number: int) -> str:
    """The URL of step 1 or 2 of the LinkedIn page. Nothing is fixed in step 3: even tests are sent from step 2."""
    return reverse("linkedin") + ("#connect", "#map")[number - 1]


def help_on(topic: str, *, page: str = "faq") -> str:
    """The URL of the topic in the help."""
    return f"{reverse('help_page', args=[page])}#{topic}"


def moment(at: datetime) -> str:
    """Such as "24 Nov, 15:00", in the company's time zone."""
    return dateformat.format(timezone.localtime(at), "j M, H:i")


def listed(names: Iterable[str], *, at_most: int = 5) -> str:
    """The first names, comma-separated, and how many more there are."""
    each = list(names)
    more = len(each) - at_most
    return ", ".join(each[:at_most]) + (f" and {more} more" if more > 0 else "")


def with_ids(rules: Iterable[ConversionRule]) -> str:
    """The first rules, comma-separated, each with its id in Campaign Manager."""
    return listed(f"{rule} ({rule.linkedin_id})" for rule in rules)
