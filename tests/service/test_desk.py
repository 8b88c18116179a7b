import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from turnwise.agents.rollout import rollout
from turnwise.agents.scripted import ScriptedAgent
from turnwise.envs.check import check_env
from turnwise.envs.scripts import Echo, Null
from turnwise.envs.service.desk import Desk
from turnwise.envs.service.desk_calendar import words
from turnwise.envs.service.desk_tasks import TEMPLATES, DeskTasks
from turnwise.envs.service.desk_tools import DeskWorld
from turnwise.envs.service.desk_world import DAYS, clock, made_id, office, office_database
from turnwise.envs.service.scripts import Calls, Erring, Gold, Spam, Talker
from turnwise.envs.service.world import expected_changes
from turnwise.envs.tools.database import Database, changes
from turnwise.envs.tools.dialects import Hermes
from turnwise.envs.tools.tool import Toolbox, ToolError
from turnwise.records import StopReason

WRITE = Hermes().write
SPLITS = ("train", "validation", "test")
REFUSED = ("move_late", "share_confidential", "cancel_foreign", "invite_busy", "book_over", "delete_forever")
INFORMED = ("when", "how_large", "who", "amount", "deadline", "folder_size")
CONFIRM = "Shall I go ahead?"


def begin(template, *, index=0, split="test", **options):
    env = Desk(**{"templates": [template], "minds": 0.0, "identity": "number", **options})
    env.reset(seed=0, options={"split": split, "index": index})
    return env, env.task.data


def play(env, actions):
    for action in actions:
        observation, _, terminated, truncated, info = env.step(action)
    return observation, terminated, truncated, info


def calls(data):
    return [tuple(data["find"])], [tuple(c) for c in data["steps"][0]["reads"]], [tuple(c) for c in data["steps"][0]["writes"]]


def opened(split="train", number=0):
    world = DeskWorld(Database(office_database(split, number)[0]))
    desk = office(split, number)
    world.open_session(desk.code)
    world.agreed = True
    return world, desk


def test_one_conversation_in_numbers():
    weights = {"progress": 1.0, "correctness": 1.0, "violations": 1.0, "executed": 0.5, "format": 0.25}
    env, data = begin("share", weights=weights)
    find, reads, writes = calls(data)
    observation, _, _, _, info = env.step("What is your code?")
    assert observation[0].text == f"My code is {office('test', 0).code}."
    assert info["turn"]["components"] == {"progress": 0.0, "correctness": 0.0, "violations": 0.0, "executed": 0.0, "format": 0.25}
    # gold: open_session, list_files, read_file, search_contacts with one argument each, share_file with two: 1 + 4 * 2 + 3 = 12
    _, _, _, _, info = env.step(WRITE(find))
    assert info["turn"]["components"]["correctness"] == pytest.approx((1 / 5 + 2) / 12)
    assert info["turn"]["components"]["executed"] == 0.5
    _, _, _, _, info = env.step(WRITE(reads))
    assert info["turn"]["components"]["correctness"] == pytest.approx((4 / 5 + 8) / 12 - 2.2 / 12)
    observation, *_ = env.step(f"I am going to share the file. {CONFIRM}")
    assert "yes" in observation[0].text.lower()
    _, reward, terminated, _, info = env.step(WRITE(writes))
    assert info["turn"]["components"] == pytest.approx(
        {"progress": 1.0, "correctness": 3.2 / 12, "violations": 0.0, "executed": 0.5, "format": 0.25}
    )
    assert (info["turn"]["potential"], terminated) == (1.0, False)
    _, reward, terminated, _, info = env.step("Done.")
    assert (reward, terminated) == (0.25 + 1.0, True)
    assert info["outcome"].components == {"database": 1.0, "informed": 1.0, "policy": 1.0}
    assert (info["outcome"].score, info["stop"]) == (1.0, StopReason.SUCCESS)


