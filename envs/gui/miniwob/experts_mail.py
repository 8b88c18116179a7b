"""Plans for inboxes, social media, contacts and search results."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence

from .plans import Plan, click, fill, first, quoted, said, solves, submit
from .reading import Lost, Node, Page

_MAIL = r"(?:e-?mail|message|mail|information|forward)s?"
_SENDER = (
    rf"\b{_MAIL}(?: \w+){{0,6}}? (?:from|by) NAME\b",
    r"\b(?:from|by) NAME\b",
    rf"NAME'?s?(?: last| latest| recent| most recent)? {_MAIL}",
    r"NAME (?:sent|wrote)",
    r"NAME wants his or her",
)
_RECEIVER = (
    r"\bto (?:by email to )?NAME\b",
    r"\b(?:give|send|forward|let|want|email) NAME\b",
    r"^(?:I \w+ )?NAME (?:wants|needs|must|is waiting)",
    r"\bemail NAME\b",
)


def threads(page: Page) -> list[tuple[Node, str]]:
    """The letters of the inbox, each with its sender."""
    found = page.all(said="email-thread")
    return [(thread, next((node.name for node in page.inside(thread) if node.role == "StaticText"), "")) for thread in found]


def _thread(page: Page, sender: str) -> Node:
    for thread, name in threads(page):
        if name == sender:
            return thread
    raise Lost(f"there is no mail from {sender}")


def _icon(page: Page, sender: str, word: str) -> Node:
    for node in page.inside(_thread(page, sender)):
        if node.has(word):
            return node
    raise Lost(f"the mail from {sender} has no {word}")


def _forward(page: Page, sender: str, receiver: str) -> Plan:
    page = yield click(_thread(page, sender))
    page = yield click(_action(page, "email-forward"))
    page = yield fill(page.find("textbox", where=lambda node: "multiline" not in node.flags), receiver)
    yield click(page.find(said="send-forward"))


def _reply(page: Page, sender: str, text: str) -> Plan:
    page = yield click(_thread(page, sender))
    page = yield click(_action(page, "email-reply"))
    page = yield fill(page.find("textbox", said="reply-text"), text)
    yield click(page.find(said="send-reply"))


def _action(page: Page, word: str) -> Node:
    return page.find(said=word)


@solves("email-inbox", "email-inbox-delete", "email-inbox-forward", "email-inbox-important", "email-inbox-noscroll")
@solves("email-inbox-reply", "email-inbox-star-reply")
def read_mail(page: Page) -> Plan:
    (sender,) = said(r"email by (\S+) and", page.goal)
    if "trash icon" in page.goal:
        yield click(_icon(page, sender, "trash"))
    elif "star icon" in page.goal:
        yield click(_icon(page, sender, "star"))
    elif "forward" in page.goal:
        yield from _forward(page, sender, said(r"to (\S+)\.$", page.goal)[0])
    else:
        yield from _reply(page, sender, said(r'text "(.*)"', page.goal)[0])


@solves("email-inbox-forward-nl", "email-inbox-forward-nl-turk", "email-inbox-nl-turk")
def read_mail_in_words(page: Page) -> Plan:
    names = {name for _, name in threads(page) if re.search(rf"\b{name}s?\b", page.goal) or f"Answer{name}" in page.goal}
    text = re.search(r'"(.*)"', page.goal)
    if text is not None:
        outside = page.goal.replace(text[0], "")
        inside = [name for name in names if name in outside] or sorted(names)
        yield from _reply(page, inside[0], text[1].strip('"'))
    elif len(names) == 2:
        sender, receiver = roles(page.goal, sorted(names))
        yield from _forward(page, sender, receiver)
    elif re.search(r"forward|\bsend\b", page.goal, re.IGNORECASE) and not re.search(r"delete|important", page.goal):
        yield from _forward(page, min(names), min(names))
    elif not names:
        raise Lost("the goal names nobody who wrote")
    else:
        yield click(_icon(page, min(names), "star" if _is_star(page.goal) else "trash"))


def _is_star(goal: str) -> bool:
    if re.search(r"\b(delet|trash|remove|get rid|throw|don't want|eras|discard|clear)", goal, re.IGNORECASE):
        return bool(re.search(r"as important|mark", goal)) and "not marked" not in goal
    return True


def roles(goal: str, names: Sequence[str]) -> tuple[str, str]:
    """Of two names in a request to forward a mail: who wrote it, and who is to get it."""

    def said_of(patterns: Sequence[str], name: str) -> int:
        """The place of the first pattern that holds, counted from the end; 0: none does."""
        tried = (re.search(pattern.replace("NAME", name), goal, re.IGNORECASE) for pattern in patterns)
        return next((len(patterns) - place for place, found in enumerate(tried) if found), 0)

    def doubt(sender: str, receiver: str) -> int:
        return said_of(_SENDER, sender) + said_of(_RECEIVER, receiver) - said_of(_SENDER, receiver) - said_of(_RECEIVER, sender)

    one, two = names
    return (one, two) if doubt(one, two) >= doubt(two, one) else (two, one)


# ---- social media ----------------------------------------------------------------------------------------------------


def posts(page: Page, user: str) -> list[tuple[Node, ...]]:
    """The nodes of each post by ``user``: what follows the name until the next post's."""
    starts = [node.index for node in page.all("StaticText", where=lambda node: node.name.startswith("@"))]
    ends = [*starts[1:], len(page.nodes)]
    return [page.nodes[start:end] for start, end in zip(starts, ends, strict=True) if page.nodes[start].name == user]


