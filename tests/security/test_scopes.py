"""Each route of the API, with a key that lacks its scope, and with one that has nothing else."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.urls import resolve

from crm.api.permissions import AnyCaller
from crm.api.views import ApiNotFoundView
from crm.models import ApiKey
from crm.models.scopes import SCOPES, Access, scope
from leadmachine.urls import router
from tests.crm.api.calling import call, with_key
from tests.security.matrix import row_of
from tests.security.routes import all_routes
from tests.security.rows import checksum

PAGE = "api-docs"  # which no key opens
ROUTES = [
    route
    for route in all_routes()
    if route.name.startswith("api-") and route.name != PAGE
]
ROW_OF_DOCS = re.compile(r"^\| `(\w+)` \| (`/api/v1/.*) \|$", re.MULTILINE)


def view_of(route):
    return resolve(route.path(**dict.fromkeys(route.parameters, "1"))).func.cls


def has_no_data(view):
    return view is ApiNotFoundView or AnyCaller in view.permission_classes


WITH_DATA = [route for route in ROUTES if not has_no_data(view_of(route))]


def key_with(world, *scopes):
    _, text = ApiKey.objects.issue(
        company=world.company, role="admin", name="Website form", scopes=scopes
    )
    return with_key(text)


def path_of(route, world):
    of = row_of(route.name).of
    return route.path(**dict.fromkeys(route.parameters, world.ids.get(of, 1)))


def needed_for(route, method):
    access = Access.READ if method == "GET" else Access.WRITE
    return [scope(noun, access) for noun in view_of(route).nouns]


def test_every_route_with_data_has_a_noun():
    assert [route.name for route in WITH_DATA if not view_of(route).nouns] == []
    assert len(WITH_DATA) > 50


@pytest.mark.parametrize("route", WITH_DATA, ids=lambda route: route.name)
def test_a_key_without_a_scope_does_nothing_and_reads_which_it_lacks(ours, route):
    before = checksum(ours.company)

    for method in row_of(route.name).methods:
        for lacking in needed_for(route, method):
            client = key_with(ours, *(each for each in SCOPES if each != lacking))
            answer = call(client, method, path_of(route, ours))

            assert answer.status_code == 403, method
            assert f"lacks the scope {lacking}." in answer.json()["detail"]
    ApiKey.objects.filter(name="Website form").delete()
    assert checksum(ours.company) == before


@pytest.mark.parametrize("route", WITH_DATA, ids=lambda route: route.name)
def test_a_key_with_the_scopes_of_a_route_alone_gets_in(ours, route):
    for method in row_of(route.name).methods:
        client = key_with(ours, *needed_for(route, method))

        answer = call(client, method, path_of(route, ours))

        assert answer.status_code not in (401, 403), method


def test_a_key_without_scopes_does_all_that_its_role_allows(ours):
    client = key_with(ours)

    for route in WITH_DATA:
        if "GET" in row_of(route.name).methods:
            assert client.get(path_of(route, ours)).status_code not in (401, 403)


def test_the_guide_lists_the_paths_of_each_scope():
    guide = (Path(settings.BASE_DIR) / "docs/guide/api.md").read_text()
    told = {
        (noun, path)
        for noun, paths in ROW_OF_DOCS.findall(guide)
        for path in re.findall(r"/api/v1/([\w-]+)/", paths)
    }

    assert told == {
        (noun.value, prefix)
        for prefix, view, _ in router.registry
        for noun in view.nouns
    }
