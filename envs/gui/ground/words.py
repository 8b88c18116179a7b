"""Words of generated pages. Names, titles and files are made of different words in each split; labels of controls are everybody's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeAlias

import numpy as np

Script: TypeAlias = Literal["latin", "arabic", "hebrew"]
SPLITS = ("train", "validation", "test")

_GIVEN = (
    "Adam Bella Carla Dario Elena Felix Greta Henry Irene Jonas Katya Lewis Maria Nolan Olivia Pedro Quinn Rosa Stefan Tara",
    "Anton Beatriz Clara Dmitri Esther Farah Gustav Helena Ivan Julia Kamal Lucia Marco Nadia Oscar Petra Ravi Sonia Tomas Uma",
    "Agnes Boris Cecile Diego Emil Fatima Goran Hanna Isabel Jamal Klara Leon Mina Niko Odette Paula Rafael Samira Theo Vera",
)
_FAMILY = (
    "Abbott Barnes Castro Dawson Ericson Fischer Grant Huang Ibsen Jensen Keller Lopez Murphy Novak Ortega Porter Reyes Santos Turner",
    "Adler Bishop Cooper Duarte Ellis Foster Garcia Holm Ito Joshi Klein Larsen Meyer Nunes Olsen Price Rossi Schmidt Tanaka Vogel",
    "Ahmed Becker Carver Dubois Evans Ferro Gibson Harper Iqbal Jordan Khan Lindt Moreau Nagy Okafor Patel Quist Rivera Silva Weber",
)
_THINGS = (
    "budget report invoice contract agenda survey poster recipe roadmap ticket memo catalogue schedule timeline brochure ledger",
    "forecast summary receipt proposal minutes review banner menu outline order notice index calendar plan leaflet journal",
    "estimate analysis payslip tender briefing study flyer script draft booking letter archive register sketch manual diary",
)
_KINDS = (
    "annual blue central daily early final global harbour inner joint kitchen local marble north open public quiet regional silver",
    "autumn bright coastal double eastern fresh garden hidden island junior linen monthly new outer polar quick royal southern timber",
    "alpine bold copper desert eager forest golden high ivory jade level modern narrow orange plain rapid second tidal urban",
)
_PLACES = (
    "Arles Bergen Cadiz Dover Essen Faro Ghent Haifa Izmir Jena Kiel Lyon Malmo Nantes Oulu Porto Riga Siena Turin Ulm",
    "Aarhus Bonn Cork Delft Evora Fulda Genoa Hull Iasi Jaca Kazan Leeds Metz Nice Odense Parma Reims Split Tartu Vigo",
    "Aosta Brno Como Dijon Erfurt Florence Graz Hanover Imola Jerez Krakow Lodz Mainz Namur Oviedo Pisa Rouen Sofia Trier Varna",
)
_ARABIC = (
    "شمس قمر بيت نهر جبل بحر كتاب باب قلم حديقة سوق مطر",
    "نجمة طائر حصان ذهب خبز ماء نافذة كرسي رسالة صورة مدينة وردة",
    "شجرة سماء طريق ليل زيت ملح قطار جسر ورقة ساعة مفتاح فنجان",
)
_HEBREW = (
    "שמש ירח בית נהר הר ים ספר דלת עט גן שוק גשם",
    "כוכב ציפור סוס זהב לחם מים חלון כיסא מכתב תמונה עיר ורד",
    "עץ שמיים דרך לילה שמן מלח רכבת גשר דף שעון מפתח ספל",
)
_EMOJI = ("😀 😂 😉 😎 ☕ ★ ♥", "😃 😅 😊 😍 ☀ ♪ ⚡", "😄 😆 😋 😴 ☁ ♣ ⚑")

_LABELS: Mapping[str, tuple[str, str]] = {
    "Save": ("حفظ", "שמירה"),
    "Cancel": ("إلغاء", "ביטול"),
    "Delete": ("حذف", "מחיקה"),
    "Edit": ("تحرير", "עריכה"),
    "Search": ("بحث", "חיפוש"),
    "Filter": ("تصفية", "סינון"),
    "New": ("جديد", "חדש"),
    "Name": ("الاسم", "שם"),
    "Date": ("التاريخ", "תאריך"),
    "Status": ("الحالة", "מצב"),
    "Owner": ("المالك", "בעלים"),
    "Price": ("السعر", "מחיר"),
    "City": ("المدينة", "עיר"),
    "Size": ("الحجم", "גודל"),
    "Open": ("فتح", "פתיחה"),
    "Print": ("طباعة", "הדפסה"),
    "File": ("ملف", "קובץ"),
    "View": ("عرض", "תצוגה"),
    "Insert": ("إدراج", "הוספה"),
    "Format": ("تنسيق", "עיצוב"),
    "Tools": ("أدوات", "כלים"),
    "Window": ("إطار", "חלונות"),
    "Help": ("مساعدة", "עזרה"),
    "Email": ("البريد", "דואר"),
    "Phone": ("الهاتف", "טלפון"),
    "Address": ("العنوان", "כתובת"),
    "Password": ("كلمة السر", "סיסמה"),
    "Country": ("البلد", "מדינה"),
    "Company": ("الشركة", "חברה"),
    "Language": ("اللغة", "שפה"),
    "Privacy": ("الخصوصية", "פרטיות"),
    "Security": ("الأمان", "אבטחה"),
    "Sounds": ("الأصوات", "צלילים"),
    "Reset": ("إعادة", "איפוס"),
    "Today": ("اليوم", "היום"),
    "Day": ("يوم", "יום"),
    "Week": ("أسبوع", "שבוע"),
    "Month": ("شهر", "חודש"),
    "Year": ("سنة", "שנה"),
    "Change": ("تغيير", "שינוי"),
    "Copy": ("نسخ", "העתקה"),
    "Paste": ("لصق", "הדבקה"),
    "Undo": ("تراجع", "חזרה"),
    "Export": ("تصدير", "ייצוא"),
    "Share": ("مشاركة", "שיתוף"),
    "Rename": ("إعادة التسمية", "שינוי שם"),
    "Close": ("إغلاق", "סגירה"),
}


class Words:
    """Words of one page of ``split``, none given twice. Pages in right-to-left scripts have names in them."""

    def __init__(self, split: str, script: Script, rng: np.random.Generator) -> None:
        self.number, self.rng = SPLITS.index(split), rng
        self.script: Script = script
        self.used: set[str] = set()

    def label(self, english: str) -> str:
        """The label of a control in the page's script, where it is known."""
        if self.script == "latin" or english not in _LABELS:
            return english
        return _LABELS[english][0 if self.script == "arabic" else 1]

    def person(self) -> str:
        return self._new(lambda: f"{self._pick(_GIVEN)} {self._pick(_FAMILY)}")

    def title(self) -> str:
        """Two or three words, sometimes with an emoji."""
        emoji = f"{self._pick(_EMOJI)} " if self.rng.random() < 0.15 else ""
        return self._new(lambda: emoji + f"{self._pick(_KINDS)} {self._pick(_THINGS)}".capitalize())

    def topic(self) -> str:
        """One word, capitalised."""
        return self._new(lambda: self._pick(_THINGS).capitalize())

    def place(self) -> str:
        return self._new(lambda: self._pick(_PLACES))

    def city(self) -> str:
        """A place that may have come before."""
        return self._pick(_PLACES)

    def stem(self) -> str:
        """Of a file's name."""
        return self._new(lambda: f"{self._pick(_KINDS)}-{self._pick(_THINGS)}")

    def text(self, count: int) -> str:
        """A sentence of ``count`` words; these may repeat."""
        lists = _foreign(self.script) or (_KINDS if self.rng.random() < 0.5 else _THINGS)
        words = lists[self.number].split()
        return " ".join(str(w) for w in self.rng.choice(words, size=count)).capitalize() + "."

    def _pick(self, lists: Sequence[str]) -> str:
        own = _foreign(self.script)
        chosen = own if own and lists is not _EMOJI else lists
        return str(self.rng.choice(chosen[self.number].split()))

    def _new(self, make: Callable[[], str]) -> str:
        for attempt in range(1000):
            made = make()
            if attempt > 50:
                made = f"{made} {attempt - 50}"
            if made not in self.used:
                self.used.add(made)
                return made
        raise RuntimeError("a page asks for more words than there are")


def _foreign(script: Script) -> Sequence[str]:
    return {"latin": (), "arabic": _ARABIC, "hebrew": _HEBREW}[script]
