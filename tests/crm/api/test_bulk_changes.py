"""Bulk changes through the API: a preview, a confirmation of no more than that, the progress, and its end."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone
from rest_framework.test import APIClient

from capi.models import ConversionEvent
from crm.api import bulk_changes as endpoint
from crm.api.bulk_change_bodies import MORE_THAN_NAMED, OTHER_CHANGE
from crm.api.permissions import RolePermission
from crm.jobs import runner
from crm.jobs.rounds import work_through
from crm.models import (
    ApiKey,
    AuditEntry,
    BulkChange,
    BulkSelection,
    Company,
    CrmEvent,
    Lead,
    LeadStatus,
    Membership,
    Tag,
)
from crm.models.roles import Role
from crm.services import bulk_changes
from crm.services.erasure import erase_lead
from crm.services.lead_merges import merge_leads
from crm.services.picklists import archive_entry
from tests.conftest import join, make_deal, make_lead, make_note, make_task
from tests.crm.api.calling import ADMIN_AND_SALES, caller, with_key
from tests.crm.api.test_saved_views import member
from tests.crm.custom_values import make_field

pytestmark = pytest.mark.django_db

URL = "/api/v1/bulk-changes/"
PREVIEW = f"{URL}preview/"


@pytest.fixture
def script(company: Company) -> APIClient:
    return caller(company, "sales")


@pytest.fixture
def qualified(company: Company) -> LeadStatus:
    return LeadStatus.objects.for_company(company).get(name="Qualified")


@pytest.fixture
def vip(company: Company) -> Tag:
    return Tag.objects.create(company=company, name="VIP")


@pytest.fixture
def leads(company: Company) -> list[Lead]:
    """Four leads from a fair."""
    return [
        make_lead(
            company,
            first_name=f"P{number}",
            email=f"p{number}@example.com",
            source="Fair",
        )
        for number in range(4)
    ]


def confirmed(script: APIClient, asked: dict[str, Any]) -> dict[str, Any]:
    """The body that starts this change, confirmed as its preview says."""
    answer = script.post(PREVIEW, asked)
    assert answer.status_code == 200, answer.json()
    return {**asked, "confirm": answer.json()["confirm"]}


CONFIRM = ("kind", "target", "leads", "conversions", "rules", "asked_at")
NO_OFFSET = "Write it with its offset from UTC, as in 2027-02-01T09:30:00Z."


def confirm_to_tag(tag: Tag) -> dict[str, Any]:
    """The confirmation that a preview of adding the tag to one lead would contain now."""
    asked_at = timezone.now().isoformat()
    return {
        "kind": "add_tag",
        "target": tag.pk,
        "leads": 1,
        "conversions": 0,
        "rules": [],
        "asked_at": asked_at,
    }


def started(script: APIClient, asked: dict[str, Any]) -> BulkChange:
    answer = script.post(URL, confirmed(script, asked))
    assert answer.status_code == 201, answer.json()
    return BulkChange.objects.get(pk=answer.json()["id"])


def untouched() -> bool:
    return not BulkChange.objects.exists() and not BulkSelection.objects.exists()


def test_a_preview_has_the_leads_and_what_is_sent_and_changes_nothing(
    script: APIClient, qualified: LeadStatus, leads: list[Lead], make_rule: Any
):
    rule = make_rule("lead_qualified", name="Qualified")
    Lead.objects.filter(pk=leads[0].pk).update(email="")
    Lead.objects.filter(pk=leads[1].pk).update(status=qualified)
    before = CrmEvent.objects.count()

    answer = script.post(
        PREVIEW,
        {"kind": "status", "target": qualified.pk, "filters": {"source": "Fair"}},
    )

    found = answer.json()
    assert answer.status_code == 200, found
    assert found["confirm"].pop("asked_at")
    assert found == {
        "title": "Set the status of 4 leads to Qualified",
        "lead_count": 4,
        "left_out": [],
        "unchanged": 1,
        "conversions": [{"rule": "Qualified", "now": 2, "later": 1}],
        "belongings": None,
        "confirm": {
            "kind": "status",
            "target": qualified.pk,
            "leads": 4,
            "conversions": 3,
            "rules": [rule.pk],
        },
    }
    assert untouched()
    assert CrmEvent.objects.count() == before


def test_the_preview_of_a_deletion_has_what_goes_along(
    company: Company, admin: Membership, leads: list[Lead]
):
    deal = make_deal(leads[0])
    make_note(admin, leads[0])
    make_task(admin, deal=deal)

    found = (
        caller(company)
        .post(PREVIEW, {"kind": "delete", "leads": [leads[0].pk, leads[1].pk]})
        .json()
    )

    assert (found["title"], found["confirm"]["leads"]) == ("Delete 2 leads", 2)
    assert found["belongings"] == {
        "deals": 1,
        "tasks": 1,
        "notes": 1,
        "files": 0,
        "merged": 0,
        "shared_deals": 0,
    }


def test_what_is_confirmed_is_done_by_a_worker_and_reported(
    script: APIClient,
    company: Company,
    qualified: LeadStatus,
    leads: list[Lead],
    make_rule: Any,
    token: Any,
):
    make_rule("lead_qualified")
    make_lead(company, first_name="Other", source="Web")
    body = confirmed(
        script,
        {"kind": "status", "target": qualified.pk, "filters": {"source": "Fair"}},
    )

    answer = script.post(URL, body)
    row = answer.json()
    assert (answer.status_code, row["state"], row["reached"], row["row_count"]) == (
        201,
        "waiting",
        0,
        4,
    )
    assert not Lead.objects.filter(status=qualified).exists()
    work_through(lambda: True)

    found = script.get(f"{URL}{row['id']}/").json()
    assert found.pop("created_at")
    assert found.pop("finished_at")
    assert found.pop("asked_at") == body["confirm"]["asked_at"]
    assert found == {
        "id": row["id"],
        "kind": "status",
        "target": qualified.pk,
        "state": "done",
        "problem": "",
        "row_count": 4,
        "reached": 4,
        "results": {
            "changed": 4,
            "unchanged": 0,
            "since": 0,
            "gone": 0,
            "refused": 0,
            "unmatched": 0,
        },
        "refusals": [],
        "conversions": 0,
        "made_by": None,
    }
    assert set(Lead.objects.filter(status=qualified)) == set(leads)
    events = CrmEvent.objects.filter(kind="lead_qualified")
    key = ApiKey.objects.get()
    assert {(event.actor_id, event.api_key_id) for event in events} == {(None, key.pk)}
    assert ConversionEvent.objects.filter(crm_event__in=events).count() == 4
    entry = AuditEntry.objects.get(action="bulk_change")
    assert (entry.actor_name, entry.object_id) == (str(key), row["id"])
    assert entry.details == {
        "change": "status",
        "leads": 4,
        "to": qualified.pk,
        "filters": ["source"],
    }


def test_each_change_has_the_companys_time_to_undo(
    script: APIClient, company: Company, qualified: LeadStatus, leads: list[Lead]
):
    Company.objects.update(grace_seconds=60)
    started(
        script,
        {
            "kind": "status",
            "target": qualified.pk,
            "leads": [lead.pk for lead in leads],
        },
    )

    work_through(lambda: True)

    events = CrmEvent.objects.filter(kind="lead_qualified")
    assert len(events) == 4
    assert all(
        event.release_at - event.occurred_at >= timedelta(seconds=55)
        for event in events
    )


def test_each_kind_is_done(
    company: Company, sales: Membership, vip: Tag, leads: list[Lead]
):
    script, everyone = caller(company), {"filters": {}}

    started(script, {"kind": "owner", "target": sales.user_id, **everyone})
    started(script, {"kind": "add_tag", "target": vip.pk, **everyone})
    work_through(lambda: True)
    assert {(lead.owner, *lead.tags.all()) for lead in Lead.objects.all()} == {
        (sales.user, vip)
    }

    started(script, {"kind": "owner", "target": None, **everyone})
    started(script, {"kind": "remove_tag", "target": vip.pk, **everyone})
    work_through(lambda: True)
    assert {(lead.owner, *lead.tags.all()) for lead in Lead.objects.all()} == {(None,)}

    started(script, {"kind": "delete", "leads": [leads[0].pk, leads[1].pk]})
    work_through(lambda: True)
    assert set(Lead.objects.all()) == {leads[2], leads[3]}
    assert set(BulkChange.objects.values_list("state", flat=True)) == {"done"}


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, ["P0", "P1", "P2", "P3"]),
        ({"search": "p1"}, ["P1"]),
        ({"search": "p2@example.com", "source": "Fair"}, ["P2"]),
        ({"custom_plan": "gold"}, ["P3"]),
        ({"search": "nobody"}, []),
    ],
)
def test_the_filters_are_those_of_the_page_with_searches_as_they_are(
    script: APIClient,
    company: Company,
    vip: Tag,
    leads: list[Lead],
    filters: dict[str, str],
    found: list[str],
):
    make_field(company, "Plan", "text")
    Lead.objects.filter(first_name="P3").update(custom={"plan": "Gold"})

    asked = {"kind": "add_tag", "target": vip.pk, "filters": filters}

    assert script.post(PREVIEW, asked).json()["lead_count"] == len(found)
    if found:
        started(script, asked)
        work_through(lambda: True)
    assert [
        lead.first_name for lead in Lead.objects.filter(tags=vip).order_by("pk")
    ] == found


def test_a_day_is_one_of_the_company(script: APIClient, vip: Tag, leads: list[Lead]):
    Company.objects.update(time_zone="Pacific/Auckland")
    # The 12th, over there.
    Lead.objects.filter(pk=leads[0].pk).update(created_at="2026-03-11T12:30:00Z")

    counts = [
        script.post(
            PREVIEW,
            {"kind": "add_tag", "target": vip.pk, "filters": {"created_until": day}},
        ).json()
        for day in ("2026-03-11", "2026-03-12")
    ]

    assert [found["lead_count"] for found in counts] == [0, 1]
    assert [found["confirm"] is None for found in counts] == [True, False]


def test_a_preview_says_which_of_the_ids_are_not_among_the_leads(
    script: APIClient,
    company: Company,
    other_company: Company,
    vip: Tag,
    leads: list[Lead],
):
    kept, gone, erased, one = leads
    merged_into_erased = make_lead(company, email="")
    merge_leads(kept=erased, gone=merged_into_erased)
    merge_leads(kept=kept, gone=gone)
    erase_lead(lead=erased)
    theirs = make_lead(other_company).pk
    ids = [gone.pk, erased.pk, merged_into_erased.pk, one.pk, theirs, 10**15]

    found = script.post(
        PREVIEW, {"kind": "add_tag", "target": vip.pk, "leads": ids}
    ).json()
    by_filter = script.post(
        PREVIEW, {"kind": "add_tag", "target": vip.pk, "filters": {}}
    ).json()

    assert (found["lead_count"], found["confirm"]["leads"]) == (1, 1)
    assert found["left_out"] == [
        f"Lead {gone.pk} was merged into lead {kept.pk}. To change that one, send its id.",
        f"Lead {erased.pk} was erased.",
        f"Lead {merged_into_erased.pk} was erased.",
        f"Your company has no lead {theirs}.",
        f"Your company has no lead {10**15}.",
    ]
    assert by_filter["left_out"] == []


# No more than was confirmed


def test_more_leads_than_were_confirmed_are_not_changed(
    script: APIClient, vip: Tag, leads: list[Lead]
):
    body = confirmed(
        script,
        {"kind": "add_tag", "target": vip.pk, "leads": [leads[0].pk, leads[1].pk]},
    )
    body["confirm"]["leads"] = 1

    answer = script.post(URL, body)

    assert (answer.status_code, answer.json()) == (409, {"detail": endpoint.MORE})
    assert untouched()


def test_more_conversions_than_were_confirmed_are_not_sent(
    script: APIClient, qualified: LeadStatus, leads: list[Lead], make_rule: Any
):
    body = confirmed(
        script,
        {"kind": "status", "target": qualified.pk, "filters": {"source": "Fair"}},
    )
    make_rule("lead_qualified")

    answer = script.post(URL, body)

    assert (answer.status_code, answer.json()) == (409, {"detail": endpoint.MORE})
    assert untouched()


def test_a_rule_in_the_place_of_the_one_that_was_confirmed_sends_nothing(
    script: APIClient, qualified: LeadStatus, leads: list[Lead], make_rule: Any
):
    rule = make_rule("lead_qualified")
    body = confirmed(
        script,
        {"kind": "status", "target": qualified.pk, "filters": {"source": "Fair"}},
    )
    rule.is_active = False
    rule.save()
    make_rule("lead_qualified", "104077")

    answer = script.post(URL, body)

    assert (answer.status_code, answer.json()) == (409, {"detail": endpoint.MORE})
    assert untouched()


def test_neither_does_one_that_comes_while_it_waits_for_fewer_leads(
    script: APIClient, qualified: LeadStatus, leads: list[Lead], make_rule: Any
):
    make_rule("lead_qualified")
    body = confirmed(
        script,
        {"kind": "status", "target": qualified.pk, "filters": {"source": "Fair"}},
    )
    for lead in leads[:2]:
        lead.phone = "+31 20 555 0100"
        lead.save()
    asked = script.post(URL, body).json()
    make_rule("lead_qualified", "104077")

    work_through(lambda: True)

    found = script.get(f"{URL}{asked['id']}/").json()
    assert (found["state"], found["problem"]) == (
        "failed",
        bulk_changes.MORE_CONVERSIONS,
    )
    assert not Lead.objects.filter(status=qualified).exists()


def test_a_rule_that_comes_while_it_waits_stops_it(
    script: APIClient, qualified: LeadStatus, leads: list[Lead], make_rule: Any
):
    asked = started(
        script,
        {"kind": "status", "target": qualified.pk, "filters": {"source": "Fair"}},
    )
    make_rule("lead_qualified")

    work_through(lambda: True)

    found = script.get(f"{URL}{asked.pk}/").json()
    assert (found["state"], found["problem"]) == (
        "failed",
        bulk_changes.MORE_CONVERSIONS,
    )
    assert not Lead.objects.filter(status=qualified).exists()


def test_what_others_add_or_change_after_the_preview_is_left_alone(
    script: APIClient, company: Company, qualified: LeadStatus, leads: list[Lead]
):
    body = confirmed(
        script,
        {"kind": "status", "target": qualified.pk, "filters": {"source": "Fair"}},
    )
    make_lead(company, first_name="Late", source="Fair", email="late@example.com")
    leads[0].phone = "+31 20 555 0100"
    leads[0].save()

    row = script.post(URL, body).json()
    work_through(lambda: True)

    assert (row["row_count"], row["results"]["since"]) == (3, 1)
    assert sorted(
        lead.first_name for lead in Lead.objects.filter(status=qualified)
    ) == ["P1", "P2", "P3"]


def test_the_results_are_all_of_the_leads_that_were_confirmed(
    script: APIClient, company: Company, qualified: LeadStatus, leads: list[Lead]
):
    body = confirmed(
        script,
        {"kind": "status", "target": qualified.pk, "filters": {"source": "Fair"}},
    )
    Lead.objects.filter(pk=leads[0].pk).update(source="Web", updated_at=timezone.now())
    Lead.objects.filter(pk=leads[1].pk).update(
        phone="+31 20 555 0100", updated_at=timezone.now()
    )
    body["confirm"]["leads"] = 10  # six more than there were

    asked = script.post(URL, body).json()
    work_through(lambda: True)

    results = script.get(f"{URL}{asked['id']}/").json()["results"]
    assert asked["row_count"] == 2
    assert results == {
        "changed": 2,
        "unchanged": 0,
        "since": 1,
        "gone": 0,
        "refused": 0,
        "unmatched": 7,
    }


def test_no_more_leads_are_confirmed_than_are_named(
    script: APIClient, vip: Tag, leads: list[Lead]
):
    body = confirmed(
        script,
        {"kind": "add_tag", "target": vip.pk, "leads": [lead.pk for lead in leads]},
    )
    named = {**body, "leads": [leads[0].pk, leads[0].pk, leads[1].pk]}

    answer = script.post(URL, named)

    assert (answer.status_code, answer.json()) == (400, {"confirm": [MORE_THAN_NAMED]})
    assert untouched()


def test_nothing_is_started_where_no_lead_is_left(
    script: APIClient, vip: Tag, leads: list[Lead]
):
    body = confirmed(
        script, {"kind": "add_tag", "target": vip.pk, "leads": [leads[0].pk]}
    )
    leads[0].delete()

    answer = script.post(URL, body)

    assert (answer.status_code, answer.json()) == (
        409,
        {"detail": bulk_changes.NONE_LEFT},
    )
    assert untouched()


@pytest.mark.parametrize("age", [timedelta(days=1, minutes=1), timedelta(minutes=-5)])
def test_a_preview_of_yesterday_or_of_tomorrow_has_to_be_asked_for_again(
    script: APIClient, vip: Tag, leads: list[Lead], age: timedelta
):
    body = confirmed(
        script, {"kind": "add_tag", "target": vip.pk, "leads": [leads[0].pk]}
    )
    body["confirm"]["asked_at"] = (timezone.now() - age).isoformat()

    answer = script.post(URL, body)

    assert (answer.status_code, answer.json()) == (409, {"detail": endpoint.MORE})
    assert untouched()


# A script that got no response


def test_a_start_that_is_repeated_with_its_key_is_one_change(
    script: APIClient, qualified: LeadStatus, leads: list[Lead]
):
    body = confirmed(
        script,
        {"kind": "status", "target": qualified.pk, "filters": {"source": "Fair"}},
    )

    first = script.post(URL, body, headers={"Idempotency-Key": "nightly"})
    work_through(lambda: True)
    again = script.post(URL, body, headers={"Idempotency-Key": "nightly"})

    assert (first.status_code, again.status_code) == (201, 201)
    assert (first.json()["id"], again.json()["state"]) == (again.json()["id"], "done")
    assert BulkChange.objects.count() == 1


def test_a_repeat_by_a_key_with_fewer_rights_is_refused_as_its_own_start_is(
    script: APIClient, company: Company, leads: list[Lead]
):
    admins = caller(company)
    body = confirmed(admins, {"kind": "delete", "leads": [leads[0].pk]})
    assert (
        admins.post(URL, body, headers={"Idempotency-Key": "nightly"}).status_code
        == 201
    )

    repeat = script.post(URL, body, headers={"Idempotency-Key": "nightly"})

    assert (repeat.status_code, repeat.json()) == (
        403,
        {"detail": RolePermission.message},
    )
    assert BulkChange.objects.count() == 1


def test_without_a_key_the_second_leaves_alone_what_the_first_has_changed(
    script: APIClient, qualified: LeadStatus, leads: list[Lead]
):
    body = confirmed(
        script,
        {
            "kind": "status",
            "target": qualified.pk,
            "leads": [lead.pk for lead in leads],
        },
    )

    assert script.post(URL, body).status_code == 201
    work_through(lambda: True)
    second = script.post(URL, body)

    assert (second.status_code, second.json()) == (
        409,
        {"detail": bulk_changes.NONE_LEFT},
    )
    assert CrmEvent.objects.filter(kind="lead_qualified").count() == 4


def test_a_refused_start_can_be_repeated_with_its_key(
    script: APIClient, vip: Tag, leads: list[Lead], monkeypatch: Any
):
    body = confirmed(
        script, {"kind": "add_tag", "target": vip.pk, "leads": [leads[0].pk]}
    )
    with monkeypatch.context() as busy:
        busy.setattr(bulk_changes, "AT_WORK_AT_MOST", 0)
        refused = script.post(URL, body, headers={"Idempotency-Key": "1"})

    answer = script.post(URL, body, headers={"Idempotency-Key": "1"})

    assert (refused.status_code, refused.json()) == (409, {"detail": bulk_changes.BUSY})
    assert answer.status_code == 201


# Limits


def test_a_company_has_five_at_work_and_another_is_not_held_up(
    script: APIClient, vip: Tag, leads: list[Lead], other_company: Company
):
    body = confirmed(
        script, {"kind": "add_tag", "target": vip.pk, "filters": {"source": "Fair"}}
    )
    answers = [script.post(URL, body) for _ in range(6)]
    foreign = make_lead(other_company)
    theirs = Tag.objects.create(company=other_company, name="VIP")

    started(
        caller(other_company),
        {"kind": "add_tag", "target": theirs.pk, "leads": [foreign.pk]},
    )

    assert [answer.status_code for answer in answers] == [201] * 5 + [409]
    assert answers[-1].json() == {"detail": bulk_changes.BUSY}


@pytest.mark.usefixtures("one_minute")
def test_a_company_has_a_limit_of_previews_and_starts_for_all_its_keys(
    company: Company,
    other_company: Company,
    script: APIClient,
    vip: Tag,
    leads: list[Lead],
    monkeypatch: Any,
):
    monkeypatch.setattr(endpoint, "COUNTED_PER_MINUTE", 2)
    asked = {"kind": "add_tag", "target": vip.pk, "leads": [leads[0].pk]}
    body = confirmed(script, asked)
    # Counts nothing.
    assert script.post(PREVIEW, {"kind": "add_tag"}).status_code == 400

    answers = [
        caller(company).post(PREVIEW, asked),
        script.post(PREVIEW, asked),
        script.post(URL, body),
    ]
    theirs = caller(other_company).post(
        PREVIEW, {"kind": "owner", "target": None, "filters": {}}
    )

    assert [answer.status_code for answer in (*answers, theirs)] == [200, 429, 429, 200]
    assert "Retry-After" in answers[1].headers
    assert untouched()


# Who may


@pytest.mark.parametrize("role", Role.values)
def test_who_may_edit_leads_may_change_many_and_ops_may_not(
    company: Company, vip: Tag, leads: list[Lead], role: str
):
    asked = started(
        caller(company, "admin"),
        {"kind": "add_tag", "target": vip.pk, "leads": [leads[0].pk]},
    )
    client, body = (
        caller(company, role),
        {"kind": "add_tag", "target": vip.pk, "leads": [leads[0].pk]},
    )
    confirm = confirm_to_tag(vip)

    answers = [
        client.get(URL),
        client.get(f"{URL}{asked.pk}/"),
        client.post(PREVIEW, body),
        client.post(URL, {**body, "confirm": confirm}),
        client.post(f"{URL}{asked.pk}/cancel/"),
    ]

    expected = [200, 200, 200, 201, 200] if ADMIN_AND_SALES[role] else [403] * 5
    assert [answer.status_code for answer in answers] == expected
    assert BulkChange.objects.count() == (2 if ADMIN_AND_SALES[role] else 1)


def test_only_an_admin_deletes(company: Company, script: APIClient, leads: list[Lead]):
    asked = {"kind": "delete", "leads": [lead.pk for lead in leads]}
    body = confirmed(caller(company, "admin"), asked)

    answers = [script.post(PREVIEW, asked), script.post(URL, body)]

    assert [answer.status_code for answer in answers] == [403, 403]
    assert answers[1].json() == {
        "detail": "Your role doesn't allow this. Ask an admin of your company."
    }
    assert untouched()


def revoke(key: ApiKey) -> None:
    key.revoke()


def deactivate_its_creator(key: ApiKey) -> None:
    user = join(key.company, Role.ADMIN, email="gone@example.com").user
    ApiKey.objects.filter(pk=key.pk).update(created_by=user)
    user.is_active = False
    user.save()


def lower_its_role(key: ApiKey) -> None:
    ApiKey.objects.filter(pk=key.pk).update(role=Role.OPS)


def close_its_company(key: ApiKey) -> None:
    Company.objects.filter(pk=key.company_id).update(is_active=False)


@pytest.mark.parametrize(
    "happens", [revoke, deactivate_its_creator, lower_its_role, close_its_company]
)
def test_it_stops_once_its_key_no_longer_may(
    script: APIClient, vip: Tag, leads: list[Lead], happens: Any
):
    asked = started(
        script, {"kind": "add_tag", "target": vip.pk, "filters": {"source": "Fair"}}
    )
    happens(ApiKey.objects.get())

    work_through(lambda: True)

    asked.refresh_from_db()
    assert (asked.state, asked.problem) == ("failed", runner.KEY_NO_LONGER_ALLOWED)
    assert not Lead.objects.filter(tags=vip).exists()


def test_it_stops_once_its_key_is_deleted(
    script: APIClient, vip: Tag, leads: list[Lead]
):
    asked = started(
        script, {"kind": "add_tag", "target": vip.pk, "filters": {"source": "Fair"}}
    )
    ApiKey.objects.all().delete()

    work_through(lambda: True)

    asked.refresh_from_db()
    assert (asked.state, asked.problem, asked.author) == (
        "failed",
        runner.NO_LONGER_ALLOWED,
        None,
    )


def test_a_member_asks_as_themselves(sales: Membership, vip: Tag, leads: list[Lead]):
    asked = started(
        member(sales), {"kind": "add_tag", "target": vip.pk, "leads": [leads[0].pk]}
    )

    assert (asked.made_by, asked.api_key) == (sales.user, None)
    assert AuditEntry.objects.get(action="bulk_change").actor_id == sales.user_id


def test_the_pages_show_a_change_of_a_key_with_its_name(
    script: APIClient, client_as: Any, sales: Membership, vip: Tag, leads: list[Lead]
):
    asked = started(
        script, {"kind": "add_tag", "target": vip.pk, "leads": [leads[0].pk]}
    )

    for path in ("/leads/changes/", f"/leads/changes/{asked.pk}/"):
        assert str(ApiKey.objects.get()) in client_as(sales).get(path).content.decode()


# Other companies


def test_another_companys_leads_and_targets_are_as_unknown_ones(
    script: APIClient, other_company: Company, vip: Tag, leads: list[Lead]
):
    foreign = make_lead(other_company)
    theirs = {
        "status": LeadStatus.objects.for_company(other_company).first().pk,
        "owner": join(other_company, Role.SALES, email="stranger@example.com").user_id,
        "add_tag": Tag.objects.create(company=other_company, name="VIP").pk,
    }

    own_alone = script.post(
        PREVIEW,
        {"kind": "add_tag", "target": vip.pk, "leads": [foreign.pk, leads[0].pk]},
    )
    none = script.post(
        PREVIEW, {"kind": "add_tag", "target": vip.pk, "leads": [foreign.pk]}
    )

    assert (
        own_alone.json()["lead_count"],
        none.json()["lead_count"],
        none.json()["confirm"],
    ) == (1, 0, None)
    for kind, target in theirs.items():
        answers = [
            script.post(PREVIEW, {"kind": kind, "target": pk, "leads": [leads[0].pk]})
            for pk in (target, 10**15)
        ]
        assert [answer.status_code for answer in answers] == [400, 400]
        assert answers[0].json() == answers[1].json()
        assert list(answers[0].json()) == ["target"]


def test_another_companys_changes_are_not_found(
    script: APIClient, other_company: Company, vip: Tag, leads: list[Lead]
):
    asked = started(
        script, {"kind": "add_tag", "target": vip.pk, "leads": [leads[0].pk]}
    )
    stranger = caller(other_company)

    assert stranger.get(URL).json()["results"] == []
    assert stranger.get(f"{URL}{asked.pk}/").status_code == 404
    assert stranger.post(f"{URL}{asked.pk}/cancel/").status_code == 404
    asked.refresh_from_db()
    assert asked.state == "waiting"


# Bad input

NO_BODY = {"confirm": ["Enter a value: this field is required."]}


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        (
            {"kind": "email"},
            {"kind": ["Choose one of: status, owner, add_tag, remove_tag, delete."]},
        ),
        ({"kind": None}, {"kind": ["Enter a value, not null."]}),
        ({"target": None}, {"target": ["Enter a value: this field is required."]}),
        ({"target": "7"}, {"target": ["Enter a whole number, without quotes."]}),
        ({"target": True}, {"target": ["Enter a whole number, without quotes."]}),
        ({"target": 10**30}, {"target": ["Enter 9223372036854775807 or less."]}),
        (
            {"kind": "delete"},
            {"target": ["There is nothing to choose here: leave it out."]},
        ),
        ({"leads": None}, {"leads": ["Enter a value, not null."]}),
        ({"leads": []}, {"leads": ["Enter a list that is not empty."]}),
        ({"leads": ["1"]}, {"leads": {"0": ["Enter a whole number, without quotes."]}}),
        ({"leads": [1.5]}, {"leads": {"0": ["Enter a whole number, without quotes."]}}),
        ({"leads": [0]}, {"leads": {"0": ["Enter 1 or more."]}}),
        (
            {"filters": {}},
            {"leads": ["Choose leads by their ids or by filters, not both."]},
        ),
        ({"view": 1}, {"view": ["There is no such field."]}),
        ({"company": 1}, {"company": ["There is no such field."]}),
    ],
)
def test_bad_input_is_refused_by_name(
    company: Company,
    vip: Tag,
    leads: list[Lead],
    body: dict[str, Any],
    errors: dict[str, Any],
):
    script = caller(company)
    asked = {"kind": "add_tag", "target": vip.pk, "leads": [leads[0].pk], **body}
    confirm = confirm_to_tag(vip)

    answers = [
        script.post(PREVIEW, asked),
        script.post(URL, {**asked, "confirm": confirm}),
    ]

    assert [(answer.status_code, answer.json()) for answer in answers] == [
        (400, errors)
    ] * 2
    assert untouched()


@pytest.mark.parametrize(
    ("filters", "errors"),
    [
        ({"colour": "red"}, {"colour": ["There is no such filter."]}),
        ({"source": ""}, {"source": ["Enter a string that is not empty."]}),
        ({"search": " "}, {"search": ["Enter a string that is not empty."]}),
        (
            {"shared": "yes"},
            {
                "shared": [
                    "Select a valid choice. yes is not one of the available choices."
                ]
            },
        ),
        (
            {"search": "a" * 101},
            {"search": ["Enter at most 100 characters to search for."]},
        ),
        (
            {"search": "a b c d e f g h i"},
            {"search": ["Enter at most 8 words to search for."]},
        ),
    ],
)
def test_a_filter_that_does_not_work_is_refused_by_name(
    script: APIClient,
    vip: Tag,
    leads: list[Lead],
    filters: dict[str, str],
    errors: dict[str, Any],
):
    answer = script.post(
        PREVIEW, {"kind": "add_tag", "target": vip.pk, "filters": filters}
    )

    assert (answer.status_code, answer.json()) == (400, {"filters": errors})


@pytest.mark.parametrize("kind", ["status", "owner", "add_tag", "remove_tag"])
def test_a_target_that_is_forgotten_is_not_taken_for_none(
    script: APIClient, leads: list[Lead], kind: str
):
    answer = script.post(PREVIEW, {"kind": kind, "leads": [leads[0].pk]})

    assert (answer.status_code, answer.json()) == (
        400,
        {"target": ["Enter a value: this field is required."]},
    )


def test_a_selection_that_is_forgotten_is_not_taken_for_all(
    script: APIClient, vip: Tag, leads: list[Lead]
):
    answer = script.post(PREVIEW, {"kind": "add_tag", "target": vip.pk})

    assert (answer.status_code, list(answer.json())) == (400, ["leads"])


def test_an_archived_status_is_refused_with_its_name(
    script: APIClient, qualified: LeadStatus, leads: list[Lead]
):
    archive_entry(entry=qualified)

    answer = script.post(
        PREVIEW, {"kind": "status", "target": qualified.pk, "leads": [leads[0].pk]}
    )

    assert answer.json() == {
        "target": ["Qualified was archived. Choose another lead status."]
    }


def test_ten_thousand_ids_at_most(script: APIClient, vip: Tag):
    sizes = (10_000, 10_001)

    answers = [
        script.post(
            PREVIEW,
            {"kind": "add_tag", "target": vip.pk, "leads": [*range(1, size + 1)]},
        )
        for size in sizes
    ]

    assert [answer.status_code for answer in answers] == [200, 400]
    assert answers[1].json() == {"leads": ["Enter 10000 entries at most."]}


@pytest.mark.parametrize(
    ("confirm", "errors"),
    [
        (None, ["Enter a value, not null."]),
        ({}, {name: ["Enter a value: this field is required."] for name in CONFIRM}),
        ({"asked_at": "2027-02-01T09:30:00"}, {"asked_at": [NO_OFFSET]}),
        ({"rules": ["7"]}, {"rules": {"0": ["Enter a whole number, without quotes."]}}),
        ({"kind": "remove_tag"}, [OTHER_CHANGE]),
        ({"target": 10**15}, [OTHER_CHANGE]),
        ({"leads": 0}, {"leads": ["Enter 1 or more."]}),
        ({"conversions": -1}, {"conversions": ["Enter 0 or more."]}),
        ({"more": 1}, {"more": ["There is no such field."]}),
    ],
)
def test_a_confirmation_of_another_shape_starts_nothing(
    script: APIClient, vip: Tag, leads: list[Lead], confirm: Any, errors: Any
):
    body = confirmed(
        script, {"kind": "add_tag", "target": vip.pk, "leads": [leads[0].pk]}
    )
    body["confirm"] = {**body["confirm"], **confirm} if confirm else confirm

    answer = script.post(URL, body)

    assert (answer.status_code, answer.json()) == (400, {"confirm": errors})
    assert (
        script.post(
            URL, {key: value for key, value in body.items() if key != "confirm"}
        ).json()
        == NO_BODY
    )
    assert untouched()


def test_grace_is_no_parameter_here(script: APIClient, vip: Tag, leads: list[Lead]):
    body = confirmed(
        script, {"kind": "add_tag", "target": vip.pk, "leads": [leads[0].pk]}
    )

    assert script.post(f"{URL}?grace=true", body).json() == {
        "grace": ["There is no such parameter."]
    }
    assert untouched()


# Progress and its end


def test_the_list_is_newest_first_in_pages(
    script: APIClient, vip: Tag, leads: list[Lead]
):
    made = [
        started(script, {"kind": "add_tag", "target": vip.pk, "leads": [lead.pk]}).pk
        for lead in leads[:3]
    ]

    first = script.get(URL, {"page_size": 2}).json()
    second = script.get(first["next"]).json()

    assert [[row["id"] for row in page["results"]] for page in (first, second)] == [
        made[:0:-1],
        made[:1],
    ]


def test_a_change_is_cancelled_and_what_is_done_stays(
    script: APIClient, vip: Tag, leads: list[Lead], monkeypatch: Any
):
    monkeypatch.setattr(bulk_changes, "CHUNK", 2)
    asked = started(
        script, {"kind": "add_tag", "target": vip.pk, "filters": {"source": "Fair"}}
    )
    bulk_changes.advance(asked.pk)

    # As if the response had been lost.
    first, again = (script.post(f"{URL}{asked.pk}/cancel/") for _ in range(2))
    work_through(lambda: True)

    assert (first.status_code, again.status_code) == (200, 200)
    assert (first.json()["state"], first.json()["reached"]) == ("cancelled", 2)
    assert first.json() == again.json()
    assert Lead.objects.filter(tags=vip).count() == 2
    entry = AuditEntry.objects.get(action="bulk_change_cancelled")
    assert entry.actor_name == str(ApiKey.objects.get())


def test_what_has_ended_is_not_cancelled(
    script: APIClient, vip: Tag, leads: list[Lead]
):
    asked = started(
        script, {"kind": "add_tag", "target": vip.pk, "leads": [leads[0].pk]}
    )
    work_through(lambda: True)

    answer = script.post(f"{URL}{asked.pk}/cancel/")

    assert (answer.status_code, answer.json()) == (409, {"detail": endpoint.ENDED})
    asked.refresh_from_db()
    assert asked.state == "done"


def test_a_cancel_that_has_to_wait_too_long_says_so(
    script: APIClient, vip: Tag, leads: list[Lead], monkeypatch: Any
):
    asked = started(
        script, {"kind": "add_tag", "target": vip.pk, "leads": [leads[0].pk]}
    )

    def waits(**asked: Any) -> bool:
        raise OperationalError("canceling statement due to statement timeout")

    monkeypatch.setattr(bulk_changes, "cancel", waits)
    monkeypatch.setattr(endpoint, "took_too_long", lambda error: True)
    answer = script.post(f"{URL}{asked.pk}/cancel/")

    assert (answer.status_code, answer.json()) == (409, {"detail": endpoint.AT_WORK})


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_a_change_is_neither_changed_nor_deleted(
    company: Company, vip: Tag, leads: list[Lead], method: str
):
    script = caller(company)
    asked = started(
        script, {"kind": "add_tag", "target": vip.pk, "leads": [leads[0].pk]}
    )

    assert getattr(script, method)(f"{URL}{asked.pk}/", {}).status_code == 405
    assert script.get(PREVIEW).status_code == 405


def test_a_key_that_is_unknown_starts_nothing(vip: Tag, leads: list[Lead]):
    confirm = confirm_to_tag(vip)
    body = {
        "kind": "add_tag",
        "target": vip.pk,
        "leads": [leads[0].pk],
        "confirm": confirm,
    }

    assert with_key("lm_made-up").post(URL, body).status_code == 401
    assert untouched()