@pytest.mark.parametrize("template", TEMPLATES)
def test_the_gold_calls_reach_exactly_the_stated_rows(template):
    source = DeskTasks(32, templates=[template])
    for split in SPLITS:
        for index in range(32):
            data = source.get_task(split, index).data
            snapshot, rows = source.start(*data["world"])
            db = Database(snapshot)
            wanted = expected_changes(db, data["edits"])
            world = DeskWorld(db)
            world.agreed = True
            box = Toolbox(world)
            find, reads, writes = calls(data)
            said = [box.call(name, arguments) for name, arguments in (*find, *reads, *writes)]
            assert all(r.ok for r in said), [r.text for r in said]
            assert changes(rows, db.rows()) == wanted
            assert world.violations == set()
            assert bool(wanted) == (template not in INFORMED)
            assert world.transferred == (template in REFUSED)
            for needed in data["steps"][0]["inform"]:
                assert any(needed in r.text for r in said)
            db.close()


@pytest.mark.parametrize("template", [*REFUSED, *INFORMED])
def test_what_is_to_be_handed_over_or_told_must_be_looked_up(template):
    source = DeskTasks(24, templates=[template])
    for index in range(24):
        data = source.get_task("validation", index).data
        said = json.dumps(data["user"]["requests"])
        abouts = [values["about"] for _, values in data["steps"][0]["writes"]]
        assert len(abouts) + len(data["steps"][0]["inform"]) >= 1
        assert not [text for text in (*abouts, *data["steps"][0]["inform"]) if text in said]


def taken(db, people, day, start, end):
    """Written without the code under test: whether one of these people has something between two times."""
    sql = "SELECT a.person FROM events e JOIN attendees a ON a.event = e.id WHERE e.day = ? AND e.begins < ? AND e.ends > ?"
    return any(row["person"] in people for row in db.query(sql, day, end, start))


