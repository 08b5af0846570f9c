"""Makes the senders that the configuration names: the one place that knows every kind.

Only the kind that is configured is imported: the twilio package alone is 14 MiB in every process.
"""

import sys
from typing import TextIO

from gateway.config.sections.sms_backup import SmsBackup
from gateway.config.sections.sms_email import Email, EmailSmtp, Sms, SmsTwilio, SmsTwilioVerify, SmsWebhook
from gateway.messaging.senders.base import EmailSender, Sender, SmsProvider
from gateway.messaging.senders.console import ConsoleEmailSender, ConsoleSender
from gateway.messaging.senders.retry import Backoff


def build_sms(config: Sms, stream: TextIO = sys.stdout, *, status_url: str = "") -> SmsProvider:
    """Make the SMS provider. It opens no connection yet.

    `stream` is where the console provider writes, `status_url` where Twilio can report to ("" = nowhere).
    """
    if isinstance(config, SmsTwilio):
        from gateway.messaging.senders.twilio.build import messages_provider

        return messages_provider(config, status_url)
    if isinstance(config, SmsTwilioVerify):
        from gateway.messaging.senders.twilio.build import verify_provider

        return verify_provider(config)
    if isinstance(config, SmsWebhook):
        from gateway.messaging.senders.webhook import WebhookSender

        return SmsProvider(WebhookSender(config, Backoff(config.retries)))
    return SmsProvider(ConsoleSender(stream))


def build_backup(config: SmsBackup) -> Sender:
    """Make the sender of the second vendor. It opens no connection yet."""
    from gateway.messaging.senders.http_template import TemplateSender

    return TemplateSender(config, Backoff(config.retries))


def build_email(config: Email, stream: TextIO = sys.stdout) -> EmailSender:
    """Make the sender of mails; `stream` is where the console sender writes."""
    if isinstance(config, EmailSmtp):
        from gateway.messaging.senders.smtp import SmtpSender

        return SmtpSender(config, Backoff(retries=1))
    return ConsoleEmailSender(stream)
