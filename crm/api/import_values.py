"""What becomes of the values of an import's columns that have a list here, in requests and responses."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rest_framework import serializers

from crm.api.fields import Text
from crm.api.serializers import StrictBody
from crm.data_exchange.importing.reading import LONGEST_CELL
from crm.data_exchange.importing.value_choices import (
    ValueAction,
    ValueChoice,
    spelled,
    value_key,
)
from crm.data_exchange.importing.value_lists import ValueList
from crm.models import LeadMeaning
from crm.models.picklist import NAME_LENGTH
from crm.selectors.import_values import ColumnOfValues

CHOICES_AT_MOST: Final = 1_000  # for a column
SHOWN: Final = 60  # characters of a value in an error


class ValueChoiceSerializer(StrictBody):
    """What becomes of a value.

    `entry` names the entry of the company's list, as `values/` does: an id, the code of a type, the key of a choice.
    Only admins `create` entries; a new status needs a `meaning`, which decides about conversions.
    """

    value = Text(max_length=LONGEST_CELL)
    action = serializers.ChoiceField(choices=ValueAction.choices)
    entry = Text(required=False, allow_blank=True, max_length=NAME_LENGTH)
    meaning = serializers.ChoiceField(
        choices=LeadMeaning.choices, required=False, allow_blank=True
    )


class ListEntrySerializer(serializers.Serializer[Any]):
    """An entry that a value can be."""

    key = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]


class FileValueSerializer(serializers.Serializer[Any]):
    """A value of the file, in how many rows it is, and what becomes of it. `is_chosen` by someone, or by default."""

    value = serializers.CharField(source="value.text")
    rows = serializers.IntegerField(source="value.rows")
    action = serializers.ChoiceField(
        choices=ValueAction.choices, source="mapped.action"
    )
    entry = serializers.SerializerMethodField()
    meaning = serializers.SerializerMethodField()
    is_chosen = serializers.BooleanField(source="mapped.is_chosen")
    is_guess = serializers.BooleanField(source="mapped.is_guess")

    def get_entry(self, row: Any) -> str:
        return row.mapped.entry.key if row.mapped.entry else ""

    def get_meaning(self, row: Any) -> str:
        return row.mapped.entry.meaning if row.mapped.entry else ""


class ColumnOfValuesSerializer(serializers.Serializer[Any]):
    """A column whose values are from a list: its index, its most frequent values, and how many `more` there are."""

    column = serializers.IntegerField(source="index")
    name = serializers.CharField()
    values = FileValueSerializer(many=True, source="rows")
    more = serializers.IntegerField()
    entries = serializers.SerializerMethodField()

    def get_entries(self, column: ColumnOfValues) -> list[dict[str, str]]:
        entries = column.values.entries.values()
        return [{"key": each.key, "label": each.label} for each in entries]


class ImportValuesSerializer(serializers.Serializer[Any]):
    """The values of all columns that have a list."""

    columns = ColumnOfValuesSerializer(many=True)


def chosen_values(
    values: ValueList | None, asked: Sequence[Mapping[str, Any]], *, may_add: bool
) -> dict[str, ValueChoice]:
    """What is asked for the values of a column, by their `value_key`. Raises ValidationError with one sentence."""
    if values is None:
        raise serializers.ValidationError("its values are from no list.")
    chosen: dict[str, ValueChoice] = {}
    for each in asked:
        name = spelled(each["value"])
        key = value_key(name)
        if not key:
            raise serializers.ValidationError("enter values that can be seen.")
        if key in chosen:
            raise serializers.ValidationError(
                f"“{name[:SHOWN]}” is there twice, but for case or spaces."
            )
        entry, meaning = each.get("entry", ""), each.get("meaning", "")
        choice = ValueChoice(each["action"], entry, meaning, name)
        if problem := _problem(values, choice, may_add=may_add):
            raise serializers.ValidationError(f"“{name[:SHOWN]}”: {problem}")
        chosen[key] = choice
    return chosen


def _problem(values: ValueList, choice: ValueChoice, *, may_add: bool) -> str:
    """Why this can't be chosen, or ""."""
    noun = values.kind.noun
    if choice.entry and choice.action != ValueAction.ENTRY:
        return "only the action “entry” has an entry."
    if choice.meaning and choice.action != ValueAction.CREATE:
        return "only the action “create” has a meaning."
    if choice.action == ValueAction.ENTRY and choice.entry not in values.entries:
        return f"there is no such {noun}. GET …/values/ has the entries of each list."
    if choice.action == ValueAction.CREATE:
        return _problem_of_new(values, choice, may_add=may_add)
    return ""


def _problem_of_new(values: ValueList, choice: ValueChoice, *, may_add: bool) -> str:
    kind = values.kind
    if not kind.longest:
        return f"an import adds no {kind.plural}."
    if not may_add:
        return f"only an admin can add {kind.plural}."
    if bool(kind.meanings) != bool(choice.meaning):
        needed = f"a new {kind.noun} needs a meaning."
        return needed if kind.meanings else f"a {kind.noun} has no meaning."
    if not values.may_be_added(choice.name):
        return (
            f"it can't be added. It is longer than {kind.longest} characters, or an"
            f" archived {kind.noun} has this name."
        )
    return ""
