"""The WSGI application. Only here are the embedded worker and the sandbox started, if they are switched on."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leadmachine.settings")

application = get_wsgi_application()

from leadmachine import embedded, startup  # noqa: E402 - they need the apps that the line above loads

startup.bound_web_server()  # before the checks, which read from the database
startup.refuse_wrong_settings()
embedded.start()
