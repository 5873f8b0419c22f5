"""The filters of the board of deals and of the forecast."""

from collections.abc import Sequence
from typing import Any

import django_filters

from crm.lists.filter_choices import colleagues, tags
from crm.lists.filter_types import OptionalRowFilter, RowFilter, unfiltered
from crm.models import Pipeline


class BoardFilter(django_filters.FilterSet):  # type: ignore[misc]
    """The filter of the board and of the forecast. An invalid value filters nothing.

    `pipelines` are the choices. The pages themselves show one pipeline at a time, so this filter keeps all deals.
    """

    pipeline = django_filters.ChoiceFilter(
        label="Pipeline", method=unfiltered, empty_label=None
    )
    owner = OptionalRowFilter(
        queryset=colleagues, empty_label="Any owner", null_label="No owner"
    )
    tag = RowFilter(field_name="tags", queryset=tags, empty_label="Any tag")

    def __init__(
        self, *args: Any, pipelines: Sequence[Pipeline], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.filters["pipeline"].extra["choices"] = [
            (pipeline.pk, str(pipeline)) for pipeline in pipelines
        ]
        if len(pipelines) < 2:
            del self.filters["pipeline"]
