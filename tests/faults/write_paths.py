"""Every way in which this product writes a lead or a deal, each as a function of a small scene (F08)."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from django.core.management import call_command
from django.core.serializers import serialize
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from crm.jobs import rounds
from crm.models import (
    BulkChange,
    BulkKind,
    Change,
    Company,
    Deal,
    Lead,
    LeadChange,
    LeadDuplicate,
    LeadMerge,
    LeadStatus,
    LostReason,
    Membership,
    OrganisationDetails,
    Stage,
    Tag,
)
from crm.models.roles import Role
from crm.services import bulk_changes
from crm.services.editing import change_status, move_deal
from crm.services.erasure import erase_lead
from crm.services.lead_changes import Confirmation
from tests.capi.conftest import send_all
from tests.conftest import all_rules, client_of, join, staff_client
from tests.crm.api.calling import caller


@dataclass
class Scene:
    """A lead that is new, an open deal with it, and everyone who may change them."""

    company: Company
    lead: Lead
    deal: Deal
    folder: Path

    @cached_property
    def member(self) -> Membership:
        return join(self.company, Role.ADMIN)

    @cached_property
    def web(self) -> Client:
        return client_of(self.member.user)

    @cached_property
    def operator(self) -> Client:
        return staff_client()

    @cached_property
    def api(self) -> APIClient:
        return caller(self.company)

    @cached_property
    def qualified(self) -> LeadStatus:
        return LeadStatus.objects.get(company=self.company, meaning="qualified")

    @cached_property
    def won(self) -> Stage:
        return Stage.objects.get(company=self.company, meaning="won")

    @property
    def grace(self) -> dict:
        """A new person."""
        return {"first_name": "Grace", "email": "grace@example.com"}

    @property
    def lead_fields(self) -> dict:
        return {
            **self.grace,
            "type": "inbound",
            "status": self.qualified.pk,
            "share_with_ad_platforms": "on",
        }

    @property
    def deal_fields(self) -> dict:
        return {
            "title": "Ten licences",
            "amount": "500.00",
            "currency": "EUR",
            "stage": self.won.pk,
        }

    def load(self, *rows: Lead | Deal) -> None:
        fixture = self.folder / "rows.json"
        fixture.write_text(serialize("json", rows))
        call_command("loaddata", fixture, verbosity=0)

    def in_admins_list(self, field: str, row: Lead | Deal, value: int) -> dict:
        """The form of the operator's list, in which a column can be edited."""
        return {
            "form-TOTAL_FORMS": 1, "form-INITIAL_FORMS": 1, "_save": "Save", "form-0-id": row.pk,
            f"form-0-{field}": value,
        }  # fmt: skip


@dataclass(frozen=True)
class Way:
    """What is done, and the CRM events that must come of it. `of` names the entry points: methods, routes, commands."""

    of: tuple[str, ...]
    do: Callable[[Scene], object]
    fires: tuple[str, ...]


WAYS: list[Way] = []


def way(
    *of: str, fires: str = ""
) -> Callable[[Callable[[Scene], object]], Callable[[Scene], object]]:
    def add(do: Callable[[Scene], object]) -> Callable[[Scene], object]:
        WAYS.append(Way(of, do, tuple(fires.split())))
        return do

    return add


# --- the ORM ---------------------------------------------------------------------------------------------------------


@way("save", "asave", "save_base", fires="lead_qualified")
def save_a_lead(scene: Scene) -> None:
    scene.lead.status = scene.qualified
    scene.lead.save()


@way("save", fires="deal_won")
def save_some_fields_of_a_deal(scene: Scene) -> None:
    scene.deal.stage = scene.won
    scene.deal.save(update_fields=["stage"])


@way("create", "acreate", fires="lead_created lead_qualified")
def create(scene: Scene) -> None:
    Lead.objects.create(company=scene.company, status=scene.qualified, **scene.grace)


