"""A plain client that needs only the standard library."""

import http.client
import json
from datetime import UTC, datetime, timedelta

from tests.capi.linkedin.sandbox.speaking import HEADERS, PATH, event, milliseconds


def recent(**changes):
    """A valid event for a sandbox that runs on the real clock."""
    minute_ago = milliseconds(datetime.now(UTC) - timedelta(minutes=1))
    return event(**{"conversionHappenedAt": minute_ago} | changes)


def recent_rule(rule_id):
    return recent(conversion=f"urn:lla:llaPartnerConversion:{rule_id}")


class Caller:
    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.connection.close()

    def post(self, content, *, path=PATH, **headers):
        """Status and body of the answer."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request("POST", path, body, HEADERS | named)
        response = self.connection.getresponse()
        return response.status, response.read()

    def script(self, *faults):
        """Script faults for the next requests, as another process does."""
        return self.post(list(faults), path="/_control")
