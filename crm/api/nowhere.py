"""What the API says where it has nothing: a sentence in JSON, as everywhere else in it."""

from typing import Any, NoReturn

from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.views import APIView


class NowhereView(APIView):
    """Raises NotFound (404), whoever asks, by whichever method."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()
    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotFound("There is nothing at this address. Those of the API end in a slash, and /api/v1/ lists them.")
