"""S41: bodies and queries made from the API's own schema, good and bad, break nothing and get nobody in."""

import json
from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from tests.security.rows import checksum
from tests.security.world import NEIGHBOURS_NUMBER, World, build

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(300)]

SCHEMA = SchemaGenerator().get_schema(request=None, public=True)
WRITES = sorted(
    (method, path)
    for path, item in SCHEMA["paths"].items()
    for method in item
    if method in ("post", "put", "patch")
)  # fmt: skip
READS = sorted(path for path, item in SCHEMA["paths"].items() if "get" in item)
FEW = settings(
    max_examples=60, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture
def ours() -> World:
    return build("Kestrel", "7711")


@pytest.fixture
def theirs() -> World:
    return build("Plover", NEIGHBOURS_NUMBER)


def fields_of(method: str, path: str) -> list[str]:
    """The names in the body of an operation, as the schema tells them."""
    content = SCHEMA["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"]
    return sorted(SCHEMA["components"]["schemas"][content["$ref"].rpartition("/")[2]]["properties"])


def script(key: str) -> APIClient:
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    return client


def address(path: str, ours: World) -> str:
    kind = path.strip("/").split("/")[2].rstrip("s").rpartition("-")[2]
    return path.replace("{id}", str(ours.ids.get(kind, 1)))


def bodies(fields: list[str]) -> st.SearchStrategy[Any]:
    likely = st.sampled_from(
        ["Ada", "ada@example.com", "12.50", "EUR", 1, True, None, "lead_created", "once", "104012"]
    )
    return st.dictionaries(st.sampled_from(fields), likely | ANYTHING, max_size=8) | ANYTHING


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_no_body_breaks_a_write_or_touches_the_neighbour(ours: World, theirs: World, method: str, path: str) -> None:
    client, before = script(ours.keys["admin"]), checksum(theirs.company)

    @FEW
    @given(body=bodies(fields_of(method, path)))
    def write(body: Any) -> None:
        sent = json.dumps(body)
        answer = client.generic(method.upper(), address(path, ours), sent, content_type="application/json")

        assert answer.status_code in (200, 201, 400, 404), sent
        assert answer.headers["Content-Type"] == "application/json"

    write()
    assert checksum(theirs.company) == before


@pytest.mark.parametrize("path", READS)
def test_no_query_breaks_a_read(ours: World, path: str) -> None:
    client = script(ours.keys["admin"])
    names = [parameter["name"] for parameter in SCHEMA["paths"][path]["get"].get("parameters", [])] or ["x"]

    @FEW
    @given(query=st.dictionaries(st.sampled_from([*names, "format"]), st.text(max_size=30), max_size=4))
    def read(query: dict[str, str]) -> None:
        assert client.get(address(path, ours), query).status_code in (200, 400, 404)

    read()


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Bearer lm_", "Bearer \xff", "Basic YTpi", "Token x", "Bearer lm_x lm_y", "bearer null"],
)
def test_nobody_gets_in_without_a_key_that_lives(ours: World, path: str, header: str) -> None:
    client = APIClient(headers={"Authorization": header} if header else {})

    assert client.get(address(path, ours)).status_code == 401


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
