"""`auth-gateway user …`: the people who may sign in. Passwords come from a prompt or stdin, never from arguments."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from gateway.authn.factors.phone_lines import SECOND_PHONE, waive_second_phone
from gateway.authn.lockouts import Lockout
from gateway.cli.context import Opened, config_option, json_option, moment, print_json, run
from gateway.cli.user.accounts import accounts, unlink
from gateway.cli.user.bulk_import import import_users
from gateway.cli.user.bypass import bypass
from gateway.cli.user.factors import reset, reset_factors
from gateway.cli.user.groups import add_group, remove_group
from gateway.cli.user.invite import invite
from gateway.cli.user.listing import list_users, public
from gateway.cli.user.unlock import as_facts, sentences, unlock
from gateway.directory import identifiers
from gateway.model import Attributes, User
from gateway.policy.decide import SECOND_FACTORS
from gateway.policy.explain import attribute_words
from gateway.stores.sql.sms import SqlPhoneChanges

_username = click.argument("username")
_name = click.option("--name", help="The full name.")
_email = click.option("--email", help="The e-mail address.")
_phone = click.option("--phone", help="The number for codes, like +4915112345678.")
_attributes = click.option(
    "--attribute",
    "attributes",
    multiple=True,
    metavar="NAME=VALUE",
    help="A fact for rules and headers; repeat for more, NAME= takes it away.",
)
_groups = click.option("--group", "groups", multiple=True, help="A group; repeat for more.")
_password_stdin = click.option(
    "--password-stdin", is_flag=True, help="Read the password from the first line of stdin."
)


@click.group()
def user() -> None:
    """Add, change, import and remove users."""


user.add_command(import_users)
user.add_command(invite)
user.add_command(accounts)
user.add_command(unlink)
user.add_command(bypass)
user.add_command(reset_factors)
user.add_command(unlock)
user.add_command(list_users)
user.add_command(add_group)
user.add_command(remove_group)


@user.command()
@_username
@_name
@_email
@_phone
@_groups
@_attributes
@_password_stdin
@click.option("--no-password", is_flag=True, help="Add the user without one; set it later.")
@config_option
def add(
    username: str,
    name: str | None,
    email: str | None,
    phone: str | None,
    groups: tuple[str, ...],
    attributes: tuple[str, ...],
    password_stdin: bool,
    no_password: bool,
    config_file: Path,
) -> None:
    """Add a user."""
    password = None if no_password else read_password(password_stdin)
    wanted = User(username, name=name or "", email=email or "", phone=phone or "", groups=groups)
    wanted = replace(wanted, attributes=_changed(wanted, attributes))

    async def work(opened: Opened) -> User:
        new = await opened.directory.prepared(wanted, password)
        await opened.directory.add_all([new])
        await opened.record("user_added", new.username)
        return new

    click.echo(f"added {run(config_file, work).username}")


@user.command()
@_username
@json_option
@config_option
def show(username: str, as_json: bool, config_file: Path) -> None:
    """Show one user with the enrolled factors, locks and waits."""

    async def work(opened: Opened) -> tuple[dict[str, object], Sequence[Lockout]]:
        found = await opened.user(username)
        enrolled = await opened.credentials.list(found.username)
        by_code = {"sms": found.phone, "email": found.email if opened.config.email.second_factor else ""}
        enrolled_here = [
            (one.kind, one.name) for one in enrolled if one.kind in SECOND_FACTORS | {SECOND_PHONE}
        ]
        facts = public(found) | {
            "factors": [
                {"kind": kind, "name": name}
                for kind, name in [*((kind, to) for kind, to in by_code.items() if to), *enrolled_here]
            ]
        }
        return facts, await opened.blocks.of(found)

    facts, waits = run(config_file, work)
    if as_json:
        print_json(facts | {"blocked": [as_facts(one) for one in waits]})
        return
    for key, value in facts.items():
        click.echo(f"{key.replace('_', ' '):20} {_as_text(key, value)}".rstrip())
    for line in sentences(username, waits):
        click.echo(f"{'blocked':20} {line}")


@user.command("set")
@_username
@_name
@_email
@_phone
@_groups
@_attributes
@click.option("--no-groups", is_flag=True, help="Take the user out of all groups.")
@click.option("--password", "ask_password", is_flag=True, help="Ask for a new password.")
@_password_stdin
@click.option(
    "--no-cool-off",
    is_flag=True,
    help="Codes go to the new number at once (sms.cool_off); also waives it for a change before, or a second one.",
)
@click.option(
    "--no-second-phone", is_flag=True, help="Take away the second number; ends the user's sessions."
)
@config_option
def set_user(
    username: str,
    name: str | None,
    email: str | None,
    phone: str | None,
    groups: tuple[str, ...],
    attributes: tuple[str, ...],
    no_groups: bool,
    ask_password: bool,
    password_stdin: bool,
    no_cool_off: bool,
    no_second_phone: bool,
    config_file: Path,
) -> None:
    """Change a user. --group replaces all groups; a new password ends the user's sessions."""
    if groups and no_groups:
        raise click.UsageError("--group and --no-groups exclude each other.")
    password = read_password(password_stdin) if ask_password or password_stdin else None
    given: dict[str, object] = {"name": name, "email": email, "phone": phone, "groups": groups or None}
    changes = {field: value for field, value in given.items() if value is not None}
    if no_groups:
        changes["groups"] = ()
    if not changes and not attributes and password is None and not (no_cool_off or no_second_phone):
        raise click.UsageError("Nothing to change: name an option.")

    async def work(opened: Opened) -> User:
        found = await opened.user(username)
        if password is not None:
            await opened.directory.set_password(found.username, password)
            await opened.sessions.delete_for_user(found.username)
        if attributes:
            changes["attributes"] = _changed(found, attributes)
        if changes:
            await opened.directory.replace(replace(found, **changes))  # type: ignore[arg-type]  # fields of User
        if no_second_phone:
            await reset(opened, found, [SECOND_PHONE])
        if no_cool_off:
            await SqlPhoneChanges(opened.engine).waive(found.username)
            await waive_second_phone(opened.credentials, found.username)
            await opened.record("phone_cool_off_waived", found.username)
        fields = [*changes, "password"] if password is not None else [*changes]
        await opened.record("user_changed", found.username, fields=fields)
        return found

    before = run(config_file, work)
    click.echo(f"changed {before.username}")
    if phone and before.phone and not no_cool_off:
        note = "codes go to the number before for as long as sms.cool_off says; --no-cool-off ends that"
        click.echo(note, err=True)


