"""S23: no parameter of a page or of the API is a lookup, so nothing that isn't shown can be found out by filtering."""

import importlib
import pkgutil
from typing import Any

import django_filters
import pytest
from django.apps import apps
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django_filters.constants import ALL_FIELDS
from rest_framework.test import APIClient

import capi
import crm
from crm.models import Lead, SavedView
from crm.selectors.saved_views import address_of
from tests.security.routes import Route, all_routes
from tests.security.secret_columns import SECRETS, paths_to_secrets
from tests.security.world import World
from tests.size import sized_sample

PROBE = "zzprobezz"
MODELS = [
    "crm.Lead",
    "crm.Deal",
    "crm.Task",
    "crm.Company",
    "crm.AuditEntry",
    "capi.ConversionEvent",
]
OF_OTHER_LISTS = (
    "ordering",
    "order_by",
    "o",
    "q",
    "fields",
    "expand",
    "include",
    "_to_field",
    "filter",
)


@pytest.fixture
def admin(ours: World, client_as: Any) -> Client:
    return client_as(ours.members["admin"])


@pytest.fixture
def script(ours: World) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {ours.keys['admin']}")
    return client


def lookups_of_secrets() -> list[str]:
    return sorted(
        {
            f"{path}__startswith"
            for model in MODELS
            for path in paths_to_secrets(apps.get_model(model))
        }
    )


@pytest.mark.sized
def test_no_parameter_of_a_page_is_a_lookup(
    ours: World, theirs: World, admin: Client
) -> None:
    lookups = [*lookups_of_secrets(), *OF_OTHER_LISTS]
    routes = [
        route
        for route in all_routes()
        if not route.name.startswith("admin:") and "logout" not in route.name
    ]
    assert 30 < len(lookups) < 900  # Django reads at most 1,000 parameters

    for route in sized_sample(routes, one_in=6):
        with CaptureQueriesContext(connection) as statements:
            admin.get(path_of(route, ours), dict.fromkeys(lookups, PROBE))

        assert [each["sql"] for each in statements if PROBE in each["sql"]] == [], (
            route.name
        )


def path_of(route: Route, world: World) -> str:
    ids = dict.fromkeys(route.parameters, world.ids["lead"])
    return route.path(**ids)


def test_no_list_of_the_api_takes_a_lookup(ours: World, script: APIClient) -> None:
    lists = [
        address
        for name, address in script.get("/api/v1/").json().items()
        if name not in ("version", "schema", "docs")
    ]
    secrets = sized_sample(lookups_of_secrets(), one_in=10)
    lookups = [*secrets, *(name for name in OF_OTHER_LISTS if name != "ordering")]

    for address in lists:
        answer = script.get(address, dict.fromkeys(lookups, PROBE))

        assert (answer.status_code, sorted(answer.json())) == (400, sorted(lookups)), (
            address
        )
        assert (
            script.get(address, {"ordering": "owner__password"}).status_code == 400
        ), address


def filter_sets() -> list[type[django_filters.FilterSet]]:
    for package in (crm, capi):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name.split(".")[1] in ("forms", "api", "lists"):
                importlib.import_module(module.name)
    found, left = [], [django_filters.FilterSet]
    while left:
        kinds = left.pop().__subclasses__()
        found += [
            kind for kind in kinds if kind.__module__.split(".")[0] in ("crm", "capi")
        ]
        left += kinds
    return found


def test_no_filter_set_has_a_filter_of_a_secret_or_of_all_columns() -> None:
    assert len(filter_sets()) >= 10
    for kind in filter_sets():
        meta = getattr(kind, "Meta", None)
        names = {
            part
            for each in kind.base_filters.values()
            for part in each.field_name.split("__")
        }

        assert getattr(meta, "fields", ()) != ALL_FIELDS
        assert names.isdisjoint(
            name for hidden in SECRETS.values() for name in hidden
        ), kind
        assert {each.lookup_expr for each in kind.base_filters.values()} <= {
            "exact",
            "gte",
            "lte",
        }, kind


HOSTILE = dict.fromkeys(
    ("owner__password__startswith", "company__connection__sealed_token__gt"), PROBE
)


def test_a_saved_view_takes_no_lookup_over_the_api(
    ours: World, script: APIClient
) -> None:
    before = list(SavedView.objects.values())

    answers = [
        script.post("/api/v1/saved-views/", {"name": "Hostile", "filters": HOSTILE}),
        script.post(
            "/api/v1/saved-views/", {"name": "Hostile", "sort": "owner__password"}
        ),
        script.patch(
            f"/api/v1/saved-views/{ours.ids['saved_view']}/", {"filters": HOSTILE}
        ),
    ]

    assert [answer.status_code for answer in answers] == [400] * 3
    assert list(SavedView.objects.values()) == before


def test_a_saved_view_keeps_no_lookup_of_a_page_and_uses_none_that_is_stored(
    ours: World, admin: Client
) -> None:
    query = "&".join(f"{name}={value}" for name, value in HOSTILE.items())
    admin.post(
        f"/views/leads/new/?type=inbound&{query}&sort=owner__password",
        {"name": "Hostile"},
    )
    assert SavedView.objects.get(name="Hostile").query == "type=inbound"
    view = SavedView.objects.get(pk=ours.ids["saved_view"])
    SavedView.objects.filter(pk=view.pk).update(query=f"{query}&sort=owner__password")
    view.refresh_from_db()

    with CaptureQueriesContext(connection) as statements:
        listed = admin.get(address_of(view))

    assert listed.status_code == 200
    assert [each["sql"] for each in statements if PROBE in each["sql"]] == []
    assert [each["sql"] for each in statements if 'password" ASC' in each["sql"]] == []


@pytest.mark.parametrize("param", ["status", "owner", "tag", "source"])
def test_a_filter_answers_to_a_row_of_another_company_as_to_none(
    ours: World, theirs: World, admin: Client, param: str
) -> None:
    value = f"{theirs.mark} fair" if param == "source" else theirs.ids[param]
    nothing = "no such source" if param == "source" else 10**15

    answers = [admin.get("/leads/", {param: asked}) for asked in (value, nothing)]

    found = [(list(answer.context["page"]), answer.status_code) for answer in answers]
    assert found[0] == found[1] == ([], 200)
    assert Lead.objects.for_company(theirs.company).exists()
