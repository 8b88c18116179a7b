"""All tools of a desk: calendar, mail and files.

DeskWorld(Database(snapshot)).search_mail(text="budget")
"""

from __future__ import annotations

from typing import Any

from ..tools.tool import ToolError, tool
from .desk_calendar import MAX_PEOPLE, CalendarWorld, words
from .desk_world import FILE_FOLDERS, MAIL_FOLDERS, NOW, TRASH, Label, made_id

MAX_MAILS = 50


class DeskWorld(CalendarWorld):
    """Reading and changing what is on the desk."""

    @tool
    def search_mail(self, text: str = "", sender_id: str = "", folder: str = "") -> list[dict[str, Any]]:
        """List the user's mail, newest first, without the texts. What is left empty is not asked for.

        Args:
            text: Part of the subject or the text.
            sender_id: Id of the sender.
            folder: Folder; sent mail lies in Sent.
        """
        self._mine()
        if folder:
            _known(folder, (*MAIL_FOLDERS, "Sent"))
        if sender_id:
            self.person(sender_id)
        sql = (
            "SELECT m.id, m.sent, m.folder, m.sender AS sender_id, p.first_name || ' ' || p.last_name AS sender, m.subject "
            "FROM mails m JOIN people p ON p.id = m.sender WHERE instr(lower(m.subject || ' ' || m.body), lower(?)) "
            f"AND (? = '' OR m.sender = ?) AND (? = '' OR m.folder = ?) ORDER BY m.sent DESC LIMIT {MAX_MAILS}"
        )
        return self.db.query(sql, text, sender_id, sender_id, folder, folder)

    @tool
    def read_mail(self, mail_id: str) -> dict[str, Any]:
        """Read a mail: sender, recipients, text, labels, attachments, and the ids of its thread.

        Args:
            mail_id: Id such as M123.
        """
        mail = self._mail(mail_id)
        names = "SELECT p.id, p.first_name || ' ' || p.last_name AS name FROM people p"
        return {
            **{name: mail[name] for name in ("id", "sent", "folder", "subject", "body")},
            "sender": self.db.one(f"{names} WHERE p.id = ?", mail["sender"]),
            "recipients": self.db.query(f"{names} JOIN recipients r ON r.person = p.id WHERE r.mail = ?", mail_id),
            "labels": [row["label"] for row in self.db.query("SELECT label FROM labels WHERE mail = ?", mail_id)],
            "attachments": self.db.query("SELECT f.id, f.name FROM attachments a JOIN files f ON f.id = a.file WHERE a.mail = ?", mail_id),
            "thread": [row["id"] for row in self.db.query("SELECT id FROM mails WHERE thread = ? ORDER BY sent", mail["thread"])],
        }

    @tool
    def send_mail(self, person_ids: list[str], subject: str, body: str) -> str:
        """Send a mail.

        Args:
            person_ids: Recipients.
            subject: Subject.
            body: Text.
        """
        self._mine()
        if not 1 <= len(set(person_ids)) == len(person_ids) <= MAX_PEOPLE:
            raise ToolError(f"{len(person_ids)} recipients were given; give 1 to {MAX_PEOPLE} ids, each once")
        people = [str(self.person(id)["id"]) for id in person_ids]
        return self._send("", people, words(subject, "subject", 100), words(body, "text", 1000))

    @tool
    def reply(self, mail_id: str, body: str) -> str:
        """Answer a mail to its sender. The subject stays, after "Re: ".

        Args:
            mail_id: Id of the mail that is answered.
            body: Text.
        """
        mail = self._mail(mail_id)
        subject = str(mail["subject"])
        return self._send(
            mail["thread"], [mail["sender"]], subject if subject.startswith("Re: ") else f"Re: {subject}", words(body, "text", 1000)
        )

    @tool
    def move_mail(self, mail_ids: list[str], folder: str) -> str:
        """Put mails into a folder.

        Args:
            mail_ids: Ids of the mails.
            folder: Inbox, Archive, Projects, Finance, Travel or Trash.
        """
        self._mine()
        _known(folder, MAIL_FOLDERS)
        if not 1 <= len(set(mail_ids)) == len(mail_ids) <= MAX_MAILS:
            raise ToolError(f"{len(mail_ids)} mails were given; give 1 to {MAX_MAILS} ids, each once")
        for id in mail_ids:
            if self._mail(id)["folder"] == folder:
                raise ToolError(f"{id} is in {folder} already; leave it out")
        self.consent()
        for id in mail_ids:
            self.db.change("UPDATE mails SET folder = ? WHERE id = ?", folder, id)
        return f"{len(mail_ids)} mails are in {folder}"

    @tool
    def label_mail(self, mail_id: str, label: Label) -> str:
        """Put a label on a mail.

        Args:
            mail_id: Id such as M123.
            label: The label.
        """
        self._mail(mail_id)
        if self.db.one("SELECT label FROM labels WHERE mail = ? AND label = ?", mail_id, label) is not None:
            raise ToolError(f"{mail_id} has the label {label} already")
        self.consent()
        self.db.change("INSERT INTO labels VALUES (?, ?)", mail_id, label)
        return f"{mail_id} has the label {label}"

    @tool
    def list_files(self, folder: str = "", text: str = "") -> list[dict[str, Any]]:
        """List files with sizes in KB and days of the last change. What is left empty is not asked for.

        Args:
            folder: Folder.
            text: Part of the name.
        """
        self._mine()
        if folder:
            _known(folder, (*FILE_FOLDERS, TRASH))
        sql = (
            "SELECT id, name, folder, size AS size_kb, modified FROM files WHERE (? = '' OR folder = ?) AND instr(lower(name), lower(?)) "
            "ORDER BY folder, name"
        )
        return self.db.query(sql, folder, folder, text)

    @tool
    def read_file(self, file_id: str) -> dict[str, Any]:
        """Read a file: name, folder, size, whether it is confidential, with whom it is shared, what it says.

        Args:
            file_id: Id such as F123.
        """
        file = self._file(file_id)
        shared = self.db.query(
            "SELECT p.id, p.first_name || ' ' || p.last_name AS name FROM shares s JOIN people p ON p.id = s.person WHERE s.file = ?",
            file_id,
        )
        shown = {name: file[name] for name in ("id", "name", "folder", "modified", "content")}
        return {**shown, "size_kb": file["size"], "confidential": bool(file["confidential"]), "shared_with": shared}

    @tool
    def move_file(self, file_id: str, folder: str) -> str:
        """Put a file into another folder.

        Args:
            file_id: Id such as F123.
            folder: Documents, Contracts, Reports, Invoices or Attachments.
        """
        file = self._file(file_id)
        _known(folder, FILE_FOLDERS)
        if file["folder"] == folder:
            raise ToolError(f"{file_id} is in {folder} already; give another folder")
        self._free_name(folder, file["name"])
        self.consent()
        self.db.change("UPDATE files SET folder = ? WHERE id = ?", folder, file_id)
        return f"{file['name']} is in {folder}"

    @tool
    def rename_file(self, file_id: str, name: str) -> str:
        """Give a file another name.

        Args:
            file_id: Id such as F123.
            name: New name, with its ending.
        """
        file = self._file(file_id)
        name = words(name, "name", 100)
        if "/" in name or "\\" in name:
            raise ToolError(f"{name[:40]!r} has a slash; give a name alone, and use move_file for the folder")
        self._free_name(file["folder"], name)
        self.consent()
        self.db.change("UPDATE files SET name = ? WHERE id = ?", name, file_id)
        return f"{file['name']} is now {name}"

    @tool
    def delete_file(self, file_id: str, permanently: bool = False) -> str:
        """Delete a file: into the trash, or so that nobody can get it back.

        Args:
            file_id: Id such as F123.
            permanently: Not into the trash.
        """
        file = self._file(file_id)
        if not permanently:
            if file["folder"] == TRASH:
                raise ToolError(f"{file_id} is in the trash already")
            self.consent()
            self.db.change("UPDATE files SET folder = ? WHERE id = ?", TRASH, file_id)
            return f"{file['name']} is in the trash"
        self.consent()
        self.note("permanent deletion")
        for sql in ("DELETE FROM shares WHERE file = ?", "DELETE FROM attachments WHERE file = ?", "DELETE FROM files WHERE id = ?"):
            self.db.change(sql, file_id)
        return f"{file['name']} is gone"

    @tool
    def share_file(self, file_id: str, person_id: str) -> str:
        """Let somebody read a file.

        Args:
            file_id: Id such as F123.
            person_id: Id such as P123.
        """
        file, person = self._file(file_id), self.person(person_id)
        if person_id == self.owner:
            raise ToolError("the file is the user's own; give somebody else")
        if self.db.one("SELECT file FROM shares WHERE file = ? AND person = ?", file_id, person_id) is not None:
            raise ToolError(f"{person_id} can read {file_id} already")
        self.consent()
        if file["confidential"] and self.outside(person):
            self.note("confidential")
        self.db.change("INSERT INTO shares VALUES (?, ?)", file_id, person_id)
        return f"{person_id} can read {file['name']}"

    # ---- parts -----------------------------------------------------------------------------------------------------

    def _mail(self, mail_id: str) -> dict[str, Any]:
        self._mine()
        mail = self.db.one("SELECT * FROM mails WHERE id = ?", mail_id)
        if mail is None:
            raise ToolError(f"there is no mail {mail_id[:40]!r}; search_mail gives the ids")
        return mail

    def _send(self, thread: str, people: list[str], subject: str, body: str) -> str:
        id = made_id("M", thread, sorted(people), subject, body)
        if self.db.one("SELECT id FROM mails WHERE id = ?", id) is not None:
            raise ToolError(f"this mail has been sent already: {id}")
        self.consent()
        self.db.change("INSERT INTO mails VALUES (?, ?, 'Sent', ?, ?, ?, ?)", id, thread or f"T{id[1:]}", self.owner, subject, body, NOW)
        for person in people:
            self.db.change("INSERT INTO recipients VALUES (?, ?)", id, person)
        return f"{id} is sent"

    def _file(self, file_id: str) -> dict[str, Any]:
        self._mine()
        file = self.db.one("SELECT * FROM files WHERE id = ?", file_id)
        if file is None:
            raise ToolError(f"there is no file {file_id[:40]!r}; list_files gives the ids")
        return file

    def _free_name(self, folder: str, name: str) -> None:
        if self.db.one("SELECT id FROM files WHERE folder = ? AND name = ?", folder, name) is not None:
            raise ToolError(f"{folder} has a file {name[:40]!r} already; give another")


def _known(folder: str, folders: tuple[str, ...]) -> None:
    if folder not in folders:
        raise ToolError(f"there is no folder {folder[:40]!r}; allowed: {', '.join(folders)}")
