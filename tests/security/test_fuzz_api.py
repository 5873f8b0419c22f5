"""S41: requests made from the API's own schema, valid and not, find nothing undocumented, and let no one in."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from crm.api import authentication
from tests.security.rows import checksum
from tests.security.world import NEIGHBOURS_NUMBER, World, build
from tests.size import SMALL, sized

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(300)]

SCHEMA = SchemaGenerator().get_schema(request=None, public=True)
READS = sorted(path for path, item in SCHEMA["paths"].items() if "get" in item)
# Per address and method. With 25, all phases together make some 6,700 requests.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", sized(25, small=2)))
# The phase of coverage alone makes 4,000 requests, however small the rest is.
PHASES = "examples,fuzzing,stateful" if SMALL else "examples,coverage,fuzzing,stateful"
NO_KEYS = (
    "", "Bearer", "Bearer ", "Bearer lm_", "Bearer \xff", "Basic YTpi", "Token x", "Bearer lm_x lm_y", "bearer null",
)  # fmt: skip
# A body of the right shape may still name a lead that doesn't exist: no schema can tell.
LEFT_OUT = "positive_data_acceptance"
# The usual ones, and two that come first: 413 (a list of long values is too large before it has too many items) and
# 412 (a precondition is looked at before the body).
CONFIGURATION = """
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 412, 413, 415, 422, 428, 429, "5xx"]
"""


def script(key: str) -> APIClient:
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    return client


def address(path: str, ours: World) -> str:
    kind = path.strip("/").split("/")[2].rstrip("s").rpartition("-")[2]
    return re.sub("{(id|key)}", str(ours.ids.get(kind, 1)), path)


@pytest.mark.sized
@pytest.mark.django_db(transaction=True)
@pytest.mark.timeout(600 + 10 * EXAMPLES)
def test_requests_made_from_the_schema_find_nothing_and_leave_the_neighbour_alone(
    live_server: Any, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authentication, "WRONG_KEYS_PER_MINUTE", 10**9)
    settings.API_REQUESTS_PER_MINUTE = settings.API_COMPANY_PER_MINUTE = 10**9
    (tmp_path / "schemathesis.toml").write_text(CONFIGURATION)
    ours, theirs = build("Kestrel", "7711"), build("Plover", NEIGHBOURS_NUMBER)
    before = checksum(theirs.company)

    run = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "run", f"{live_server.url}/api/v1/schema/",
         "--header", f"Authorization: Bearer {ours.keys['admin']}", "--checks", "all", "--exclude-checks", LEFT_OUT,
         "--phases", PHASES, "--max-examples", str(EXAMPLES), "--seed", "41",
         "--continue-on-failure", "--suppress-health-check", "all",
         "--generation-database", "none", "--warnings", "off", "--no-color",
         "--request-timeout", "120"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip

    made = re.search(r"([\d,]+) generated, ([\d,]+) passed", run.stdout)
    assert run.returncode == 0, run.stdout[-20_000:]
    assert made, run.stdout
    print(f"\n{made[0]}")
    assert made[1] == made[2]
    assert int(made[1].replace(",", "")) >= 30 * EXAMPLES
    assert checksum(theirs.company) == before


@pytest.mark.parametrize("path", READS)
def test_nobody_gets_in_without_a_key_that_lives(ours: World, path: str) -> None:
    for header in NO_KEYS:
        client = APIClient(headers={"Authorization": header} if header else {})

        assert client.get(address(path, ours)).status_code == 401, header


def test_a_key_that_was_revoked_is_dead_at_once(ours: World) -> None:
    client = script(ours.keys["admin"])
    ours.company.api_keys.all().delete()

    assert client.get("/api/v1/leads/").status_code == 401


def test_what_was_deleted_is_gone_for_every_method(ours: World) -> None:
    client, path = script(ours.keys["admin"]), f"/api/v1/deals/{ours.ids['deal']}/"
    client.delete(path)

    answers = [
        client.generic(method, path, "{}", content_type="application/json")
        for method in ("GET", "PUT", "PATCH", "DELETE")
    ]

    assert [answer.status_code for answer in answers] == [404] * 4
