"""What a web server runs. Here, and nowhere else, the embedded worker and the sandbox start, where they are on."""

import os
import sys

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leadmachine.settings")

application = get_wsgi_application()

from leadmachine import embedded, start  # noqa: E402 - they need the applications that the line above loads

if wrong := start.refusals():
    sys.exit("\n".join(["LeadMachine does not start with these settings:", *wrong]))
embedded.start()