@way("get_or_create", "aget_or_create", fires="lead_created")
def get_or_create(scene: Scene) -> None:
    for _ in range(2):
        Lead.objects.get_or_create(company=scene.company, **scene.grace)


@way("update_or_create", "aupdate_or_create", fires="lead_created lead_qualified")
def update_or_create(scene: Scene) -> None:
    for status in (scene.lead.status, scene.qualified):
        Lead.objects.update_or_create(
            company=scene.company, **scene.grace, defaults={"status": status}
        )


@way(
    "bulk_create",
    "abulk_create",
    fires="lead_created lead_created deal_created deal_won",
)
def bulk_create(scene: Scene) -> None:
    people = [
        Lead(company=scene.company, first_name=name, email=f"{name}@example.com")
        for name in ("grace", "mary")
    ]
    Lead.objects.bulk_create(people)
    Deal.objects.bulk_create(
        [
            Deal(
                company=scene.company,
                lead=people[0],
                title="Ten licences",
                stage=scene.won,
            )
        ]
    )


@way(
    "insert_like",
    fires="lead_created lead_created lead_qualified deal_created deal_won",
)
def insert_like(scene: Scene) -> None:
    rows = [
        {"first_name": "Grace"},
        {"first_name": "Mary", "status_id": scene.qualified.pk},
    ]
    keys = Lead.objects.insert_like(
        Lead(company=scene.company),
        [{**row, "email": f"{row['first_name']}@example.com"} for row in rows],
    )
    Deal.objects.insert_like(
        Deal(
            company=scene.company,
            lead_id=keys[0],
            title="Ten licences",
            stage=scene.won,
        ),
        [{}],
    )


@way("update_rows", fires="lead_qualified deal_won")
def update_rows(scene: Scene) -> None:
    Lead.objects.update_rows(["status_id"], {scene.lead.pk: [scene.qualified.pk]})
    Deal.objects.update_rows(["stage_id"], {scene.deal.pk: [scene.won.pk]})


@way("bulk_update", "abulk_update", fires="lead_qualified")
def bulk_update(scene: Scene) -> None:
    scene.lead.status = scene.qualified
    Lead.objects.bulk_update([scene.lead], ["status"])


@way("update", "aupdate", fires="lead_qualified deal_won")
def update(scene: Scene) -> None:
    Lead.objects.filter(pk=scene.lead.pk).update(status=scene.qualified)
    Deal.objects.update(stage=scene.won)


@way("add", "aadd", "set", "aset", fires="lead_qualified deal_won")
def related_managers(scene: Scene) -> None:
    scene.qualified.leads.add(scene.lead)
    scene.won.deals.set([scene.deal])


@way("delete", "adelete")
def delete(scene: Scene) -> None:
    Deal.objects.all().delete()
    scene.lead.delete()


# --- pages -----------------------------------------------------------------------------------------------------------


@way("POST lead_new", fires="lead_created lead_qualified")
def the_form_of_a_new_lead(scene: Scene) -> None:
    scene.web.post("/leads/new/", scene.lead_fields)


@way("POST lead_edit", fires="lead_qualified")
def the_form_of_a_lead(scene: Scene) -> None:
    scene.web.post(f"/leads/{scene.lead.pk}/edit/", scene.lead_fields)


@way("POST lead_field", fires="")
def a_detail_in_its_row(scene: Scene) -> None:
    scene.web.post(
        f"/leads/{scene.lead.pk}/fields/phone/", {"phone": "+31 20 555 0100"}
    )


@way("POST lead_status", fires="lead_qualified")
def the_quick_status(scene: Scene) -> None:
    scene.web.post(f"/leads/{scene.lead.pk}/status/", {"status": scene.qualified.pk})


@way("POST lead_bulk_status", fires="lead_qualified")
def the_status_of_ticked_leads(scene: Scene) -> None:
    scene.web.post(
        "/leads/status/",
        {"status": scene.qualified.pk, "lead": [scene.lead.pk], "confirmed": "1"},
    )


