"""The three apps in a real browser."""

import copy

import pytest
from turnwise.envs.gui import actions as a
from turnwise.envs.gui.web.scripts import LOADING

APPS = {"shop": "/", "tracker": "/list", "mail": "/folder/Inbox"}


# ---- what all three share --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", APPS)
def test_the_start_state_is_the_config_and_comes_back_equal_after_a_reset(opened, name):
    app = opened(name)
    first = app.run("[app.read(), app.shown()]")
    assert first[0] == {"tables": app.config["tables"], "seen": {APPS[name]: {}}}
    text = app.text
    for link in app.names("link")[:4]:
        if app.has("link", link):
            app.click("link", link)
    assert app.run("app.read().seen") != first[0]["seen"]
    app.open(name)
    assert app.run("[app.read(), app.shown()]") == first
    assert app.text == text


@pytest.mark.parametrize("name", APPS)
def test_a_state_taken_out_and_put_back_shows_the_same_page(opened, name):
    app = opened(name, popups=[{"at": 2, "kind": "survey"}], delays=[0, 200])
    app.click("link", app.names("link")[1])
    app.run("app.advance(50)")
    saved, shown = app.run("[app.snapshot(), app.shown()]")
    app.run("app.advance(200)")
    app.click("link", app.names("link")[2])
    assert app.run("app.shown()") != shown
    app.open(name)
    app.run(f"app.load({__import__('json').dumps(saved)})")
    assert app.run("[app.snapshot(), app.shown()]") == [saved, shown]
    assert app.run("app.busy()")


@pytest.mark.parametrize("name", APPS)
def test_a_reload_keeps_the_state(opened, name):
    app = opened(name)
    app.click("link", app.names("link")[1])
    before = app.run("[app.read(), app.state.route]")
    app.do(a.Goto("/index.html"))
    assert app.run("[app.read(), app.state.route]") == before


def test_going_back_and_forward_follows_the_pages_and_stops_at_the_first(opened):
    app = opened("mail")
    app.click("link", "Contacts")
    app.click("link", "Rules")
    app.do(a.GoBack())
    assert app.route == "/contacts"
    app.do(a.GoForward())
    assert app.route == "/rules"
    for _ in range(5):
        app.do(a.GoBack())
    assert app.route == "/folder/Inbox"
    app.do(a.Goto("#/contact/new"))
    assert app.has("heading", "New contact")


def test_a_slow_page_says_so_until_its_time_has_come(opened):
    app = opened("shop", delays=[0, 300])
    app.click("link", "Orders")
    assert app.run("app.busy()")
    assert LOADING in app.text
    assert "busy" in app.text
    assert not app.has("heading", "Your orders")
    assert "/orders" not in app.run("app.read().seen")
    app.run("app.advance(299)")
    assert LOADING in app.text
    app.run("app.advance(1)")
    assert app.has("heading", "Your orders")
    assert "/orders" in app.run("app.read().seen")
    app.click("link", "Wishlist")
    assert app.has("heading", "Wishlist")


def test_by_itself_a_slow_page_waits_for_the_wall_clock(opened):
    app = opened("shop", delays=[0, 120], clock="real")
    app.click("link", "Orders")  # settling waits for timers that end soon
    assert app.has("heading", "Your orders")


@pytest.mark.parametrize(
    ("kind", "no", "yes", "table"),
    [
        ("newsletter", "No thanks", "Subscribe", "subscriptions"),
        ("cookies", "Only necessary cookies", "Accept all cookies", None),
        ("survey", "Not now", "Take the survey", "surveys"),
    ],
)
def test_a_pop_up_covers_the_page_until_it_is_answered(opened, kind, no, yes, table):
    app = opened("tracker", popups=[{"at": 1, "kind": kind}])
    hidden = app.id("link", "Labels")
    app.click("link", "Team")
    assert not app.has("link", "Labels")
    assert "/team" not in app.run("app.read().seen")
    assert app.do(a.Click(hidden)) != ""
    app.click("button", no)
    assert app.has("link", "Labels")
    assert "/team" in app.run("app.read().seen")
    assert app.tables() == app.config["tables"]
    app.open("tracker", popups=[{"at": 1, "kind": kind}])
    app.click("link", "Team")
    if kind == "newsletter":
        app.fill("Your e-mail address", "me@example.com")
    app.click("button", yes)
    assert app.has("link", "Labels")
    assert (app.tables() != app.config["tables"]) is (table is not None)
    assert table is None or app.tables()[table]


