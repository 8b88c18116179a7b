"""What a key of the US layout sends: the fields of CDP's ``Input.dispatchKeyEvent`` for Playwright's key names."""

from __future__ import annotations

from dataclasses import dataclass

MODIFIER_BITS = {"Alt": 1, "Control": 2, "Meta": 4, "Shift": 8}
_PLAIN = "abcdefghijklmnopqrstuvwxyz0123456789 "
_SHIFTED = dict(zip('~!@#$%^&*()_+{}|:"<>?', "`1234567890-=[]\\;',./", strict=True))
_PUNCTUATION = {
    "`": ("Backquote", 192),
    "-": ("Minus", 189),
    "=": ("Equal", 187),
    "[": ("BracketLeft", 219),
    "]": ("BracketRight", 221),
    "\\": ("Backslash", 220),
    ";": ("Semicolon", 186),
    "'": ("Quote", 222),
    ",": ("Comma", 188),
    ".": ("Period", 190),
    "/": ("Slash", 191),
}
_NAMED = {
    **{
        "Enter": 13,
        "Escape": 27,
        "Tab": 9,
        "Backspace": 8,
        "Delete": 46,
        "Insert": 45,
        "Home": 36,
        "End": 35,
        "PageUp": 33,
        "PageDown": 34,
    },
    **{"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "CapsLock": 20, "NumLock": 144, "ScrollLock": 145, "Pause": 19},
    **{"PrintScreen": 44, "ContextMenu": 93, "Alt": 18, "Control": 17, "Meta": 91, "Shift": 16, "AltGraph": 225},
    **{f"F{n}": 111 + n for n in range(1, 13)},
    **{"AudioVolumeMute": 173, "AudioVolumeDown": 174, "AudioVolumeUp": 175, "MediaTrackNext": 176, "MediaTrackPrevious": 177},
    **{"MediaPlayPause": 179},
}
_NUMPAD = {"Add": ("+", 107), "Subtract": ("-", 109), "Multiply": ("*", 106), "Divide": ("/", 111), "Decimal": (".", 110)}
_CODE_TO_CHARACTER = {code: character for character, (code, _) in _PUNCTUATION.items()}


@dataclass(frozen=True, slots=True)
class Key:
    """``key``, ``code`` as in DOM events, ``number`` the virtual key code, ``text`` what it types ("" for none)."""

    key: str
    code: str
    number: int
    text: str = ""
    location: int = 0


def key_named(name: str, *, shift: bool = False) -> Key | None:
    """The key called ``name`` ("Enter", "a", "Digit1"); None when a US keyboard has none. ``shift``: as it is with Shift held."""
    if name == "Space":
        name = " "
    if len(name) == 1:
        return _character(name, shift)
    if name in _NAMED:
        text = "\r" if name == "Enter" else "\t" if name == "Tab" else ""
        side = 1 if name in MODIFIER_BITS else 0
        return Key(name, f"{name}Left" if side else name, _NAMED[name], text, side)
    for side, place in (("Left", 1), ("Right", 2)):
        if name.removesuffix(side) in MODIFIER_BITS and name.endswith(side):
            base = name.removesuffix(side)
            return Key(base, name, _NAMED[base], "", place)
    if name == "ControlOrMeta":
        return key_named("Control")
    if name.startswith(("Digit", "Key")):
        return _character(name[-1].lower(), shift)
    if name in _CODE_TO_CHARACTER:
        return _character(_CODE_TO_CHARACTER[name], shift)
    if name.startswith("Numpad"):
        return _numpad(name)
    return None


def _character(character: str, shift: bool) -> Key | None:
    if shift:
        character = next((high for high, low in _SHIFTED.items() if low == character), character.upper())
    base = _SHIFTED.get(character, character.lower())
    if base in _PUNCTUATION:
        code, number = _PUNCTUATION[base]
        return Key(character, code, number, character)
    if base in _PLAIN:
        code = "Space" if base == " " else f"Digit{base}" if base.isdigit() else f"Key{base.upper()}"
        return Key(character, code, ord(base.upper()), character)
    return None


def _numpad(name: str) -> Key | None:
    what = name.removeprefix("Numpad")
    if what.isdigit():
        return Key(what, name, 96 + int(what), what, 3)
    if what == "Enter":
        return Key("Enter", name, 13, "\r", 3)
    if what in _NUMPAD:
        text, number = _NUMPAD[what]
        return Key(text, name, number, text, 3)
    return None
