"""What a web server runs. Here, and nowhere else, the embedded worker and the sandbox start, where they are on."""

import os

from django.core.wsgi import get_wsgi_application

from leadmachine.startup import bound_web_server

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leadmachine.settings")

application = get_wsgi_application()

from leadmachine import (
    embedded,  # noqa: E402 - they need the applications that the line above loads
    startup,  # noqa: E402 - they need the applications that the line above loads
)

startup.refuse_wrong_settings()
bound_web_server()
embedded.start()