def test_leaving_a_half_filled_form_asks(opened):
    app = opened("tracker", start="/new", inputs={"title": "Half"})
    assert "value='Half'" in app.text
    app.click("link", "Issues")
    assert app.has("heading", "Leave this page?")
    app.click("button", "Stay on this page")
    assert app.route == "/new"
    assert "value='Half'" in app.text
    app.do(a.GoBack())
    assert app.route == "/new"
    app.do(a.Goto("#/team"))
    assert (app.route, app.run("location.hash")) == ("/new", "#/new")
    app.click("button", "Leave without saving")
    assert app.route == "/team"
    app.click("link", "Issues")
    assert app.has("heading", "Issues")


@pytest.mark.parametrize("name", APPS)
@pytest.mark.parametrize(
    "route",
    [
        "/nowhere",
        "/__proto__",
        "/constructor",
        "/product/__proto__",
        "/issue/constructor",
        "/mail/valueOf",
        "/%E0%A4%A",
        "/order/1/2/3",
        "?",
        "",
    ],
)
def test_an_address_that_is_no_page_is_told_and_changes_nothing(opened, name, route):
    app = opened(name)
    app.do(a.Goto(f"#{route}"))
    assert app.tables() == app.config["tables"]
    app.click("link", app.names("link")[1])
    assert app.run("app.busy()") is False


def test_text_of_records_is_text(opened):
    app = opened("tracker")
    evil = "<img src=x onerror=\"document.title='hacked'\"><b>bold</b>"
    app.click("link", "New issue")
    app.fill("Title", evil)
    app.fill("Description", evil)
    app.click("button", "Create issue")
    assert app.has("heading", f"#{app.config['settings']['next_issue']} {evil}")
    assert app.run("document.querySelectorAll('main img, main b').length") == 0


def test_long_texts_are_cut(opened):
    app = opened("mail", start="/compose")
    app.fill("Message", "x" * 5000)
    app.click("button", "Save as draft")
    assert len(next(m for k, m in app.tables()["mails"].items() if k not in app.config["tables"]["mails"])["body"]) == 2000


@pytest.mark.parametrize("name", APPS)
def test_pages_fit_the_screen_and_the_tree_stays_small(opened, name):
    app = opened(name)
    for link in app.names("link")[:6]:
        if app.has("link", link):
            app.click("link", link)
        assert app.run("document.documentElement.scrollWidth") <= 1024
        assert 10 <= app.text.count("\n") <= 110
        unnamed = [
            e
            for e in app.tab.look().axtree.split("\n")
            if any(f"] {role}" in e and f"{role} '" not in e for role in ("button", "link", "textbox", "combobox", "checkbox", "radio"))
        ]
        assert unnamed == []


# ---- the shop --------------------------------------------------------------------------------------------------------


def test_shop_filters_sort_and_pages(opened):
    app = opened("shop", start="/list")
    products = app.config["tables"]["products"].values()
    app.select("Category", "Shirts")
    app.select("Sort by", "Price, highest first")
    shirts = sorted((p for p in products if p["category"] == "Shirts"), key=lambda p: -p["price"])
    assert [n for n in app.names("link") if "Shirt" in n] == [p["name"] for p in shirts]
    app.select("Category", "All")
    assert "StaticText '16 products, page 1 of 3'" in app.text
    app.click("link", "Next page")
    app.click("link", "Next page")
    assert not app.has("link", "Next page")
    app.fill("Search the shop", "kettle")
    app.click("button", "Search")
    assert "StaticText '4 products, page 1 of 1'" in app.text