@way("POST organisation_edit", fires="")
def the_details_of_an_organisation(scene: Scene) -> None:
    Lead.objects.filter(pk=scene.lead.pk).update(organisation="Acme")
    scene.web.post("/organisations/acme/edit/", {"industry": "Paper"})
    assert OrganisationDetails.objects.get().industry == "Paper"


@way("PATCH api-organisation-detail", fires="")
def the_details_of_an_organisation_by_the_api(scene: Scene) -> None:
    Lead.objects.filter(pk=scene.lead.pk).update(organisation="Acme")
    scene.api.patch("/api/v1/organisations/acme/", {"industry": "Paper"}, format="json")
    assert OrganisationDetails.objects.get().industry == "Paper"


@way("POST organisation_bulk_owner", fires="")
def the_owner_of_the_selected_organisations(scene: Scene) -> None:
    Lead.objects.filter(pk=scene.lead.pk).update(organisation="Acme")
    owner = scene.member.user_id
    asked = {"organisation": [scene.lead.pk], "owner": owner}
    scene.web.post("/changes/organisations/owner/", asked)
    assert OrganisationDetails.objects.get().owner_id == owner


@way("POST organisation_rename_undo", fires="")
def a_rename_of_an_organisation_taken_back(scene: Scene) -> None:
    Lead.objects.filter(pk=scene.lead.pk).update(organisation="Acme")
    answers = {"name": "Bach", "lead_count": "1", "joined_count": "0", "confirmed": "1"}
    scene.web.post("/organisations/acme/rename/", answers)
    scene.web.post("/organisations/bach/rename/undo/")
    assert Lead.objects.get(pk=scene.lead.pk).organisation == "Acme"


@way("POST organisation_rename", fires="")
def an_organisation_with_another_name(scene: Scene) -> None:
    Lead.objects.filter(pk=scene.lead.pk).update(organisation="Acme")
    answers = {"name": "Bach", "lead_count": "1", "joined_count": "0", "confirmed": "1"}
    scene.web.post("/organisations/acme/rename/", answers)
    assert Lead.objects.get(pk=scene.lead.pk).organisation == "Bach"


@way("POST bulk_change_new", fires="lead_qualified")
def the_status_of_all_leads_that_match(scene: Scene) -> None:
    address = f"/leads/changes/new/?change=status&to={scene.qualified.pk}"
    scene.web.post(address, scene.web.get(address).context["inputs"])


@way("POST bulk_change_cancel", fires="lead_qualified")
def the_status_of_many_in_the_background(scene: Scene) -> None:
    """The first of two is cancelled before it begins."""
    change = LeadChange(BulkKind.STATUS, scene.qualified)
    confirmed = Confirmation(1, 1, timezone.now(), all_rules())
    asked = {
        "change": change,
        "keys": [scene.lead.pk],
        "confirmed": confirmed,
        "filters": [],
    }
    first, _ = [bulk_changes.start(author=scene.member, **asked) for _ in range(2)]
    scene.web.post(f"/leads/changes/{first.pk}/cancel/")
    rounds.work_through(lambda: True)
    assert set(BulkChange.objects.values_list("state", flat=True)) == {
        "cancelled",
        "done",
    }


@way(
    "POST api-bulk-change-preview",
    "POST api-bulk-change-list",
    "POST api-bulk-change-cancel",
    fires="lead_qualified",
)
def the_status_of_many_over_the_api(scene: Scene) -> None:
    """The first of two is cancelled before it begins."""
    url, asked = (
        "/api/v1/bulk-changes/",
        {"kind": "status", "target": scene.qualified.pk, "filters": {}},
    )
    confirm = scene.api.post(f"{url}preview/", asked).json()["confirm"]
    first, _ = [
        scene.api.post(url, {**asked, "confirm": confirm}).json() for _ in range(2)
    ]
    scene.api.post(f"{url}{first['id']}/cancel/")
    rounds.work_through(lambda: True)
    assert set(BulkChange.objects.values_list("state", flat=True)) == {
        "cancelled",
        "done",
    }


