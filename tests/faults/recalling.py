"""Each way in which a person is taken out of what is sent, as a function of a small scene."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Final

from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from capi import services
from capi.models import ConversionEvent
from crm.jobs import rounds
from crm.models import BulkKind, Company, CrmEvent, Lead, LeadChange, Membership
from crm.models.roles import Role
from crm.services import bulk_changes, lead_imports
from crm.services.erasure import erase_lead
from crm.services.lead_changes import Confirmation
from crm.services.lead_merges import merge_leads
from crm.services.undo import undo
from tests.conftest import all_rules, client_of, join
from tests.crm.api.calling import caller
from tests.crm.data_exchange.importing.uploading import upload

WRONG, RIGHT, OTHER = "wrong@example.com", "right@example.com", "other@example.com"


@dataclass
class Leaving:
    """A person whose conversion was read for sending, in a company with another lead."""

    company: Company
    lead: Lead
    other: Lead

    @cached_property
    def member(self) -> Membership:
        return self.company.memberships.first() or join(self.company, Role.ADMIN)

    @cached_property
    def web(self) -> Client:
        client = client_of(self.member.user)
        client.raise_request_exception = False
        return client

    @cached_property
    def api(self) -> APIClient:
        client = caller(self.company)
        client.raise_request_exception = False
        return client

    @property
    def event(self) -> ConversionEvent:
        return ConversionEvent.objects.get(lead=self.lead)

    def edit(self, **fields: str) -> Callable[[], Any]:
        """The form of the lead, as a browser posts it."""
        address = f"/leads/{self.lead.pk}/edit/"
        shown = self.web.get(address).context["form"]
        posted = {name: shown[name].value() for name in shown.fields}
        posted = {
            name: value
            for name, value in {**posted, **fields}.items()
            if value not in (None, False, "")
        }
        return partial(self.web.post, address, posted)

    def patch(self, **fields: Any) -> Callable[[], Any]:
        return partial(
            self.api.patch, f"/api/v1/leads/{self.lead.pk}/", fields, format="json"
        )

    def update(self, **fields: Any) -> Callable[[], Any]:
        return partial(Lead.objects.filter(pk=self.lead.pk).update, **fields)

    def save(self, **fields: Any) -> Callable[[], Any]:
        for name, value in fields.items():
            setattr(self.lead, name, value)
        return self.lead.save


def is_gone(lead: Lead) -> bool:
    return not Lead.objects.filter(pk=lead.pk).exists()


def opted_out(lead: Lead) -> bool:
    return Lead.objects.filter(pk=lead.pk, share_with_ad_platforms=False).exists()


def corrected(lead: Lead) -> bool:
    return Lead.objects.filter(pk=lead.pk, email=RIGHT).exists()


def erased(lead: Lead) -> bool:
    return Lead.objects.filter(pk=lead.pk, erased_at__isnull=False).exists()


def merged(lead: Lead) -> bool:
    return Lead.objects.filter(pk=lead.pk, merged_into__isnull=False).exists()


def taken_back(lead: Lead) -> bool:
    return not CrmEvent.objects.filter(lead=lead, taken_back_at=None).exists()


def cancelled(lead: Lead) -> bool:
    return ConversionEvent.objects.filter(lead=lead, state="cancelled").exists()


@dataclass(frozen=True, slots=True)
class Way:
    """How a person leaves: what prepares it and returns what is done, and whether it was saved.

    `to`: the address under which the conversion is sent once that is saved; None if it isn't sent at all.
    """

    name: str
    prepare: Callable[[Leaving], Callable[[], Any]]
    is_saved: Callable[[Lead], bool]
    to: str | None = None
    by_worker: bool = False  # which does it again until it is done
    waits: bool = False  # for a request in flight that contains the person


def delete_all(scene: Leaving) -> Callable[[], Any]:
    confirmed = Confirmation(1, 1, timezone.now(), all_rules())
    change = LeadChange(BulkKind.DELETE)
    bulk_changes.start(
        author=scene.member,
        change=change,
        keys=[scene.lead.pk],
        confirmed=confirmed,
        filters=[],
    )
    return partial(rounds.work_through, lambda: True)


def import_opt_out(scene: Leaving) -> Callable[[], Any]:
    ready = upload(scene.member, f"name,email,opted out\nGrace,{WRONG},yes\n")
    assert lead_imports.start(
        lead_import=ready, owner=None, tells_platforms=False, actor=scene.member.user
    )
    return partial(rounds.work_through, lambda: True)


def merge_on_the_page(scene: Leaving) -> Callable[[], Any]:
    fields = {
        "lead": [scene.lead.pk, scene.other.pk],
        "kept": scene.other.pk,
        "name": "kept",
        "email": "kept",
    }
    return partial(scene.web.post, "/leads/merge/", fields)


def cancel_on_the_page(scene: Leaving) -> Callable[[], Any]:
    return partial(
        scene.web.post, f"/integrations/linkedin/events/cancel/?event={scene.event.pk}"
    )


def undo_on_the_page(scene: Leaving) -> Callable[[], Any]:
    return partial(scene.web.post, f"/undo/{action_of(scene)}/")


def action_of(scene: Leaving) -> Any:
    return CrmEvent.objects.get(lead=scene.lead).action


def of_lead(path: str, scene: Leaving, **posted: Any) -> Callable[[], Any]:
    return partial(scene.web.post, f"/leads/{scene.lead.pk}/{path}/", posted)


def over_api(
    scene: Leaving, method: str, path: str, body: Mapping[str, Any] | None = None
) -> Callable[[], Any]:
    return partial(getattr(scene.api, method), f"/api/v1/{path}/", body, format="json")


WAYS: Final = [
    Way("opt-out, page", lambda scene: scene.edit(share_with_ad_platforms=""), opted_out),
    Way("opt-out, API", lambda scene: scene.patch(share_with_ad_platforms=False), opted_out),
    Way("opt-out, save", lambda scene: scene.save(share_with_ad_platforms=False), opted_out),
    Way("opt-out, update", lambda scene: scene.update(share_with_ad_platforms=False), opted_out),
    Way("opt-out, import", import_opt_out, opted_out, by_worker=True),
    Way("address, page", lambda scene: scene.edit(email=RIGHT), corrected, to=RIGHT),
    Way("address, API", lambda scene: scene.patch(email=RIGHT), corrected, to=RIGHT),
    Way("address, save", lambda scene: scene.save(email=RIGHT), corrected, to=RIGHT),
    Way("address, update", lambda scene: scene.update(email=RIGHT), corrected, to=RIGHT),
    Way("delete, page", lambda scene: of_lead("delete", scene), is_gone),
    Way("delete, API", lambda scene: over_api(scene, "delete", f"leads/{scene.lead.pk}"), is_gone),
    Way("delete, ORM", lambda scene: Lead.objects.filter(pk=scene.lead.pk).delete, is_gone),
    Way("delete, bulk change", delete_all, is_gone, by_worker=True),
    Way("erase, page", lambda scene: of_lead("erase", scene, name=scene.lead.name), erased, waits=True),
    Way("erase, service", lambda scene: partial(erase_lead, lead=scene.lead), erased, waits=True),
    Way("undo, page", undo_on_the_page, taken_back),
    Way("undo, service", lambda scene: partial(undo, company=scene.company, action=action_of(scene)), taken_back),
    Way("merge, page", merge_on_the_page, merged, to=OTHER),
    Way("merge, API", lambda scene: over_api(scene, "post", f"leads/{scene.other.pk}/merge", {"lead": scene.lead.pk}),
        merged, to=OTHER),
    Way("merge, service", lambda scene: partial(merge_leads, kept=scene.other, gone=scene.lead), merged, to=OTHER),
    Way("cancel, page", cancel_on_the_page, cancelled, waits=True),
    Way("cancel, API", lambda scene: over_api(scene, "post", f"conversion-events/{scene.event.pk}/cancel"), cancelled,
        waits=True),
    Way("cancel, service", lambda scene: partial(services.cancel_events, company=scene.company, pks=[scene.event.pk]),
        cancelled, waits=True),
]  # fmt: skip
