"""Reads and writes the URLs that photos are to be fetched from; see `tickets.py` for where they are."""

from __future__ import annotations

from shared.errors import UnreadableObject
from shared.fetches.tickets import FetchFrom, PhotoUrl, decode_ticket, encode_ticket, photo_in_line
from shared.jobs.record import JobRecord
from shared.storage import layout
from shared.storage.base import ObjectStore
from shared.targets import receiver_of


class TicketArchive:
    """What storage knows of photos at URLs."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    def keep(self, tenant: str, job_id: str, photo: PhotoUrl) -> None:
        """Write a ticket: from here the job is accepted."""
        key = layout.ticket_key(tenant, job_id)
        self._objects.put(key, encode_ticket(photo), content_type="application/json")

    def delete(self, tenant: str, job_id: str) -> None:
        """Delete a ticket, if there is one: the photo is here, or nobody waits for it any more."""
        self._objects.delete(layout.ticket_key(tenant, job_id))

    def fetch_from(self, tenant: str, job_id: str) -> FetchFrom:
        """Return what the record of a photo with a ticket knows; raises as `photo_of` does."""
        return FetchFrom(receiver_of(self._ticket(tenant, job_id).url))

    def photo_of(self, record: JobRecord) -> PhotoUrl:
        """Return where the photo of a record that awaits it is.

        Raises
        ------
        ObjectMissing
            If ticket or manifest are gone.
        UnreadableObject
            If they are not what this service writes.
        """
        if record.batch_id is None:
            return self._ticket(record.tenant, record.id)
        key = layout.manifest_key(record.tenant, record.batch_id)
        line = record.fetch.line if record.fetch else None
        if line is None:
            raise UnreadableObject(f"{key}: it is not known where the line of {record.id} is")
        try:
            return photo_in_line(self._objects.get_part(key, *line), record.id)
        except (ValueError, KeyError, TypeError) as error:
            raise UnreadableObject(key) from error

    def _ticket(self, tenant: str, job_id: str) -> PhotoUrl:
        key = layout.ticket_key(tenant, job_id)
        try:
            return decode_ticket(self._objects.get(key))
        except (ValueError, KeyError, TypeError) as error:
            raise UnreadableObject(key) from error