@way("POST lead_bulk_owner", fires="")
def the_owner_of_ticked_leads(scene: Scene) -> None:
    scene.web.post(
        "/leads/owner/", {"owner": scene.member.user_id, "lead": [scene.lead.pk]}
    )
    scene.lead.refresh_from_db()
    assert scene.lead.owner == scene.member.user


@way("POST lead_bulk_delete")
def deleting_ticked_leads(scene: Scene) -> None:
    scene.web.post("/leads/delete/", {"lead": [scene.lead.pk], "confirmed": "1"})
    assert not Lead.objects.exists()


@way("POST deal_new", fires="deal_created deal_won")
def the_form_of_a_new_deal(scene: Scene) -> None:
    scene.web.post(f"/deals/new/?lead={scene.lead.pk}", scene.deal_fields)


@way("POST deal_edit", fires="deal_won")
def the_form_of_a_deal(scene: Scene) -> None:
    scene.web.post(f"/deals/{scene.deal.pk}/edit/", scene.deal_fields)


@way("POST deal_move", fires="deal_won")
def the_board(scene: Scene) -> None:
    scene.web.post(f"/deals/{scene.deal.pk}/move/", {"stage": scene.won.pk})


@way("POST deal_lost", fires="deal_lost")
def why_a_deal_is_lost(scene: Scene) -> None:
    LostReason.objects.create(company=scene.lead.company, name="Price")
    lost = Stage.objects.get(company=scene.company, meaning="lost")
    scene.web.post(f"/deals/{scene.deal.pk}/lost/", {"stage": lost.pk})


@way("POST lead_tags", "POST deal_tags", "POST lead_bulk_tags", fires="")
def tags(scene: Scene) -> None:
    """They count as a change of the row, but cause no event."""
    tag = Tag.objects.create(company=scene.lead.company, name="VIP")
    scene.web.post(f"/leads/{scene.lead.pk}/tags/", {"add": tag.pk})
    scene.web.post(f"/deals/{scene.deal.pk}/tags/", {"add": tag.pk})
    scene.web.post(
        "/leads/tags/", {"tag": tag.pk, "tag_change": "remove", "lead": [scene.lead.pk]}
    )
    assert (scene.lead.tags.count(), scene.deal.tags.count()) == (0, 1)


@way("POST deal_people", fires="lead_created deal_created")
def the_people_of_a_deal(scene: Scene) -> None:
    """They cause no event, and a deal with another main person is still one deal; LinkedIn was told about the first."""
    other = Lead.objects.create(company=scene.company, **scene.grace)
    untold = Deal.objects.create(
        company=scene.company, lead=scene.lead, title="Renewal"
    )
    for deal in (scene.deal, untold):
        for change in ("add", "main"):
            scene.web.post(f"/deals/{deal.pk}/people/", {change: other.pk})
    assert [Deal.objects.get(pk=deal.pk).lead for deal in (scene.deal, untold)] == [
        scene.lead,
        other,
    ]
    scene.web.post(f"/deals/{untold.pk}/people/", {"remove": scene.lead.pk})
    assert not untold.people.exists()


@way("POST undo", fires="deal_won")
def the_undo_of_a_move_away_from_a_win(scene: Scene) -> None:
    negotiation = Stage.objects.get(company=scene.company, name="Negotiation")
    for stage in (scene.won, negotiation):
        scene.web.post(f"/deals/{scene.deal.pk}/move/", {"stage": stage.pk})
        send_all(scene.company)
    action = Change.objects.get(new=str(negotiation.pk)).action
    scene.web.post(f"/undo/{action}/")
    assert Deal.objects.get(pk=scene.deal.pk).stage == scene.won


