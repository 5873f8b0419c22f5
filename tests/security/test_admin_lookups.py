"""S43: the operator's admin filters, sorts and searches by what its lists declare, and by nothing else."""

from collections.abc import Iterator
from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.utils import get_fields_from_path
from django.contrib.auth.models import Permission
from django.contrib.sessions.models import Session
from django.core.exceptions import FieldDoesNotExist
from django.db.models import F, OrderBy
from django.db.models.constants import LOOKUP_SEP
from django.test import Client, RequestFactory
from django.urls import reverse

from crm.models import Invitation
from tests.conftest import client_of, staff_client
from tests.security.secret_columns import (
    HARMLESS,
    SECRETS,
    columns_that_sound_secret,
    paths,
    paths_to_secrets,
)
from tests.security.sinks import hits
from tests.security.world import World

pytestmark = pytest.mark.django_db

ADMINS = sorted(admin.site._registry.values(), key=lambda each: each.opts.label)
SECRET_COLUMNS = {(label, name) for label, names in SECRETS.items() for name in names}
ENDINGS = ("__exact", "__isnull", "__id__exact")  # of the links of Django's filters


@pytest.fixture
def operator(ours: World) -> Client:
    return staff_client()


def address(shown: Any, page: str = "changelist", *args: Any) -> str:
    return reverse(
        f"admin:{shown.opts.app_label}_{shown.opts.model_name}_{page}", args=args
    )


def test_each_column_that_sounds_secret_is_a_secret_or_known_to_be_harmless() -> None:
    known = SECRET_COLUMNS | {
        (label, name) for label, names in HARMLESS.items() for name in names
    }

    assert columns_that_sound_secret() - known == set()


@pytest.mark.parametrize("shown", ADMINS, ids=lambda each: each.opts.label)
def test_no_lookup_is_allowed_that_the_list_does_not_declare(shown: Any) -> None:
    """Every lookup of every column of the models up to three relations away, in both directions."""
    declared = {path + ending for path in shown.list_filter for ending in ENDINGS}
    request, tried, allowed = RequestFactory().get("/"), 0, set()

    for path, field in paths(shown.model):
        for lookup in (
            path,
            *(path + LOOKUP_SEP + name for name in field.get_lookups()),
        ):
            tried += 1
            if shown.lookup_allowed(lookup, "x", request):
                allowed.add(lookup)

    assert tried > 100
    assert allowed - declared == set()


def test_no_list_filters_by_a_secret(operator: Client) -> None:
    tried = 0
    for shown in ADMINS:
        for path in paths_to_secrets(shown.model):
            tried += 1
            answer = operator.get(address(shown), {f"{path}__startswith": "a"})

            assert answer.status_code == 400, (shown.opts.label, path)
    assert tried > 200


def test_no_list_sorts_or_searches_by_a_secret(operator: Client) -> None:
    request = RequestFactory().get("/")
    for shown in ADMINS:
        listed = operator.get(address(shown)).context["cl"]
        columns = [listed.get_ordering_field(name) for name in listed.list_display]
        orders = [
            *filter(None, columns),
            *shown.get_ordering(request),
            *shown.model._meta.ordering,
        ]
        searches = [path.lstrip("^=@") for path in shown.get_search_fields(request)]

        reached = {
            field
            for path in (*orders, *searches)
            for field in columns_of(shown.model, path)
        }

        assert {
            (each.model._meta.label, each.name) for each in reached
        } & SECRET_COLUMNS == set()
        for number, _ in enumerate(listed.list_display, 1):
            assert operator.get(address(shown), {"o": f"-{number}"}).status_code == 200


def columns_of(model: Any, order: Any) -> Iterator[Any]:
    """The columns by which a list is sorted or searched: a relation is sorted by its own model's order."""
    if isinstance(order, OrderBy):
        order = order.expression
    path = order.name if isinstance(order, F) else str(order).lstrip("-")
    field = column_at(model, path)
    yield field
    if field.is_relation:
        for each in field.related_model._meta.ordering:
            yield from columns_of(field.related_model, each)


def column_at(model: Any, path: str) -> Any:
    """The last field of the path; its end may be a lookup."""
    parts = ["id" if part == "pk" else part for part in path.split(LOOKUP_SEP)]
    try:
        return get_fields_from_path(model, LOOKUP_SEP.join(parts))[-1]
    except FieldDoesNotExist:
        return get_fields_from_path(model, LOOKUP_SEP.join(parts[:-1]))[-1]


