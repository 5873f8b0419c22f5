"""More values than one statement of PostgreSQL's protocol can have."""

import pytest
from django.contrib.auth.models import Group
from django.db import connection

pytestmark = pytest.mark.django_db


def test_many_rows_are_inserted_read_and_deleted() -> None:
    count = connection.features.max_query_params + 1

    made = Group.objects.bulk_create(Group(name=str(number)) for number in range(count))

    assert len(Group.objects.in_bulk([group.pk for group in made])) == count
    assert Group.objects.all().delete()[0] == count
