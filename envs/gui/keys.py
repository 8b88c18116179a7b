"""Names of keys as Playwright takes them (its US keyboard layout), and combinations of them: "Enter", "a", "Control+Shift+t"."""

from __future__ import annotations

from .actions import MAX_NAME, MODIFIERS, Unreadable, check_text, did_you_mean, shown

_MAX_KEYS = 5
NAMED: tuple[str, ...] = (
    *MODIFIERS,
    *("Enter", "Escape", "Tab", "Backspace", "Delete", "Insert", "Space", "Home", "End", "PageUp", "PageDown"),
    *("ArrowLeft", "ArrowUp", "ArrowRight", "ArrowDown", "CapsLock", "NumLock", "ScrollLock", "Pause", "PrintScreen", "ContextMenu"),
    *(f"F{n}" for n in range(1, 13)),
    *("AltLeft", "AltRight", "AltGraph", "ControlLeft", "ControlRight", "MetaLeft", "MetaRight", "ShiftLeft", "ShiftRight"),
    *("Backquote", "Minus", "Equal", "Backslash", "BracketLeft", "BracketRight", "Semicolon", "Quote", "Comma", "Period", "Slash"),
    *(f"Digit{n}" for n in range(10)),
    *(f"Key{chr(n)}" for n in range(65, 91)),
    *(f"Numpad{n}" for n in range(10)),
    *("NumpadAdd", "NumpadSubtract", "NumpadMultiply", "NumpadDivide", "NumpadDecimal", "NumpadEnter"),
    *("AudioVolumeMute", "AudioVolumeDown", "AudioVolumeUp", "MediaTrackNext", "MediaTrackPrevious", "MediaPlayPause"),
)
"""Keys with a name; a printable ASCII character is a key too."""
_BY_LOWER = {name.lower(): name for name in NAMED}
_ALIASES = {
    "ctrl": "Control",
    "cmd": "Meta",
    "command": "Meta",
    "win": "Meta",
    "super": "Meta",
    "option": "Alt",
    "return": "Enter",
    "esc": "Escape",
    "del": "Delete",
    "ins": "Insert",
    "pgup": "PageUp",
    "pgdn": "PageDown",
    "left": "ArrowLeft",
    "up": "ArrowUp",
    "right": "ArrowRight",
    "down": "ArrowDown",
}
ALLOWED = "a single character such as a or #, or Enter, Tab, Escape, Backspace, Delete, ArrowDown, PageDown, F5, ..."


def split_keys(keys: str) -> list[str]:
    """The keys of a combination: "Control++" are Control and "+"."""
    parts, word = list[str](), ""
    for character in keys:
        if character == "+" and word:
            parts.append(word)
            word = ""
        else:
            word += character
    return [*parts, word]


def is_key(key: str) -> bool:
    return key in NAMED or (len(key) == 1 and " " <= key <= "~")


def check_keys(keys: str, most: int = _MAX_KEYS) -> str:
    """``keys``, with " " by its name Space; raises ``Unreadable`` for what no keyboard has."""
    check_text(keys)
    if len(keys) > MAX_NAME:
        raise Unreadable(f"a key combination of {len(keys)} characters; write e.g. 'Enter' or 'Control+a'")
    parts = split_keys(keys)
    if len(parts) > most:
        raise Unreadable(f"{shown(keys)} are {len(parts)} keys; allowed: {most}")
    for key in parts:
        if not is_key(key):
            alias = _ALIASES.get(key.lower())
            hint = f" Did you mean {alias}?" if alias else did_you_mean(key, NAMED)
            raise Unreadable(f"there is no key {shown(key)}.{hint} Keys: {ALLOWED}; combinations: Control+a")
    return "+".join("Space" if key == " " else key for key in parts)


def read_key(word: str) -> str:
    """The key that ``word`` means in any case and by its common short names: "ctrl" is Control. Raises ``Unreadable``."""
    if len(word) == 1:
        return check_keys(word)
    return check_keys(_ALIASES.get(word.lower()) or _BY_LOWER.get(word.lower()) or word, most=1)
