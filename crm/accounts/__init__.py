"""How people get in: signing in and up, their addresses, second factors and sessions. django-allauth does the work."""
