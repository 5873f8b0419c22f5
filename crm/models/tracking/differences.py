"""Which fields of a lead or deal differ between two snapshots, as the history has them."""

from collections.abc import Iterator

from crm.models.change import ChangedField
from crm.models.tracking.snapshots import RowSnapshot


def differences(
    before: RowSnapshot, after: RowSnapshot
) -> Iterator[tuple[ChangedField, str, str]]:
    """Yield each field that differs, with its old and new value as a `Change` stores them."""
    step = ChangedField.STATUS if after.deal_id is None else ChangedField.STAGE
    pairs = [
        (step, _key(before.step_id), _key(after.step_id)),
        (ChangedField.OWNER, _key(before.owner_id), _key(after.owner_id)),
        (ChangedField.AMOUNT, _amount(before), _amount(after)),
    ]
    if after.deal_id is not None:
        pairs.append((ChangedField.LEAD, _key(before.lead_id), _key(after.lead_id)))
        pairs.append(
            (
                ChangedField.LOST_REASON,
                _key(before.lost_reason_id),
                _key(after.lost_reason_id),
            )
        )
    yield from (pair for pair in pairs if pair[1] != pair[2])
    if before.contact is not None and after.contact is not None:
        (old_email, old_shares), (new_email, new_shares) = before.contact, after.contact
        if old_email != new_email:
            yield ChangedField.EMAIL, "", ""
        if old_shares != new_shares:
            yield ChangedField.SHARING, _switch(old_shares), _switch(new_shares)


def _key(pk: int | None) -> str:
    return "" if pk is None else str(pk)


def _amount(row: RowSnapshot) -> str:
    return "" if row.amount is None else f"{row.amount:.2f} {row.currency}".strip()


def _switch(is_on: bool) -> str:
    return "on" if is_on else "off"
