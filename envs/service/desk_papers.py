"""What the owner of a desk wants with mail and files: templates of requests, with gold calls and the rows that must change.

A request about mail takes its senders, one about files their folders, so that two of a conversation never depend on each other.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..users.user import Fact
from .desk_meetings import DeskCase, changed, look_up, refused, world
from .desk_world import FILE_FOLDERS, LABELS, MAIL_FOLDERS, NOW, TRASH, Contact, File, Mail, made_id
from .tasks import Draft, GoldCall, fact
from .world import Edit

TEXTS = (
    "I will be there.",
    "Thank you, that suits me.",
    "I need another week.",
    "The answer is no.",
    "Let us talk about it on Friday.",
    "I agree with all of it.",
)


# ---- parts ---------------------------------------------------------------------------------------------------------


def _senders(case: DeskCase) -> list[Contact]:
    return [c for c in world(case).contacts if c.id not in case.used]


def _mail(case: DeskCase, *, deadline: bool = False, attachment: bool = False) -> Mail | None:
    """A mail that its subject alone names, of a sender that is not used."""
    senders = {c.id for c in _senders(case)}
    fitting = [m for m in world(case).mails if m.alone and m.sender in senders]
    fitting = [m for m in fitting if (m.deadline or not deadline) and (m.attachment or not attachment)]
    if not fitting:
        return None
    mail: Mail = case.pick(fitting)
    case.used.add(mail.sender)
    return mail


def _by_subject(mail: Mail) -> Fact:
    return fact(f'It is the mail "{mail.subject}".', "mail", "subject", "which", "about")


def _search(mail: Mail) -> GoldCall:
    return "search_mail", {"text": mail.subject}


def _text(text: str) -> Fact:
    return fact(f'Write just this: "{text}"', "text", "write", "say", "answer")


def _two_texts(case: DeskCase) -> tuple[str, str]:
    first, last = (TEXTS[int(i)] for i in case.rng.permutation(len(TEXTS))[:2])
    return first, last


def _sending(case: DeskCase, thread: str, to: str, subject: str, body: str) -> list[Edit]:
    id = made_id("M", thread, [to], subject, body)
    values = {"folder": "Sent", "sender": case.person.id, "subject": subject, "body": body, "sent": NOW}
    row = {"id": id, "thread": thread or f"T{id[1:]}", **values}
    return [{"table": "mails", "insert": row}, {"table": "recipients", "insert": {"mail": id, "person": to}}]


def _file(case: DeskCase, *, confidential: bool | None = None) -> File | None:
    """A file that is not used; its folder is from now on."""
    files = [f for f in world(case).files if f.folder not in case.used and confidential in (None, f.confidential)]
    if not files:
        return None
    file: File = case.pick(files)
    case.used.add(file.folder)
    return file


def _folder(case: DeskCase) -> tuple[str, list[File]] | None:
    folders = [f for f in FILE_FOLDERS if f not in case.used]
    if not folders:
        return None
    folder: str = case.pick(folders)
    case.used.add(folder)
    return folder, [f for f in world(case).files if f.folder == folder]


def _by_name(file: File) -> Fact:
    return fact(f"It is the file {file.name}.", "file", "name", "which")


def _find(file: File) -> GoldCall:
    return "list_files", {"text": file.name}


def _read(file: File) -> GoldCall:
    return "read_file", {"file_id": file.id}


def _share(file: File, person: Contact) -> tuple[list[GoldCall], list[Edit]]:
    edits: list[Edit] = [{"table": "shares", "insert": {"file": file.id, "person": person.id}}]
    return [("share_file", {"file_id": file.id, "person_id": person.id})], edits


def _reader(person: Contact) -> Fact:
    return fact(f"{person.name} should be able to read it.", "person", "who", "whom")


# ---- mail ----------------------------------------------------------------------------------------------------------


def send(case: DeskCase) -> Draft | None:
    """A new mail with a given subject and text."""
    person: Contact = case.pick(world(case).contacts)
    subject = case.pick([s for s in world(case).subjects if s not in case.used])
    case.used.add(subject)
    first, body = _two_texts(case)
    facts = {
        "person": fact(f"It goes to {person.name}.", "person", "who", "whom", "recipient"),
        "subject": fact(f'The subject is "{subject}".', "subject"),
        "text": _text(body),
    }
    change = changed(case, facts, "text", _text(first))
    writes: list[GoldCall] = [("send_mail", {"person_ids": [person.id], "subject": subject, "body": body})]
    edits = _sending(case, "", person.id, subject, body)
    return Draft(
        say=["I want to write to somebody.", "Please send a mail."],
        facts=facts,
        reads=[look_up(person)],
        writes=writes,
        edits=edits,
        change=change,
    )


def reply(case: DeskCase) -> Draft | None:
    """An answer to the last mail of somebody."""
    senders = _senders(case)
    if not senders:
        return None
    person: Contact = case.pick(senders)
    case.used.add(person.id)
    mail = max((m for m in world(case).mails if m.sender == person.id), key=lambda m: m.sent)
    first, body = _two_texts(case)
    facts = {"mail": fact(f"It is the last mail from {person.name}.", "mail", "which", "who", "person"), "text": _text(body)}
    change = changed(case, facts, "text", _text(first))
    subject = mail.subject if mail.subject.startswith("Re: ") else f"Re: {mail.subject}"
    reads = [look_up(person), ("search_mail", {"sender_id": person.id})]
    writes: list[GoldCall] = [("reply", {"mail_id": mail.id, "body": body})]
    edits = _sending(case, mail.thread, person.id, subject, body)
    say = ["I want to answer a mail.", "Please reply to a mail for me."]
    return Draft(say=say, facts=facts, reads=reads, writes=writes, edits=edits, change=change)


def file_mails(case: DeskCase) -> Draft | None:
    """Everything from a sender that is in the inbox goes into a folder."""
    inbox = {c.id: [m.id for m in reversed(world(case).mails) if m.sender == c.id and m.folder == "Inbox"] for c in _senders(case)}
    people = [c for c in _senders(case) if inbox[c.id]]
    if not people:
        return None
    person: Contact = case.pick(people)
    case.used.add(person.id)
    folder = case.pick(MAIL_FOLDERS[2:5])
    facts = {
        "sender": fact(f"I mean everything from {person.name} that is in the inbox.", "mail", "sender", "who", "whom", "which"),
        "folder": fact(f"It belongs in the folder {folder}.", "folder", "where"),
    }
    reads: list[GoldCall] = [look_up(person), ("search_mail", {"sender_id": person.id, "folder": "Inbox"})]
    writes: list[GoldCall] = [("move_mail", {"mail_ids": inbox[person.id], "folder": folder})]
    edits: list[Edit] = [{"table": "mails", "where": {"id": id}, "set": {"folder": folder}} for id in inbox[person.id]]
    say = ["I want to clear my inbox a little.", "Please put some mail into a folder."]
    return Draft(say=say, facts=facts, reads=reads, writes=writes, edits=edits)


def label(case: DeskCase) -> Draft | None:
    """A label for a mail."""
    mail = _mail(case)
    if mail is None:
        return None
    first, last = (LABELS[int(i)] for i in case.rng.permutation(len(LABELS))[:2])
    labels = [fact(f'The label should be "{name}".', "label") for name in (first, last)]
    facts = {"mail": _by_subject(mail), "label": labels[1]}
    change = changed(case, facts, "label", labels[0])
    edits: list[Edit] = [{"table": "labels", "insert": {"mail": mail.id, "label": last}}]
    writes: list[GoldCall] = [("label_mail", {"mail_id": mail.id, "label": last})]
    say = ["I want to mark a mail.", "Please put a label on a mail."]
    return Draft(say=say, facts=facts, reads=[_search(mail)], writes=writes, edits=edits, change=change)


def who(case: DeskCase) -> Draft | None:
    """The sender of a mail."""
    mail = _mail(case)
    if mail is None:
        return None
    sender = next(c for c in world(case).contacts if c.id == mail.sender)
    say = ["Who has sent me a certain mail?", "I want to know who wrote a mail."]
    return Draft(say=say, facts={"mail": _by_subject(mail)}, reads=[_search(mail)], inform=[sender.name])


def deadline(case: DeskCase) -> Draft | None:
    """The day that a mail names."""
    mail = _mail(case, deadline=True)
    if mail is None:
        return None
    say = ["By what day must I answer a certain mail?", "I want to know the deadline that a mail gives me."]
    reads: list[GoldCall] = [_search(mail), ("read_mail", {"mail_id": mail.id})]
    return Draft(say=say, facts={"mail": _by_subject(mail)}, reads=reads, inform=[mail.deadline])


def share_attachment(case: DeskCase) -> Draft | None:
    """What was attached to a mail is shared with somebody."""
    mail = _mail(case, attachment=True)
    if mail is None or mail.attachment is None or mail.attachment.folder in case.used:
        return None
    case.used.add(mail.attachment.folder)
    office = world(case)
    readers = office.colleagues if mail.attachment.confidential else office.contacts
    person: Contact = case.pick([c for c in readers if c.id != mail.sender])
    writes, edits = _share(mail.attachment, person)
    reads = [_search(mail), ("read_mail", {"mail_id": mail.id}), _read(mail.attachment), look_up(person)]
    say = ["I want to share something that came with a mail.", "Please share the attachment of a mail."]
    return Draft(say=say, facts={"mail": _by_subject(mail), "person": _reader(person)}, reads=reads, writes=writes, edits=edits)


# ---- files ---------------------------------------------------------------------------------------------------------

SHARE = ["I want to share a file.", "Please share a file of mine with somebody."]
DELETE = ["I do not need a file any longer.", "Please delete a file."]


def share(case: DeskCase) -> Draft | None:
    """A file for somebody inside, or one that is not confidential for anybody."""
    file = _file(case)
    if file is None:
        return None
    person: Contact = case.pick(world(case).colleagues if file.confidential else world(case).outsiders)
    writes, edits = _share(file, person)
    reads = [_find(file), _read(file), look_up(person)]
    return Draft(say=SHARE, facts={"file": _by_name(file), "person": _reader(person)}, reads=reads, writes=writes, edits=edits)


def share_confidential(case: DeskCase) -> Draft | None:
    """A confidential file for somebody outside: not allowed."""
    file = _file(case, confidential=True)
    if file is None:
        return None
    person: Contact = case.pick(world(case).outsiders)
    return refused(SHARE, {"file": _by_name(file), "person": _reader(person)}, [_find(file), _read(file), look_up(person)], file.id)


def rename(case: DeskCase) -> Draft | None:
    """Another name for a file."""
    file = _file(case)
    names = [n for n in world(case).names if n not in case.used]
    if file is None:
        return None
    first, last = (names[int(i)] for i in case.rng.permutation(len(names))[:2])
    case.used.update((first, last))
    wanted = [fact(f"Its new name is {name}.", "new name", "name") for name in (first, last)]
    facts = {"file": fact(f"It is the file {file.name}.", "file", "which"), "name": wanted[1]}
    change = changed(case, facts, "name", wanted[0])
    writes: list[GoldCall] = [("rename_file", {"file_id": file.id, "name": last})]
    edits: list[Edit] = [{"table": "files", "where": {"id": file.id}, "set": {"name": last}}]
    say = ["I want another name for a file.", "Please rename a file."]
    return Draft(say=say, facts=facts, reads=[_find(file)], writes=writes, edits=edits, change=change)


def delete(case: DeskCase) -> Draft | None:
    """A file goes into the trash."""
    file = _file(case)
    if file is None:
        return None
    edits: list[Edit] = [{"table": "files", "where": {"id": file.id}, "set": {"folder": TRASH}}]
    writes: list[GoldCall] = [("delete_file", {"file_id": file.id})]
    return Draft(say=DELETE, facts={"file": _by_name(file)}, reads=[_find(file)], writes=writes, edits=edits)


def delete_forever(case: DeskCase) -> Draft | None:
    """A file is to be gone without the trash: not allowed."""
    file = _file(case)
    if file is None:
        return None
    facts = {"file": fact(f"It is the file {file.name}, and nobody may be able to get it back.", "file", "name", "which")}
    return refused(DELETE, facts, [_find(file)], file.id)


def _moving(file: File, folder: str) -> tuple[list[GoldCall], list[Edit]]:
    edits: list[Edit] = [{"table": "files", "where": {"id": file.id}, "set": {"folder": folder}}]
    return [("move_file", {"file_id": file.id, "folder": folder})], edits


def _one_of(case: DeskCase, how: str, chosen: str, files: Sequence[File], folder: str) -> Draft | None:
    """One file of a folder, named by what sets it apart, goes into another."""
    targets = [f for f in FILE_FOLDERS[:-1] if f not in case.used]
    if not targets:
        return None
    target: str = case.pick(targets)
    case.used.add(target)
    file = max(files, key=lambda f: f.size) if chosen == "largest" else min(files, key=lambda f: f.modified)
    writes, edits = _moving(file, target)
    facts = {"file": fact(f"It is {how} in {folder}.", "file", "which"), "folder": fact(f"It belongs in {target}.", "folder", "where")}
    reads: list[GoldCall] = [("list_files", {"folder": folder})]
    return Draft(say=["I want a file to be somewhere else.", "Please move a file."], facts=facts, reads=reads, writes=writes, edits=edits)


def move_oldest(case: DeskCase) -> Draft | None:
    """The file of a folder that has not been changed for longest goes into another."""
    found = _folder(case)
    return found and _one_of(case, "the file that has not been changed for the longest time", "oldest", found[1], found[0])


def move_largest(case: DeskCase) -> Draft | None:
    """The largest file of a folder goes into another."""
    found = _folder(case)
    return found and _one_of(case, "the largest file", "largest", found[1], found[0])


def how_large(case: DeskCase) -> Draft | None:
    """The size of a file."""
    file = _file(case)
    if file is None:
        return None
    say = ["How large is a certain file?", "I want to know the size of a file."]
    return Draft(say=say, facts={"file": _by_name(file)}, reads=[_find(file)], inform=[str(file.size)])


def amount(case: DeskCase) -> Draft | None:
    """The total that a file states."""
    file = _file(case)
    if file is None:
        return None
    say = ["What is the total in a certain file?", "I want to know the total that a file states."]
    return Draft(say=say, facts={"file": _by_name(file)}, reads=[_find(file), _read(file)], inform=[str(file.total)])


def folder_size(case: DeskCase) -> Draft | None:
    """The size of all files of a folder together."""
    found = _folder(case)
    if found is None:
        return None
    folder, files = found
    say = ["How large are all files of a folder together?", "I want to know how much room a folder takes."]
    facts = {"folder": fact(f"The folder is {folder}.", "folder", "which")}
    sizes = [f.size for f in sorted(files, key=lambda f: f.name)]
    reads: list[GoldCall] = [("list_files", {"folder": folder}), ("calculate", {"expression": " + ".join(map(str, sizes))})]
    return Draft(say=say, facts=facts, reads=reads, inform=[str(sum(sizes))])
