"""The SQL that matches CRM events with rules: for new events, for past ones, and for a preview of a backfill."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings

from capi.models import ConversionEvent, ConversionRule
from crm.models import CrmEvent, Lead

NO_BACKFILL = "CAST(NULL AS bigint)"
BACKFILL = "CAST(%s AS bigint)"
# Planning needs no address: `persons` decides when a request is made. A preview tells people apart by it.
NO_ADDRESS = "CAST(NULL AS text)"
ADDRESS_OF_PERSON = """(
  SELECT l.email FROM {lead} l WHERE l.id = e.lead_id AND r.frequency = 'per_person')"""

# Pairs each CRM event that has a lead with each active rule of its kind, as the columns of a conversion event. The lead
# is looked up by its key and not joined (see `selection.lead_of_event`), and only once for each pair: MATERIALIZED.
PAIRS = """
WITH found AS MATERIALIZED (
  SELECT e.company_id, r.id AS rule_id, e.id AS crm_event_id, e.lead_id, e.deal_id, e.occurred_at AS happened_at,
         'lm-' || replace(CAST(e.public_id AS text), '-', '') || '-' || r.id AS event_id, r.frequency,
         {backfill} AS backfill_id,
         {later} AS due_at, {address} AS address,
         (SELECT CASE WHEN NOT l.share_with_ad_platforms THEN 'opted_out' WHEN e.occurred_at <= {oldest} THEN 'too_old'
                      WHEN l.email = '' THEN 'no_email' ELSE '' END FROM {lead} l WHERE l.id = e.lead_id) AS reason
  FROM {crm_event} e
  JOIN {rule} r ON r.company_id = e.company_id AND r.crm_event = e.kind AND r.is_active
  WHERE {which} AND e.taken_back_at IS NULL AND NOT e.history_only
)
SELECT company_id, rule_id, crm_event_id, lead_id, deal_id, happened_at, event_id, backfill_id, reason,
       CASE WHEN reason = '' THEN address END AS address,
       CASE WHEN reason IN ('', 'no_email') AND frequency = 'once' THEN COALESCE(deal_id, lead_id) END AS once_key,
       CASE reason WHEN '' THEN 'pending' WHEN 'no_email' THEN 'waiting' WHEN 'too_old' THEN 'expired'
                   ELSE 'skipped' END AS state,
       CASE WHEN reason IN ('', 'no_email') THEN due_at END AS next_attempt_at,
       CASE WHEN reason NOT IN ('', 'no_email') THEN {now} END AS settled_at
FROM found WHERE reason IS NOT NULL
"""
INSERT = """
INSERT INTO {event} (company_id, rule_id, crm_event_id, lead_id, deal_id, happened_at, event_id, backfill_id, once_key,
                     state, reason, next_attempt_at, settled_at, attempts, message, is_test, created_at)
SELECT company_id, rule_id, crm_event_id, lead_id, deal_id, happened_at, event_id, backfill_id, once_key, state, reason,
       next_attempt_at, settled_at, 0, '', false, {now}
FROM {pairs} AS pairs WHERE true {order} ON CONFLICT DO NOTHING
"""
# By lead or deal, so that concurrent inserts lock rows in the same order and can't deadlock. Within each, the oldest
# comes first and gets the `once_key`.
ORDER = "ORDER BY COALESCE(deal_id, lead_id), happened_at, crm_event_id"
# Events whose lead or deal the rule has counted already: they are recorded as skipped, not dropped.
INSERT_COUNTED = """
INSERT INTO {event} (company_id, rule_id, crm_event_id, lead_id, deal_id, happened_at, event_id, backfill_id, once_key,
                     state, reason, next_attempt_at, settled_at, attempts, message, is_test, created_at)
SELECT company_id, rule_id, crm_event_id, lead_id, deal_id, happened_at, event_id, backfill_id, NULL, 'skipped',
       'already_counted', NULL, {now}, 0, '', false, {now}
FROM {pairs} WHERE {is_not_made} ON CONFLICT DO NOTHING
"""
# NOT IN, because PostgreSQL always evaluates it by a hash table. For NOT EXISTS it expects a CTE to be short and may
# compare every pair with every row: 5,000 CRM events took a second. (On a table, NOT IN would trip over NULL, and no
# hashing is needed.)
NOT_AMONG_MADE = "(pairs.crm_event_id, pairs.rule_id) NOT IN (SELECT crm_event_id, rule_id FROM made)"
AT_ONCE = """
WITH pairs AS ({pairs}),
     made AS ({insert} RETURNING company_id, crm_event_id, rule_id, state, next_attempt_at),
     counted AS ({insert_counted} RETURNING company_id)
