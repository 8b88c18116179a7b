"""Icons of generated pages, drawn as SVG: what each shows, in words, and its shapes on a grid of 24 by 24."""

from __future__ import annotations

from collections.abc import Mapping

ICONS: Mapping[str, tuple[str, str]] = {
    "search": ("a magnifying glass", '<circle cx="10" cy="10" r="6"/><path d="M14.5 14.5L21 21"/>'),
    "bin": ("a bin", '<path d="M4 7H20M9 7V4H15V7M6 7L7 21H17L18 7M10 11V17M14 11V17"/>'),
    "pencil": ("a pencil", '<path d="M4 20L5 15L16 4L20 8L9 19Z M14 6L18 10"/>'),
    "disk": ("a floppy disk", '<path d="M4 4H17L20 7V20H4Z M8 4V9H15V4M7 20V13H17V20"/>'),
    "printer": ("a printer", '<path d="M7 9V3H17V9M7 17H3V9H21V17H17M7 14H17V21H7Z"/>'),
    "bell": ("a bell", '<path d="M4 17H20L18 14V10A6 6 0 0 0 6 10V14Z M10 20A2 2 0 0 0 14 20"/>'),
    "envelope": ("an envelope", '<path d="M3 6H21V18H3Z M3 6L12 13L21 6"/>'),
    "house": ("a house", '<path d="M3 12L12 4L21 12M6 10V20H18V10M10 20V14H14V20"/>'),
    "star": ("a star", '<path d="M12 3L14.7 9.2L21 9.8L16.2 14L17.7 20.5L12 17L6.3 20.5L7.8 14L3 9.8L9.3 9.2Z"/>'),
    "heart": ("a heart", '<path d="M12 20C4 14 2.5 11 4 7.5C5.5 4.5 10 4.5 12 8C14 4.5 18.5 4.5 20 7.5C21.5 11 20 14 12 20Z"/>'),
    "padlock": ("a padlock", '<path d="M5 11H19V21H5Z M8 11V7A4 4 0 0 1 16 7V11M12 15V17"/>'),
    "camera": ("a camera", '<path d="M3 8H8L10 5H14L16 8H21V19H3Z"/><circle cx="12" cy="13" r="3.5"/>'),
    "cloud": ("a cloud", '<path d="M7 18A4 4 0 0 1 6.5 10A6 6 0 0 1 18 11A3.6 3.6 0 0 1 18 18Z"/>'),
    "flag": ("a flag", '<path d="M5 22V3M5 4H19L15 9L19 14H5"/>'),
    "clock": ("a clock", '<circle cx="12" cy="12" r="9"/><path d="M12 6V12L16 14"/>'),
    "person": ("a person", '<circle cx="12" cy="8" r="4"/><path d="M4 21C4 15 20 15 20 21"/>'),
    "folder": ("a folder", '<path d="M3 5H10L12 8H21V19H3Z"/>'),
    "clip": ("a paper clip", '<path d="M19 11L11 19A4.5 4.5 0 0 1 5 13L13 5A3 3 0 0 1 17 9L9.5 16.5A1.5 1.5 0 0 1 7.5 14.5L14 8"/>'),
    "cart": (
        "a shopping cart",
        '<path d="M2 4H5L8 15H18L21 7H6"/><circle cx="9.5" cy="19" r="1.5"/><circle cx="17" cy="19" r="1.5"/>',
    ),
    "plus": ("a plus sign", '<path d="M12 4V20M4 12H20"/>'),
    "cross": ("a cross", '<path d="M5 5L19 19M19 5L5 19"/>'),
    "tick": ("a tick", '<path d="M4 13L10 19L20 6"/>'),
    "dots": (
        "three dots",
        '<circle cx="5" cy="12" r="1.3" fill="currentColor"/><circle cx="12" cy="12" r="1.3" fill="currentColor"/>'
        '<circle cx="19" cy="12" r="1.3" fill="currentColor"/>',
    ),
    "lines": ("three horizontal lines", '<path d="M3 6H21M3 12H21M3 18H21"/>'),
    "undo": ("an arrow that turns back to the left", '<path d="M8 4L3 9L8 14M3 9H14A6 6 0 0 1 14 21H9"/>'),
    "redo": ("an arrow that turns back to the right", '<path d="M16 4L21 9L16 14M21 9H10A6 6 0 0 0 10 21H15"/>'),
    "reload": ("an arrow in a circle", '<path d="M20 12A8 8 0 1 1 17 6M17 2V7H12"/>'),
    "play": ("a triangle that points to the right", '<path d="M7 4L20 12L7 20Z"/>'),
    "pause": ("two upright bars", '<path d="M7 4H10V20H7Z M14 4H17V20H14Z"/>'),
    "speaker": ("a loudspeaker", '<path d="M3 9H7L12 5V19L7 15H3Z M15 9A4 4 0 0 1 15 15M17.5 6A8 8 0 0 1 17.5 18"/>'),
    "microphone": ("a microphone", '<path d="M9 4H15V13H9Z M5 11A7 7 0 0 0 19 11M12 18V22M8 22H16"/>'),
    "eye": ("an eye", '<path d="M2 12C6 5 18 5 22 12C18 19 6 19 2 12Z"/><circle cx="12" cy="12" r="3"/>'),
    "funnel": ("a funnel", '<path d="M3 4H21L14 13V20L10 18V13Z"/>'),
    "pin": ("a map pin", '<path d="M12 22C6 14 5 12 5 9A7 7 0 0 1 19 9C19 12 18 14 12 22Z"/><circle cx="12" cy="9" r="2.5"/>'),
    "bubble": ("a speech bubble", '<path d="M3 4H21V16H12L7 21V16H3Z"/>'),
    "download": ("an arrow pointing down onto a line", '<path d="M12 3V15M6 10L12 16L18 10M4 20H20"/>'),
    "upload": ("an arrow pointing up from a line", '<path d="M12 16V4M6 9L12 3L18 9M4 20H20"/>'),
    "chain": (
        "two links of a chain",
        '<path d="M10 14A4 4 0 0 1 10 8L13 5A4 4 0 0 1 19 11L17 13M14 10A4 4 0 0 1 14 16L11 19A4 4 0 0 1 5 13L7 11"/>',
    ),
    "scissors": (
        "a pair of scissors",
        '<circle cx="6" cy="6" r="3"/><circle cx="6" cy="18" r="3"/><path d="M8.5 8L21 19M8.5 16L21 5"/>',
    ),
    "chart": ("a bar chart", '<path d="M3 21H21M6 18V12M11 18V5M16 18V9M20 18V14"/>'),
    "picture": ("a picture of hills", '<path d="M3 4H21V20H3Z M3 17L9 11L13 15L16 12L21 17"/><circle cx="16" cy="8" r="1.5"/>'),
    "phone": ("a mobile phone", '<path d="M7 2H17V22H7Z M10 19H14"/>'),
    "globe": ("a globe", '<circle cx="12" cy="12" r="9"/><path d="M3 12H21M12 3C7 8 7 16 12 21M12 3C17 8 17 16 12 21"/>'),
    "key": ("a key", '<circle cx="7" cy="15" r="4"/><path d="M10 12L20 2M16 6L19 9"/>'),
    "drop": ("a drop", '<path d="M12 3C17 10 18 12 18 15A6 6 0 0 1 6 15C6 12 7 10 12 3Z"/>'),
    "ruler": ("a ruler", '<path d="M2 9H22V16H2Z M6 9V12M10 9V13M14 9V12M18 9V13"/>'),
    "lamp": ("a light bulb", '<path d="M9 17C9 14 6 13 6 9A6 6 0 0 1 18 9C18 13 15 14 15 17Z M10 21H14"/>'),
    "frame": ("a dashed frame", '<path d="M4 4H20V20H4Z" stroke-dasharray="3 2.5"/>'),
    "hand": (
        "a hand",
        '<path d="M7 13V6A1.5 1.5 0 0 1 10 6V4A1.5 1.5 0 0 1 13 4V6A1.5 1.5 0 0 1 16 6V8A1.5 1.5 0 0 1 19 8V15C19 20 16 22 13 22'
        'C9 22 8 20 4 15A1.6 1.6 0 0 1 7 13Z"/>',
    ),
    "letter": ("the letter T", '<path d="M5 8V4H19V8M12 4V20M9 20H15"/>'),
    "brush": ("a paintbrush", '<path d="M20 3L11 12L13 14L21 5Z M10 13C6 13 6 17 3 19C6 21 12 21 12 15Z"/>'),
    "sun": ("a sun", '<circle cx="12" cy="12" r="4"/><path d="M12 2V5M12 19V22M2 12H5M19 12H22M5 5L7 7M17 17L19 19M19 5L17 7M7 17L5 19"/>'),
    "moon": ("a crescent moon", '<path d="M20 14A8.5 8.5 0 1 1 10 4A7 7 0 0 0 20 14Z"/>'),
    "layers": ("a stack of sheets", '<path d="M12 3L22 8L12 13L2 8Z M2 12L12 17L22 12M2 16L12 21L22 16"/>'),
    "gear": (
        "a gear wheel",
        '<circle cx="12" cy="12" r="3"/><circle cx="12" cy="12" r="6.5"/>'
        '<path d="M12 2V5.5M12 18.5V22M2 12H5.5M18.5 12H22M5 5L7.4 7.4M16.6 16.6L19 19M19 5L16.6 7.4M7.4 16.6L5 19" stroke-width="3"/>',
    ),
    "question": ("a question mark", '<circle cx="12" cy="12" r="9.5"/><path d="M9 9.5A3 3 0 1 1 12 13V14.5M12 17V17.6"/>'),
    "first": ("an arrow head pointing to the left", '<path d="M15 5L8 12L15 19"/>'),
    "last": ("an arrow head pointing to the right", '<path d="M9 5L16 12L9 19"/>'),
    "down": ("an arrow head pointing down", '<path d="M5 9L12 16L19 9"/>'),
}
"""Name -> (what it shows, shapes)."""


def icon(name: str, size: int) -> str:
    """The SVG of an icon, ``size`` CSS pixels wide and high, in the colour of the text around it."""
    return f'<svg class="ic" data-i="{name}" aria-hidden="true" width="{size}" height="{size}" viewBox="0 0 24 24">{ICONS[name][1]}</svg>'


def shows(name: str) -> str:
    """What the icon shows, in words."""
    return ICONS[name][0]
