"""The choice of a stage."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from django_filters import fields


class StageIterator(fields.ModelChoiceIterator):  # type: ignore[misc]
    """The stages under the names of their pipelines, if there is more than one."""

    def __iter__(self) -> Iterator[Any]:
        choices = super().__iter__()
        if self.field.empty_label is not None:
            yield next(choices)  # yielded first: a widget that needs only the first choice then makes no query
        groups = [(name, list(group)) for name, group in groupby(choices, key=_pipeline_of)]
        if len(groups) == 1:
            yield from groups[0][1]
        else:
            yield from groups


def _pipeline_of(choice: tuple[Any, str]) -> str:
    return str(choice[0].instance.pipeline or "")


class StageChoiceField(fields.ModelChoiceField):  # type: ignore[misc]
    """A choice among stages, for forms and filters."""

    iterator = StageIterator
