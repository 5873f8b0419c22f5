"""Whichever way a lead or a deal is written, as many conversions go out as things happened (F08).

A way that is not listed fails too: a method of the ORM, a page, an endpoint, an action of the admin.
"""

import re
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.contrib import admin
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

from capi.models import ConversionEvent, ConversionRule, CrmEventName
from crm.models import CrmEvent, Deal, Lead
from crm.models.deal import DealQuerySet
from crm.models.lead import LeadQuerySet
from crm.models.roles import Action
from tests.capi.conftest import received, send_all
from tests.conftest import make_deal, make_lead
from tests.faults.invariants import broken
from tests.faults.write_paths import WAYS, Scene, Way
from tests.security.matrix import ROWS

pytestmark = [pytest.mark.faults, pytest.mark.django_db]

LISTED = {name for each in WAYS for name in each.of}
# Anyone who may edit leads may edit these, but they change no lead.
NO_LEAD = re.compile(r"task|note|file|calendar|saved.view|suggestions")
# The ways that must stay covered, however the product grows.
PROMISED = {
    "save", "create", "bulk_create", "bulk_update", "update", "get_or_create", "update_or_create", "loaddata",
    "POST lead_new", "POST lead_edit", "POST lead_bulk_status", "POST deal_move", "POST api-lead-list",
    "PATCH api-lead-detail", "admin:crm_lead_change", "admin:crm_lead_changelist", "admin:mark_as_qualified",
}  # fmt: skip


@pytest.fixture
def scene(company, connected, make_rule, tmp_path) -> Scene:
    for number, name in enumerate(CrmEventName, 104_011):
        make_rule(name.value, str(number))
    lead = make_lead(company)
    return Scene(company, lead, make_deal(lead), tmp_path)


@pytest.fixture
def hooks(monkeypatch) -> list[object]:
    """What is registered to run after a commit from now on, by whatever code."""
    seen: list[object] = []
    on_commit = BaseDatabaseWrapper.on_commit

    def see(self, func, robust=False):
        seen.append(func)
        on_commit(self, func, robust)

    monkeypatch.setattr(BaseDatabaseWrapper, "on_commit", see)
    return seen


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.do.__name__)
@pytest.mark.representative
@pytest.mark.covers("F08")
def test_each_way_of_writing_sends_what_it_made_happen_once(
    way: Way, scene, company, sandbox, hooks
) -> None:
    send_all(company)
    before, sent = CrmEvent.objects.count(), len(received(sandbox))

    way.do(scene)
    send_all(company)

    kinds = dict(ConversionRule.objects.values_list("linkedin_id", "crm_event"))
    happened = list(CrmEvent.objects.order_by("pk").values_list("kind", flat=True))[
        before:
    ]
    arrived = [
        kinds[element["conversion"].rpartition(":")[2]]
        for element in received(sandbox)[sent:]
    ]
    assert sorted(happened) == sorted(way.fires)
    assert sorted(arrived) == sorted(way.fires)
    assert set(ConversionEvent.objects.values_list("state", flat=True)) == {"accepted"}
    assert broken(sandbox.ledger.tail(100)[::-1]) == []
    # If one fails, Django logs its `__qualname__`, which neither a partial nor an instance has, and would fail itself.
    assert [hook for hook in hooks if not hasattr(hook, "__qualname__")] == []


@pytest.mark.representative
@pytest.mark.covers("F08")
def test_no_way_that_is_promised_is_missing() -> None:
    assert set() == PROMISED - LISTED


@pytest.mark.representative
@pytest.mark.covers("F08")
def test_no_method_of_the_orm_that_writes_is_missing(company) -> None:
    new_status = make_lead(company).status
    classes = [LeadQuerySet, DealQuerySet, Lead, Deal, type(new_status.leads)]

    writing = {
        name
        for cls in classes
        for name in dir(cls)
        if getattr(getattr(cls, name, None), "alters_data", False)
    }

    assert {name for name in writing if not name.startswith("_")} - LISTED == set()


@pytest.mark.representative
@pytest.mark.covers("F08")
def test_no_page_and_no_endpoint_that_changes_leads_is_missing() -> None:
    changing = {Action.EDIT_LEADS, Action.DELETE_LEADS}

    routes = {
        f"{method} {name}"
        for name, row in ROWS.items()
        for method, action in row.methods.items()
        if method != "GET" and action in changing and not NO_LEAD.search(name)
    }

    assert routes - LISTED == set()


@pytest.mark.parametrize("model", [Lead, Deal])
@pytest.mark.representative
@pytest.mark.covers("F08")
def test_nothing_that_the_admin_offers_is_missing(model: type[Model]) -> None:
    page = admin.site._registry[model]

    offered = {f"admin:{url.name}" for url in page.get_urls() if url.name} | {
        f"admin:{name}" for name in page.actions
    }

    assert {name for name in offered if not name.endswith("_history")} - LISTED == set()


# What would bypass the models: the ORM's internal methods, and SQL that names the tables.
AROUND = re.compile(
    r"_raw_delete\(|\b_update\(|\b_insert\(|save_base\(|\braw=True|base_manager\b.*\b(update|bulk_\w+|create)\("
    r"|many_rows\.(insert|update)_rows\((Lead|Deal)\b"
    r"|(INSERT\s+INTO|UPDATE|DELETE\s+FROM|COPY)\s+\"?(crm_lead|crm_deal|\{lead\}|\{deal\})\b",
    re.IGNORECASE,
)


def in_one_line(code: str) -> str:
    """The code with the calls of a chain next to each other, however they are wrapped."""
    return re.sub(r"\(\s+", "(", re.sub(r"\s+\.(?=\w)", ".", code))


@pytest.mark.representative
@pytest.mark.covers("F08")
def test_no_code_goes_past_the_models() -> None:
    models = Path(django_settings.BASE_DIR) / "crm" / "models"
    # Its triggers write the search text, which is no field of a deal.
    deal_index = Path(django_settings.BASE_DIR) / "crm" / "search" / "deal_index.py"
    paths = [
        path
        for package in ("crm", "capi", "leadmachine", "postgresql")
        for path in sorted((Path(django_settings.BASE_DIR) / package).rglob("*.py"))
        if models not in path.parents
        and "migrations" not in path.parts
        and path != deal_index
    ]

    found = [
        f"{path.name}: {around[0]}"
        for path in paths
        for around in AROUND.finditer(in_one_line(path.read_text()))
    ]

    assert len(paths) > 100
    assert found == []
    assert [type(model._base_manager.all()) for model in (Lead, Deal)] == [
        LeadQuerySet,
        DealQuerySet,
    ]
