"""Settings that would let strangers in, or tell them something: the start says so, and how to fix it."""

from typing import Any

import pytest
from django.core.checks import run_checks

from leadmachine import exposure_checks, gunicorn, range_checks

HOSTS = ["crm.example.com"]


@pytest.fixture(autouse=True)
def production(settings: Any) -> None:
    settings.DEBUG, settings.HTTPS, settings.ALLOWED_HOSTS = False, True, HOSTS
    settings.SITE_URL, settings.TRUSTED_PROXIES = (
        "https://crm.example.com",
        ["127.0.0.1"],
    )


def found(check: Any) -> list[str]:
    messages = check()
    assert all(message.hint for message in messages)
    return [message.id for message in messages]


@pytest.mark.parametrize("host", [".com", ".uk", ".", ".localdomain"])
def test_a_public_suffix_is_no_host(settings: Any, host: str) -> None:
    settings.ALLOWED_HOSTS = [*HOSTS, host]

    assert found(exposure_checks.hosts_are_own) == ["leadmachine.E015"]


@pytest.mark.parametrize(
    "host",
    [
        "https://crm.example.com",
        "crm.example.com:8000",
        "crm.example.com/",
        "*.example.com",
        " crm",
        "::1",
        "a_b",
    ],
)
def test_an_entry_that_matches_no_host_is_reported(settings: Any, host: str) -> None:
    settings.ALLOWED_HOSTS = [*HOSTS, host]

    assert found(exposure_checks.hosts_are_own) == ["leadmachine.E016"]


@pytest.mark.parametrize(
    "host",
    ["crm.example.com", ".example.com", "Crm.Example.COM", "crm", "[::1]", "10.0.0.1"],
)
def test_hosts_and_domains_of_ones_own_are_fine(settings: Any, host: str) -> None:
    settings.ALLOWED_HOSTS = [host]

    assert found(exposure_checks.hosts_are_own) == []


@pytest.mark.parametrize(
    "proxy",
    [
        "0.0.0.0/0",
        "::/0",
        "0.0.0.0/1",
        "172.0.0.0/8",
        "2000::/3",
        "10.0.0.0/7",
        "11.0.0.0/8",
    ],
)
def test_a_network_with_room_for_strangers_is_no_proxy(
    settings: Any, proxy: str
) -> None:
    settings.TRUSTED_PROXIES = ["127.0.0.1", proxy]

    assert found(exposure_checks.proxies_are_own) == ["leadmachine.E017"]


@pytest.mark.parametrize(
    "proxy",
    [
        "127.0.0.1",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "fc00::/7",
        "104.16.0.0/13",
        "2a06:98c0::/29",
        "::1",
        "1.2.3.4",
    ],
)
def test_proxies_of_ones_own_and_of_a_large_provider_are_fine(
    settings: Any, proxy: str
) -> None:
    settings.TRUSTED_PROXIES = [proxy]

    assert found(exposure_checks.proxies_are_own) == []


@pytest.mark.parametrize(
    ("origin", "ids"),
    [
        ("https://*", ["leadmachine.E018"]),
        ("https://*.com", ["leadmachine.E018"]),
        ("https://*.example.com", []),
        ("https://crm.example.com", []),
    ],
)
def test_an_origin_that_anyone_can_have_is_refused(
    settings: Any, origin: str, ids: list[str]
) -> None:
    settings.CSRF_TRUSTED_ORIGINS = [origin]

    assert found(exposure_checks.origins_are_own) == ids


@pytest.mark.parametrize(
    ("folder", "ids"),
    [
        ("static/files", ["leadmachine.E019"]),
        ("staticfiles", ["leadmachine.E019"]),
        ("var/files", []),
    ],
)
def test_files_are_not_put_where_everyone_can_download_them(
    settings: Any, folder: str, ids: list[str]
) -> None:
    settings.FILES_DIR = str(settings.BASE_DIR / "var" / ".." / folder)

    assert found(exposure_checks.files_are_not_served) == ids


