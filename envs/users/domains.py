"""Requests that leave something open: what people ask for, and what one must know to do it.

    DOMAINS["table"].fields["people"].question     # "How many people will there be?"

A value "{name}" stands for a made-up name. ``asked`` words begin a word of no other question of the domain (a test).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Importance: TypeAlias = Literal[1, 2, 3]


@dataclass(frozen=True, slots=True)
class Field:
    """One detail. ``asked``: words of a question for it, ``question`` such a question; ``say`` tells it, ``{}`` is the value."""

    importance: Importance
    asked: tuple[str, ...]
    question: str
    say: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Domain:
    """``requests`` are paraphrases of the vague wish."""

    requests: tuple[str, ...]
    fields: dict[str, Field]


_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_TIMES = ("11:30", "12:15", "13:00", "18:45", "19:30", "20:00", "21:15")
_MONTHS = ("March", "April", "May", "June", "July", "September", "October", "November")
_FEW = ("2", "3", "4", "5", "6", "7", "8", "9")
_MONEY = ("150", "250", "400", "600", "850", "1200", "1500", "2000")
_NAMES = ("{name}",)

DOMAINS: dict[str, Domain] = {
    "table": Domain(
        ("I would like a table at a restaurant.", "Book me a table, please.", "I want to eat out."),
        {
            "restaurant": Field(3, ("which restaurant", "what restaurant"), "Which restaurant do you have in mind?", "At {}.", _NAMES),
            "day": Field(3, ("day", "date", "when"), "On which day?", "On {}.", _DAYS),
            "time": Field(3, ("time",), "At what time?", "At {}.", _TIMES),
            "people": Field(3, ("how many", "people"), "How many people will there be?", "There will be {} of us.", _FEW),
            "place": Field(2, ("sit",), "Where do you want to sit?", "We want to sit {}.", ("indoors", "outdoors", "by the window")),
            "diet": Field(2, ("diet",), "Are there any diets to consider?", "One of us eats {}.", ("vegan", "gluten-free", "kosher")),
            "occasion": Field(1, ("occasion",), "Is there an occasion?", "It is for a {}.", ("birthday", "wedding day", "farewell")),
        },
    ),
    "trip": Domain(
        ("Plan a trip for me.", "I want to go away for a while.", "Help me with my holiday."),
        {
            "destination": Field(3, ("destination", "where"), "Where do you want to go?", "To {}.", _NAMES),
            "month": Field(3, ("month", "when"), "In which month?", "In {}.", _MONTHS),
            "nights": Field(3, ("night", "how long"), "For how many nights?", "For {} nights.", ("3", "4", "5", "7", "10", "14")),
            "budget": Field(3, ("budget", "spend"), "What is your budget?", "I can spend {} euros.", _MONEY),
            "transport": Field(2, ("travel", "transport"), "How do you want to travel?", "By {}.", ("train", "plane", "car", "ship")),
            "interest": Field(2, ("interest",), "What are you interested in?", "I like {}.", ("museums", "hiking", "beaches", "food")),
            "room": Field(1, ("room",), "What kind of room do you like?", "A {} room.", ("single", "double", "quiet")),
        },
    ),
    "laptop": Domain(
        ("Find me a laptop.", "I need a new laptop.", "Which laptop should I buy?"),
        {
            "program": Field(3, ("program", "software"), "Which program must it run?", "It has to run {}.", _NAMES),
            "budget": Field(3, ("budget", "spend"), "What is your budget?", "At most {} euros.", _MONEY),
            "screen": Field(2, ("screen", "inch"), "How large should the screen be?", "{} inches.", ("13", "14", "15", "16", "17")),
            "memory": Field(2, ("memory",), "How much memory do you need?", "{} GB of memory.", ("8", "16", "32", "64")),
            "system": Field(3, ("operating", "system"), "Which operating system?", "With {}.", ("Linux", "Windows", "macOS")),
            "weight": Field(2, ("weigh", "heavy"), "How heavy may it be?", "{} kg at most.", ("1.0", "1.3", "1.5", "2.0")),
            "colour": Field(1, ("colour", "color"), "Which colour?", "In {}.", ("black", "silver", "blue")),
        },
    ),
    "flat": Domain(
        ("I am looking for a flat.", "Find me a flat to rent.", "I have to move."),
        {
            "quarter": Field(3, ("quarter", "district", "part of town"), "In which quarter?", "In {}.", _NAMES),
            "rent": Field(
                3, ("rent", "budget"), "What rent can you pay?", "Up to {} euros a month.", ("600", "750", "900", "1100", "1400")
            ),
            "rooms": Field(3, ("how many room", "rooms"), "How many rooms do you need?", "{} rooms.", ("1", "2", "3", "4", "5")),
            "month": Field(3, ("month", "when"), "From which month on?", "From {} on.", _MONTHS),
            "pets": Field(2, ("pet", "animal"), "Do you keep a pet?", "I have a {}.", ("dog", "cat", "parrot")),
            "floor": Field(2, ("floor",), "On which floor?", "On the {} floor.", ("ground", "first", "second", "top")),
            "extra": Field(
                1, ("balcony", "extra"), "Is there an extra that you want?", "A {} would be fine.", ("balcony", "garden", "bath")
            ),
        },
    ),
    "plumber": Domain(
        ("Send me a plumber.", "Something is wrong with the water in my house.", "I need somebody to repair a thing at home."),
        {
            "street": Field(3, ("street", "address", "where"), "What is the address?", "{} Street.", _NAMES),
            "number": Field(3, ("house number", "number"), "Which house number is it?", "Number {}.", ("3", "8", "12", "27", "41", "66")),
            "object": Field(
                3, ("broken", "which thing"), "What is broken?", "It is the {}.", ("boiler", "bathtub", "toilet", "sink", "shower")
            ),
            "fault": Field(2, ("happen", "symptom"), "What happens with it?", "It is {}.", ("leaking", "blocked", "cold", "noisy")),
            "day": Field(3, ("day", "date", "when"), "On which day may we come?", "On {}.", _DAYS),
            "time": Field(2, ("time",), "At what time?", "At {}.", _TIMES),
            "key": Field(1, ("let us in", "key"), "Who has the key?", "The {} has it.", ("neighbour", "caretaker", "tenant")),
        },
    ),
    "gift": Domain(
        ("I need a gift.", "Help me to find a present.", "What should I give to somebody?"),
        {
            "receiver": Field(
                3, ("who", "recipient"), "Who is it for?", "For my {}.", ("sister", "father", "boss", "neighbour", "teacher")
            ),
            "band": Field(3, ("band", "music"), "Which band do they listen to?", "They love {}.", _NAMES),
            "budget": Field(3, ("budget", "spend"), "What is your budget?", "About {} euros.", ("20", "35", "50", "80", "120")),
            "age": Field(2, ("old", "age"), "How old is the person?", "{} years old.", ("9", "17", "24", "38", "51", "70")),
            "hobby": Field(2, ("hobby", "free time"), "Is there a hobby?", "The hobby is {}.", ("chess", "sailing", "knitting", "cooking")),
            "day": Field(2, ("day", "when"), "By which day do you need it?", "By {}.", _DAYS),
            "paper": Field(1, ("wrap", "paper"), "How shall we wrap it?", "In {} paper.", ("red", "gold", "brown")),
        },
    ),
    "car": Domain(
        ("I want to rent a car.", "Get me a rental car.", "I need a car for a while."),
        {
            "station": Field(3, ("station", "pick it up", "where"), "Where will you pick it up?", "In {}.", _NAMES),
            "day": Field(3, ("day", "date", "when"), "From which day on?", "From {} on.", _DAYS),
            "length": Field(3, ("how long", "length"), "For how long?", "For {} days.", ("1", "3", "5", "8", "12")),
            "seats": Field(3, ("seat",), "How many seats do you need?", "{} seats.", ("2", "4", "5", "7", "9")),
            "gear": Field(2, ("gear", "transmission"), "Which gear do you prefer?", "With {} gear.", ("manual", "automatic")),
            "fuel": Field(2, ("fuel", "drive"), "Which fuel?", "It should run on {}.", ("petrol", "diesel", "electricity")),
            "child": Field(1, ("child",), "Is there a child to carry?", "One child, {} years old.", ("1", "4", "6")),
        },
    ),
    "party": Domain(
        ("Help me with a party.", "I am going to have a party.", "Organise a party for me."),
        {
            "hall": Field(3, ("hall", "where"), "In which hall?", "In the hall of {}.", _NAMES),
            "guests": Field(3, ("guest", "how many"), "How many guests are coming?", "{} guests.", ("12", "20", "35", "50", "80")),
            "day": Field(3, ("day", "when"), "On which day?", "On {}.", _DAYS),
            "budget": Field(3, ("budget", "spend"), "What is your budget?", "{} euros.", _MONEY),
            "food": Field(2, ("food", "eat"), "What food do you want?", "We want {}.", ("pizza", "sushi", "soup", "cake")),
            "music": Field(2, ("music",), "What music do you like?", "Some {}.", ("jazz", "techno", "folk", "swing")),
            "theme": Field(1, ("theme", "motto"), "Is there a theme?", "The theme is {}.", ("pirates", "space", "winter")),
        },
    ),
    "course": Domain(
        ("I want to learn something new.", "Find me a course.", "I would like to take lessons."),
        {
            "subject": Field(3, ("subject", "which skill"), "Which subject?", "{}.", ("Drawing", "Welding", "Chess", "Dancing", "Sailing")),
            "school": Field(3, ("school", "where"), "At which school?", "At the school in {}.", _NAMES),
            "level": Field(3, ("level", "experience"), "What is your level?", "I am {}.", ("a beginner", "advanced", "an expert")),
            "day": Field(2, ("day", "when"), "On which day do you have time?", "On {}.", _DAYS),
            "fee": Field(3, ("fee", "budget", "spend"), "What fee can you pay?", "{} euros.", ("60", "90", "140", "220", "300")),
            "form": Field(2, ("online", "form"), "Online or in another form?", "I want it {}.", ("online", "in a group", "alone")),
            "goal": Field(1, ("goal", "why"), "What is your goal?", "It is for {}.", ("fun", "work", "an exam")),
        },
    ),
    "event": Domain(
        ("Get me tickets for a show.", "I want to see something on stage.", "Find me a seat for an evening out."),
        {
            "show": Field(3, ("which show", "what show", "title"), "Which show do you want to see?", "{}.", _NAMES),
            "day": Field(3, ("day", "when"), "On which day?", "On {}.", _DAYS),
            "tickets": Field(3, ("how many", "ticket"), "How many tickets?", "{} tickets.", ("1", "2", "3", "4", "6")),
            "price": Field(3, ("price", "budget", "spend"), "What price per seat?", "Up to {} euros.", ("25", "40", "60", "90")),
            "row": Field(2, ("row",), "In which row?", "In row {}.", ("5", "8", "11", "16")),
            "language": Field(2, ("language",), "In which language?", "In {}.", ("English", "French", "Polish")),
            "access": Field(1, ("access",), "Do you need special access?", "I need {}.", ("a ramp", "a lift", "a guide")),
        },
    ),
    "delivery": Domain(
        ("I want to send something.", "A parcel has to go out.", "Please arrange a delivery."),
        {
            "town": Field(3, ("town", "where"), "To which town?", "To {}.", _NAMES),
            "weight": Field(3, ("weigh", "heavy"), "How heavy is it?", "It weighs {} kg.", ("0.5", "1.5", "4", "9", "22")),
            "content": Field(3, ("content", "inside"), "What is inside?", "There are {} inside.", ("books", "glasses", "clothes", "tools")),
            "speed": Field(2, ("fast", "speed"), "How fast should it be?", "{}.", ("Overnight", "Standard", "Express")),
            "insured": Field(2, ("insure", "worth"), "For what sum shall we insure it?", "For {} euros.", ("50", "100", "300", "700")),
            "pickup": Field(2, ("day", "when", "collect"), "On which day may we collect it?", "On {}.", _DAYS),
            "sender": Field(1, ("mark",), "How shall we mark it?", "As {}.", ("fragile", "private", "urgent")),
        },
    ),
    "meal": Domain(
        ("What should I cook?", "Help me to cook something.", "I need a recipe."),
        {
            "region": Field(3, ("region", "cuisine"), "From which region?", "From {}.", _NAMES),
            "eaters": Field(3, ("how many eater", "eater", "people"), "For how many eaters?", "For {}.", _FEW),
            "main": Field(
                3, ("ingredient", "at home"), "Which ingredient is there?", "I have {}.", ("rice", "lentils", "eggs", "pasta", "fish")
            ),
            "minutes": Field(3, ("minute", "how long"), "How many minutes do you have?", "{} minutes.", ("15", "30", "45", "90")),
            "avoid": Field(3, ("avoid", "allerg"), "What must I avoid?", "No {}, please.", ("nuts", "milk", "garlic", "pepper")),
            "course": Field(2, ("course",), "Which course is it?", "It is the {}.", ("starter", "main dish", "dessert")),
            "device": Field(1, ("oven", "device"), "Which device do you cook with?", "With {}.", ("an oven", "a pan", "a wok")),
        },
    ),
}
"""Domain -> what is asked for there. One field of importance 3 of each has made-up names, which nobody can guess."""
