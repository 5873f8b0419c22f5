"""Turning CRM events into conversion events, inside the transaction of the change that made them."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from django.db import connections, transaction
from django.db.models import BigIntegerField, Case, CharField, Exists, F, OuterRef, Q, QuerySet, Value, When
from django.db.models.fields.related import ForeignKey
from django.db.models.functions import Cast, Coalesce, Concat, Now, Replace

from capi.models import ConversionEvent, ConversionRule
from capi.reasons import OPEN_STATES, Frequency, Reason, State

CHUNK = 5_000
T = TypeVar("T")


def plan(*, company_id: int, crm_event_ids: Sequence[int], kinds: Sequence[str], using: str = "default") -> int:
    """Make one conversion event for each of the company's CRM events and each active rule of its kind.

    `kinds` holds the kind of each CRM event, in the same order. Returns how many were made. Call it inside the
    transaction that made the CRM events; planning the same event twice makes nothing the second time.
    """
    rules = ConversionRule.objects.using(using).for_company(company_id).active().filter(crm_event__in=set(kinds))
    mapped = list(rules.values_list("crm_event", flat=True))
    if not mapped:
        return 0
    wanted = sum(mapped.count(kind) for kind in kinds)
    made = sum(_insert(_pairs(ids, using), using) for ids in chunks(crm_event_ids))
    if made < wanted:
        # A rule that counts each lead or deal once has counted some of these: say so, rather than drop them silently.
        made += sum(_insert(_counted_already(ids, using), using) for ids in chunks(crm_event_ids))
    return made


def contact_changed(*, lead_ids: Sequence[int], using: str = "default") -> set[int]:
    """Let the leads' open events follow a changed address or opt-out. Returns the companies that have something due.

    Waiting events become pending where there is now an address; open ones are skipped where the lead opted out.
    """
    due: set[int] = set()
    for ids in chunks(lead_ids):
        events = ConversionEvent.objects.using(using).filter(lead__in=ids, is_test=False)
        skip(events.filter(lead__share_with_ad_platforms=False))
        due |= awaken(events)
    return due


def awaken(events: QuerySet[ConversionEvent]) -> set[int]:
    """Make those waiting events pending whose lead has an address by now. Returns their companies."""
    ready = events.filter(state=State.WAITING, lead__share_with_ad_platforms=True).exclude(lead__email="")
    companies = set(ready.values_list("company", flat=True).distinct())
    if companies:
        ready.update(state=State.PENDING, reason=Reason.NONE, next_attempt_at=Now())
    return companies


def skip(events: QuerySet[ConversionEvent]) -> int:
    """End the open ones of these events, because their lead opted out."""
    return events.filter(state__in=OPEN_STATES).update(
        state=State.SKIPPED, reason=Reason.OPTED_OUT, next_attempt_at=None, once_key=None, settled_at=Now()
    )


def chunks(items: Iterable[T]) -> Iterator[list[T]]:
    """The items in lists short enough for one statement."""
    iterator = iter(items)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk


def _pairs(crm_event_ids: list[int], using: str) -> QuerySet[Any]:
    """Every CRM event with every active rule of its kind, as columns of a conversion event."""
    shared = Q(lead__share_with_ad_platforms=True)
    has_email = ~Q(lead__email="")
    once = Case(
        When(shared & Q(rule_frequency=Frequency.ONCE), then=Coalesce("deal", "lead")),
        output_field=BigIntegerField(null=True),
    )
    return _rows(
        _matches(crm_event_ids, using),
        once_key=once,
        state=Case(
            When(~shared, then=Value(State.SKIPPED)), When(has_email, then=Value(State.PENDING)),
            default=Value(State.WAITING),
        ),
        reason=Case(
            When(~shared, then=Value(Reason.OPTED_OUT)), When(has_email, then=Value(Reason.NONE)),
            default=Value(Reason.NO_EMAIL),
        ),
        next_attempt_at=Case(When(shared, then=Now())),
    )  # fmt: skip


def _counted_already(crm_event_ids: list[int], using: str) -> QuerySet[Any]:
    """What `_pairs` could not insert, because its `once` place is taken."""
    planned = ConversionEvent.objects.filter(crm_event=OuterRef("pk"), rule=OuterRef("rule_id"))
    return _rows(
        _matches(crm_event_ids, using).filter(~Exists(planned)),
        once_key=Value(None, BigIntegerField()),
        state=Value(State.SKIPPED),
        reason=Value(Reason.ALREADY_COUNTED),
        next_attempt_at=Value(None, ConversionEvent._meta.get_field("next_attempt_at")),
    )


def _matches(crm_event_ids: list[int], using: str) -> QuerySet[Any]:
    field = ConversionEvent._meta.get_field("crm_event")
    assert isinstance(field, ForeignKey)
    crm_events: QuerySet[Any] = field.related_model._default_manager.using(using)
    rules = "company__conversion_rules"
    mapped = {f"{rules}__crm_event": F("kind"), f"{rules}__is_active": True}
    matches: QuerySet[Any] = crm_events.filter(pk__in=crm_event_ids, lead__isnull=False, **mapped)
    pairs: QuerySet[Any] = matches.annotate(rule_id=F(f"{rules}__pk"), rule_frequency=F(f"{rules}__frequency"))
    return pairs


def _rows(matches: QuerySet[Any], **decided: Any) -> QuerySet[Any]:
    name = Replace(Cast("public_id", CharField()), Value("-"), Value(""))
    return matches.order_by("pk").values_list(
        "company_id", "rule_id", "pk", "lead_id", "deal_id",
        Concat(Value("lm-"), name, Value("-"), Cast("rule_id", CharField())),
        "occurred_at", *decided.values(), Value(0), Value(""), Value(False), Value(""),
    )  # fmt: skip


COLUMNS = (
    "company_id, rule_id, crm_event_id, lead_id, deal_id, event_id, happened_at, once_key, state, reason, "
    "next_attempt_at, attempts, message, is_test, email_sha256"
)


def _insert(rows: QuerySet[Any], using: str) -> int:
    """One INSERT … SELECT: no row travels through Python, however many there are."""
    sql, params = rows.query.get_compiler(using).as_sql()
    table = ConversionEvent._meta.db_table
    with transaction.atomic(using=using, savepoint=False), connections[using].cursor() as cursor:
        cursor.execute(f"INSERT INTO {table} ({COLUMNS}) {sql} ON CONFLICT DO NOTHING", params)
        return int(cursor.rowcount)
