"""What templates say in the reader's language: `_()`, `{% trans %}`, and the filters for times."""

from datetime import UTC, datetime

from jinja2 import Environment
from markupsafe import Markup

from gateway.i18n.catalogues import Language
from gateway.i18n.text import N_, Text, duration


def speak(environment: Environment, language: Language) -> None:
    """Teach the templates of `environment` the language.

    Catalogues are ours, so their markup counts; what is put into their place holders is escaped.
    """

    def escaped(values: dict[str, object]) -> dict[str, object]:
        return {
            name: Markup.escape(language.text(value)) if isinstance(value, str) else value
            for name, value in values.items()
        }

    def gettext(message: str, **values: object) -> Markup:
        return Markup(language.say(message, escaped(values)))  # noqa: S704

    def ngettext(one: str, many: str, num: int, **values: object) -> Markup:
        counted = {**escaped(values), "num": num, "count": num}
        return Markup(language.plural(one, many, counted))  # noqa: S704

    environment.newstyle_gettext = True  # type: ignore[attr-defined]  # the i18n extension's
    environment.policies["ext.i18n.trimmed"] = True
    environment.globals.update(gettext=gettext, ngettext=ngettext, lang=language.tag, dir=language.direction)
    environment.filters.update(
        utc=utc,
        number=language.number,
        duration=duration,
        moment=lambda seconds: language.text(moment(seconds)),
    )


def utc(seconds: float, shape: str) -> str:
    """Pages don't know where their reader is, so they give times in UTC. This is for `datetime` attributes."""
    return datetime.fromtimestamp(seconds, UTC).strftime(shape)


def moment(seconds: float) -> Text:
    """Day and time of day; each language has its own order for them."""
    at = datetime.fromtimestamp(seconds, UTC)
    return N_(
        "%(year)s-%(month)s-%(day)s %(hour)s:%(minute)s",
        year=f"{at:%Y}",
        month=f"{at:%m}",
        day=f"{at:%d}",
        hour=f"{at:%H}",
        minute=f"{at:%M}",
    )
