"""Exported tasks are imported again as the same values, in each format, here and in another company."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any, Final

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm.formatting import dates_for
from crm.models import Company, ExportFormat, Membership, Task, TaskKind
from crm.models.people import DateStyle
from crm.models.roles import Role
from tests.conftest import join, make_deal, make_lead
from tests.crm.data_exchange.importing.uploading import run, upload
from tests.crm.data_exchange.test_round_trip import ZONES, exported, texts
from tests.size import sized

pytestmark = [pytest.mark.django_db, pytest.mark.sized]

# A spreadsheet has times without zones: none in an hour that clocks repeat.
MOMENTS: Final = (
    st.datetimes(datetime(2001, 1, 1), datetime(2026, 8, 30), timezones=st.just(UTC))
    .filter(lambda moment: moment.month in (1, 2, 6, 7, 8, 12))
    .map(lambda moment: moment.replace(second=moment.second or 1))
) | st.just(
    # Half a millisecond before the next second: readers of spreadsheets round it up.
    datetime(2001, 1, 1, 0, 0, 1, 999_500, tzinfo=UTC)
)


def tasks() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "title": texts(160).map(lambda text: text or "Call"),
            "kind": st.sampled_from(TaskKind.values),
            "due_on": st.dates(date(2000, 1, 1), date(9998, 12, 31)),
            "due_time": st.none()
            | st.times().map(lambda time: time.replace(second=0, microsecond=0)),
            "about": st.sampled_from(["lead", "deal", ""]),
            "has_owner": st.booleans(),
            "done_at": st.none() | MOMENTS,
            "created_at": MOMENTS,
        }
    )


class Side:
    """A company with a lead and its deals, and a member."""

    def __init__(self, name: str) -> None:
        self.company = Company.objects.create(name=name, slug=name.lower())
        self.member = join(
            self.company,
            Role.SALES,
            email=f"{name}@example.com",
            first_name="Sam",
            last_name="Visser",
        )
        self.lead = make_lead(self.company, email="ada@example.com")
        make_deal(self.lead, title="Vans")
        self.deal = make_deal(self.lead, title="Fleet")

    def choose(self, style: str, zone: str) -> None:
        self.company.time_zone = zone
        self.company.save()
        self.member.user.date_style = style
        self.member.user.save()

    def store(self, drawn: dict[str, Any]) -> None:
        about = drawn["about"]
        task = Task.objects.create(
            company=self.company,
            owner=self.member.user if drawn["has_owner"] else None,
            lead=self.lead if about == "lead" else None,
            deal=self.deal if about == "deal" else None,
            **{name: drawn[name] for name in ("title", "kind", "due_on", "due_time")},
        )
        moments = {name: drawn[name] for name in ("done_at", "created_at")}
        Task.objects.filter(pk=task.pk).update(**moments)

    def stored(self) -> list[dict[str, Any]]:
        return [
            {
                "title": task.title,
                "kind": task.kind,
                "due": (task.due_on, task.due_time),
                "about": task.subject and str(task.subject),
                "owner": str(task.owner or ""),
                "done_at": _seconds(task.done_at),
                "created_at": _seconds(task.created_at),
            }
            for task in Task.objects.for_company(self.company).order_by("pk")
        ]


def _seconds(moment: datetime | None) -> datetime | None:
    return moment and moment.replace(microsecond=0)


@pytest.mark.parametrize("file_format", ExportFormat)
def test_exported_tasks_are_imported_as_the_same_values(
    settings_of_limits: None, file_format: ExportFormat
) -> None:
    here, there = Side("Here"), Side("There")

    @settings(
        max_examples=sized(40, small=6),
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(
        st.lists(tasks(), min_size=1, max_size=6),
        st.sampled_from(DateStyle.values),
        st.sampled_from(ZONES),
    )
    def agree(drawn: Sequence[dict[str, Any]], style: str, zone: str) -> None:
        with transaction.atomic():
            for each in (here, there):
                each.choose(style, zone)
            for values in drawn:
                here.store(values)
            expected = here.stored()
            with dates_for(here.member.user):
                content = exported(here.member, file_format, Task)
            Task.objects.all().delete()
            for each in (here, there):
                _import(each.member, content)
                assert each.stored() == expected
            transaction.set_rollback(True)

    agree()


def _import(member: Membership, content: bytes) -> None:
    with dates_for(member.user):
        checked = upload(member, content)
    problems = {key for key in checked.planned if key[:4] in ("cell", "bad:")}
    assert (checked.subject, problems) == ("task", set()), checked.problem
    run(checked, member)
