"""Sign-in with an e-mail address, ignoring case."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from crm.models import User


class EmailBackend(ModelBackend):
    """Finds the user by e-mail address, or by username if nobody has that address."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> Any:
        name = (username or kwargs.get("email") or "").strip()
        user = User.objects.filter(email__iexact=name).exclude(email="").first()
        return super().authenticate(request, username=user.username if user else name, password=password)
