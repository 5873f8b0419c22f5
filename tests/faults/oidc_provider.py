"""npm's `oidc-provider`, a certified OpenID provider, with a certificate of its own authority; and a person there."""

import contextlib
import json
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import requests

from tests.faults.processes import free_port, wait_for

SCRIPT = Path(__file__).with_suffix(".mjs")
CLIENT = {"client_id": "leadmachine", "secret": "the-client-secret"}


def make_authority(folder: Path) -> None:
    """Create authority.pem, and a certificate of it for localhost in server.pem and server.key."""
    subprocess.run(
        """
        openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout authority.key -out authority.pem -subj /CN=Authority
        openssl req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=localhost
        printf 'subjectAltName=DNS:localhost' > server.ext
        openssl x509 -req -days 1 -in server.csr -CA authority.pem -CAkey authority.key -extfile server.ext \
            -out server.pem
        """,
        shell=True, cwd=folder, check=True, capture_output=True,
    )  # fmt: skip


@dataclass
class OidcProvider:
    """The program, in a folder that has its package and certificates. `start` it again to change its settings."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def issuer(self) -> str:
        return f"https://localhost:{self.port}"

    def start(self, redirect_uri: str, **settings: Any) -> None:
        """Start it with these settings, beside those that it comes with."""
        self.stop()
        shutil.copy(SCRIPT, self.folder)
        asked = {
            "issuer": self.issuer, "port": self.port, "certificate": str(self.folder / "server.pem"),
            "key": str(self.folder / "server.key"), "redirectUri": redirect_uri, **settings,
        }  # fmt: skip
        words = ["node", SCRIPT.name, json.dumps(asked)]
        self.process = subprocess.Popen(
            words, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for(self._is_up, seconds=30, told="the provider answers")

    def _is_up(self) -> bool:
        with contextlib.suppress(requests.ConnectionError):
            return self.person().session.get(f"{self.issuer}/jwks", timeout=5).ok
        return False

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()

    def person(self, name: str = "") -> "Person":
        """Someone in front of a browser, who is known there by this name."""
        session = requests.Session()
        session.trust_env, session.verify = False, str(self.folder / "authority.pem")
        return Person(name, session)


@dataclass
class Person:
    name: str
    session: requests.Session
    # What the provider has asked, in order.
    forms: list[str] = field(default_factory=list)

    def go(self, url: str, *, cancels: bool = False) -> str:
        """Answer what the provider asks. Returns the address outside of it to which it sends the browser back."""
        home = url
        for _ in range(20):
            response = self.session.get(url, timeout=10, allow_redirects=False)
            if not response.is_redirect:
                response = self._answer(response, cancels=cancels)
            url = urljoin(response.url, response.headers["Location"])
            if url.split("/")[2] != home.split("/")[2]:
                return url
        raise AssertionError(f"{url} leads nowhere.")

    def _answer(
        self, response: requests.Response, *, cancels: bool
    ) -> requests.Response:
        prompt = re.search(r'name="prompt" value="(\w+)"', response.text)
        assert prompt, response.text
        self.forms.append(prompt[1])
        if cancels:
            return self.session.get(
                f"{response.url}/abort", timeout=10, allow_redirects=False
            )
        fields = {"prompt": prompt[1], "login": self.name, "password": "any"}
        return self.session.post(
            response.url, fields, timeout=10, allow_redirects=False
        )

    def sign_out(self, url: str) -> str:
        """Sign out at the provider, which asks whether one means it. Returns the text of its last page."""
        page = self.session.get(url, timeout=10).text
        secret = re.search(r'name="xsrf" value="(\w+)"', page)
        action = re.search(r'action="([^"]+)"', page)
        assert secret, page
        assert action, page
        return self.session.post(
            action[1], {"xsrf": secret[1], "logout": "yes"}, timeout=10
        ).text
