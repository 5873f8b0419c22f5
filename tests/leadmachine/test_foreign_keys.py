"""Each foreign key to rows that are deleted has an index: without one, every delete reads the whole table."""

from collections.abc import Iterator
from typing import Final

import pytest
from django.apps import apps
from django.db import connection
from django.db.models import ForeignKey

pytestmark = pytest.mark.django_db

RULES_STAY: Final = "a rule is marked as deleted, and its row stays"
ONE_BY_ONE: Final = (
    "the operator deletes users one at a time, and reads the table once for each"
)
# Keys without an index, each with the reason why no delete has to search by them.
EXEMPT: Final = {
    "capi_alert.rule_id": RULES_STAY,
    "capi_attempt.rule_id": RULES_STAY,
    "capi_conversionevent.rule_id": RULES_STAY,
    "capi_daycount.rule_id": RULES_STAY,
    "capi_backfill.made_by_id": ONE_BY_ONE,
    "crm_crmevent.actor_id": ONE_BY_ONE,
    "crm_change.actor_id": ONE_BY_ONE,
    "crm_task.owner_id": ONE_BY_ONE,
    "crm_organisationdetails.owner_id": ONE_BY_ONE,
    "crm_organisationrename.renamed_by_id": ONE_BY_ONE,
    "crm_note.actor_id": ONE_BY_ONE,
    "crm_attachment.actor_id": ONE_BY_ONE,
    "crm_dealperson.added_by_id": ONE_BY_ONE,
    "crm_leadmerge.merged_by_id": ONE_BY_ONE,
    "crm_leadimport.owner_id": ONE_BY_ONE,
    "crm_leadimport.made_by_id": ONE_BY_ONE,
    "crm_leadimportrow.company_id": "a company is deleted by the operator, if ever, and its rows with their imports",
    "crm_leadimportfile.company_id": "there are few files, and they go with their imports",
    "crm_dataexport.made_by_id": ONE_BY_ONE,
    "crm_bulkchange.made_by_id": ONE_BY_ONE,
    "crm_bulkselection.company_id": "there are few, and they go with their bulk changes",
    **dict.fromkeys(
        ["crm_exportpart.company_id", "crm_exportselection.company_id"],
        "they are few, and go with their exports",
    ),
    **dict.fromkeys(
        ["crm_leadtag.company_id", "crm_dealtag.company_id"],
        "they go with their leads and deals",
    ),
    **dict.fromkeys(
        ["crm_leadmerge.company_id", "crm_leadduplicate.company_id"],
        "they go with their leads",
    ),
    "capi_mail.company_id": "mails are few, and a company is deleted by the operator, if ever",
    "capi_conversionevent.last_attempt_id": "on the path of each batch; retention looks by company and id instead",
}
# The leading column of each index that finds every row with a value: of all rows, or of those where it is not null.
LEADING: Final = """
    SELECT att.attname FROM pg_index ix
    JOIN pg_attribute att ON att.attrelid = ix.indrelid AND att.attnum = ix.indkey[0]
    WHERE ix.indrelid = %s::regclass AND ix.indisvalid
      AND (ix.indpred IS NULL
           OR pg_get_expr(ix.indpred, ix.indrelid) = '(' || quote_ident(att.attname) || ' IS NOT NULL)')
"""


def foreign_keys() -> Iterator[ForeignKey]:
    for model in apps.get_models(include_auto_created=True):
        for field in model._meta.local_fields:
            if isinstance(field, ForeignKey):
                yield field


def name_of(key: ForeignKey) -> str:
    return f"{key.model._meta.db_table}.{key.column}"


def has_index(key: ForeignKey) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(LEADING, [key.model._meta.db_table])
        return (key.column,) in cursor.fetchall()


def test_each_foreign_key_has_an_index_or_a_reason_to_have_none() -> None:
    without = {name_of(key) for key in foreign_keys() if not has_index(key)}

    assert sorted(without) == sorted(EXEMPT)


def test_no_delete_of_an_attempt_looks_for_events_by_their_last_attempt() -> None:
    """Django would for any other `on_delete`, and the database for a constraint: a scan of all events each time."""
    [last_attempt] = [
        key
        for key in foreign_keys()
        if name_of(key) == "capi_conversionevent.last_attempt_id"
    ]

    assert last_attempt.remote_field.on_delete.__name__ == "DO_NOTHING"
    assert not last_attempt.db_constraint


def test_the_keys_that_are_exempt_are_keys() -> None:
    names = {name_of(key) for key in foreign_keys()}

    assert set(EXEMPT) <= names
