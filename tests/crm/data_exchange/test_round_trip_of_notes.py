"""The notes of the archive are imported again as the same values, in their company."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm.data_exchange.exporting.archive import FILES
from crm.data_exchange.exporting.cells import as_csv
from crm.formatting import dates_for
from crm.models import Company, Membership, Note, NoteKind
from crm.models.people import DateStyle
from tests.conftest import make_deal, make_lead
from tests.crm.data_exchange.importing.uploading import run, upload
from tests.crm.data_exchange.test_round_trip import NOTES, ZONES
from tests.size import sized

pytestmark = [pytest.mark.django_db, pytest.mark.sized]

[FILE] = [file for file in FILES if file.name == "notes.csv"]
KEPT: Final = ("text", "kind", "lead", "deal", "actor", "created_at")


def notes() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "text": NOTES.map(lambda text: text or "Hi"),
            "kind": st.sampled_from(NoteKind.values),
            "is_about_deal": st.booleans(),
            "is_by_admin": st.booleans(),
            "created_at": st.datetimes(
                datetime(2001, 1, 1), datetime(2026, 8, 30), timezones=st.just(UTC)
            ),
        }
    )


def test_notes_of_the_archive_are_imported_as_the_same_values(
    settings_of_limits: None, sales: Membership, admin: Membership
) -> None:
    lead = make_lead(sales.company, email="ada@example.com")
    deal = make_deal(lead, title="Fleet")

    def store(drawn: dict[str, Any]) -> None:
        note = Note.objects.create(
            company=sales.company,
            text=drawn["text"],
            kind=drawn["kind"],
            lead=lead,
            deal=deal if drawn["is_about_deal"] else None,
            actor=(admin if drawn["is_by_admin"] else sales).user,
        )
        moment = drawn["created_at"].replace(microsecond=0)
        Note.objects.filter(pk=note.pk).update(created_at=moment)

    @settings(
        max_examples=sized(40, small=6),
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(
        st.lists(notes(), min_size=1, max_size=6),
        st.sampled_from(DateStyle.values),
        st.sampled_from(ZONES),
    )
    def agree(drawn: Sequence[dict[str, Any]], style: str, zone: str) -> None:
        with transaction.atomic():
            Company.objects.update(time_zone=zone)
            sales.company.refresh_from_db()
            sales.user.date_style = style
            sales.user.save()
            for values in drawn:
                store(values)
            expected = [*Note.objects.order_by("pk").values_list(*KEPT)]
            content = _file(sales)
            Note.objects.all().delete()
            with dates_for(sales.user):
                checked = upload(admin, content)
            problems = {key for key in checked.planned if key[:4] in ("cell", "bad:")}

            assert (checked.subject, problems) == ("note", set()), checked.problem
            run(checked, admin)
            assert [*Note.objects.order_by("pk").values_list(*KEPT)] == expected
            transaction.set_rollback(True)

    agree()


def _file(member: Membership) -> bytes:
    """The file of the archive."""
    columns = FILE.columns(member.company)
    header = [column.label for column in columns]
    with timezone.override(member.company.time_zone):
        return as_csv(
            [
                header,
                *(
                    [column.read(note) for column in columns]
                    for note in FILE.rows(member.company).order_by("pk")
                ),
            ]
        )