@way("POST lead_delete", "POST deal_delete")
def the_pages_that_delete(scene: Scene) -> None:
    scene.web.post(f"/deals/{scene.deal.pk}/delete/")
    scene.web.post(f"/leads/{scene.lead.pk}/delete/")


@way("POST lead_erase")
def the_page_that_erases(scene: Scene) -> None:
    scene.web.post(f"/leads/{scene.lead.pk}/erase/", {"name": scene.lead.name})


@way("POST lead_duplicate_dismiss", fires="lead_created")
def saying_that_two_leads_are_two_people(scene: Scene) -> None:
    other = Lead.objects.create(company=scene.company, **scene.grace)
    pair = LeadDuplicate.objects.create(
        company=scene.company, first=scene.lead, second=other, reason="name"
    )
    scene.web.post(f"/leads/duplicates/{pair.pk}/dismiss/")
    assert not LeadDuplicate.objects.open().exists()


@way(
    "POST lead_merge",
    "POST lead_merge_undo",
    "update_without_events",
    fires="lead_created lead_qualified",
)
def the_page_that_merges_two_leads_and_its_undo(scene: Scene) -> None:
    other = Lead.objects.create(
        company=scene.company, status=scene.qualified, **scene.grace
    )
    fields = {
        "lead": [scene.lead.pk, other.pk],
        "kept": scene.lead.pk,
        "name": "kept",
        "email": "kept",
    }
    scene.web.post("/leads/merge/", {**fields, "status": "gone"})
    scene.lead.refresh_from_db()
    assert scene.lead.status == scene.qualified
    scene.web.post(f"/leads/{other.pk}/merge/undo/")
    assert Lead.objects.current().count() == 2


# --- the API ---------------------------------------------------------------------------------------------------------


@way("POST api-lead-list", fires="lead_created lead_qualified")
def a_new_lead_over_the_api(scene: Scene) -> None:
    scene.api.post("/api/v1/leads/", {**scene.grace, "status": scene.qualified.pk})


@way("PUT api-lead-detail", "PATCH api-lead-detail", fires="lead_qualified")
def a_lead_over_the_api(scene: Scene) -> None:
    scene.api.put(
        f"/api/v1/leads/{scene.lead.pk}/", {**scene.grace, "status": scene.qualified.pk}
    )
    scene.api.patch(f"/api/v1/leads/{scene.lead.pk}/", {"status": scene.qualified.pk})


@way("POST api-deal-list", fires="deal_created deal_won")
def a_new_deal_over_the_api(scene: Scene) -> None:
    scene.api.post("/api/v1/deals/", {"lead": scene.lead.pk, **scene.deal_fields})


@way("PUT api-deal-detail", "PATCH api-deal-detail", fires="deal_won")
def a_deal_over_the_api(scene: Scene) -> None:
    scene.api.put(
        f"/api/v1/deals/{scene.deal.pk}/", {"lead": scene.lead.pk, **scene.deal_fields}
    )
    scene.api.patch(f"/api/v1/deals/{scene.deal.pk}/", {"stage": scene.won.pk})


@way("DELETE api-lead-detail", "DELETE api-deal-detail")
def deleting_over_the_api(scene: Scene) -> None:
    scene.api.delete(f"/api/v1/deals/{scene.deal.pk}/")
    scene.api.delete(f"/api/v1/leads/{scene.lead.pk}/")


@way("POST api-lead-erasure")
def erasing_over_the_api(scene: Scene) -> None:
    scene.api.post(f"/api/v1/leads/{scene.lead.pk}/erasure/", {})


@way("POST api-lead-merge", "POST api-merge-undo", fires="lead_created")
def merging_over_the_api_and_its_undo(scene: Scene) -> None:
    other = Lead.objects.create(company=scene.company, **scene.grace)
    scene.api.post(
        f"/api/v1/leads/{scene.lead.pk}/merge/", {"lead": other.pk, "take": ["email"]}
    )
    assert Lead.objects.current().get() == scene.lead
    scene.api.post(f"/api/v1/merges/{LeadMerge.objects.get().pk}/undo/")
    assert Lead.objects.current().count() == 2


