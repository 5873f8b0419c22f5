"""S17, S34, S44: the headers that every response has, whatever made it, and those that none has."""

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest
from django.test import Client
from django.urls import path, reverse

from leadmachine.environment import BASE_DIR
from tests.security.world import World

CSP = {
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:", "font-src 'self'",
    "connect-src 'self'", "form-action 'self'", "base-uri 'none'", "object-src 'none'", "frame-ancestors 'none'",
}  # fmt: skip
DAY_SECONDS = 86_400


def fails(request: Any) -> None:
    raise RuntimeError("a secret of the inside")


urlpatterns = [path("fails/", fails)]


@pytest.fixture
def answers(
    ours: World, client_as: Any, settings: Any, client: Client
) -> dict[str, Any]:
    """One response of each kind: 2xx, 3xx, 4xx, 5xx, static, API, health."""
    from leadmachine import urls

    settings.ALLOWED_HOSTS = ["testserver"]
    admin, nobody = (
        client_as(ours.members["admin"]),
        Client(raise_request_exception=False),
    )
    script = {"Authorization": f"Bearer {ours.keys['ops']}"}
    urls.urlpatterns.append(urlpatterns[0])
    try:
        return {
            "a page": admin.get("/leads/"),
            "a form": admin.get(reverse("linkedin")),
            "a redirect after a write": admin.post("/theme/", {"theme": "dark"}),
            "the way to the sign-in page": nobody.get("/leads/"),
            "the sign-in page": nobody.get("/login/"),
            "a refusal": client_as(ours.members["ops"]).get("/company/"),
            "no such page": admin.get("/nothing/"),
            "no such row": admin.get(f"/leads/{10**15}/"),
            "a wrong method": admin.delete("/leads/"),
            "a wrong host": nobody.get("/login/", HTTP_HOST="evil.example"),
            "a missing CSRF token": Client(enforce_csrf_checks=True).post(
                "/login/", {}
            ),
            "an error": nobody_with(admin).get("/fails/"),
            "a static file": read(nobody.get("/static/app.css")),
            "no such static file": nobody.get("/static/nothing.css"),
            "the API": nobody.get("/api/v1/leads/", headers=script),
            "the API's refusal": nobody.get("/api/v1/leads/"),
            "the API's 404": nobody.get("/api/v1/leads/0/", headers=script),
            "the API's 405": nobody.put("/api/v1/leads/", headers=script),
            "the API's schema": nobody.get("/api/v1/schema/", headers=script),
            "health": nobody.get("/healthz"),
            "health by address": nobody.get("/healthz", HTTP_HOST="10.0.0.5:8000"),
            "health with a wrong method": nobody.post("/healthz"),
            "readiness": nobody.get("/readyz"),
        }
    finally:
        urls.urlpatterns.pop()


def read(answer: Any) -> Any:
    """The response, with its file closed."""
    b"".join(answer)
    answer.close()
    return answer


def nobody_with(client: Client) -> Client:
    client.raise_request_exception = False
    return client


def test_every_answer_carries_the_strict_headers(answers: dict[str, Any]) -> None:
    for name, answer in answers.items():
        policy = {
            part.strip()
            for part in answer.headers.get("Content-Security-Policy", "").split(";")
            if part.strip()
        }

        assert policy == CSP, name
        assert answer.headers["X-Content-Type-Options"] == "nosniff", name
        assert answer.headers["Referrer-Policy"] == "same-origin", name
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin", name
        assert "camera=()" in answer.headers["Permissions-Policy"], name
    assert {answer.status_code // 100 for answer in answers.values()} == {2, 3, 4, 5}


def test_nothing_but_static_files_may_be_kept_by_a_cache(
    answers: dict[str, Any],
) -> None:
    kept = {
        name
        for name, answer in answers.items()
        if "no-store" not in answer.headers["Cache-Control"]
    }

    assert kept == {"a static file"}


def test_no_answer_tells_of_the_inside(answers: dict[str, Any]) -> None:
    inside = re.compile(
        rb"django|python|gunicorn|psycopg|traceback|/site-packages/|secret of the inside",
        re.IGNORECASE,
    )

    for name, answer in answers.items():
        assert not {"Server", "X-Powered-By"} & set(answer.headers), name
    for name, answer in answers.items():
        if answer.status_code >= 400:
            assert not inside.search(answer.content.replace(b"django_htmx", b"")), name


def test_over_https_every_answer_asks_for_https(
    ours: World, settings: Any, client_as: Any
) -> None:
    settings.SECURE_HSTS_SECONDS = DAY_SECONDS
    client = client_as(ours.members["admin"])

    answers = [
        client.get(address, secure=True)
        for address in ("/leads/", "/nothing/", "/healthz", "/readyz")
    ]
    answers.append(read(client.get("/static/app.css", secure=True)))

    assert {answer.headers["Strict-Transport-Security"] for answer in answers} == {
        f"max-age={DAY_SECONDS}"
    }


ALL_HSTS = {
    "LEADMACHINE_HSTS_SECONDS": "31536000",
    "LEADMACHINE_HSTS_SUBDOMAINS": "on",
    "LEADMACHINE_HSTS_PRELOAD": "on",
}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [({}, [DAY_SECONDS, False, False]), (ALL_HSTS, [31_536_000, True, True])],
    ids=["as it comes", "all of it"],
)
def test_other_hosts_of_the_domain_are_bound_only_if_the_operator_says_so(
    environment, expected
) -> None:
    names = [
        "SECURE_HSTS_SECONDS",
        "SECURE_HSTS_INCLUDE_SUBDOMAINS",
        "SECURE_HSTS_PRELOAD",
    ]
    program = (
        "import json; from leadmachine import settings; "
        f"print(json.dumps([getattr(settings, n) for n in {names}]))"
    )

    run = subprocess.run(
        [sys.executable, "-c", program],
        env={"PATH": os.environ["PATH"], "DEBUG": "off", "ALLOWED_HOSTS": "crm.example.com", **environment},
        cwd=BASE_DIR, capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert json.loads(run.stdout) == expected


def test_the_redirect_to_https_carries_them_too(ours: World, settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True

    answer = Client().get("/leads/")

    assert (answer.status_code, answer.headers["Location"]) == (
        301,
        "https://testserver/leads/",
    )
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "Permissions-Policy" in answer.headers


@pytest.mark.parametrize(
    "end", ["x.css", "x.js", "x.png", ";x.css", "%2Fx.css", "%00.css", "..%2Fx.css"]
)
def test_a_page_is_not_found_under_the_name_of_a_static_file(
    ours: World, client_as: Any, end: str
) -> None:
    """S44: a cache that goes by file extensions would keep it, and serve it to others."""
    client = client_as(ours.members["admin"])

    answer = client.get(f"/leads/{ours.ids['lead']}/{end}")

    assert answer.status_code == 404
    assert b"Kestrelson" not in answer.content


def test_the_browser_keeps_no_page_of_its_own_either(db) -> None:
    """S44: htmx would keep replaced pages in the browser's storage, even after signing out."""
    page = Client().get("/login/").content.decode()

    [config] = re.findall(r"name=\"htmx-config\"\s+content='([^']*)'", page)
    assert json.loads(config)["historyCacheSize"] == 0
    assert json.loads(config)["allowEval"] is False


def test_a_page_is_compressed_for_a_browser_that_can_read_it(db) -> None:
    page = Client(headers={"Accept-Encoding": "gzip"}).get("/login/")

    assert page["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in page["Vary"]
