"""Codes read out in a call through Twilio's Calls API: TwiML goes along, so Twilio needs to ask us nothing.

Like messages, calls have no idempotency key: what may have been placed is not placed again.
"""

from collections.abc import Callable

from twilio.base import values
from twilio.twiml.voice_response import VoiceResponse

from gateway.messaging.senders.twilio.client import TwilioApi

RING_SECONDS = 25
"""Short enough that most voice mailboxes don't answer: a mailbox must not record a code."""
TIMES = 3
SENTENCES = {
    "en": ("en-US", "Hello. Your sign-in code is:", "Again:", "Goodbye."),
    "de": ("de-DE", "Guten Tag. Ihr Anmeldecode lautet:", "Noch einmal:", "Auf Wiederhören."),
    "es": ("es-ES", "Hola. Su código de acceso es:", "Otra vez:", "Adiós."),
    "fr": ("fr-FR", "Bonjour. Votre code de connexion est :", "Encore une fois :", "Au revoir."),
    "ja": ("ja-JP", "こんにちは。サインインコードは、", "もう一度、", "失礼いたします。"),
    "ar": ("ar-XA", "مرحبًا. رمز تسجيل الدخول هو:", "مرة أخرى:", "مع السلامة."),
    "it": ("it-IT", "Buongiorno. Il tuo codice di accesso è:", "Di nuovo:", "Arrivederci."),
    "ko": ("ko-KR", "안녕하세요. 로그인 코드는 다음과 같습니다.", "다시 한번 말씀드립니다.", "감사합니다."),
    "nl": ("nl-NL", "Goedendag. Je inlogcode is:", "Nogmaals:", "Tot ziens."),
    "pl": ("pl-PL", "Dzień dobry. Kod logowania to:", "Jeszcze raz:", "Do widzenia."),
    "pt-BR": ("pt-BR", "Olá. Seu código de acesso é:", "Mais uma vez:", "Até logo."),
    "ru": ("ru-RU", "Здравствуйте. Ваш код для входа:", "Повторяю:", "До свидания."),
    "tr": ("tr-TR", "Merhaba. Oturum açma kodunuz:", "Tekrar ediyorum:", "Hoşça kalın."),
    "zh-Hans": ("zh-CN", "您好。您的登录验证码是:", "再重复一遍:", "再见。"),
    "zh-Hant": ("zh-TW", "您好。您的登入驗證碼是:", "再重複一次:", "再見。"),
}
"""By language, with Twilio's name of it. Others hear English."""


class TwilioCaller:
    """Places calls from `sms.voice_from`."""

    def __init__(self, api: TwilioApi, number: str, callback: Callable[[str], str]) -> None:
        self._api, self._number, self._callback = api, number, callback

    async def call(self, to: str, code: str, *, lang: str = "en", reference: str = "") -> str:
        """Place the call and return its SID ("CA…"). It rings then."""
        url = self._callback(reference)
        told = (
            {
                "status_callback": url,
                "status_callback_event": ["initiated", "ringing", "answered", "completed"],
            }
            if url
            else {"status_callback": values.unset}
        )
        call = await self._api.call(
            lambda client: client.calls.create_async(
                to=to, from_=self._number, twiml=twiml(code, lang), timeout=RING_SECONDS, **told
            )
        )
        return str(call.sid)


def twiml(code: str, lang: str) -> str:
    """Return TwiML that reads the code digit by digit, slowly, several times, in a language such as "de"."""
    language, greeting, again, end = SENTENCES.get(lang, SENTENCES["en"])
    # A full stop after each digit: every voice pauses there, not every voice understands SSML.
    digits = " ".join(f"{digit}." for digit in code)
    response = VoiceResponse()
    response.pause(length=1)  # the callee says hello
    for round in range(TIMES):
        response.say(greeting if round == 0 else again, language=language)
        response.pause(length=1)
        response.say(digits, language=language)
        response.pause(length=2)
    response.say(end, language=language)
    return str(response)