@user.command()
@_username
@config_option
def disable(username: str, config_file: Path) -> None:
    """Refuse a user's sign-ins and end the sessions."""
    _set_disabled(config_file, username, True)


@user.command()
@_username
@config_option
def enable(username: str, config_file: Path) -> None:
    """Let a disabled user sign in again."""
    _set_disabled(config_file, username, False)


@user.command()
@_username
@click.option("--yes", is_flag=True, help="Don't ask.")
@config_option
def delete(username: str, yes: bool, config_file: Path) -> None:
    """Delete a user with the sessions and enrolled factors."""

    async def work(opened: Opened) -> str:
        found = await opened.user(username)
        if not yes:
            click.confirm(f"Delete {found.username} with all sessions and factors?", abort=True, err=True)
        await opened.directory.delete(found.username)
        await opened.record("user_deleted", found.username)
        return found.username

    click.echo(f"deleted {run(config_file, work)}")


def _set_disabled(config_file: Path, username: str, disabled: bool) -> None:
    verb = "disabled" if disabled else "enabled"

    async def work(opened: Opened) -> str:
        found = await opened.user(username)
        await opened.directory.replace(replace(found, disabled=disabled))
        if disabled:
            await opened.record("user_disabled", found.username)
        else:
            await opened.record("user_enabled", found.username)
        return found.username

    click.echo(f"{verb} {run(config_file, work)}")


def read_password(from_stdin: bool) -> str:
    """Return a password from the first line of stdin, or typed twice into a hidden prompt. Raises UsageError without a
    terminal.
    """
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise click.UsageError("No terminal to ask for the password on: use --password-stdin.")
    prompted: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return prompted


def _changed(user: User, given: Sequence[str]) -> Attributes:
    """The user's attributes with those that are given. Raises UsageError for what is no NAME=VALUE."""
    new: dict[str, list[str]] = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals:
            raise click.UsageError(f"--attribute {one}: write NAME=VALUE.")
        new.setdefault(name, []).append(value)
    return identifiers.attributes({**dict(user.attributes), **new})


def _as_text(key: str, value: object) -> str:
    if key.endswith("_at") and isinstance(value, float):
        return moment(value) if value else "never"
    if isinstance(value, dict):
        return attribute_words(value)
    if isinstance(value, list | tuple):
        return ", ".join(" ".join(item.values()) if isinstance(item, dict) else str(item) for item in value)
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