def test_a_row_is_named_by_its_key_alone(operator: Client) -> None:
    request = RequestFactory().get("/")
    for shown in ADMINS:
        label, others = (
            shown.opts.label,
            [
                field.name
                for field in shown.opts.concrete_fields
                if not field.primary_key
            ],
        )
        assert (label, shown.opts.pk.name) not in SECRET_COLUMNS
        assert shown.to_field_allowed(request, shown.opts.pk.name)
        assert [
            name for name in others if shown.to_field_allowed(request, name)
        ] == [], label

        for name in SECRETS.get(label, ()):
            asked = {"_to_field": name, "_popup": "1"}
            pages = [
                address(shown),
                *(address(shown, page, 1) for page in ("change", "delete")),
            ]
            answers = [
                *(operator.get(page, asked) for page in pages),
                *(
                    operator.post(page, asked)
                    for page in (address(shown, "add"), *pages[1:])
                ),
            ]

            assert {answer.status_code for answer in answers} <= {400, 403}, (
                label,
                name,
            )


def test_each_filter_that_a_list_offers_works(operator: Client) -> None:
    for shown in ADMINS:
        listed = operator.get(address(shown), {"_facets": "True"}).context["cl"]
        links = [
            choice["query_string"]
            for spec in listed.filter_specs
            for choice in spec.choices(listed)
        ]

        assert bool(links) == bool(shown.list_filter)
        # One filter, and the counts.
        for link in {link for link in links if link.count("=") == 2}:
            assert operator.get(address(shown) + link).status_code == 200, (
                shown.opts.label,
                link,
            )


def test_no_page_of_the_admin_shows_a_secret(ours: World, operator: Client) -> None:
    """Nor do histories, and questions before a deletion, which also name what goes with a row."""
    Invitation.objects.for_company(ours.company).update(token_sha256="5" * 64)
    Invitation.objects.exclude(company=ours.company).delete()
    session = operator.session.session_key
    UserSession.objects.update(data={"any": "s3cret"})
    secrets = {
        text
        for model, names in SECRETS.items()
        for name in names
        for text in stored(model, name)
    }
    assert session in secrets
    assert len(secrets) > 10

    shown = 0
    for each in ADMINS:
        row = each.model._base_manager.last()
        rows = (
            [address(each, page, row.pk) for page in ("change", "history", "delete")]
            if row
            else []
        )
        for page in [address(each), address(each, "add"), *rows]:
            answer = operator.get(page)
            shown += answer.status_code == 200
            assert hits(answer.content, secrets) == [], page
    assert shown > 60


def stored(label: str, name: str) -> list[str]:
    """What is in this column."""
    values = apps.get_model(label)._base_manager.values_list(name, flat=True)
    return [text for text in map(str, values) if text not in ("", "{}", "None")]


def test_whoever_may_view_sessions_can_not_read_one(ours: World) -> None:
    client = staff_client(is_superuser=False)
    client.user.user_permissions.add(
        Permission.objects.get(codename="view_usersession")
    )  # type: ignore[attr-defined]
    key = Session.objects.values_list("pk", flat=True).first()

    answers = [
        client.get("/admin/usersessions/usersession/", {f"session_key__{lookup}": key})
        for lookup in (
            "startswith",
            "gt",
            "lt",
            "contains",
            "regex",
            "in",
            "range",
            "exact",
        )
    ]

    assert {answer.status_code for answer in answers} == {400}
    assert client.get("/admin/usersessions/usersession/").status_code == 200
    assert client.get("/admin/sessions/session/").status_code == 404


@pytest.mark.parametrize("door", ["a row", "an action"])
def test_a_session_that_the_operator_deletes_is_over(
    ours: World, operator: Client, door: str
) -> None:
    sales = ours.members["sales"].user
    client = client_of(sales)
    listed = UserSession.objects.create(
        user=sales, ip="127.0.0.1", session_key=client.session.session_key
    )
    assert client.get("/leads/").status_code == 200

    if door == "a row":
        operator.post(
            f"/admin/usersessions/usersession/{listed.pk}/delete/", {"post": "yes"}
        )
    else:
        chosen = {
            "action": "delete_selected",
            "_selected_action": [listed.pk],
            "post": "yes",
        }
        operator.post("/admin/usersessions/usersession/", chosen)

    assert client.get("/leads/").status_code == 302
    assert not UserSession.objects.filter(pk=listed.pk).exists()
