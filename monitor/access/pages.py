"""The pages that somebody sees who is not logged in yet: templates and their words, English and Dutch."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.datastructures import Headers
from starlette.responses import HTMLResponse

_HERE: Final = Path(__file__).resolve().parent
STYLE: Final = (_HERE / "static" / "style.css").read_bytes()
_templates: Final = Environment(
    loader=FileSystemLoader(_HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
WORDS: Final[dict[str, dict[str, str]]] = {
    "en": {
        "lang": "en",
        "log_in": "Log in",
        "log_out": "Log out",
        "name": "Name",
        "password": "Password",
        "code": "Code",
        "about_code": "The six digits of your authenticator, or one of your recovery codes.",
        "by_provider": "Log in with your organisation's account",
        "change_password": "Change your password",
        "password_now": "Password now",
        "password_new": "New password",
        "password_again": "New password once more",
        "about_new": "At least 12 characters, without your name.",
        "change": "Change",
        "back": "Back",
        "logged_in_as": "You are logged in as",
        "to_login": "To the login",
        "wrong": "Name, password or code is wrong, or the code was used before.",
        "wait": "Too many tries. Try again in {seconds} seconds.",
        "no_audit": "Nobody can log in now: the audit log cannot be written. Try again later.",
        "no_users": "Nobody can log in now: the users cannot be read. Tell who runs the monitor.",
        "not_allowed": "Your organisation's account has no role here, or may not log in.",
        "provider_failed": "Your organisation's account could not be checked. Try again.",
        "not_again": "The new password and its repetition differ.",
        "not_taken": "The new password is not taken: 12 to 256 characters, at least five different ones, without your name.",
        "changed": "Your password is changed. All your other logins have ended.",
        "expired": "This page was open for too long. Try again.",
        "failed": "It did not work",
    },
    "nl": {
        "lang": "nl",
        "log_in": "Inloggen",
        "log_out": "Uitloggen",
        "name": "Naam",
        "password": "Wachtwoord",
        "code": "Code",
        "about_code": "De zes cijfers van uw authenticator, of een van uw herstelcodes.",
        "by_provider": "Inloggen met het account van uw organisatie",
        "change_password": "Wachtwoord wijzigen",
        "password_now": "Huidig wachtwoord",
        "password_new": "Nieuw wachtwoord",
        "password_again": "Nieuw wachtwoord nogmaals",
        "about_new": "Ten minste 12 tekens, zonder uw naam.",
        "change": "Wijzigen",
        "back": "Terug",
        "logged_in_as": "U bent ingelogd als",
        "to_login": "Naar het inloggen",
        "wrong": "Naam, wachtwoord of code klopt niet, of de code is al gebruikt.",
        "wait": "Te veel pogingen. Probeer het over {seconds} seconden opnieuw.",
        "no_audit": "Niemand kan nu inloggen: het auditlogboek kan niet worden geschreven. Probeer het later opnieuw.",
        "no_users": "Niemand kan nu inloggen: de gebruikers kunnen niet worden gelezen. Waarschuw de beheerder.",
        "not_allowed": "Het account van uw organisatie heeft hier geen rol, of mag niet inloggen.",
        "provider_failed": "Het account van uw organisatie kon niet worden gecontroleerd. Probeer het opnieuw.",
        "not_again": "Het nieuwe wachtwoord en de herhaling verschillen.",
        "not_taken": "Dit wachtwoord kan niet: 12 tot 256 tekens, ten minste vijf verschillende, zonder uw naam.",
        "changed": "Uw wachtwoord is gewijzigd. Al uw andere sessies zijn beëindigd.",
        "expired": "Deze pagina stond te lang open. Probeer het opnieuw.",
        "failed": "Het is niet gelukt",
    },
}


def words_for(headers: Headers) -> dict[str, str]:
    """The words in the language that the browser prefers of those there are; English if it names none."""
    best, weight = "en", 0.0
    for part in headers.get("accept-language", "")[:200].split(","):
        name, _, q = part.strip().partition(";q=")
        lang = name.split("-")[0].lower()
        try:
            found = float(q) if q else 1.0
        except ValueError:
            continue
        if lang in WORDS and found > weight:
            best, weight = lang, found
    return WORDS[best]


def page(name: str, words: dict[str, str], title: str, status: int = 200, **fields: Any) -> HTMLResponse:
    """A page of a template; ``title`` is the name of one of the words."""
    known = {"wrong": "", "said": "", **fields}
    text = _templates.get_template(f"{name}.html").render(t=words, title=words[title], **known)
    return HTMLResponse(text, status)