@pytest.mark.parametrize(
    ("debug", "hosts", "ids"),
    [
        (True, ["localhost", "127.0.0.1", "[::1]"], []),
        (True, ["crm.example.com"], ["leadmachine.W020"]),
        (True, ["*"], ["leadmachine.W020"]),
        (False, ["crm.example.com"], []),
    ],
)
def test_debug_for_other_hosts_is_reported(
    settings: Any, debug: bool, hosts: list[str], ids: list[str]
) -> None:
    settings.DEBUG, settings.ALLOWED_HOSTS = debug, hosts

    assert found(exposure_checks.debug_is_for_own_machine) == ids


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "crm.example.com", ""])
def test_with_debug_the_web_server_listens_on_this_machine_only(
    monkeypatch: Any, host: str
) -> None:
    monkeypatch.setattr(gunicorn, "DEBUG", True)

    with pytest.raises(SystemExit, match=r"leadmachine\.E025: DEBUG is on"):
        gunicorn._check_exposure((host, 8000))
    gunicorn._check_exposure(("127.0.0.1", 8000))
    gunicorn._check_exposure(("::1", 8000))
    monkeypatch.setattr(gunicorn, "DEBUG", False)
    gunicorn._check_exposure((host, 8000))


@pytest.mark.parametrize(
    ("backend", "password", "tls", "ids"),
    [
        ("smtp", "secret", False, ["leadmachine.W021"]),
        ("smtp", "secret", True, []),
        ("smtp", "", False, []),
        ("console", "", False, ["leadmachine.W022"]),
    ],
)
def test_mail_is_neither_printed_nor_its_password_sent_in_the_clear(
    settings: Any, backend: str, password: str, tls: bool, ids: list[str]
) -> None:
    settings.EMAIL_URL, settings.EMAIL_BACKEND = (
        "set",
        f"django.core.mail.backends.{backend}.EmailBackend",
    )
    settings.EMAIL_HOST, settings.EMAIL_HOST_PASSWORD, settings.EMAIL_USE_TLS = (
        "mail.example.com",
        password,
        tls,
    )

    assert found(exposure_checks.mail_is_private) == ids


@pytest.mark.parametrize(
    ("url", "ids"),
    [
        ("https://crm.example.com", []),
        ("https://crm.example.com:8443", []),
        ("https://crm.exmaple.com", ["leadmachine.W023"]),
    ],
)
def test_links_in_mails_lead_to_this_installation(
    settings: Any, url: str, ids: list[str]
) -> None:
    settings.SITE_URL = url

    assert found(exposure_checks.links_lead_here) == ids


@pytest.mark.parametrize("name", range_checks.SMALLEST)
def test_a_number_that_is_too_small_is_refused(settings: Any, name: str) -> None:
    assert found(range_checks.numbers_are_large_enough) == []
    setattr(settings, name, 0)
    [message] = range_checks.numbers_are_large_enough()
    assert message.msg == f"LEADMACHINE_{name} is 0: {range_checks.SMALLEST[name][1]}."
    assert message.id == "leadmachine.E024"


@pytest.mark.django_db
def test_they_all_run_at_the_start(settings: Any) -> None:
    settings.ALLOWED_HOSTS, settings.TRUSTED_PROXIES = [".com"], ["0.0.0.0/0"]
    settings.CSRF_TRUSTED_ORIGINS, settings.RETENTION_DAYS = ["https://*"], 0

    ids = {message.id for message in run_checks()}

    assert ids >= {f"leadmachine.E0{number}" for number in (15, 17, 18, 24)}


def test_a_format_of_the_log_that_does_not_exist_is_reported(settings: Any) -> None:
    settings.LOG_FORMAT = "logfmt"

    assert found(range_checks.log_format_is_known) == ["leadmachine.E036"]


@pytest.mark.parametrize("known", ["text", "json"])
def test_the_formats_of_the_log_are_fine(settings: Any, known: str) -> None:
    settings.LOG_FORMAT = known

    assert found(range_checks.log_format_is_known) == []