def test_shop_wants_options_before_it_adds(opened):
    app = opened("shop")
    id, p = next((k, p) for k, p in app.config["tables"]["products"].items() if p["sizes"])
    app.do(a.Goto(f"#/product/{id}"))
    app.click("button", "Add to cart")
    assert "Choose a size." in app.text
    app.select("Size", p["sizes"][0])
    app.click("button", "Add to cart")
    assert "Choose a colour." in app.text
    app.select("Colour", p["colours"][0])
    app.select("Quantity", "3")
    app.click("button", "Add to cart")
    app.select("Size", p["sizes"][0])
    app.select("Colour", p["colours"][0])
    app.click("button", "Add to cart")
    assert list(app.tables()["cart"].values()) == [{"product": id, "size": p["sizes"][0], "colour": p["colours"][0], "quantity": 4}]
    assert app.has("link", "Cart (4)")


def test_shop_checkout_adds_up(opened):
    app = opened("shop")
    (one, p), (two, q) = list(app.config["tables"]["products"].items())[:2]
    cart = {
        "x": {"product": one, "size": "", "colour": "red", "quantity": 2},
        "y": {"product": two, "size": "", "colour": "red", "quantity": 1},
    }
    code, percent = next(iter(app.config["settings"]["codes"].items()))
    app.open("shop", tables={**app.config["tables"], "cart": cart}, start="/cart")
    app.fill("Coupon code", "NONE")
    app.click("button", "Apply coupon")
    assert "The code NONE is not valid." in app.text
    app.fill("Coupon code", code.lower())
    app.click("button", "Apply coupon")
    app.click("link", "Go to checkout")
    app.click("button", "Place order")
    assert "Choose how the order is to be sent." in app.text
    app.click("radio", "Express, 2 days (9.90)")
    app.click("button", "Place order")
    number = str(app.config["settings"]["next_order"])
    order = app.tables()["orders"][number]
    subtotal = 2 * p["price"] + q["price"]
    assert abs(order["total"] - (subtotal * (100 - percent) / 100 + 990)) <= 0.5
    assert (order["coupon"], order["gift"], order["status"], app.tables()["cart"], app.tables()["coupons"]) == (
        code,
        False,
        "processing",
        {},
        {},
    )
    assert f"Your order has the number {number}." in app.text


def test_shop_orders_are_cancelled_only_when_confirmed(opened):
    app = opened("shop", start="/orders")
    number = next(n for n, o in app.config["tables"]["orders"].items() if o["status"] == "processing")
    app.click("link", f"Order {number}")
    app.click("button", "Cancel order")
    app.click("button", "No, keep the order")
    assert app.tables() == app.config["tables"]
    app.click("button", "Cancel order")
    app.click("button", "Yes, cancel the order")
    assert app.tables()["orders"][number]["status"] == "cancelled"


# ---- the tracker -----------------------------------------------------------------------------------------------------


def test_tracker_filters_combine(opened):
    app = opened("tracker")
    issues = app.config["tables"]["issues"]
    person = next(i["assignee"] for i in issues.values() if i["assignee"])
    app.select("State", "All")
    app.select("Assignee", person)
    app.select("Sort by", "Oldest first")
    wanted = [f"#{n} {i['title']}" for n, i in issues.items() if i["assignee"] == person]
    assert [n for n in app.names("link") if n.startswith("#")] == wanted[:6]
    app.select("Assignee", "Nobody")
    assert [n for n in app.names("link") if n.startswith("#")] == [f"#{n} {i['title']}" for n, i in issues.items() if not i["assignee"]][:6]


