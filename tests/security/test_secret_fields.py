"""S28, S14: what is typed into a field for a secret is never kept or shown again, whatever became of the session."""

import importlib
import json
import pkgutil
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django import forms
from django.contrib.sessions.models import Session
from django.test import Client

import capi
import crm
from crm.accounts.middleware import SEEN
from crm.accounts.typed_forms import is_secret, secret_names
from crm.models import TypedForm, User
from crm.models.crypto import unseal
from tests.conftest import PASSWORD, client_of
from tests.security.routes import Route, all_routes
from tests.security.world import World
from tests.size import sized_sample

SOUNDS_SECRET = re.compile("pass|secret|token|code|key|credential")
# Sound like secrets, and are none.
HARMLESS = {
    "CompanyCodeForm.code",  # is in the company's sign-in link, and on its page
    "TokenForm.saved_token",  # a fingerprint, which the page shows
}
CANARY, HARMLESS_TEXT = "s3cr3t-quartz-kestrel", "Kestrelquartz"


def all_forms() -> list[type[forms.BaseForm]]:
    for package in (crm, capi):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if "forms" in module.name:
                importlib.import_module(module.name)
    found, left = [], [forms.BaseForm]
    while left:
        kinds = left.pop().__subclasses__()
        found += kinds
        left += kinds
    return [kind for kind in found if kind.__module__.startswith(("crm.", "capi."))]


def test_each_field_that_sounds_secret_is_marked_as_one() -> None:
    secrets = secret_names()
    unmarked = {
        f"{kind.__name__}.{name}"
        for kind in all_forms()
        for name, field in getattr(kind, "base_fields", {}).items()
        if SOUNDS_SECRET.search(name) and not is_secret(field)
    }

    assert unmarked <= HARMLESS
    assert secrets >= {
        "password",
        "password1",
        "oldpassword",
        "token",
        "secret",
        "code",
        "credential",
    }


def posted() -> dict[str, str]:
    """A value for each secret of any form, also as in a row of several, and an ordinary one."""
    prefixed = [
        f"{prefix}{name}"
        for name in secret_names()
        for prefix in ("", "form-0-", "initial-")
    ]
    return {
        **dict.fromkeys(prefixed, CANARY),
        "csrfmiddlewaretoken": CANARY,
        "first_name": HARMLESS_TEXT,
    }


@pytest.mark.sized
def test_a_form_that_outlives_its_session_keeps_no_secret(ours: World) -> None:
    user = ours.members["admin"].user
    # Signing out leaves nothing.
    routes = [
        route
        for route in all_routes()
        if not route.name.startswith(("admin:", "api-", "logout", "account_logout"))
    ]

    for route in sized_sample(routes, one_in=10):
        client = client_whose_session_has_ended(user)
        client.post(path_of(route, ours), posted())
        stored = " ".join(kept_texts())
        client.force_login(user, backend="crm.accounts.adapter.EmailBackend")
        page = client.get("/leads/").content.decode()

        assert CANARY not in stored + page, route.name
        assert HARMLESS_TEXT in stored, route.name
        assert HARMLESS_TEXT in page, route.name
        assert CANARY not in " ".join(kept_texts())


def client_whose_session_has_ended(user: User) -> Client:
    client = client_of(user)
    session = client.session
    session[SEEN] = 0
    session.save()
    return client


def path_of(route: Route, world: World) -> str:
    return route.path(**dict.fromkeys(route.parameters, world.ids["lead"]))


def kept_texts() -> Iterator[str]:
    """What is kept of sessions and of what was typed in them, decrypted."""
    yield from (json.dumps(session.get_decoded()) for session in Session.objects.all())
    yield from map(unseal, TypedForm.objects.values_list("sealed", flat=True))


@pytest.mark.parametrize(
    ("page", "form"),
    [
        (
            "/company/sign-in/",
            {"name": "Okta", "issuer": "http://no", "client_id": "1", "secret": CANARY},
        ),
        (
            "/integrations/linkedin/token/",
            {"token": f"{CANARY} no token", "ad_account_id": "x"},
        ),
        (
            "/account/password/",
            {"oldpassword": CANARY, "password1": "short", "password2": CANARY},
        ),
        ("/account/confirm/", {"password": CANARY}),
    ],
)
def test_a_form_with_an_error_shows_no_secret_again(
    ours: World, client_as: Any, page: str, form: dict[str, str]
) -> None:
    client = client_as(ours.members["admin"])
    client.post("/account/confirm/", {"password": PASSWORD})
    client.get(page)

    answer = client.post(page, form)

    assert answer.status_code == 200
    assert CANARY not in answer.content.decode()
    assert CANARY not in " ".join(kept_texts())
