"""`auth-gateway token …`: API tokens for programs. The token itself is shown once, when it is made."""

import secrets
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from gateway.authn.api_credentials import token_digest
from gateway.authn.shown_credentials import PREFIX
from gateway.cli.context import Opened, config_option, json_option, moment, print_json, run
from gateway.config.names import checked_user_name, user_name
from gateway.config.units import parse_duration
from gateway.directory import identifiers
from gateway.errors import GatewayError
from gateway.stores.protocols.tokens import ApiToken
from gateway.stores.sql.tokens import SqlTokens


@click.group()
def token() -> None:
    """Add, list and revoke API tokens."""


@token.command()
@click.argument("name")
@click.option("--route", "routes", multiple=True, help="A route's name (or host + path); repeat.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(["admin:read", "admin:write", "scim"]),
    help="What it may do with the admin API, or by SCIM; repeat.",
)
@click.option("--method", "methods", multiple=True, help="Only this HTTP method; repeat for more.")
@click.option("--group", "groups", multiple=True, help="A group the program is in; repeat for more.")
@click.option("--expires", default="90d", show_default=True, help="How long it is good; `never` for no end.")
@config_option
def add(
    name: str,
    routes: tuple[str, ...],
    scopes: tuple[str, ...],
    methods: tuple[str, ...],
    groups: tuple[str, ...],
    expires: str,
    config_file: Path,
) -> None:
    """Make a token and print it. It is not kept and can't be shown again."""
    if not routes and not scopes:
        raise click.UsageError("Give --route or --scope: a token for nothing is of no use.")
    lifetime = 0.0 if expires == "never" else _seconds(expires)

    async def work(opened: Opened) -> str:
        known = {route.label: route for route in opened.config.routes}
        for label in routes:
            if label not in known:
                raise GatewayError(f"there is no route {label}; there are {', '.join(known)}")
            if not known[label].tokens:
                raise GatewayError(f"route {label} takes no tokens: set `tokens: true` there first")
        id, secret, now = secrets.token_hex(8), secrets.token_urlsafe(32), opened.clock()
        digest = token_digest(opened.keys.derive(b"tokens"), secret)
        made = ApiToken(
            id=id,
            name=checked_user_name(name),
            digest=digest,
            groups=tuple(map(identifiers.group, groups)),
            routes=routes,
            methods=tuple(method.upper() for method in methods),
            created_at=now,
            expires_at=now + lifetime if lifetime else 0.0,
            scopes=scopes,
        )
        await SqlTokens(opened.engine).add(made)
        await opened.record("token_added", f"token:{made.name}", routes=list(routes), scopes=list(scopes))
        return f"{PREFIX}{id}_{secret}"

    click.echo(run(config_file, work))


@token.command("list")
@json_option
@config_option
def list_tokens(as_json: bool, config_file: Path) -> None:
    """List the tokens, never their secrets."""

    async def work(opened: Opened) -> Sequence[ApiToken]:
        return await SqlTokens(opened.engine).list()

    found = run(config_file, work)
    if as_json:
        print_json([{key: value for key, value in asdict(one).items() if key != "digest"} for one in found])
        return
    if not found:
        click.echo("no tokens", err=True)
    for one in found:
        methods = ",".join(one.methods) or "all methods"
        used, end = _when(one.last_used_at), _when(one.expires_at)
        click.echo(
            "\t".join(
                (_called(one), ",".join((*one.routes, *one.scopes)), methods, f"used {used}", f"ends {end}")
            )
        )


@token.command()
@click.argument("name")
@config_option
def revoke(name: str, config_file: Path) -> None:
    """End a token; running gateways hear of it within two seconds."""

    async def work(opened: Opened) -> None:
        if not await SqlTokens(opened.engine).revoke(user_name(name), opened.clock()):
            raise GatewayError(f"there is no token {name}")
        await opened.record("token_revoked", f"token:{user_name(name)}")

    run(config_file, work)
    click.echo(f"revoked {name}")


def _called(one: ApiToken) -> str:
    return f"{one.name} ({one.owner}: {one.title})" if one.owner else one.name


def _seconds(text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise click.UsageError(f"--expires: {error}") from None
    if not isinstance(seconds, float) or seconds <= 0:
        raise click.UsageError("--expires: must be more than 0")
    return seconds


def _when(at: float) -> str:
    return moment(at) if at else "never"
