"""Random histories of a company, and next to them a simpler model of what its people must be told."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from django.conf import LazySettings
from django.db.models.functions import Now
from hypothesis import strategies as st

from capi import services
from capi.alerts import evaluate, notifications
from capi.alerts.mail_choices import choose
from capi.linkedin.versions import SUNSETS
from capi.models import Alert, Connection, ConversionEvent, ConversionRule, Mail
from capi.models.choices import Reason, RestCause
from tests.capi.alerts.conftest import look, make_mails_due
from tests.capi.alerts.measured import Endings, Flow
from tests.capi.alerts.post_office import Died, PostOffice

TODAY = datetime(2026, 11, 25, 12, tzinfo=UTC)
REASONS = (Reason.TOKEN_REFUSED, Reason.TOKEN_UNREADABLE, Reason.VERSION_RETIRED)
TOKEN_STAGES = (0, 1, 3, 7, 14)
TOKEN_DATES = (
    None,
    TODAY.date() + timedelta(days=10),
    TODAY.date() + timedelta(days=30),
)
VERSION_STAGES = (0, 7, 30, 60)
VERSIONS = ("202609", "202602", "202601")  # they end in 294, 82 and 51 days
HOLD_STAGES = (3, 14)
ADMIN, OPS = "admin@example.com", "ops@example.com"

Subject = tuple[str, int | None]
Seen = dict[Subject, tuple[object, int]]  # by subject: the episode and its stage
News = tuple[str, str, int | None]  # the news, its kind or week, and its rule
Wants = tuple[bool, bool]  # alerts, and the weekly mail

which_rule = st.integers(0, 1)
STEP = st.one_of(
    st.tuples(st.just("pause_line"), st.sampled_from(REASONS)),
    st.tuples(st.just("resume_line")),
    st.tuples(st.just("resume_line")),
    st.tuples(st.just("lane_rests"), st.sampled_from([4, 20, 600])),
    st.tuples(st.just("lane_wakes")),
    st.tuples(st.just("hours_go_by"), st.sampled_from([1, 6, 12])),
    st.tuples(st.just("pause_rule"), which_rule),
    st.tuples(st.just("resume_rule"), which_rule),
    st.tuples(st.just("switch_rule"), which_rule),
    st.tuples(st.just("token_date"), st.sampled_from(TOKEN_DATES)),
    st.tuples(st.just("version"), st.sampled_from(VERSIONS)),
    st.tuples(
        st.just("events_end"),
        which_rule,
        st.sampled_from([(5, 0), (3, 2), (4, 16), (20, 0)]),
    ),
    st.tuples(
        st.just("events_end"),
        which_rule,
        st.sampled_from([(5, 0), (3, 2), (4, 16), (20, 0)]),
    ),
    st.tuples(
        st.just("events_end"),
        which_rule,
        st.sampled_from([(3, 17), (1, 4), (0, 1), (0, 80)]),
    ),
    st.tuples(st.just("events_go_on_coming")),
    st.tuples(
        st.just("old_event_is_held"), which_rule, st.sampled_from([60, 75, 76, 86, 87])
    ),
    st.tuples(st.just("days_go_by"), st.integers(1, 9)),
    st.tuples(st.just("days_go_by"), st.sampled_from([14, 30, 90, 240])),
    st.tuples(
        st.just("person_chooses"),
        st.sampled_from([ADMIN, OPS]),
        st.booleans(),
        st.booleans(),
    ),
    st.tuples(st.just("look")),
    st.tuples(st.just("look")),
    st.tuples(st.just("look_that_dies")),
    st.tuples(st.just("look_by_two")),
    st.tuples(
        st.just("post"), st.sampled_from(["", "away", "dies_before", "dies_after"])
    ),
)
HISTORY = st.lists(STEP, min_size=5, max_size=14)
EVERY_KIND = [  # each kind of alert occurs here, whatever chance brings
    ("lane_rests", 20), ("look",), ("hours_go_by", 1), ("look",), ("resume_line",), ("look",),
    ("lane_wakes",), ("look",), ("lane_rests", 600), ("look",),
    ("pause_line", Reason.TOKEN_REFUSED), ("look",), ("resume_line",),
    ("token_date", TOKEN_DATES[1]), ("version", "202601"), ("old_event_is_held", 1, 87), ("events_end", 0, (5, 0)),
    ("look",), ("days_go_by", 9),
]  # fmt: skip


@dataclass
class History:
    """A company, and in `expected` each piece of news that must be mailed, with the recipient's address."""

    company: object
    rules: list[ConversionRule]
    users: dict[str, object]  # by their address
    settings: LazySettings
    people: dict[str, Wants] = field(default_factory=dict)
    now: datetime = TODAY
    episode: int = 0
    line: tuple[object, int] | None = None
    rest: tuple[datetime, datetime | None] | None = None  # since, until
    paused: dict[int, tuple[object, int]] = field(default_factory=dict)
    off: set[int] = field(default_factory=set)
    token_date: date | None = None
    held: list[tuple[int, datetime]] = field(default_factory=list)
    mailed_week: date | None = None
    seen: Seen = field(default_factory=dict)
    expected: list[tuple[str, News]] = field(default_factory=list)
    may_be_doubled: int = 0

    def __post_init__(self) -> None:
        self.person_chooses(ADMIN, True, True)
        self.version_(VERSIONS[0])
        self.flow = Flow(self.rules[0], TODAY)
        self.endings = [Endings(rule) for rule in self.rules]

    # --- what happens ---

    def pause_line(self, reason) -> None:
        if self.line is None or self.line[1] != reason:
            self.episode += 1
            self.line = (self.episode, reason)
            Connection.objects.update(
                is_paused=True, paused_reason=reason, paused_at=Now()
            )

    def resume_line(self) -> None:
        if self.line is not None:
            self.line = self.rest = None
        elif self.rest is not None:  # a manual retry ends the rest, but not the trouble
            self.rest = self.rest[0], None
        services.resume_connection(company=self.company)

    def lane_rests(self, minutes: int) -> None:
        self.rest = since, until = self.now, self.now + timedelta(minutes=minutes)
        Connection.objects.update(
            resting_since=since, next_attempt_at=until, rest_cause=RestCause.TROUBLE
        )

    def lane_wakes(self) -> None:
        self.rest = None
        Connection.objects.update(
            resting_since=None, next_attempt_at=None, rest_cause=""
        )

    def pause_rule(self, which: int) -> None:
        if which not in self.paused:
            self.episode += 1
            self.paused[which] = (self.episode, 0)
            self._rule(which).update(
                is_paused=True, paused_reason=Reason.RULE_NOT_FOUND, paused_at=Now()
            )

    def resume_rule(self, which: int) -> None:
        self.paused.pop(which, None)
        services.resume_rule(rule=self._rule(which).get())

    def switch_rule(self, which: int) -> None:
        self.off ^= {which}
        services.set_rule_active(
            rule=self._rule(which).get(), active=which not in self.off
        )

    def token_date_(self, date) -> None:
        self.token_date = date
        Connection.objects.update(token_expires_on=date)

    def version_(self, version: str) -> None:
        self.settings.LINKEDIN_API_VERSION = version

    def events_end(self, which: int, failed_and_sent: tuple[int, int]) -> None:
        self.endings[which].add(self.now.date(), *failed_and_sent)

    def events_go_on_coming(self) -> None:
        self.flow.go_on(self.now)

    def old_event_is_held(self, which: int, days: int) -> None:
        self.pause_rule(which)
        self.held.append((which, self.now - timedelta(days=days)))
        ConversionEvent.objects.create(
            company=self.company, rule=self.rules[which], happened_at=self.held[-1][1]
        )

    def hours_go_by(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    def days_go_by(self, days: int) -> None:
        self.now += timedelta(days=days)

    def person_chooses(self, address: str, alerts: bool, weekly: bool) -> None:
        self.people[address] = alerts, weekly
        choose(
            company=self.company, user=self.users[address], alerts=alerts, weekly=weekly
        )

    # --- who looks, and who sends ---

    def look(self) -> None:
        assert look(self.company, now=self.now)
        self._note()

    def look_by_two(self) -> None:
        from capi.alerts.evaluate import evaluate as look_again

        self.look()
        assert not look_again(self.company.pk, now=self.now)

    def look_that_dies(self, patch) -> None:
        with patch.context() as patched:
            patched.setattr(evaluate, "write_changes", _write_and_die)
            try:
                look(self.company, now=self.now)
            except Died:
                return
        raise AssertionError("It lived.")

    def post(self, trouble: str) -> None:
        make_mails_due()
        PostOffice.trouble = trouble
        before = len(PostOffice.taken)
        try:
            notifications.send_due()
        except Died:
            self.may_be_doubled += len(PostOffice.taken) - before
        finally:
            PostOffice.trouble = ""

    # --- what is to be told ---

    def _note(self) -> None:
        now, standing = self._state(), self._rules_that_are_on()
        for subject in sorted(self.seen.keys() - now.keys(), key=str):
            kind, which = subject
            stands = bool(standing) if which is None else which in standing
            if stands and kind in (
                "connection_paused",
                "rule_paused",
                "resting",
                "failing",
                "silent",
            ):
                self._tell("closed", subject)
            del self.seen[subject]
        for subject, (episode, stage) in now.items():
            known = self.seen.get(subject)
            if known is None or known[0] != episode or stage < known[1]:
                self._tell("opened", subject)
                self.seen[subject] = (episode, stage)

        if standing:
            self._note_week()

    def _note_week(self) -> None:
        monday_from_six = self.now - timedelta(hours=6)
        week = monday_from_six.date() - timedelta(days=monday_from_six.weekday() + 7)
        if self.mailed_week not in (None, week):
            self.expected += [
                (address, ("week", str(week), None))
                for address, (_, wants) in self.people.items()
                if wants
            ]
        self.mailed_week = week

    def _state(self) -> Seen:
        """What holds now; where that can't be known at the moment, what held before."""
        on = self._rules_that_are_on()
        if not on:
            return {}  # nothing is to be sent, so nothing is wrong
        state: Seen = {
            ("rule_paused", which): (self.paused[which][0], 0)
            for which in on & self.paused.keys()
        }
        if self.line is not None:
            state["connection_paused", None] = (self.line[0], 0)
        state |= self._resting()
        version = self.settings.LINKEDIN_API_VERSION
        state |= self._ending(
            "token_ending", self.token_date, self.token_date, TOKEN_STAGES
        )
        state |= self._ending(
            "version_ending", SUNSETS[version], version, VERSION_STAGES
        )
        held = [
            at
            for which, at in self.held
            if self.line is not None or which in self.paused
        ]
        state |= self._ending("hold_ending", min(held, default=None), "", HOLD_STAGES)
        for which in on:
            verdict = self.endings[which].verdict(self.now.date())
            state |= self._measured(
                "failing", which, opens=verdict == "fails", closes=verdict == "works"
            )
        silent = 0 in on and self.flow.is_silent(self.now)
        return state | (
            self._measured("silent", 0, opens=silent, closes=not silent)
            if 0 in on
            else {}
        )

    def _resting(self) -> Seen:
        if self.line is not None:
            return {
                subject: seen
                for subject, seen in self.seen.items()
                if subject[0] == "resting"
            }
        if self.rest is None:
            return {}
        since, until = self.rest
        if (
            until is not None
            and until - since > timedelta(minutes=5)
            and self.now < until + timedelta(minutes=5)
        ):
            return {("resting", None): ("", 0)}
        # Between two attempts, which are at most 6 hours and a fifth apart, nothing new is known.
        is_known = ("resting", None) in self.seen and self.now < (
            until or since
        ) + timedelta(hours=7.2, minutes=5)
        return {("resting", None): self.seen["resting", None]} if is_known else {}

    def _ending(
        self,
        kind: str,
        at: date | datetime | None,
        episode: object,
        stages: tuple[int, ...],
    ) -> Seen:
        if at is None:
            return {}
        is_moment = isinstance(at, datetime)
        days = (
            (at + timedelta(days=90) - self.now).days
            if is_moment
            else (at - self.now.date()).days
        )
        reached = [stage for stage in stages if days <= stage]
        return {(kind, None): (episode, reached[0])} if reached else {}

    def _measured(self, kind: str, which: int, *, opens: bool, closes: bool) -> Seen:
        if self.line is not None or which in self.paused:
            opens = closes = False
        is_so = opens or ((kind, which) in self.seen and not closes)
        return {(kind, which): ("", 0)} if is_so else {}

    def _rules_that_are_on(self) -> set[int]:
        return {0, 1} - self.off

    def _tell(self, news: str, subject: Subject) -> None:
        self.expected += [
            (address, (news, *subject))
            for address, (alerts, _) in self.people.items()
            if alerts
        ]

    # --- the end ---

    def heal(self) -> None:
        """Look a last time, then send every mail that is still unsent."""
        self.look()
        Mail.objects.filter(sent_at=None).update(due_at=Now())
        notifications.send_due()

    def told(self) -> list[tuple[str, News]]:
        """The mails that the server accepted, without repeats; asserts that there are no more repeats than allowed."""
        rows = Mail.objects.order_by("pk").select_related("alert", "user")
        by_name = {f"<alert-mail-{row.pk}@localhost>": row for row in rows}
        names = dict.fromkeys(
            mail.extra_headers["Message-ID"] for mail in PostOffice.taken
        )
        assert len(PostOffice.taken) - len(names) <= self.may_be_doubled
        pks = {rule.pk: which for which, rule in enumerate(self.rules)}
        found = [by_name[name] for name in names]
        return [(row.user.email, _news(row, pks)) for row in found]

    def open_ones(self) -> set[tuple[str, int | None]]:
        pks = {rule.pk: which for which, rule in enumerate(self.rules)}
        return {
            (alert.kind, pks.get(alert.rule_id)) for alert in Alert.objects.still_open()
        }

    def _rule(self, which: int):
        return ConversionRule.objects.filter(pk=self.rules[which].pk)


def _news(mail: Mail, pks: dict[int, int]) -> News:
    if mail.alert is None:
        return mail.news, str(mail.week), None
    return mail.news, mail.alert.kind, pks.get(mail.alert.rule_id)


WRITE = evaluate.write_changes


def _write_and_die(*args) -> None:
    WRITE(*args)
    raise Died
