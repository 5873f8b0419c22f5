"""Sign-in, sign-up, e-mail addresses, second factors and sessions, built on django-allauth."""
