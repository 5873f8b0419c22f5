"""The lists of a company that columns of a file have their values from.

Leads have statuses and types, deals have pipelines, stages and lost reasons; both have people, tags and choices.
"""

import json
import re
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final

from django.utils.functional import cached_property

from crm.data_exchange.importing.value_choices import alike_key, spelled, value_key
from crm.models import (
    Company,
    CustomField,
    FieldType,
    LeadMeaning,
    LeadStatus,
    LeadType,
    LostReason,
    Pipeline,
    RowProblem,
    Stage,
    Tag,
    User,
)
from crm.models.custom_field import LONGEST_CHOICE, WITH_CHOICES
from crm.models.picklist import NAME_LENGTH
from crm.models.validators import is_seen

# More than any lead has: each costs the time to find it.
VALUES_OF_CELL: Final = 200


class NewValue(str):
    """What a row has of an entry that doesn't exist yet: its name, where others have a code or a key."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a list: its `key` in a choice, its name for people, and the `value` that a row has of it.

    Files call it by its `label`, or by one of `aliases`. A new one has no key, and a status its `meaning`. `version` is
    another one once the value has changed, though its name has not.
    """

    key: str
    label: str
    value: Any
    aliases: Sequence[str] = ()
    meaning: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class ListKind:
    """What is true of all lists of one kind.

    `column` is the name of the value in a row, "" if it is that of the field. `between` splits a cell with several
    values. A new entry's name has at most `longest` characters: 0 if none can be added.
    """

    noun: str
    plural: str
    column: str
    problem: RowProblem
    longest: int = NAME_LENGTH
    between: re.Pattern[str] | None = None
    is_in_order: bool = False
    unknown: Mapping[str, Any] = field(default_factory=dict)
    make: Callable[[str, str], Any] = lambda name, meaning: NewValue(name)
    meanings: Sequence[tuple[str, str]] = ()


STATUS: Final = ListKind(
    "status",
    "statuses",
    "status",
    RowProblem.STATUS_UNKNOWN,
    make=lambda name, meaning: LeadStatus(name=name, meaning=meaning),
    meanings=LeadMeaning.choices,
)
TYPE: Final = ListKind("type", "types", "type", RowProblem.TYPE_UNKNOWN)
OWNER: Final = ListKind(
    "colleague",
    "colleagues",
    "owner_id",
    RowProblem.OWNER_UNKNOWN,
    longest=0,
    unknown={"owner_id": None},
)
TAGS: Final = ListKind(
    "tag",
    "tags",
    "tags",
    RowProblem.TAG_UNKNOWN,
    between=re.compile(r"[,;|]"),
    make=lambda name, meaning: name,
)
PIPELINE: Final = ListKind(
    "pipeline", "pipelines", "", RowProblem.PIPELINE_UNKNOWN, longest=0
)
# None can be added: a stage is one of a pipeline, and its meaning sends conversions.
STAGE: Final = ListKind(
    "stage", "stages", "stages", RowProblem.STAGE_UNKNOWN, longest=0
)
LOST_REASON: Final = ListKind(
    "lost reason", "lost reasons", "", RowProblem.REASON_UNKNOWN, longest=0
)
CHOICE: Final = ListKind(
    "choice", "choices", "", RowProblem.NOT_A_CHOICE, longest=LONGEST_CHOICE
)
CHOICES: Final = ListKind(
    "choice",
    "choices",
    "",
    RowProblem.NOT_A_CHOICE,
    longest=LONGEST_CHOICE,
    between=re.compile(r"[;,|\n]"),
    is_in_order=True,
)


class ValueList:
    """A list of the company, and by which names its entries are found. `taken` has the names of archived ones."""

    def __init__(
        self,
        name: str,
        kind: ListKind,
        entries: Iterable[Entry],
        *,
        taken: Iterable[str] = (),
    ) -> None:
        self.name, self.kind = name, kind
        self.column = kind.column or name
        self.entries = {entry.key: entry for entry in entries}
        self._taken = frozenset(map(value_key, taken))
        self._by_label = _by(value_key, ((e, [e.label]) for e in self.entries.values()))
        self._by_alias = _by(value_key, ((e, e.aliases) for e in self.entries.values()))
        self._alike = _by(
            alike_key, ((e, [e.label, *e.aliases]) for e in self.entries.values())
        )

    def parts(self, cell: str) -> list[str]:
        """The values in a cell that can be seen; none if there are too many."""
        pieces = map(spelled, self.pieces(cell))
        return [piece for piece in pieces if value_key(piece)]

    def has_too_many(self, cell: str) -> bool:
        between = self.kind.between
        return between is not None and len(between.findall(cell)) >= VALUES_OF_CELL

    def pieces(self, cell: str) -> Iterator[str]:
        """The texts between the separators of a cell; none if there are too many.

        The name of an entry may have separators, too: it is one piece.
        """
        if self.kind.between is None:
            yield cell
            return
        separators = [found.span() for found in self.kind.between.finditer(cell)]
        if len(separators) >= VALUES_OF_CELL:
            return
        begins = [0, *(end for _, end in separators)]
        ends = [*(start for start, _ in separators), len(cell)]
        at = 0
        while at < len(begins):
            longer = range(at + 1, min(at + self._separators + 1, len(begins)))
            known = (
                last for last in longer if self.find(cell[begins[at] : ends[last]])
            )
            last = max(known, default=at)
            yield cell[begins[at] : ends[last]]
            at = last + 1

    @cached_property
    def _separators(self) -> int:
        """How many separators the name of an entry has at most."""
        between = self.kind.between
        if between is None:
            return 0
        return max(
            (len(between.findall(each.label)) for each in self.entries.values()),
            default=0,
        )

    def find(self, text: str) -> Entry | None:
        """The entry with this name, ignoring case. None if there is none, or several that are spelled otherwise."""
        key = value_key(text)
        for names in (self._by_label, self._by_alias):
            found = names.get(key, [])
            same = [entry for entry in found if entry.label == spelled(text)]
            if len(same or found) == 1:
                return (same or found)[0]
        return None

    def guess(self, text: str) -> Entry | None:
        """The only entry whose name differs by case, accents and punctuation alone."""
        found = self._alike.get(alike_key(text), [])
        return found[0] if len(found) == 1 else None

    def is_taken(self, name: str) -> bool:
        """True for the name of an archived entry."""
        return value_key(name) in self._taken

    def may_be_added(self, name: str) -> bool:
        """True if a new entry can have this name."""
        return (
            len(name) <= self.kind.longest
            and is_seen(name)
            and "\0" not in name
            and not self.is_taken(name)
        )

    def new_entry(self, name: str, meaning: str) -> Entry:
        return Entry("", name, self.kind.make(name, meaning), meaning=meaning)

    @property
    def digest(self) -> str:
        """Another one once an entry was added, renamed, archived or deleted."""
        entries = [
            (e.key, e.version, e.label, *e.aliases) for e in self.entries.values()
        ]
        content = json.dumps([sorted(entries), sorted(self._taken)])
        return blake2b(content.encode(), digest_size=8).hexdigest()


