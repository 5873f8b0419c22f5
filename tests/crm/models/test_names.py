"""A name without a visible character is refused wherever people or scripts name something."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from capi.models import ConversionRule
from crm.models import (
    ApiKey,
    Company,
    CustomField,
    Deal,
    Lead,
    LeadSource,
    LeadStatus,
    LeadType,
    LostReason,
    Membership,
    Pipeline,
    SavedView,
    Stage,
    Tag,
    Task,
)
from crm.models.sign_in_provider import SignInProvider
from crm.models.validators import NOT_SEEN, is_seen, validate_name
from tests.conftest import make_lead
from tests.crm.api.calling import caller
from tests.crm.data_exchange.importing.uploading import names, run, upload

INVISIBLE = "\u200b\u2060\u202e"


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "\u00a0\u3000", "\u200b", "\u200d\u200c", "\u202e\u2066", "\ufeff\u00ad", "\u034f\ufe0f", "\u0301",
        "\u3164\u115f\u1160\uffa0", "\u2800", "\U000e0041\U000e007f", "\ufff0\u2065",
    ],
)  # fmt: skip
def test_nothing_of_it_is_seen(text: str) -> None:
    assert not is_seen(text)


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "\u200bVIP",
        "é",
        "e\u0301",
        "مهم",
        "重要",
        "가",
        "💥",
        "❤\ufe0f",
        "#1",
        "\U0001fa77",
        "\uf8ff",
    ],
)
def test_something_of_it_is_seen(text: str) -> None:
    assert is_seen(text)


@pytest.mark.parametrize(
    "model",
    [
        ApiKey, ConversionRule, CustomField, LeadSource, LeadStatus, LeadType, LostReason, Pipeline, SavedView,
        SignInProvider, Stage, Tag,
    ],
)  # fmt: skip
def test_nothing_is_called_so(model: Any) -> None:
    shared = {"is_shared": True} if model is SavedView else {}

    with pytest.raises(ValidationError) as refused:
        model(name=INVISIBLE, **shared).clean()

    assert refused.value.message_dict == {"name": [NOT_SEEN]}
    model(name="\u202eVIP", **shared).clean()


@pytest.mark.parametrize("model", [Deal, Task])
def test_nothing_has_such_a_title(model: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        model(title=INVISIBLE).clean()

    assert refused.value.message_dict == {"title": [NOT_SEEN]}


def test_neither_companies_nor_people_are_called_so() -> None:
    with pytest.raises(ValidationError) as refused:
        validate_name(INVISIBLE)

    assert refused.value.messages == [NOT_SEEN]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("url", "body", "expected"),
    [
        ("saved-views/", {"name": INVISIBLE}, {"name": [NOT_SEEN]}),
        (
            "custom-fields/",
            {"subject": "lead", "type": "text", "name": INVISIBLE},
            {"name": [NOT_SEEN]},
        ),
        (
            "custom-fields/",
            {
                "subject": "lead",
                "type": "choice",
                "name": "Region",
                "choices": [{"label": "EMEA"}, {"label": "\u3164"}],
            },
            {
                "choices": [
                    "Enter choices that can be seen: one is made of invisible characters only."
                ]
            },
        ),
        (
            "leads/",
            {"first_name": INVISIBLE},
            {"first_name": ["Enter a first name or a last name."]},
        ),
        ("leads/", {"first_name": "Ada", "tags": [INVISIBLE]}, {"tags": [NOT_SEEN]}),
        (
            "conversion-rules/",
            {"name": INVISIBLE, "crm_event": "lead_created", "linkedin_id": "104072"},
            {"name": [NOT_SEEN]},
        ),
    ],
)
def test_the_api_refuses_it(
    company: Company, url: str, body: Any, expected: Any
) -> None:
    answer = caller(company).post(f"/api/v1/{url}", body)

    assert (answer.status_code, answer.json()) == (400, expected)
    assert not any(
        model.objects.exists()
        for model in (SavedView, CustomField, Lead, Tag, ConversionRule)
    )


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("url", "form"),
    [
        ("/views/leads/new/", {}),
        ("/company/lists/statuses/new/", {"meaning": "working"}),
        ("/company/lists/tags/new/", {}),
        ("/company/pipelines/", {}),
        ("/company/custom-fields/new/", {"subject": "lead", "type": "text"}),
        ("/company/api-keys/new/", {"role": "sales"}),
    ],
)
def test_so_do_the_pages(
    client_as: Any, admin: Membership, url: str, form: Any
) -> None:
    client: Client = client_as(admin)

    page = client.post(url, {"name": INVISIBLE, **form})

    assert page.status_code == 200
    assert NOT_SEEN in page.content.decode()


@pytest.mark.django_db
def test_a_row_of_an_import_with_such_a_name_is_a_bad_one(sales: Membership) -> None:
    make_lead(sales.company, first_name="Ada")

    done = run(
        upload(
            sales,
            f"First name,E-mail\n{INVISIBLE},a@example.com\nInes,ines@example.com\n",
        ),
        sales,
    )

    assert names() == ["Ada", "Ines"]
    assert (done.done["new"], done.done["bad:name_missing"]) == (1, 1)
