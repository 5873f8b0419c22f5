import json

import pytest
from django.test import Client

from crm.models import IntakeSource
from crm.services.intake_sources import add_source
from crm.services.payloads import process_payloads


class Sender:
    """A program that sends to a source."""

    def __init__(self, company):
        self.source = IntakeSource(company=company, name="Contact form")
        self.path = f"/in/{add_source(source=self.source)}/"
        self.client = Client()

    def send(self, body, content_type="application/json", **headers):
        if not isinstance(body, str | bytes):
            body = json.dumps(body)
        return self.client.generic(
            "POST", self.path, body, content_type=content_type, headers=headers
        )

    def sent(self, *args, **kwargs):
        """Send, and have it processed."""
        answer = self.send(*args, **kwargs)
        assert answer.status_code == 202
        process_payloads(lambda: True)
        return self.source


@pytest.fixture
def sender(company):
    return Sender(company)