SELECT company_id, {wait} FROM made WHERE {to_wake_for} GROUP BY company_id
UNION ALL SELECT company_id, NULL FROM counted GROUP BY company_id
"""
# The same for a single CRM event, which is what most saves have. To be ready for a second INSERT takes PostgreSQL a
# fifth of the statement's time, and few events are counted already. So a pair that was not made is returned as JSON,
# and COUNTED_ONE inserts it as it was found.
ONE = """
WITH pairs AS ({pairs}), made AS ({insert} RETURNING rule_id, CASE WHEN {to_wake_for} THEN {wait} END AS wait)
SELECT pairs.company_id, made.wait, CASE WHEN made.rule_id IS NULL THEN CAST(to_json(pairs) AS text) END
FROM pairs LEFT JOIN made ON made.rule_id = pairs.rule_id
"""
COUNTED_ONE = "{insert_counted} RETURNING company_id, NULL"
NOT_MADE = """json_to_recordset(%s) AS pairs (
  company_id bigint, rule_id bigint, crm_event_id bigint, lead_id bigint, deal_id bigint, happened_at timestamptz,
  event_id text, backfill_id bigint)"""
# A waiting event that gets its address within the grace period is due at the end of that period.
TO_WAKE_FOR = "(state = 'pending' OR state = 'waiting' AND next_attempt_at > {now})"
# As `deduplication.HANDS_OVER`.
HOLDER_HANDS_OVER = """(
              holder.may_have_arrived AND holder.state NOT IN ('pending', 'waiting', 'accepted') AND EXISTS (
                SELECT 1 FROM {crm_event} back WHERE back.id = holder.crm_event_id AND back.taken_back_at IS NOT NULL
              ))"""
# What the statements above would do with one rule's past CRM events, and how many have lost their lead or deal. If the
# rule counts people, events that would be sent are grouped by address.
PREVIEW = """
SELECT outcome, address, COUNT(*) FROM (
  WITH met AS MATERIALIZED (
    SELECT reason, address, once_key, happened_at, crm_event_id,
           (SELECT made.state FROM {event} made
            WHERE made.crm_event_id = pairs.crm_event_id AND made.rule_id = pairs.rule_id) AS made,
           (SELECT holder.id FROM {event} holder
            WHERE holder.rule_id = pairs.rule_id AND holder.once_key = pairs.once_key AND NOT {hands_over}) AS holder
    FROM ({pairs}) AS pairs
  )
  SELECT CASE WHEN made = 'accepted' THEN 'sent' WHEN made IS NOT NULL THEN 'known'
              WHEN once_key IS NOT NULL AND (holder IS NOT NULL OR ROW_NUMBER() OVER (
                PARTITION BY once_key, made IS NULL ORDER BY happened_at, crm_event_id) > 1)
              THEN 'already_counted'
              WHEN reason = '' THEN 'goes' ELSE reason END AS outcome,
         CASE WHEN made IS NULL THEN address END AS address
  FROM met
) AS previewed GROUP BY outcome, address
UNION ALL
SELECT outcome, NULL, COUNT(*) FROM (
  SELECT CASE WHEN e.lead_id IS NULL THEN 'lead_deleted' ELSE 'deal_deleted' END AS outcome
  FROM {crm_event} e WHERE {about} AND {is_gone} AND NOT e.history_only
) AS gone GROUP BY outcome
"""
PERIOD = (
    "e.company_id = %s AND e.kind = %s AND e.occurred_at >= %s AND e.occurred_at < %s"
)


NOW = "statement_timestamp()"
# When an event may go out: now, or at the end of the grace period.
LATER = "GREATEST(statement_timestamp(), e.release_at)"
# In seconds.
WAIT = "CAST(EXTRACT(EPOCH FROM {} - statement_timestamp()) AS double precision)"
# How a statement is given its CRM events, and when the first of those grouped may go out.
OF_MANY = {"one_of": "= ANY(%s::bigint[])", "wait": WAIT.format("MIN(next_attempt_at)")}
# For the one event of a save: with an array of unknown length, PostgreSQL plans the query each time, which is slower.
OF_ONE = {"one_of": "= %s", "wait": WAIT.format("next_attempt_at")}


@dataclass(frozen=True, slots=True)
class Planning:
    """The statements that plan. For one CRM event, `insert_counted` follows if a pair of `at_once` was not made."""

    at_once: str
    insert_counted: str = ""


def planning(ids: Sequence[int]) -> tuple[Planning, Any]:
    """The statements for these CRM events and all active rules of their kind, with their one parameter."""
    if len(ids) == 1:
        return _planning_one(settings.EVENT_MAX_AGE_DAYS), ids[0]
    return _planning("e.id {one_of}", NO_BACKFILL, settings.EVENT_MAX_AGE_DAYS), list(
        ids
    )


def planning_backfill(*, about_deal: bool) -> Planning:
    """The statements for past CRM events by id and one rule. Parameters: [backfill, ids, rule]."""
    which = f"e.id {{one_of}} AND r.id = %s AND NOT ({_is_gone(about_deal)})"
    return _planning(which, BACKFILL, settings.EVENT_MAX_AGE_DAYS)


def preview_of_period(*, about_deal: bool) -> str:
    """The preview of one rule and a period.

    Parameters: [company, kind, since, until, rule, company, kind, since, until].
    """
    return _preview(PERIOD, about_deal, settings.EVENT_MAX_AGE_DAYS)


def preview_of_ids(*, about_deal: bool) -> str:
    """The preview of one rule and CRM events by id. Parameters: [ids, rule, ids]."""
    return _preview("e.id {one_of}", about_deal, settings.EVENT_MAX_AGE_DAYS)


@cache
def _planning(which: str, backfill: str, days: int) -> Planning:
    names = _names(OF_MANY)
    return Planning(
        at_once=AT_ONCE.format(
            pairs=_pairs(OF_MANY, which, backfill, days),
            insert=INSERT.format(pairs="pairs", order=ORDER, **names),
            insert_counted=INSERT_COUNTED.format(
                pairs="pairs", is_not_made=NOT_AMONG_MADE, **names
            ),
            **names,
        )
    )


@cache
def _planning_one(days: int) -> Planning:
    names = _names(OF_ONE)
    counted = INSERT_COUNTED.format(pairs=NOT_MADE, is_not_made="true", **names)
    return Planning(
        at_once=ONE.format(
            pairs=_pairs(OF_ONE, "e.id {one_of}", NO_BACKFILL, days),
            insert=INSERT.format(pairs="pairs", order="", **names),
            **names,
        ),
        insert_counted=COUNTED_ONE.format(insert_counted=counted),
    )


@cache
def _preview(about: str, about_deal: bool, days: int) -> str:
    names, is_gone = _names(OF_MANY), _is_gone(about_deal)
    about = about.format(**names)
    pairs = _pairs(
        OF_MANY,
        f"{about} AND r.id = %s AND NOT ({is_gone})",
        NO_BACKFILL,
        days,
        ADDRESS_OF_PERSON,
    )
    hands_over = HOLDER_HANDS_OVER.format(**names)
    return PREVIEW.format(
        pairs=pairs, about=about, is_gone=f"({is_gone})", hands_over=hands_over, **names
    )


def _pairs(
    events: Mapping[str, str],
    which: str,
    backfill: str,
    days: int,
    address: str = NO_ADDRESS,
) -> str:
    names = _names(events)
    names["address"] = address.format(**names)
    oldest = f"{NOW} - interval '{days} days'"
    return PAIRS.format(
        which=which.format(**names),
        backfill=backfill,
        oldest=oldest,
        later=LATER,
        **names,
    )


def _names(events: Mapping[str, str]) -> dict[str, str]:
    models = {
        "event": ConversionEvent,
        "rule": ConversionRule,
        "crm_event": CrmEvent,
        "lead": Lead,
    }
    tables = {name: model._meta.db_table for name, model in models.items()}
    return {**events, **tables, "now": NOW, "to_wake_for": TO_WAKE_FOR.format(now=NOW)}


def _is_gone(about_deal: bool) -> str:
    return (
        "e.lead_id IS NULL OR e.deal_id IS NULL" if about_deal else "e.lead_id IS NULL"
    )