@way("POST api-duplicate-dismiss", fires="lead_created")
def saying_over_the_api_that_two_leads_are_two_people(scene: Scene) -> None:
    other = Lead.objects.create(company=scene.company, **scene.grace)
    pair = LeadDuplicate.objects.create(
        company=scene.company, first=scene.lead, second=other, reason="name"
    )
    scene.api.post(f"/api/v1/duplicates/{pair.pk}/dismiss/")
    assert not LeadDuplicate.objects.open().exists()


# --- the operator's admin --------------------------------------------------------------------------------------------


@way("admin:crm_lead_add", fires="lead_created lead_qualified")
def a_new_lead_in_the_admin(scene: Scene) -> None:
    scene.operator.post(
        "/admin/crm/lead/add/", {**scene.lead_fields, "company": scene.company.pk}
    )


@way("admin:crm_lead_change", fires="lead_qualified")
def a_lead_in_the_admin(scene: Scene) -> None:
    fields = {**scene.lead_fields, "company": scene.company.pk}
    scene.operator.post(f"/admin/crm/lead/{scene.lead.pk}/change/", fields)


@way("admin:crm_lead_changelist", fires="lead_qualified")
def the_list_of_leads_in_the_admin(scene: Scene) -> None:
    scene.operator.post(
        "/admin/crm/lead/",
        scene.in_admins_list("status", scene.lead, scene.qualified.pk),
    )


@way("admin:mark_as_qualified", fires="lead_qualified")
def an_action_of_the_admin(scene: Scene) -> None:
    scene.operator.post(
        "/admin/crm/lead/",
        {"action": "mark_as_qualified", "_selected_action": [scene.lead.pk]},
    )


@way("admin:crm_deal_add", fires="deal_created deal_won")
def a_new_deal_in_the_admin(scene: Scene) -> None:
    fields = {**scene.deal_fields, "company": scene.company.pk, "lead": scene.lead.pk}
    scene.operator.post("/admin/crm/deal/add/", fields)


@way("admin:crm_deal_change", fires="deal_won")
def a_deal_in_the_admin(scene: Scene) -> None:
    fields = {**scene.deal_fields, "company": scene.company.pk, "lead": scene.lead.pk}
    scene.operator.post(f"/admin/crm/deal/{scene.deal.pk}/change/", fields)


@way("admin:crm_deal_changelist", fires="deal_won")
def the_list_of_deals_in_the_admin(scene: Scene) -> None:
    scene.operator.post(
        "/admin/crm/deal/", scene.in_admins_list("stage", scene.deal, scene.won.pk)
    )


@way("admin:crm_lead_delete", "admin:crm_deal_delete")
def deleting_in_the_admin(scene: Scene) -> None:
    scene.operator.post(f"/admin/crm/deal/{scene.deal.pk}/delete/", {"post": "yes"})


# --- services and commands -------------------------------------------------------------------------------------------


@way("change_status", "move_deal", fires="lead_qualified deal_won")
def the_services(scene: Scene) -> None:
    change_status(leads=Lead.objects.all(), status=scene.qualified)
    move_deal(deal=scene.deal, stage=scene.won)


@way("erase_lead")
def an_erasure(scene: Scene) -> None:
    erase_lead(lead=scene.lead)


@way("loaddata", fires="lead_created lead_qualified deal_won")
def a_fixture(scene: Scene) -> None:
    scene.deal.stage = scene.won
    times = {"created_at": scene.lead.created_at, "updated_at": scene.lead.updated_at}
    somebody = Lead(
        pk=scene.lead.pk + 1_000,
        company=scene.company,
        status=scene.qualified,
        **scene.grace,
        **times,
    )
    scene.load(somebody, scene.deal)
