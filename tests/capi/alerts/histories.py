"""Random histories of a company, and beside them, kept by plainer means, what its people are to be told."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.db.models.functions import Now
from hypothesis import strategies as st

from capi import services
from capi.alerts import book, post
from capi.alerts.choice import choose
from capi.models import Alert, Connection, ConversionRule, Mail
from capi.reasons import Reason
from tests.capi.alerts.conftest import look, make_mails_due
from tests.capi.alerts.post_office import Died, PostOffice

TODAY = datetime(2026, 11, 25, 12, tzinfo=UTC)
REASONS = (Reason.TOKEN_REFUSED, Reason.TOKEN_UNREADABLE, Reason.VERSION_RETIRED)
TOKEN_STAGES = (0, 1, 3, 7, 14)
TOKEN_DATES = (None, TODAY.date() + timedelta(days=10), TODAY.date() + timedelta(days=30))

Seen = dict[tuple[str, int | None], tuple[object, int]]  # by subject: the episode and its stage
News = tuple[str, str, int | None]

which_rule = st.integers(0, 1)
STEP = st.one_of(
    st.tuples(st.just("pause_line"), st.sampled_from(REASONS)),
    st.tuples(st.just("resume_line")),
    st.tuples(st.just("pause_rule"), which_rule),
    st.tuples(st.just("resume_rule"), which_rule),
    st.tuples(st.just("switch_rule"), which_rule),
    st.tuples(st.just("token_date"), st.sampled_from(TOKEN_DATES)),
    st.tuples(st.just("days_go_by"), st.integers(1, 9)),
    st.tuples(st.just("ops_chooses"), st.booleans()),
    st.tuples(st.just("look")),
    st.tuples(st.just("look")),
    st.tuples(st.just("look_that_dies")),
    st.tuples(st.just("look_by_two")),
    st.tuples(st.just("post"), st.sampled_from(["", "away", "dies_before", "dies_after"])),
)
HISTORY = st.lists(STEP, min_size=1, max_size=12)


@dataclass
class History:
    """The company on one side; `expected` on the other: each piece of news with the people who are to read it."""

    company: object
    rules: list[ConversionRule]
    people: dict[str, bool]  # who wants mail, by their address
    ops: object
    now: datetime = TODAY
    episode: int = 0
    line: tuple[object, int] | None = None
    paused: dict[int, tuple[object, int]] = field(default_factory=dict)
    off: set[int] = field(default_factory=set)
    token_date: object = None
    seen: Seen = field(default_factory=dict)
    expected: list[tuple[str, News]] = field(default_factory=list)
    may_be_doubled: int = 0

    # --- what happens ---

    def pause_line(self, reason) -> None:
        if self.line is None or self.line[1] != reason:
            self.episode += 1
            self.line = (self.episode, reason)
            Connection.objects.update(is_paused=True, paused_reason=reason, paused_at=Now())

    def resume_line(self) -> None:
        self.line = None
        services.resume_connection(company=self.company)

    def pause_rule(self, which: int) -> None:
        if which not in self.paused:
            self.episode += 1
            self.paused[which] = (self.episode, 0)
            self._rule(which).update(is_paused=True, paused_reason=Reason.RULE_NOT_FOUND, paused_at=Now())

    def resume_rule(self, which: int) -> None:
        self.paused.pop(which, None)
        services.resume_rule(rule=self._rule(which).get())

    def switch_rule(self, which: int) -> None:
        self.off ^= {which}
        services.set_rule_active(rule=self._rule(which).get(), active=which not in self.off)

    def token_date_(self, date) -> None:
        self.token_date = date
        Connection.objects.update(token_expires_on=date)

    def days_go_by(self, days: int) -> None:
        self.now += timedelta(days=days)

    def ops_chooses(self, wants: bool) -> None:
        self.people["ops@example.com"] = wants
        choose(company=self.company, user=self.ops, alerts=wants, weekly=False)

    # --- who looks, and who sends ---

    def look(self) -> None:
        assert look(self.company, now=self.now)
        self._note()

    def look_by_two(self) -> None:
        from capi.alerts.look import look as look_again

        self.look()
        assert not look_again(self.company.pk, now=self.now)

    def look_that_dies(self, patch) -> None:
        with patch.context() as patched:
            patched.setattr(book, "write", _write_and_die)
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
            post.send_due()
        except Died:
            self.may_be_doubled += len(PostOffice.taken) - before
        finally:
            PostOffice.trouble = ""

    # --- what is to be told ---

    def _note(self) -> None:
        now, standing = self._state(), {index for index in (0, 1) if index not in self.off}
        for subject in sorted(self.seen.keys() - now.keys(), key=str):
            kind, which = subject
            stands = bool(standing) if which is None else which in standing
            if stands and kind in ("connection_paused", "rule_paused"):
                self._tell("closed", subject)
            del self.seen[subject]
        for subject, (episode, stage) in now.items():
            known = self.seen.get(subject)
            if known is None or known[0] != episode or stage < known[1]:
                self._tell("opened", subject)
                self.seen[subject] = (episode, stage)

    def _state(self) -> Seen:
        on = {which: episode for which, episode in self.paused.items() if which not in self.off}
        state: Seen = {("rule_paused", which): (episode, 0) for which, (episode, _) in on.items()}
        if len(self.off) == 2:
            return state  # nothing is to be sent, so nothing is wrong
        if self.line is not None:
            state["connection_paused", None] = (self.line[0], 0)
        if self.token_date is not None:
            days = (self.token_date - self.now.date()).days
            stages = [stage for stage in TOKEN_STAGES if days <= stage]
            if stages:
                state["token_ending", None] = (self.token_date, stages[0])
        return state

    def _tell(self, news: str, subject) -> None:
        self.expected += [(address, (news, *subject)) for address, wants in self.people.items() if wants]

    # --- the end ---

    def heal(self) -> None:
        """The last look, and a mail server that takes everything."""
        self.look()
        Mail.objects.filter(sent_at=None).update(due_at=Now())
        post.send_due()

    def told(self) -> list[tuple[str, News]]:
        """What the mail server took, each mail once however often it came, with how often it came too much."""
        rows = Mail.objects.order_by("pk").select_related("alert", "user")
        by_name = {f"<alert-mail-{row.pk}@crm.example.com>": row for row in rows}
        names = dict.fromkeys(mail.extra_headers["Message-ID"] for mail in PostOffice.taken)
        assert len(PostOffice.taken) - len(names) <= self.may_be_doubled
        pks = {rule.pk: which for which, rule in enumerate(self.rules)}
        found = [by_name[name] for name in names]
        return [(row.user.email, (row.news, row.alert.kind, pks.get(row.alert.rule_id))) for row in found]

    def open_ones(self) -> set[tuple[str, int | None]]:
        pks = {rule.pk: which for which, rule in enumerate(self.rules)}
        return {(alert.kind, pks.get(alert.rule_id)) for alert in Alert.objects.still_open()}

    def _rule(self, which: int):
        return ConversionRule.objects.filter(pk=self.rules[which].pk)


WRITE = book.write


def _write_and_die(*args) -> None:
    WRITE(*args)
    raise Died