def _by(
    key_of: Callable[[str], str], named: Iterable[tuple[Entry, Iterable[str]]]
) -> dict[str, list[Entry]]:
    """The entries by the keys of their names."""
    found: dict[str, list[Entry]] = {}
    for entry, names in named:
        for key in dict.fromkeys(map(key_of, names)):
            if key:
                found.setdefault(key, []).append(entry)
    return found


def value_lists(
    built_in: Mapping[str, Callable[[Company], ValueList]],
    company: Company,
    columns: Collection[str],
    custom: Mapping[str, CustomField],
) -> dict[str, ValueList]:
    """The lists that these columns have their values from, by field. A query for each built-in one."""
    lists = {name: make(company) for name, make in built_in.items() if name in columns}
    choices = {
        name: _choices(name, field)
        for name, field in custom.items()
        if name in columns and field.type in WITH_CHOICES
    }
    return {**lists, **choices}


def can_grow(name: str, custom: Mapping[str, CustomField]) -> bool:
    """True if an entry with nothing but a name can be added to the list of this field."""
    field = custom.get(name)
    has_choices = field is not None and field.type in WITH_CHOICES
    return has_choices or name in ("type", "tags")


def statuses(company: Company) -> ValueList:
    known = list(LeadStatus.objects.for_company(company))
    entries = [
        Entry(str(each.pk), each.name, each) for each in known if each.is_offered
    ]
    return ValueList("status", STATUS, entries, taken=_archived(known))


def types(company: Company) -> ValueList:
    known = list(LeadType.objects.for_company(company))
    entries = [
        Entry(each.code, each.name, each.code, [each.code])
        for each in known
        if each.is_offered
    ]
    return ValueList("type", TYPE, entries, taken=_archived(known))


def tags(company: Company) -> ValueList:
    known = list(Tag.objects.for_company(company))
    entries = [
        Entry(str(each.pk), each.name, each.name) for each in known if each.is_offered
    ]
    return ValueList("tags", TAGS, entries, taken=_archived(known))


def pipelines(company: Company) -> ValueList:
    own = Pipeline.objects.for_company(company).offered()
    entries = [Entry(str(each.pk), each.name, each) for each in own]
    return ValueList("pipeline", PIPELINE, entries)


def stages(company: Company) -> ValueList:
    """The stages by name: each value has all stages of that name, one of each pipeline at most.

    The key of an entry is the id of the first one, of the default pipeline if that has one.
    """
    found: dict[str, list[Stage]] = {}
    for stage in Stage.objects.for_company(company).offered().in_order():
        found.setdefault(value_key(stage.name), []).append(stage)
    entries = [
        Entry(str(same[0].pk), same[0].name, tuple(same), version=_version(same))
        for same in found.values()
    ]
    return ValueList("stage", STAGE, entries)


def _version(same: Iterable[Stage]) -> str:
    """The ids of these stages, and which one is of the default pipeline."""
    return " ".join(f"{each.pk}{'*' * each.pipeline.is_default}" for each in same)


def lost_reasons(company: Company) -> ValueList:
    own = LostReason.objects.for_company(company).offered()
    entries = [Entry(str(each.pk), each.name, each) for each in own]
    return ValueList("lost_reason", LOST_REASON, entries)


def _archived(entries: Iterable[LeadStatus | LeadType | Tag]) -> list[str]:
    return [each.name for each in entries if not each.is_offered]


def colleagues(company: Company) -> ValueList:
    """Active colleagues by name and by address. A name that two of them have finds neither."""
    active = User.objects.filter(
        memberships__company=company, memberships__is_active=True
    )
    entries = [
        Entry(str(user.pk), str(user), user.pk, _names_of(user))
        for user in active.order_by("pk")
    ]
    return ValueList("owner", OWNER, entries)


def _names_of(user: User) -> list[str]:
    """The address, and “Lovelace, Ada”."""
    names = [user.email] if user.email else []
    is_whole = user.first_name and user.last_name
    return [*names, f"{user.last_name}, {user.first_name}"] if is_whole else names


def _choices(name: str, field: CustomField) -> ValueList:
    kind = CHOICES if field.type == FieldType.CHOICES else CHOICE
    entries = [Entry(key, label, key, [key]) for key, label in field.offered]
    archived = [each["label"] for each in field.choices if each["is_archived"]]
    return ValueList(name, kind, entries, taken=archived)
