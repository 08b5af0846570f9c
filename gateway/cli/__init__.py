"""The command line: one file per command, imported only when that command runs, so start-up stays fast."""

from difflib import get_close_matches
from importlib import import_module

import click

from gateway import __version__
from gateway.server.process.memory import collector_paused

COMMANDS = {
    "serve": "gateway.cli.serve:serve",
    "demo": "gateway.cli.demo.command:demo",
    "health": "gateway.cli.health:health",
    "check": "gateway.cli.check.command:check",
    "replay": "gateway.cli.replay:replay",
    "user": "gateway.cli.user.command:user",
    "admin": "gateway.cli.admin:admin",
    "session": "gateway.cli.session:session",
    "token": "gateway.cli.token:token",
    "device": "gateway.cli.device:device",
    "access": "gateway.cli.access:access",
    "registration": "gateway.cli.registration:registration",
    "limit": "gateway.cli.limit:limit",
    "sms": "gateway.cli.sms.command:sms",
    "oidc": "gateway.cli.oidc:oidc",
    "doctor": "gateway.cli.doctor.command:doctor",
    "acme": "gateway.cli.acme:acme",
    "key": "gateway.cli.key:key",
    "backup": "gateway.cli.backup:backup",
    "restore": "gateway.cli.backup:restore",
    "audit": "gateway.cli.audit:audit",
    "export": "gateway.cli.export:export",
    "import": "gateway.cli.importers.command:import_from",
    "version": "gateway.cli.version:version",
}


class LazyGroup(click.Group):
    """A click group that knows its commands by name and imports the one that is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name].split(":")
        with collector_paused():
            command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, but a typing mistake is told from the word that was meant. Raises UsageError."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = get_close_matches(args[0], COMMANDS, n=1)
            if not near:
                raise
            raise click.UsageError(f"{error.message} Did you mean {near[0]!r}?", ctx) from None


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="auth-gateway", message="%(prog)s %(version)s")
def main() -> None:
    """Put a password and a second factor in front of any web app."""
