"""S51: what the operator allows addresses that people enter to reach is checked at the start."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crm.services.outbound_connections import tls_context
from leadmachine import outbound_checks
from tests.leadmachine.test_exposure_checks import found
from tests.slow_servers import make_certificate

pytestmark = pytest.mark.covers("S51")


@pytest.mark.parametrize(
    ("entry", "ids"),
    [
        ("login.example.internal", []),
        ("login", []),
        ("10.1.2.0/24", []),
        ("fd00::1", []),
        ("https://login.example.internal", ["leadmachine.E028"]),
        ("login.example.internal:8443", ["leadmachine.E028"]),
        ("10.1.2.0/33", ["leadmachine.E028"]),
        ("*.example.internal", ["leadmachine.E028"]),
        ("", ["leadmachine.E028"]),
        ("0.0.0.0/0", ["leadmachine.E029"]),
        ("172.0.0.0/8", ["leadmachine.E029"]),
        ("169.254.169.254", ["leadmachine.E029"]),
        ("fe80::/10", ["leadmachine.E029"]),
        ("::/0", ["leadmachine.E029"]),
    ],
)
def test_only_hosts_and_own_networks_can_be_allowed(
    settings: Any, entry: str, ids: list[str]
) -> None:
    settings.OUTBOUND_ALLOWED = [entry]

    assert found(outbound_checks.outbound_allowed) == ids


def test_the_internet_alone_is_allowed_by_default(settings: Any) -> None:
    assert settings.OUTBOUND_ALLOWED == []
    assert settings.CA_BUNDLE == ""


@pytest.fixture
def _read_again() -> Iterator[None]:
    tls_context.cache_clear()
    yield
    tls_context.cache_clear()


@pytest.mark.usefixtures("_read_again")
def test_a_file_with_a_certificate_is_accepted(settings: Any, tmp_path: Path) -> None:
    settings.CA_BUNDLE = str(make_certificate(tmp_path))

    assert found(outbound_checks.ca_bundle) == []


@pytest.mark.usefixtures("_read_again")
@pytest.mark.parametrize("content", ["text", "", None])
def test_a_file_without_a_certificate_is_refused(
    settings: Any, tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "authorities.pem"
    if content is not None:
        path.write_text(content)
    settings.CA_BUNDLE = str(path)

    assert found(outbound_checks.ca_bundle) == ["leadmachine.E030"]
