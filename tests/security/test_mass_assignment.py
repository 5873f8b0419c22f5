"""S10: whatever a form or a body contains beyond what may be written changes nothing."""

from typing import Any

import pytest
from django.apps import apps
from django.forms import BaseForm
from django.test import Client
from rest_framework.test import APIClient

from capi.api.serializers import ConversionRuleSerializer
from capi.forms.connection import TokenForm
from capi.models import Connection, ConversionRule
from capi.models.token import fingerprint
from crm.api.deals import DealSerializer
from crm.api.serializers import LeadSerializer
from crm.forms.company import CompanyForm
from crm.forms.picklists import entry_form
from crm.models import Company, Deal, Lead, Membership
from crm.services.picklists import PICKLISTS, Picklist
from tests.conftest import give_password
from tests.security.world import World
from tests.security.writable import WRITABLE
from tests.size import sized_sample

EVERY_FIELD = sorted(
    {
        name
        for model in apps.get_models()
        for field in model._meta.get_fields()
        for name in (field.name, getattr(field, "attname", field.name))
    }
    | {
        "id",
        "pk",
        "is_superuser",
        "is_staff",
        "token",
        "__class__",
        "_state",
        "company_id",
    }
)


@pytest.mark.parametrize("kind", WRITABLE, ids=lambda kind: kind.__name__)
def test_what_may_be_written_is_what_the_list_says(kind: Any) -> None:
    if issubclass(kind, BaseForm):
        assert set(kind.base_fields) == WRITABLE[kind]
    else:
        assert {
            name for name, field in kind().fields.items() if not field.read_only
        } == WRITABLE[kind]


def test_the_forms_of_the_company_page_name_their_fields(ours: World) -> None:
    assert set(CompanyForm.base_fields) <= {
        "name",
        "currency",
        "time_zone",
        "requires_lost_reason",
    }


@pytest.mark.parametrize("picklist", PICKLISTS.values(), ids=PICKLISTS.keys())
def test_the_forms_of_the_lists_name_their_fields(picklist: Picklist) -> None:
    assert set(entry_form(picklist.model).base_fields) <= {
        "name",
        "meaning",
        "colour",
        "chance",
    }


@pytest.mark.parametrize(
    ("path", "model", "of", "form"),
    [
        ("/leads/{id}/edit/", Lead, "lead", {"first_name": "Ada", "type": "inbound", "status": "status"}),
        ("/deals/{id}/edit/", Deal, "deal", {"title": "Ten", "currency": "EUR", "stage": "stage"}),
        ("/integrations/linkedin/rules/{id}/edit/", ConversionRule, "rule", {"name": "R", "linkedin_id": "1"}),
    ],
    ids=["lead", "deal", "rule"],
)  # fmt: skip
def test_a_form_writes_its_own_fields_alone(
    ours: World,
    theirs: World,
    client_as: Any,
    path: str,
    model: Any,
    of: str,
    form: dict[str, str],
) -> None:
    client: Client = client_as(ours.members["admin"])
    allowed = next(
        fields
        for kind, fields in WRITABLE.items()
        if getattr(getattr(kind, "Meta", None), "model", None) is model
    )
    forged = {
        name: theirs.company.pk for name in EVERY_FIELD if name not in allowed
    } | {"frequency": "once"}
    before = model.objects.filter(pk=ours.ids[of]).values().get()

    answer = client.post(
        path.format(id=ours.ids[of]),
        {**forged, **{key: ours.ids.get(value, value) for key, value in form.items()}},
    )

    after = model.objects.filter(pk=ours.ids[of]).values().get()
    changed = {
        name.removesuffix("_id") for name in after if after[name] != before[name]
    }
    assert answer.status_code == 302
    assert changed <= {*allowed, "custom", "updated_at", "is_paused", "linkedin"}
    # A custom field that the form lacks is left as it is.
    assert after.get("custom") == before.get("custom")


@pytest.mark.sized
@pytest.mark.parametrize("method", ["post", "patch"])
@pytest.mark.parametrize(
    ("kind", "of", "serializer", "body"),
    [
        ("leads", "lead", LeadSerializer, {"first_name": "Ada"}),
        ("deals", "deal", DealSerializer, {"title": "Ten", "lead": "lead"}),
        (
            "conversion-rules", "rule", ConversionRuleSerializer,
            {"name": "R", "crm_event": "deal_won", "linkedin_id": "1"},
        ),
    ],
    ids=["leads", "deals", "rules"],
)  # fmt: skip
def test_the_api_names_what_can_not_be_written_and_writes_nothing(
    ours: World,
    theirs: World,
    kind: str,
    of: str,
    serializer: Any,
    body: dict[str, str],
    method: str,
) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {ours.keys['admin']}")
    model = serializer.Meta.model
    before = list(model.objects.order_by("pk").values())
    path = f"/api/v1/{kind}/" + ("" if method == "post" else f"{ours.ids[of]}/")

    others = [name for name in EVERY_FIELD if name not in WRITABLE[serializer]]
    for name in sized_sample(others, one_in=5):
        good = {key: ours.ids.get(value, value) for key, value in body.items()}
        answer = getattr(client, method)(
            path, {**good, name: theirs.company.pk}, format="json"
        )

        assert (answer.status_code, list(answer.json())) == (400, [name])
    assert list(model.objects.order_by("pk").values()) == before


def test_saving_a_token_takes_no_lease_no_pause_and_no_company(
    ours: World, theirs: World, client_as: Any
) -> None:
    forged = {
        name: theirs.company.pk
        for name in EVERY_FIELD
        if name not in WRITABLE[TokenForm]
    }

    client = give_password(client_as(ours.members["admin"]))
    client.post("/integrations/linkedin/token/", {**forged, "token": "K" * 40})

    connection = Connection.objects.get(company=ours.company)
    assert (connection.lease_id, connection.leased_until, connection.is_paused) == (
        None,
        None,
        False,
    )
    assert (connection.token_fingerprint, connection.token_version) == (
        fingerprint("K" * 40),
        2,
    )
    assert Connection.objects.get(company=theirs.company).token_version == 1


@pytest.mark.parametrize(
    "path", ["/company/", "/company/api-keys/new/", "/switch-company/", "/theme/"]
)
def test_no_page_takes_another_company_or_role(
    ours: World, theirs: World, client_as: Any, path: str
) -> None:
    member = ours.members["admin"]
    forged = {
        name: theirs.company.pk
        for name in EVERY_FIELD
        if name not in ("currency", "name", "role", "time_zone")
    }

    give_password(client_as(member)).post(
        path, {**forged, "name": "Kestrel", "currency": "EUR", "role": "ops"}
    )

    member.refresh_from_db()
    member.user.refresh_from_db()
    assert (member.company_id, member.role, member.user.is_staff) == (
        ours.company.pk,
        "admin",
        False,
    )
    assert Company.objects.get(pk=theirs.company.pk).name == "Plover Works"
    assert Membership.objects.filter(company=theirs.company).count() == 3