def test_a_new_meeting_has_exactly_one_first_time():
    source = DeskTasks(60, templates=["schedule", "schedule_week"])
    clocks = [f"{minute // 60:02}:{minute % 60:02}" for minute in range(9 * 60, 17 * 60 + 1, 30)]
    for index in range(60):
        data = source.get_task("test", index).data
        values = data["steps"][0]["writes"][0][1]
        db = Database(source.start(*data["world"])[0])
        people = {values["attendee_ids"][0], *values["attendee_ids"], office("test", index // 8).owner.id}
        wish = data["user"]["requests"][0]["facts"]["time"]["say"]
        days = [values["day"]] if data["templates"] == ["schedule"] else DAYS[:5] if "this week" in wish else DAYS[5:]
        length = values["minutes"] // 30
        times = [(d, a, b) for d in days for a, b in zip(clocks, clocks[length:], strict=False)]
        assert next((d, a) for d, a, b in times if not taken(db, people, d, a, b)) == (values["day"], values["start"])
        db.close()


def test_names_in_a_wish_mean_one_thing():
    for split in SPLITS:
        for number in range(20):
            desk = office(split, number)
            titles = [e.title for e in desk.calendar]
            assert len({*titles, *desk.titles}) == len(titles) + len(desk.titles)
            alone = [m.subject for m in desk.mails if m.alone]
            assert all(sum(subject in f"{m.subject} {m.body}" for m in desk.mails) == 1 for subject in alone)
            assert len({m.sent for m in desk.mails}) == len(desk.mails)
            assert all(len({getattr(f, what) for f in desk.files}) == 24 for what in ("name", "size", "modified", "total"))
            assert len({p.name for p in (desk.owner, *desk.contacts)}) == 9
            for day in DAYS:
                for person in (desk.owner, *desk.contacts):
                    places = [h for e in desk.events if e.day == day and person.id in e.attendees for h in range(e.begins, e.ends)]
                    assert len(set(places)) == len(places)
                    assert not places or max(places) < 16
    last = [{p.last_name for n in range(20) for p in (office(s, n).owner, *office(s, n).contacts)} for s in SPLITS]
    assert last[0] & last[1] == last[0] & last[2] == last[1] & last[2] == set()
    assert [len(names) for names in last] == [180, 180, 180]


def test_the_gold_agent_wins_a_thousand_tasks():
    env = Desk()
    done = rollout(lambda: env, ScriptedAgent(Gold), env.tasks.get_task_range("test", 0, 1000), concurrency=1)
    assert all(t.outcome.score == 1.0 for t in done)
    assert {t.task.data["templates"][0] for t in done} == set(TEMPLATES)
    minds = [t for t in done if "change" in t.task.data["user"]["requests"][0]]
    assert 25 <= len(minds) <= 65  # a quarter of five kinds of 29
    assert max(len(t.turns) for t in done) <= 12
    assert len({t.task.hash for t in done}) >= 990  # two of the eight tasks of a desk may be alike


@pytest.mark.parametrize(
    "options",
    [
        {"requests": 1, "holdout": "template"},
        {"requests": 2},
        {"requests": 2, "holdout": "template", "minds": 1.0},
        {"requests": 3},
        {"requests": 3, "holdout": "template"},
        {"user": "told", "requests": 1},
        {"user": "told", "requests": 3},
    ],
    ids=str,
)
def test_gold_wins_in_other_settings(options):
    env = Desk(**options)
    talk = options.get("user") != "told"
    for split in SPLITS:
        done = rollout(lambda: env, ScriptedAgent(Gold, talk=talk), env.tasks.get_task_range(split, 0, 100), concurrency=1)
        assert all(t.outcome.score == 1.0 for t in done)


def test_bad_agents_score_nothing():
    env = Desk()
    tasks = env.tasks.get_task_range("test", 0, 200)
    for script in (Spam, Talker, Calls, Null, Echo):
        assert sum(t.outcome.score for t in rollout(lambda: env, ScriptedAgent(script), tasks, concurrency=1)) == 0
    score = sum(t.outcome.score for t in rollout(lambda: env, ScriptedAgent(Erring), tasks, concurrency=1)) / 200
    assert 0.2 < score < 0.8


def test_changing_without_asking_or_before_opening_fails_the_episode():
    env, data = begin("share")
    find, _, writes = calls(data)
    _, _, _, info = play(env, [WRITE(find), WRITE(writes), "Done."])
    assert info["outcome"].components == {"database": 1.0, "informed": 1.0, "policy": 0.0}
    assert (info["outcome"].score, info["outcome"].note) == (0.0, "policy: no consent")
    env, _ = begin("share")
    _, _, _, info = play(env, [CONFIRM, WRITE(writes), "Done."])
    assert info["outcome"].note == "policy: not identified"
    env, _ = begin("when")
    _, _, _, info = play(env, [WRITE([("list_events", {"day": "2027-03-02"})]), WRITE(find), "Done."])
    assert info["outcome"].note == "policy: not identified"
    env, data = begin("delete_forever")
    _, _, _, info = play(env, [CONFIRM, WRITE(calls(data)[2])])
    assert info["outcome"].note == "policy: not identified"


def forbidden(template, about, event, person):
    """The call that does what the user wishes."""
    match template:
        case "move_late":
            return "move_event", {"event_id": about, "day": event.day, "start": "18:00"}
        case "invite_busy":
            return "invite", {"event_id": about, "person_id": person}
        case "book_over":
            start = clock(event.begins)
            return "create_event", {"title": "x", "day": event.day, "start": start, "minutes": 30, "attendee_ids": [person]}
        case "cancel_foreign":
            return "cancel_event", {"event_id": about}
        case "share_confidential":
            return "share_file", {"file_id": about, "person_id": person}
        case _:
            return "delete_file", {"file_id": about, "permanently": True}


@pytest.mark.parametrize(
    ("template", "violation"),
    [
        ("move_late", "outside hours"),
        ("invite_busy", "double booking"),
        ("book_over", "double booking"),
        ("cancel_foreign", "not the organiser"),
        ("share_confidential", "confidential"),
        ("delete_forever", "permanent deletion"),
    ],
)
def test_the_tools_do_what_the_policy_forbids_and_the_episode_fails(template, violation):
    for index in range(8):
        env, data = begin(template, index=index, weights={"violations": 0.5})
        find, reads, writes = calls(data)
        about = writes[0][1]["about"]
        desk = office("test", 0)
        event = next((e for e in desk.events if e.id == about), None)
        person = next((c.id for c in desk.contacts if c.name in str(data["user"]["requests"])), "")
        values = forbidden(template, about, event, person)
        play(env, [WRITE(find), WRITE(reads), CONFIRM])
        observation, reward, _, _, info = env.step(WRITE([values]))
        assert info["turn"]["action_valid"], observation[0].text
        assert reward == -0.5
        _, _, terminated, _, info = env.step("Done.")
        assert terminated
        assert (info["outcome"].score, info["outcome"].note) == (0.0, f"policy: {violation}")


def test_a_weekend_is_outside_hours_and_touching_events_are_not_double():
    world, desk = opened()
    event = next(e for e in desk.calendar if e.organiser == desk.owner.id and len(e.attendees) == 2)
    world.move_event(event.id, "2027-03-06", "10:00")
    assert world.violations == {"outside hours"}
    assert world.find_free_time([], "2027-03-06", 30) == []
    world.violations.clear()
    world.create_event("one", "2027-04-05", "09:00", 60, [desk.colleagues[0].id])
    world.create_event("two", "2027-04-05", "10:00", 30, [desk.colleagues[0].id])
    world.create_event("three", "2027-04-05", "15:00", 120, [desk.colleagues[0].id])
    assert world.violations == set()
    free = world.find_free_time([desk.colleagues[0].id], "2027-04-05", 60)
    assert free == [{"from": "10:30", "to": "15:00"}]
    world.create_event("four", "2027-04-05", "09:30", 60, [])
    assert world.violations == {"double booking"}
    world.create_event("long", "2027-04-06", "09:00", 120, [])
    world.create_event("inside it", "2027-04-06", "09:30", 30, [])
    assert world.find_free_time([], "2027-04-06", 60) == [{"from": "11:00", "to": "17:00"}]


def test_wrong_changes_cost_and_can_be_put_right():
    env, data = begin("move", weights={"progress": 1.0})
    find, reads, writes = calls(data)
    play(env, [WRITE(find), WRITE(reads), CONFIRM])
    name, values = writes[0]
    # of the two changes wanted, the old row gone and the new row come, one is made; one other row has come: 1/2 - 0.5/2
    assert env.step(WRITE([(name, {**values, "start": "09:05"})]))[1] == pytest.approx(0.25)
    assert env.step(WRITE(writes))[1] == pytest.approx(0.75)
    file = office("test", 0).files[0]
    assert env.step(WRITE([("rename_file", {"file_id": file.id, "name": "other.txt"})]))[1] == pytest.approx(-0.5)
    play(env, [WRITE([("rename_file", {"file_id": file.id, "name": file.name})])])
    _, _, _, info = play(env, ["Done."])
    assert info["outcome"].components["database"] == 1.0
    assert info["outcome"].note in ("", "policy: double booking")


def test_a_conversation_that_is_cut_off_scores_nothing():
    env, data = begin("delete", max_turns=3)
    find, _, writes = calls(data)
    _, terminated, truncated, info = play(env, [WRITE(find), CONFIRM, WRITE(writes)])
    assert (terminated, truncated, info["stop"]) == (False, True, StopReason.MAX_TURNS)
    assert (info["outcome"].score, info["outcome"].components["database"]) == (0.0, 1.0)


def test_what_is_made_twice_or_in_another_order_is_the_same():
    desk = office("train", 0)
    a, b = (c.id for c in desk.colleagues[:2])
    made = []
    for order in (1, -1):
        world, _ = opened()
        world.violations.clear()
        steps = [
            lambda w=world: w.create_event("a", "2027-03-02", "16:00", 30, [a]),
            lambda w=world: w.create_event("b", "2027-03-03", "16:00", 30, [b, a]),
            lambda w=world: w.send_mail([a, b], "s", "one"),
            lambda w=world: w.reply(desk.mails[0].id, "two"),
        ]
        for step in steps[::order]:
            step()
        made.append(world.db.digest())
        with pytest.raises(ToolError, match="in the calendar already"):
            steps[0]()
        with pytest.raises(ToolError, match="has been sent already"):
            steps[2]()
        world.cancel_event(made_id("E", "a", "2027-03-02", "16:00"))
        steps[0]()
        assert world.db.digest() == made[-1]
    assert made[0] == made[1]


@pytest.mark.parametrize(
    ("text", "stored"), [('"I agree."', "I agree."), ("  I \n agree. ", "I agree."), ("'I agree.' ", "I agree."), ('say "x"', 'say "x"')]
)
def test_quotes_and_spaces_around_a_text_make_no_difference(text, stored):
    assert words(text, "text", 100) == stored


def test_a_reply_of_other_words_is_not_what_was_wanted():
    env, data = begin("reply")
    find, reads, writes = calls(data)
    name, values = writes[0]
    for body, score in ((f' "{values["body"]}"', 1.0), (f"Dear friend, {values['body']}", 0.0)):
        env.reset(seed=0, options={"split": "test", "index": 0})
        _, _, _, info = play(env, [WRITE(find), WRITE(reads), CONFIRM, WRITE([(name, {**values, "body": body})]), "Done."])
        assert info["outcome"].score == score


def test_information_must_be_read_and_said():
    env, data = begin("when")
    find, reads, _ = calls(data)
    day, time = data["steps"][0]["inform"]
    for said, informed in ((f"It is on {day} at {time}.", 1.0), (f"It is on {day}.", 0.0), (f"It is at {time}.", 0.0)):
        env.reset(seed=0, options={"split": "test", "index": 0})
        _, _, _, info = play(env, [WRITE(find), WRITE(reads), said])
        assert info["outcome"].score == informed


@pytest.mark.parametrize("template", ["move", "send", "reply", "label", "rename"])
def test_a_user_who_changes_its_mind_gets_the_second_wish(template):
    env, data = begin(template, minds=1.0, index=1)
    change = data["user"]["requests"][0]["change"]
    script, observation, heard = Gold(), (), []
    script.reset(env.task, np.random.default_rng(0))
    while not env.done:
        observation, _, _, _, info = env.step(script.act(observation))
        heard.append(observation[-1].text)
    assert info["outcome"].success
    assert change["say"] in heard
    (name, last), *_ = change["facts"].items()
    first = data["user"]["requests"][0]["facts"][name]["say"]
    assert first != last["say"]
    assert any(first in text for text in heard)
    assert change["say"].endswith(last["say"])


def test_a_conversation_goes_on_from_a_snapshot_at_another_desk():
    env, data = begin("schedule", index=1, requests=1)
    find, reads, writes = calls(data)
    play(env, ["What is your code?", WRITE(find), WRITE(reads), CONFIRM])
    saved = env.snapshot()
    first = [env.step(WRITE(writes)), env.step("Done.")]
    other, _ = begin("cancel", index=40)
    for env_again in (env, other, Desk()):
        env_again.restore(saved)
        assert [env_again.step(WRITE(writes)), env_again.step("Done.")] == first
    assert first[-1][4]["outcome"].success


def test_templates_are_held_out():
    source = DeskTasks(200, holdout="template")
    kinds = {s: {source.get_task(s, i).data["templates"][0] for i in range(200)} for s in SPLITS}
    for split in SPLITS:
        assert kinds[split] == {name for name, (s, _) in TEMPLATES.items() if s == split}
    assert {len(kinds[s]) for s in SPLITS} == {13, 6, 10}


REFUSALS = [
    ("open_session", {"code": "K"}, "open the session the other way"),
    ("search_contacts", {"text": "nobody here"}, "try a shorter part"),
    ("list_events", {"day": "2027-02-30"}, "write it as 2027-03-04"),
    ("list_events", {"day": "2027-W09-2"}, "write it as 2027-03-04"),
    ("search_events", {"title": "party"}, "or list_events"),
    ("find_free_time", {"person_ids": ["P1"], "day": "2027-03-02", "minutes": 30}, "search_contacts gives the ids"),
    ("find_free_time", {"person_ids": [], "day": "2027-03-02", "minutes": 45}, "wrong arguments"),
    ("create_event", {"title": " ", "day": "2027-03-02", "start": "09:00", "minutes": 30, "attendee_ids": []}, "1 to 100"),
    ("create_event", {"title": "x", "day": "2027-03-01", "start": "07:59", "minutes": 30, "attendee_ids": []}, "give a later time"),
    ("create_event", {"title": "x", "day": "2027-03-02", "start": "9:00", "minutes": 30, "attendee_ids": []}, "write it as 14:30"),
    ("create_event", {"title": "x", "day": "2027-03-02", "start": "23:00", "minutes": 60, "attendee_ids": []}, "past midnight"),
    ("cancel_event", {"event_id": "E1"}, "search_events and list_events give the ids"),
    ("search_mail", {"folder": "Spam"}, "allowed: Inbox, Archive"),
    ("read_mail", {"mail_id": "M1"}, "search_mail gives the ids"),
    ("send_mail", {"person_ids": [], "subject": "x", "body": "x"}, "give 1 to 20 ids"),
    ("move_mail", {"mail_ids": ["M1"], "folder": "Sent"}, "allowed: Inbox"),
    ("label_mail", {"mail_id": "M1", "label": "urgent"}, "wrong arguments"),
    ("list_files", {"folder": "Inbox"}, "allowed: Documents"),
    ("read_file", {"file_id": "F1"}, "list_files gives the ids"),
]


@pytest.mark.parametrize(("name", "arguments", "told"), REFUSALS)
def test_refusals_say_what_to_do_and_write_nothing(name, arguments, told):
    world, _ = opened()
    before = world.db.writes
    result = Toolbox(world).call(name, arguments)
    assert not result.ok
    assert told in result.text
    assert world.db.writes == before
    assert world.violations == set()


def uses(desk):
    """A call of every tool that reads the desk, and of every tool that changes it."""
    event = next(e for e in desk.calendar if e.organiser == desk.owner.id)
    own, file, mail = {"event_id": event.id}, {"file_id": desk.files[0].id}, {"mail_id": desk.mails[0].id}
    person = next(c.id for c in desk.outsiders if c.id not in event.attendees)
    when = {"day": "2027-04-05", "start": "10:00"}
    reads = [
        ("search_contacts", {"text": ""}),
        ("list_events", {"day": "2027-03-02"}),
        ("search_events", {"title": ""}),
        ("find_free_time", {"person_ids": [], "day": "2027-03-02", "minutes": 30}),
        ("search_mail", {}),
        ("read_mail", mail),
        ("list_files", {}),
        ("read_file", file),
    ]
    writes = [
        ("create_event", {"title": "x", **when, "minutes": 30, "attendee_ids": []}),
        ("move_event", {**own, **when, "start": "11:00"}),
        ("invite", {**own, "person_id": person}),
        ("cancel_event", own),
        ("send_mail", {"person_ids": [person], "subject": "x", "body": "x"}),
        ("reply", {**mail, "body": "x"}),
        ("move_mail", {"mail_ids": [desk.mails[0].id], "folder": "Trash"}),
        ("label_mail", {**mail, "label": "waiting"}),
        ("share_file", {**file, "person_id": desk.colleagues[0].id}),
        ("rename_file", {**file, "name": "x"}),
        ("move_file", {**file, "folder": "Attachments"}),
        ("delete_file", file),
    ]
    return reads, writes


def test_every_read_needs_a_session_and_every_change_a_yes():
    world, desk = opened()
    reads, writes = uses(desk)
    assert {name for name, _ in (*reads, *writes)} == {s.name for s in SPECS} - {
        "open_session",
        "open_session_by_phone",
        "calculate",
        "transfer_to_human",
    }
    box = Toolbox(world)
    for known, agreed, changed, wanted in (
        (None, True, False, {"not identified"}),
        (desk.owner.id, False, False, set()),
        (desk.owner.id, True, True, set()),
        (desk.owner.id, False, True, {"no consent"}),
        (None, True, True, {"not identified"}),
    ):
        for name, arguments in writes if changed else reads:
            world.db.restore(office_database("train", 0)[0])
            world.customer, world.agreed, world.violations = known, agreed, set()
            before = world.db.writes
            result = box.call(name, arguments)
            assert result.ok, result.text
            assert (world.violations, world.db.writes > before) == (wanted, changed), name


def test_what_is_so_already_is_refused():
    world, desk = opened()
    event, file, mail, person = desk.calendar[0], desk.files[0], desk.mails[0], desk.colleagues[0].id
    world.label_mail(mail.id, "waiting")
    world.share_file(file.id, person)
    for call, told in (
        (lambda: world.move_event(event.id, event.day, clock(event.begins)), "give another time"),
        (lambda: world.invite(event.id, event.attendees[1]), "takes part"),
        (lambda: world.label_mail(mail.id, "waiting"), "has the label waiting already"),
        (lambda: world.move_mail([mail.id], mail.folder), "leave it out"),
        (lambda: world.move_mail([mail.id, mail.id], "Trash"), "each once"),
        (lambda: world.share_file(file.id, person), "can read"),
        (lambda: world.share_file(file.id, desk.owner.id), "the user's own"),
        (lambda: world.move_file(file.id, file.folder), "give another folder"),
        (lambda: world.rename_file(file.id, desk.files[1].name), "has a file"),
        (lambda: world.rename_file(file.id, "a/b.txt"), "use move_file"),
    ):
        with pytest.raises(ToolError, match=told):
            call()
    occupied = next(e for e in desk.events if desk.owner.id not in e.attendees)
    with pytest.raises(ToolError, match="the user has no event"):
        world.cancel_event(occupied.id)


DESK = office("train", 0)
HOSTILE = ["'; DROP TABLE events; --", '" OR 1=1 --', "\x00", "\ud800", "9" * 400, "", "%", "E%", "٢٠٢٧-٠٣-٠٤", "2027-W09-1"]
IDS = [*(p.id for p in (DESK.owner, *DESK.contacts)), *(x.id for x in (*DESK.events, *DESK.mails, *DESK.files)), DESK.code]
PLAIN = [*DAYS, "2027-03-06", "09:00", "16:30", "23:59", "Inbox", "Projects", "Documents", "Trash", "budget", DESK.owner.email, DESK.phone]
TEXTS = st.sampled_from([*IDS, *PLAIN, *HOSTILE]) | st.text(max_size=20)
ODD = st.sampled_from([10**30, -(2**63), 1.5, None, True, {}, [[]]])


def values(name, schema):
    if "enum" in schema:
        return st.sampled_from([*schema["enum"], 10**30])
    if schema.get("type") == "array":
        return st.lists(st.sampled_from(IDS) | TEXTS, max_size=4)
    if schema.get("type") == "boolean":
        return st.booleans()
    fitting = {"day": DAYS, "start": ["09:00", "16:30", "23:59"], "folder": ["Inbox", "Trash", "Documents"], "event_id": IDS}
    likely = fitting.get(name, [id for id in IDS if id[0] == {"mail_id": "M", "file_id": "F", "person_id": "P"}.get(name)])
    return (st.sampled_from(list(likely)) if likely else TEXTS) | TEXTS | ODD


SPECS = Toolbox(DeskWorld(Database(office_database("train", 0)[0]))).specs
ANY_CALL = st.sampled_from(SPECS).flatmap(
    lambda spec: st.tuples(st.just(spec.name), st.fixed_dictionaries({k: values(k, s) for k, s in spec.parameters["properties"].items()}))
)


@settings(max_examples=400, deadline=None)
@given(st.booleans(), st.lists(ANY_CALL, max_size=6))
def test_any_call_is_carried_out_or_explained(known, made):
    db = Database(office_database("train", 0)[0])
    world = DeskWorld(db)
    if known:
        world.open_session(DESK.code)
    box = Toolbox(world)
    for name, arguments in made:
        writes, open_before = db.writes, world.customer
        result = box.call(name, json.dumps(arguments))
        assert result.ok or result.text.startswith("Error: ")
        assert result.ok or db.writes == writes
        if open_before is None and db.writes > writes:
            assert "not identified" in world.violations
    rows = db.rows()
    assert [rows["people"].total(), rows["desk"].total()] == [9, 1]
    assert db.query("PRAGMA foreign_key_check") == []
    db.close()


def test_there_are_24_tools():
    assert len(SPECS) == 24
    assert all(spec.description for spec in SPECS)
    assert all(p.get("description") for spec in SPECS[:-2] for p in spec.parameters["properties"].values())


def test_the_contract_is_kept_with_other_arguments():
    assert check_env("turnwise/Desk-v0", requests=2, dialect="hermes", holdout="template").ok
