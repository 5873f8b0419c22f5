"""docker-compose.yml: its broker and its database ask for a password, its processes have time, and say how they are."""

import os
import re
import subprocess
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from django.conf import settings as product

from capi.delivery import recall, shutdown
from crm.accounts.bodies import MAX_UPLOAD_BODY_BYTES, UPLOAD_PATHS
from leadmachine import gunicorn, web_worker
from leadmachine.production_checks import broker_password
from scripts import licences

SERVICES = yaml.safe_load((product.BASE_DIR / "docker-compose.yml").read_text())[
    "services"
]
REDIS_PASSWORD = "${REDIS_PASSWORD:?set it in .env}"


def test_redis_asks_for_the_password_that_the_processes_give() -> None:
    # For the health check, too.
    assert SERVICES["redis"]["environment"] == {"REDISCLI_AUTH": REDIS_PASSWORD}
    for name in ("web", "worker", "migrate"):
        assert (
            SERVICES[name]["environment"]["REDIS_URL"]
            == f"redis://:{REDIS_PASSWORD}@redis:6379/0"
        )


def test_the_processes_share_the_volume_of_the_files() -> None:
    for name in ("web", "worker"):
        assert SERVICES[name]["volumes"] == ["files:/app/files"]
        assert SERVICES[name]["environment"]["LEADMACHINE_FILES_DIR"] == "/app/files"


def test_the_proxies_let_files_through_to_the_same_addresses_as_the_web_server() -> (
    None
):
    caddy = (product.BASE_DIR / "deploy" / "caddy" / "Caddyfile").read_text()
    nginx = (product.BASE_DIR / "deploy" / "nginx" / "leadmachine.conf").read_text()

    assert caddy.count(f"path_regexp ^{UPLOAD_PATHS.pattern}$") == 2
    assert (
        f"location ~ ^{UPLOAD_PATHS.pattern}$ {{\n        client_max_body_size 26m;"
        in nginx
    )
    assert MAX_UPLOAD_BODY_BYTES <= 26 * 2**20
    assert web_worker.UPLOAD_SECONDS == 300


def test_redis_reads_its_password_from_standard_input() -> None:
    shell, option, script = SERVICES["redis"]["command"]
    settings_only = script.replace("$$", "$").replace("exec redis-server -", "cat")

    done = subprocess.run(
        [shell, option, settings_only],
        env={"PATH": os.environ["PATH"], "REDISCLI_AUTH": "secret"}, capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert "exec redis-server -" in script
    assert done.stdout == 'save ""\nappendonly no\nrequirepass secret\n'


def test_no_password_is_in_the_arguments_of_a_process() -> None:
    for service in SERVICES.values():
        words = [
            *service.get("command", []),
            *service.get("healthcheck", {}).get("test", []),
        ]
        assert "PASSWORD" not in " ".join(words)


@pytest.mark.parametrize("name", SERVICES)
def test_each_container_may_do_little_and_has_a_limit(name) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service.get("cap_add", []) == (
        ["NET_BIND_SERVICE"] if name == "proxy" else []
    )
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert service["pids_limit"]


def test_every_image_of_others_is_named_by_its_digest() -> None:
    dockerfile = (product.BASE_DIR / "Dockerfile").read_text()
    images = {
        service["image"] for service in SERVICES.values() if "build" not in service
    }

    images.update(re.findall(r"(?m)^FROM (\S+)", dockerfile))

    assert len(images) == 4
    assert [
        image
        for image in images
        if not re.fullmatch(r"[a-z]+:[\w.-]+@sha256:[0-9a-f]{64}", image)
    ] == []


def test_the_image_has_what_runs_the_product_and_what_makes_backups() -> None:
    dockerfile = (product.BASE_DIR / "Dockerfile").read_text()

    assert re.findall(r" -r (\S+)", dockerfile) == list(licences.LOCKS)


def test_what_our_processes_write_to_belongs_to_the_user_of_the_image() -> None:
    dockerfile = (product.BASE_DIR / "Dockerfile").read_text()

    assert "--uid 10001" in dockerfile
    assert "USER 10001:10001" in dockerfile
    assert SERVICES["web"]["tmpfs"][1].startswith("/app/var:")
    assert SERVICES["web"]["tmpfs"][1].endswith("uid=10001,gid=10001")


def test_without_one_the_check_would_say_so(settings: Any) -> None:
    settings.DEBUG = False
    settings.REDIS_URL = SERVICES["web"]["environment"]["REDIS_URL"].replace(
        REDIS_PASSWORD, "secret"
    )
    assert urlsplit(settings.REDIS_URL).hostname == "redis"
    assert broker_password() == []

    settings.REDIS_URL = "redis://redis:6379/0"

    assert [found.id for found in broker_password()] == ["leadmachine.E005"]


def test_the_database_and_the_broker_are_reached_by_their_own_network_alone() -> None:
    ports = {
        name: service["ports"]
        for name, service in SERVICES.items()
        if service.get("ports")
    }

    assert ports.keys() == {"web", "proxy"}
    assert all(port.startswith("127.0.0.1:") for port in ports["web"])


@pytest.mark.parametrize("name", ["web", "worker", "migrate"])
def test_docker_waits_longer_than_a_process_takes_to_end_in_good_order(name) -> None:
    grace = re.fullmatch(r"(\d+)s", SERVICES[name]["stop_grace_period"])

    assert grace
    assert (
        int(grace[1])
        > gunicorn.graceful_timeout
        > product.SEND_TIMEOUT_SECONDS + recall.START_SECONDS
    )
    assert int(grace[1]) > shutdown.seconds() > product.SEND_TIMEOUT_SECONDS


def test_the_master_of_the_web_server_waits_for_the_request_of_an_embedded_worker_after_the_last_answer() -> (
    None
):
    assert gunicorn.timeout > shutdown.seconds()


@pytest.mark.parametrize(
    ("age_seconds", "code"),
    [(None, 1), (0, 0), (50, 0), (70, 1)],
    ids=["no worker", "alive", "slow", "standing still"],
)
def test_a_worker_is_healthy_while_its_file_is_fresh(
    age_seconds, code, tmp_path
) -> None:
    kind, check = SERVICES["worker"]["healthcheck"]["test"]
    if age_seconds is not None:
        alive = (
            tmp_path
            / "var"
            / product.ALIVE_DIR.relative_to(product.VAR_DIR)
            / "worker-1"
        )
        alive.parent.mkdir(parents=True)
        alive.touch()
        os.utime(alive, (time.time() - age_seconds,) * 2)

    done = subprocess.run(
        ["sh", "-c", check], cwd=tmp_path, capture_output=True, check=False
    )

    assert kind == "CMD-SHELL"
    assert done.returncode == code
