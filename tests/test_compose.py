"""docker-compose.yml: nobody reaches its broker or its database without a password."""

from typing import Any
from urllib.parse import urlsplit

import yaml
from django.conf import settings as product

from leadmachine.checks import broker_password

SERVICES = yaml.safe_load((product.BASE_DIR / "docker-compose.yml").read_text())["services"]
REDIS_PASSWORD = "${REDIS_PASSWORD:?set it in .env}"


def test_redis_asks_for_the_password_that_the_processes_give() -> None:
    command = SERVICES["redis"]["command"]

    assert command[command.index("--requirepass") + 1] == REDIS_PASSWORD
    assert SERVICES["redis"]["environment"] == {"REDISCLI_AUTH": REDIS_PASSWORD}  # for the health check
    for name in ("web", "worker", "migrate"):
        assert SERVICES[name]["environment"]["REDIS_URL"] == f"redis://:{REDIS_PASSWORD}@redis:6379/0"


def test_without_one_the_check_would_say_so(settings: Any) -> None:
    settings.DEBUG = False
    settings.REDIS_URL = SERVICES["web"]["environment"]["REDIS_URL"].replace(REDIS_PASSWORD, "secret")
    assert urlsplit(settings.REDIS_URL).hostname == "redis"
    assert broker_password() == []

    settings.REDIS_URL = "redis://redis:6379/0"

    assert [found.id for found in broker_password()] == ["leadmachine.W005"]


def test_the_database_and_the_broker_are_reached_by_their_own_network_alone() -> None:
    assert [name for name, service in SERVICES.items() if service.get("ports")] == ["web"]
