"""What happens to errors that no view has handled."""

import pytest
from django.db import DataError
from django.http import HttpResponse

from crm.models import Lead
from crm.views.errors import ExplainedErrorsMiddleware

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("path", "kind"), [("/leads/", "text/html"), ("/api/v1/leads/", "application/json")]
)
def test_a_nul_that_has_come_as_far_as_the_database_is_a_bad_request(rf, path, kind):
    middleware = ExplainedErrorsMiddleware(lambda request: HttpResponse())
    with pytest.raises(DataError) as error:
        Lead.objects.filter(first_name="\x00").exists()

    answer = middleware.process_exception(rf.get(path), error.value)

    assert answer is not None
    assert answer.status_code == 400
    assert answer["Content-Type"].startswith(kind)
    assert middleware.process_exception(rf.get(path), DataError("out of range")) is None