def _button(post: Sequence[Node], word: str) -> Node:
    for node in post:
        if node.has(word):
            return node
    raise Lost(f"the post has no {word}")


@solves("social-media")
def act_on_post(page: Page) -> Plan:
    user, action = said(r'For the user (@\S+), click on the "(.*)" button', page.goal)
    post = posts(page, user)[0]
    if action in ("Reply", "Retweet", "Like"):
        yield click(_button(post, action.lower()))
        return
    page = yield click(_button(post, "more"))
    item = next((text for node in posts(page, user)[0] if (text := node.name).startswith(action)), None)
    if item is None:
        raise Lost(f"the menu has no {action}")
    yield click(page.holder(item))


@solves("social-media-all", "social-media-some")
def act_on_posts(page: Page) -> Plan:
    action, amount, user = said(r'Click the "(\w+)" button on (all|\d+) posts? by (\S+) and', page.goal)
    found = posts(page, user)
    for post in found if amount == "all" else found[: int(amount)]:
        page = yield click(_button(post, action.lower()))
    yield submit(page)


# ---- pages of results ------------------------------------------------------------------------------------------------


def _turn_to(page: Page, name: str) -> Generator[str, Page, Page]:
    """Turn pages until there is something called ``name``."""
    for _ in range(12):
        if page.shows(name):
            return page
        page = yield click(page.find("link", ">"))
    raise Lost(f"no page shows {name}")


@solves("phone-book")
def look_up_contact(page: Page) -> Plan:
    name, what = said(r"Find (.*) in the contact book and click on their (phone|email|address)", page.goal)
    page = yield from _turn_to(page, name)
    label = page.find("StaticText", {"phone": "Phone:", "email": "Email:", "address": "Address:"}[what])
    yield click(first(node for node in page.after(label) if node.role == "link"))


@solves("search-engine")
def search(page: Page) -> Plan:
    words, place = quoted(page.goal)[0], int(said(r"the (\d+)\w\w search result", page.goal)[0])
    page = yield fill(page.find("textbox"), words)
    page = yield click(page.button("Search"))
    for _ in range((place - 1) // 3):
        page = yield click(page.find("link", ">"))
    titles = [node for node in page.all("link") if not re.fullmatch(r"[<>\d]|First|Last", node.name)]
    yield click(titles[(place - 1) % 3])
