"""S26, S43: the operator's admin and every other form of a row say nothing of a token."""

import pickle
from typing import Any

import pytest
from django.apps import apps
from django.core import serializers
from django.forms.models import model_to_dict
from django.test import Client

from capi import services
from capi.admin import ConnectionAdmin
from capi.api.serializers import ConversionEventDetailSerializer
from capi.models import Connection, ConversionEvent
from tests.conftest import TOKEN, make_lead, staff_client
from tests.security.routes import all_routes
from tests.security.sinks import hits, token_pieces

pytestmark = pytest.mark.django_db


@pytest.fixture
def connection(company: Any) -> Connection:
    connection = services.save_token(company=company, token=TOKEN)
    company.conversion_rules.create(
        crm_event="lead_created", linkedin_id="1", name="New"
    )
    make_lead(company)
    return connection


@pytest.fixture
def operator(connection: Connection) -> Client:
    return staff_client()


def test_no_page_of_the_admin_shows_a_token(
    operator: Client, connection: Connection
) -> None:
    pages = {}
    for route in all_routes():
        if route.name.startswith("admin:capi_"):
            row = apps.get_model("capi", route.name.split("_")[1])._base_manager.first()
            path = route.path(**dict.fromkeys(route.parameters, row.pk if row else 1))
            pages[path] = operator.get(path)

    assert sum(page.status_code == 200 for page in pages.values()) >= 8
    for path, page in pages.items():
        assert (
            hits(page.content, [*token_pieces(TOKEN), connection.sealed_token]) == []
        ), path
        assert page.status_code < 500, path


def test_the_admin_knows_no_field_with_the_token() -> None:
    assert "sealed_token" not in ConnectionAdmin.fields
    assert not Connection._meta.get_field("sealed_token").editable


def test_no_form_of_a_row_holds_the_token(connection: Connection) -> None:
    event = ConversionEvent.objects.get()
    forms = [
        *(
            repr(row) + str(row)
            for model in apps.get_models()
            for row in model._base_manager.all()
        ),
        *(
            serializers.serialize(kind, Connection.objects.all())
            for kind in ("json", "xml", "python")
        ),
        repr(model_to_dict(connection)),
        repr(vars(connection)),
        repr(pickle.dumps(connection)),
        repr(ConversionEventDetailSerializer().fields),
        repr(list(Connection.objects.values())),
        str(event.__dict__),
    ]

    for form in map(str, forms):
        assert hits(form, token_pieces(TOKEN)) == []
