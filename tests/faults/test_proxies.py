"""The proxies that we ship files for, in front of a real web server: Caddy and nginx do the same."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from django.conf import settings

from leadmachine.demo.people import PASSWORD
from tests.faults.installation import (
    PATH,
    Browser,
    Installation,
    command,
    free_port,
    wait_for,
)

pytestmark = [
    pytest.mark.faults,
    pytest.mark.processes,
    pytest.mark.filterwarnings("ignore:Unverified HTTPS request"),
]

DEPLOY = settings.BASE_DIR / "deploy"
ADMIN = "clara@contoso.example"
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
CADDY = str(Path(sys.executable).parent / "caddy")
MB = 2**20


@dataclass(frozen=True)
class Ports:
    http: int
    https: int


def caddy(folder: Path, ports: Ports, web: int) -> list[str]:
    """Return the command that runs deploy/caddy/Caddyfile on these ports, with a certificate that Caddy makes."""
    adapted = subprocess.run(
        [CADDY, "adapt", "--adapter", "caddyfile", "--config", str(DEPLOY / "caddy" / "Caddyfile")],
        env={"PATH": PATH, "LEADMACHINE_SITE": "localhost", "LEADMACHINE_WEB": f"127.0.0.1:{web}"},
        capture_output=True, check=True,
    )  # fmt: skip
    config = json.loads(adapted.stdout)
    http = config["apps"]["http"]
    http["http_port"] = ports.http
    (server,) = http["servers"].values()
    server["listen"] = [f":{ports.https}"]
    config["apps"]["pki"] = {
        "certificate_authorities": {"local": {"install_trust": False}}
    }
    (folder / "caddy.json").write_text(json.dumps(config))
    return [CADDY, "run", "--config", str(folder / "caddy.json")]


def nginx(folder: Path, ports: Ports, web: int) -> list[str]:
    """Return the command that runs deploy/nginx/leadmachine.conf on these ports, with a certificate of its own."""
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    key = [
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        str(folder / "key.pem"),
        "-out",
        str(folder / "cert.pem"),
    ]
    subprocess.run(
        ["openssl", "req", "-x509", "-days", "1", *key, *subject],
        check=True,
        capture_output=True,
    )
    site = (DEPLOY / "nginx" / "leadmachine.conf").read_text()
    site = re.sub(r"listen \[::\].*;", "", site)
    for old, new in {
        "crm.example.com": "localhost",
        "/etc/letsencrypt/live/localhost/fullchain.pem": str(folder / "cert.pem"),
        "/etc/letsencrypt/live/localhost/privkey.pem": str(folder / "key.pem"),
        "listen 80;": f"listen 127.0.0.1:{ports.http};",
        "listen 443 ssl;": f"listen 127.0.0.1:{ports.https} ssl;",
        "https://$host$request_uri": f"https://$host:{ports.https}$request_uri",
        "127.0.0.1:8000": f"127.0.0.1:{web}",
        "/var/log/nginx": str(folder),
    }.items():
        assert old in site
        site = site.replace(old, new)
    folders = "".join(
        f"{name}_temp_path {folder}/{name};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;" if os.geteuid() == 0 else ""  # others may not enter the folder
    log = f"pid {folder}/nginx.pid; error_log stderr;"
    main = f"daemon off; {user} {log} events {{}} http {{ {folders} {site} }}"
    (folder / "nginx.conf").write_text(main)
    return [str(NGINX), "-p", str(folder), "-c", str(folder / "nginx.conf")]


class Person(Browser):
    """A person behind the proxy, who trusts its certificate and may send headers that only proxies should."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        session = requests.Session()
        session.trust_env, session.verify = False, False
        session.headers.update({"Referer": f"{url}/", **headers})
        super().__init__(url, session)

    def sign_in(self, password: str = PASSWORD) -> requests.Response:
        return self.send(
            "/login/", form_at="/login/", username=ADMIN, password=password
        )

    def upload(self, path: str, megabytes: int) -> requests.Response:
        """Send a file with this many MB of leads to the form at the path."""
        found = re.search(
            r'name="csrfmiddlewaretoken" value="(\w+)"', self.get("/leads/import/")
        )
        assert found
        line = b"Ada Example;ada@example.com;" + b"x" * 1_000 + b"\n"
        content = b"Name;E-mail;Title\n" + line * (megabytes * MB // len(line))
        fields = {"csrfmiddlewaretoken": found[1]}
        files = {"file": ("leads.csv", content)}
        return self._session.post(
            self.url + path, fields, files=files, timeout=60, allow_redirects=False
        )


@dataclass(frozen=True)
class Site:
    """A web server behind a proxy."""

    ports: Ports

    @property
    def url(self) -> str:
        return f"https://localhost:{self.ports.https}"

    def is_up(self) -> bool:
        """True once the proxy has a certificate and reaches the web server."""
        with contextlib.suppress(requests.ConnectionError):
            return (
                requests.get(f"{self.url}/readyz", verify=False, timeout=5).status_code
                == 200
            )
        return False

    def person(self, **headers: str) -> Person:
        return Person(self.url, headers)


@pytest.fixture(params=[caddy, nginx], ids=["Caddy", "nginx"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    proxy = request.param
    if proxy is nginx and not NGINX:
        pytest.skip("no nginx: apt-get install nginx-light")
    ports = Ports(http=free_port(), https=free_port())
    settings = {
        "LEADMACHINE_HTTPS": "on", "ALLOWED_HOSTS": "localhost", "TRUSTED_PROXIES": "127.0.0.1",
        "LEADMACHINE_URL": f"https://localhost:{ports.https}", "HOME": str(tmp_path),
    }  # fmt: skip
    with Installation(
        tmp_path, linkedin_url="http://127.0.0.1:9", redis_url="", **settings
    ) as installation:
        installation.start("web", command("web"))
        installation.wait_for_web()
        installation.start("proxy", proxy(tmp_path, ports, web=installation.port))
        site = Site(ports)
        wait_for(site.is_up, seconds=30, told="the proxy answers")
        yield site


@pytest.mark.representative
def test_people_work_behind_it_on_a_port_other_than_443(site):
    person = site.person()

    redirect = requests.get(
        f"http://localhost:{site.ports.http}/leads/?page=2",
        timeout=10,
        allow_redirects=False,
    )
    signed_in = person.sign_in()
    saved = person.post("/theme/", form_at="/my-day/", theme="dark")
    uploaded = person.upload("/leads/import/", 19)

    assert redirect.status_code in (301, 308)
    assert redirect.headers["Location"] == f"{site.url}/leads/?page=2"
    assert signed_in.status_code == 302, signed_in.text
    assert 'data-theme="dark"' in saved.text
    assert uploaded.status_code == 302, uploaded.text


def test_a_body_is_refused_before_it_reaches_the_web_server_if_it_is_too_large(site):
    person = site.person()
    person.sign_in()

    assert is_refused(lambda: person.upload("/leads/import/", 27))
    assert is_refused(lambda: person.upload("/theme/", 3))


def is_refused(upload: Callable[[], requests.Response]) -> bool:
    """True if the body was too large: the proxy says so, or ends the connection while the body still comes.

    The connection may also end within the proxy's own answer.
    """
    try:
        return upload().status_code == 413
    except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
        return True


def test_headers_of_a_client_that_only_proxies_should_send_have_no_effect(site):
    forged = {
        "X-Forwarded-For": "198.51.100.7",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": "evil.example",
    }
    person = site.person(**forged)

    person.sign_in()
    sessions = person.get("/account/sessions/")

    assert "127.0.0.1" in sessions
    assert "198.51.100.7" not in sessions


def test_guesses_from_one_address_are_counted_together_whatever_they_claim(site):
    guesses = [
        site.person(**{"X-Forwarded-For": f"198.51.100.{at}"}).sign_in("wrong")
        for at in range(6)
    ]

    assert "Too many failed attempts" in guesses[-1].text


@pytest.mark.parametrize("proxy", [caddy, nginx], ids=["Caddy", "nginx"])
def test_no_secret_link_is_in_its_log_while_the_web_server_is_away(proxy, tmp_path):
    if proxy is nginx and not NGINX:
        pytest.skip("no nginx: apt-get install nginx-light")
    ports, secret = Ports(http=free_port(), https=free_port()), "5ec2e7" * 10
    words = proxy(tmp_path, ports, web=free_port())
    referer = {"Referer": f"https://localhost/in/{secret}/"}

    def answer() -> int:
        with contextlib.suppress(requests.ConnectionError):
            url = f"https://localhost:{ports.https}/in/{secret}/?a={secret}"
            return requests.post(
                url, headers=referer, verify=False, timeout=5
            ).status_code
        return 0

    with (tmp_path / "proxy.log").open("wb") as log:
        environment = {"PATH": PATH, "HOME": str(tmp_path)}
        process = subprocess.Popen(words, stdout=log, stderr=log, env=environment)
    try:
        wait_for(lambda: answer() == 502, seconds=30, told="the proxy answers")
    finally:
        process.terminate()
        process.wait()

    written = "".join(path.read_text() for path in tmp_path.glob("*.log"))
    assert "/in/..." in written
    assert secret not in written
