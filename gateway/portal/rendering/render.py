"""Turns templates into responses and puts the security headers on every page of ours.

It must not decide anything: what a page says comes in as context. All values are escaped; a name that a
template uses and nobody passed is an error, not an empty string.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from gateway.config.schema import Branding
from gateway.errors import TooManyAttempts
from gateway.i18n.catalogues import NAMES, Language, language
from gateway.i18n.text import N_, Text, duration
from gateway.portal.rendering import assets
from gateway.portal.rendering.shared_code import SharedCode
from gateway.portal.rendering.status_texts import wording
from gateway.portal.rendering.texts import too_many
from gateway.portal.request import Reader, Readers

Action = tuple[str, str]
"""What a page offers next: label and address."""
TRY_AGAIN: Action = (N_("Try again"), "")
"""The address is that of the page itself, which a browser keeps better than we could write it."""

_CODE = SharedCode()
_PACKAGE = Path(__file__).resolve().parents[2]

_FIXED_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not "no-referrer": with it browsers send "Origin: null" on our own form posts,
    # and the CSRF check compares Origin.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class Brand:
    """What templates may know of `config.branding`."""

    name: str
    color: str
    support: str
    has_logo: bool


def default_templates() -> Path:
    """The wheel carries the templates inside the package, a checkout beside it."""
    packed = _PACKAGE / "_templates"
    return packed if packed.is_dir() else _PACKAGE.parent / "templates"


def content_security_policy(form_action: Sequence[str], frame_ancestors: Sequence[str] = ()) -> str:
    """Return the policy of our pages. `form_action` lists origins beside our own that a form post may end at,
    `frame_ancestors` those whose pages may show ours in a frame (none by default).

    Browsers check this directive on redirects too (CSP 3, 6.4.1), so the address after a sign-in counts. Raises
    ValueError for what is no source.
    """
    if any(set(source) & set(" ;,\t\r\n'") for source in (*form_action, *frame_ancestors)):
        raise ValueError(f"not a CSP source: {form_action!r} {frame_ancestors!r}")
    return "; ".join(
        (
            "default-src 'none'",
            "style-src 'self'",
            "img-src 'self' data:",
            "script-src 'self'",
            "connect-src 'self'",
            " ".join(("form-action 'self'", *form_action)),
            " ".join(("frame-ancestors", *(frame_ancestors or ("'none'",)))),
            "base-uri 'none'",
        )
    )


class Pages:
    """All pages of one gateway, branded once."""

    def __init__(
        self,
        branding: Branding,
        *,
        prefix: str = "/_auth",
        templates: Path | None = None,
        hsts: bool = False,
        form_action: Sequence[str] = (),
        frame_ancestors: Sequence[str] = (),
        apps: bool = False,
        spoken: Callable[[str], Language] = language,
        folder: str = "",
        front: str = "/",
    ) -> None:
        """`folder`, such as "other.org/", keeps the files of one brand apart from those of another. `front` is where
        links home lead.
        """
        self.by_domain: dict[str, Pages] = {}
        self._prefix, self._folder, self._has_apps, self._front = prefix, folder, apps, front
        self.readers = Readers(branding, path=prefix, secure=hsts)
        self._assets = assets.load(branding)
        policy = content_security_policy(form_action, frame_ancestors)
        self._headers = _FIXED_HEADERS | {"Content-Security-Policy": policy}
        if (
            frame_ancestors
        ):  # X-Frame-Options can't name origins (RFC 7034 §2.1), and the policy stands for it
            del self._headers["X-Frame-Options"]
        if hsts:
            self._headers["Strict-Transport-Security"] = "max-age=31536000"
        environments = [self._environment_for(branding, templates, spoken(tag)) for tag in NAMES]
        self._environments = dict(zip(NAMES, environments, strict=True))

    def _environment_for(self, branding: Branding, templates: Path | None, language: Language) -> Environment:
        """One for each language: templates need not pass it on to what they include."""
        folders = [folder for folder in (templates, default_templates()) if folder is not None]
        environment = Environment(
            loader=ChoiceLoader([FileSystemLoader(folder) for folder in folders]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            bytecode_cache=_CODE,
            extensions=["jinja2.ext.i18n"],
            finalize=language.text,  # what is a Text arrives translated, wherever it was made
        )
        speak(environment, language)
        brand = Brand(
            name=branding.name,
            color=branding.color,
            support=branding.support,
            has_logo=branding.logo_file is not None,
        )
        environment.globals.update(
            brand=brand,
            prefix=self._prefix,
            front=self._front,
            asset=self.asset_url,
            error=None,
            notice=None,
            has_apps=self._has_apps,
            languages=[(tag, NAMES[tag]) for tag in self.readers.offered],
        )
        return environment

    def asset_url(self, name: str) -> str:
        return f"{self._prefix}/static/{self._folder}{name}?v={self._assets[name].digest}"

    def of(self, host: str) -> "Pages":
        """The pages in the looks of the domain that a host is in."""
        names = [name for name in self.by_domain if host == name or host.endswith(f".{name}")]
        return self.by_domain[max(names, key=len)] if names else self

    def static_routes(self) -> list[web.RouteDef]:
        """Routes for `app.router.add_routes`: everything under `{prefix}/static/`."""
        own = [
            web.get(f"{self._prefix}/static/{self._folder}{name}", asset.respond)
            for name, asset in self._assets.items()
        ]
        return own + [route for pages in self.by_domain.values() for route in pages.static_routes()]

    def render(
        self,
        name: str,
        status: int = 200,
        *,
        reader: Reader,
        request_id: str = "",
        headers: Mapping[str, str] | None = None,
        **context: object,
    ) -> web.Response:
        """The page `name` ("login.html") with `context`, as a response that no cache keeps."""
        shared = {"status": status, "request_id": request_id, "switch": reader.switch}
        text = self._environments[reader.lang].get_template(name).render(shared | context)
        ours = {"Content-Language": reader.lang, **self._headers}
        return web.Response(
            text=text, status=status, content_type="text/html", headers={**(headers or {}), **ours}
        )

    def error(
        self,
        status: int,
        *,
        reader: Reader,
        title: str = "",
        message: str = "",
        reason: str = "",
        request_id: str = "",
        retry_after: int | None = None,
        actions: Sequence[Action] = (),
        accepts_html: bool = True,
        headers: Mapping[str, str] | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> web.Response:
        """The error page, or JSON for clients that don't read HTML. Unset words come from `statuses`.

        `fields` are more members of the JSON object.
        """
        words = wording(status)
        message = message or words.message
        extra = dict(headers or {})
        if retry_after is not None:
            extra["Retry-After"] = str(retry_after)
        if not accepts_html:
            body = {"error": reason or words.code, "message": message, "request_id": request_id}
            return self._json_error(status, {**body, **(fields or {})}, extra)
        return self.render(
            "error.html",
            status,
            reader=reader,
            request_id=request_id,
            headers=extra,
            title=title or words.title,
            message=message,
            reason=reason,
            retry_after=retry_after,
            actions=actions,
        )

    def limited(self, limit: TooManyAttempts, reader: Reader, request_id: str) -> web.Response:
        """The page for who has tried too often, with the time to wait."""
        return self.error(
            429, message=too_many(limit), reader=reader, request_id=request_id, retry_after=limit.retry_after
        )

    def _json_error(self, status: int, body: Mapping[str, str], headers: Mapping[str, str]) -> web.Response:
        return web.Response(
            text=json.dumps(body),
            status=status,
            content_type="application/json",
            headers={**headers, **self._headers},
        )


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
