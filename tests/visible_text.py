"""What people read on a page, for tests about languages."""

from html.parser import HTMLParser

SPOKEN_ATTRIBUTES = {
    "alt",
    "title",
    "placeholder",
    "aria-label",
    "data-auto-submit",
    "data-problem",
    "content",
    "data-copied",
    "data-label",
}
"""Those that hold words, and those whose words scripts and style sheets show."""


class Visible(HTMLParser):
    """Text, and the attributes that are read out or shown, in `found`."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in SPOKEN_ATTRIBUTES]

    def handle_data(self, data: str) -> None:
        self.found.append(data)