def test_tracker_bulk_changes_only_what_is_selected(opened):
    app = opened("tracker")
    shown = [n.split()[0][1:] for n in app.names("link") if n.startswith("#")]
    app.click("button", "Apply to the selected")
    assert "Select the issues first." in app.text
    for number in shown[:2]:
        app.click("checkbox", f"Select #{number}")
    app.select("With the selected issues", "Set milestone")
    app.select("Value", list(app.config["tables"]["milestones"])[2])
    app.click("button", "Apply to the selected")
    wanted = copy.deepcopy(app.config["tables"])
    for number in shown[:2]:
        wanted["issues"][number]["milestone"] = list(wanted["milestones"])[2]
    assert app.tables() == wanted


def test_tracker_duplicates_need_another_issue(opened):
    app = opened("tracker")
    numbers = [n for n, i in app.config["tables"]["issues"].items() if i["state"] == "open"]
    app.do(a.Goto(f"#/issue/{numbers[0]}"))
    app.select("Reason", "Duplicate")
    for wrong in ("", numbers[0], "constructor", "9999"):
        app.fill("Duplicate of issue number", wrong)
        app.click("button", "Close issue")
        assert "Enter the number of the issue that this one duplicates." in app.text
    app.fill("Duplicate of issue number", f"#{numbers[1]}")
    app.click("button", "Close issue")
    issue = app.tables()["issues"][numbers[0]]
    assert (issue["state"], issue["reason"], issue["duplicate_of"]) == ("closed", "Duplicate", numbers[1])
    app.click("button", "Reopen issue")
    assert app.tables() == app.config["tables"]


# ---- mail ------------------------------------------------------------------------------------------------------------


def test_mail_is_read_when_it_is_opened_and_can_be_marked_unread(opened):
    app = opened("mail")
    id, m = next((k, m) for k, m in app.config["tables"]["mails"].items() if m["unread"] and m["folder"] == "Inbox")
    app.do(a.Goto(f"#/mail/{id}"))
    assert app.tables()["mails"][id] == {**m, "unread": False}
    app.click("button", "Mark as unread")
    assert app.tables() == app.config["tables"]
    assert app.route == "/folder/Inbox"


def test_mail_forward_and_reply_to_all_start_with_what_they_should(opened):
    app = opened("mail")
    id, m = next(iter(app.config["tables"]["mails"].items()))
    m.update(cc=["x@example.com", app.config["settings"]["me"]], attachments=["photo.jpg"], subject="Fwd: Plan")
    app.open("mail", tables={**app.config["tables"], "mails": {id: m}}, start=f"/compose?all={id}")
    assert f"value='{m['from']}'" in app.text
    assert "value='x@example.com'" in app.text
    assert "value='Re: Fwd: Plan'" in app.text
    app.open("mail", tables=app.config["tables"], start=f"/compose?forward={id}")
    assert "value='Fwd: Plan'" in app.text
    assert app.has("button", "Remove photo.jpg")
    app.click("button", "Send")
    assert "Enter at least one address in the field To." in app.text
    app.fill("To", "nobody")
    app.click("button", "Send")
    assert "nobody is not an e-mail address." in app.text
    app.fill("To", "a@example.com; b@example.com")
    app.click("button", "Send")
    sent = app.tables()["mails"]["m900"]
    assert (sent["to"], sent["folder"], sent["attachments"], sent["forward_of"]) == (
        ["a@example.com", "b@example.com"],
        "Sent",
        ["photo.jpg"],
        id,
    )
    assert m["body"] in sent["body"]


def test_mail_search_covers_all_folders(opened):
    app = opened("mail")
    m = next(m for m in app.config["tables"]["mails"].values() if m["folder"] == "Archive")
    app.fill("Search all mail", f"{m['subject']} {m['from_name']}")
    app.click("button", "Search")
    assert app.has("link", f"{m['from_name']}: {m['subject']}, {m['date']}")
    app.fill("Search all mail", "no such words")
    app.click("button", "Search")
    assert "StaticText '0 messages, page 1 of 1'" in app.text
