"""What differs from allauth's views."""

from typing import Any

from allauth.account.views import EmailVerificationSentView, LoginView
from django.conf import settings
from django.http import HttpResponse


class SignInView(LoginView):  # type: ignore[misc]
    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), "signup_is_open": settings.SIGNUP}

    def render_to_response(self, context: dict[str, Any], **response_kwargs: Any) -> HttpResponse:
        response: HttpResponse = super().render_to_response(context, **response_kwargs)
        if self.request.htmx:
            # The session ended under an open page: load all of it again, rather than sign in inside a part of it.
            response["HX-Refresh"] = "true"
        return response


class LookIntoYourMailView(EmailVerificationSentView):  # type: ignore[misc]
    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        is_printed = settings.DEBUG and settings.EMAIL_BACKEND.endswith("console.EmailBackend")
        return {**super().get_context_data(**kwargs), "mail_is_printed": is_printed}
