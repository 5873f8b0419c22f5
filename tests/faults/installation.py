"""A whole installation with its own database and demo companies, and a person who uses it."""

import os
import re
import uuid
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import requests

from tests import migrated, services
from tests.faults.processes import (
    COMPOSE,
    PATH,
    Processes,
    command,
    free_port,
    wait_for,
)


def create_database(template: str = "template1") -> str:
    """The URL of a new database in the PostgreSQL of this test run: an empty one, or a copy."""
    url = urlsplit(os.environ["DATABASE_URL"])
    name = f"processes_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE {template}')
    return urlunsplit(url._replace(path=f"/{name}"))


def drop_database(url: str) -> None:
    name = urlsplit(url).path.strip("/")
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


class Installation(Processes):
    """The processes, their logs, and the address of the web server. As a context, it ends all that it started."""

    def __init__(
        self, folder: Path, *, linkedin_url: str, redis_url: str, **environment: str
    ) -> None:
        self.database_url = create_database(
            migrated.NAME if services.POSTGRES else "template1"
        )
        links = {
            "LINKEDIN_API_URL": linkedin_url,
            "DATABASE_URL": self.database_url,
            "REDIS_URL": redis_url,
        }
        super().__init__(folder, port=free_port(), **links, **environment)

    def __enter__(self) -> "Installation":
        self.run(command("migrate"))
        self.run(["python", "manage.py", "demo"])
        return self

    def __exit__(self, kind: object, error: object, at: object) -> None:
        self.stop()
        if kind is not None:
            print(self.logs())
        drop_database(self.database_url)


class Browser:
    """A person at the pages, without a screen: keeps cookies, fills in forms, follows redirects."""

    def __init__(self, url: str, session: requests.Session | None = None) -> None:
        self.url = url
        self._session = session or requests.Session()

    def get(self, path: str) -> str:
        return self._checked(self._session.get(self.url + path, timeout=10)).text

    def post(self, path: str, *, form_at: str, **fields: str) -> requests.Response:
        """Send a form of the page `form_at`, and follow redirects."""
        return self._checked(self.send(path, form_at=form_at, follow=True, **fields))

    def send(
        self, path: str, *, form_at: str, follow: bool = False, **fields: str
    ) -> requests.Response:
        """Send a form, and return the answer as it is."""
        found = re.search(
            r'name="csrfmiddlewaretoken" value="(\w+)"', self.get(form_at)
        )
        assert found, f"no form on {form_at}"
        data = {"csrfmiddlewaretoken": found[1], **fields}
        return self._session.post(
            self.url + path, data, timeout=20, allow_redirects=follow
        )

    def _checked(self, response: requests.Response) -> requests.Response:
        assert response.status_code == 200, (
            f"{response.status_code} {response.url}\n{response.text[:2000]}"
        )
        return response


__all__ = [
    "COMPOSE",
    "PATH",
    "Browser",
    "Installation",
    "command",
    "free_port",
    "wait_for",
]
