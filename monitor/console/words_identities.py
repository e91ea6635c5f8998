"""The texts about identities: English, Dutch."""

from __future__ import annotations

from typing import Final

IDENTITIES: Final[dict[str, tuple[str, str]]] = {
    "nav.identities": ("Identities", "Identiteiten"),
    "keys.identity": ("ask who somebody is, or see it", "vraag wie iemand is, of zie het"),
    "keys.identities": ("requests for identities", "aanvragen van identiteiten"),
    "search.said.whole": (
        "Finds an actor or a subject by the whole of the id or pseudonym, lookups, alerts and incidents whose id begins with what you type, and incidents with all the words in a title, a reason or a comment.",
        "Vindt een medewerker of onderwerp op het hele id of pseudoniem, bevragingen, meldingen en incidenten waarvan het id begint met wat u typt, en incidenten met alle woorden in een titel, reden of opmerking.",
    ),
    "identity.title": ("Who they are", "Wie zij zijn"),
    "identity.said": (
        "A privacy officer approves or refuses. What is approved you alone see, here, for some hours; each time is recorded.",
        "Een privacyfunctionaris keurt goed of weigert. Wat is goedgekeurd, ziet alleen u, hier, enkele uren; elke keer wordt vastgelegd.",
    ),
    "identity.names": ("Whose identity?", "Wiens identiteit?"),
    "identity.most": ("{n} at a time at most.", "Hoogstens {n} tegelijk."),
    "identity.reason": ("Why do you need it?", "Waarom hebt u die nodig?"),
    "identity.ask": ("Ask for it", "Vraag aan"),
    "identity.asked": (
        "You asked for it; a privacy officer has to answer.",
        "U hebt die aangevraagd; een privacyfunctionaris moet antwoorden.",
    ),
    "identity.none": (
        "No identity is kept in this incident any more.",
        "In dit incident is geen identiteit meer bewaard.",
    ),
    "identity.no-key": (
        "Identities cannot be shown here: this console has no key of them.",
        "Identiteiten kunnen hier niet worden getoond: deze console heeft er geen sleutel van.",
    ),
    "identity.away": (
        "The log of requests does not answer: nothing can be asked for or shown now.",
        "Het logboek van aanvragen antwoordt niet: nu kan niets worden aangevraagd of getoond.",
    ),
    "identity.requests": ("Requests about this incident", "Aanvragen over dit incident"),
    "identity.until": ("until {time}", "tot {time}"),
    "identity.show": ("Show", "Toon"),
    "identity.opened": ("Identities, shown to you alone", "Identiteiten, alleen aan u getoond"),
    "identity.opened.said": (
        "That you see them was recorded. They are on this page only, and on paper if you print it.",
        "Dat u ze ziet, is vastgelegd. Ze staan alleen op deze pagina, en op papier als u die afdrukt.",
    ),
    "identity.pseudonym": ("Pseudonym", "Pseudoniem"),
    "identity.identity": ("Identity", "Identiteit"),
    "identity.closed": ("no longer kept, or no key opens it", "niet meer bewaard, of geen sleutel opent die"),
    "askstate.open": ("waits for an answer", "wacht op antwoord"),
    "askstate.approved": ("approved", "goedgekeurd"),
    "askstate.refused": ("refused", "geweigerd"),
    "askstate.over": ("over", "verlopen"),
    "requests.title": ("Requests for identities", "Aanvragen van identiteiten"),
    "requests.said": (
        "The desk asks who is behind pseudonyms of an incident. Is the reason enough for these names? You do not see the identities.",
        "Het securityteam vraagt wie achter pseudoniemen van een incident zit. Is de reden genoeg voor deze namen? U ziet de identiteiten niet.",
    ),
    "requests.waiting": ("Waiting for an answer", "Wachten op antwoord"),
    "requests.empty": ("No request waits.", "Er wacht geen aanvraag."),
    "requests.more": ("{n} more wait.", "Er wachten er nog {n}."),
    "requests.answered": ("Answered, or over", "Beantwoord of verlopen"),
    "requests.asker": ("Asked by", "Gevraagd door"),
    "requests.why": ("Reason", "Reden"),
    "requests.when": ("Asked", "Gevraagd"),
    "requests.names": ("Names", "Namen"),
    "requests.answer": ("Answer", "Antwoord"),
    "requests.seen": ("Seen", "Gezien"),
    "requests.own": (
        "You asked for this yourself: another has to answer.",
        "Dit vroeg u zelf: een ander moet antwoorden.",
    ),
    "requests.reason": ("Why do you approve or refuse?", "Waarom keurt u goed of weigert u?"),
    "requests.approve": ("Approve", "Keur goed"),
    "requests.refuse": ("Refuse", "Weiger"),
    "requests.back": ("Take back", "Trek in"),
    "requests.back.reason": ("Why is it taken back?", "Waarom trekt u dit in?"),
    "done.approve": ("It was approved.", "Het is goedgekeurd."),
    "done.refuse": ("It was refused.", "Het is geweigerd."),
    "message.untaken": ("It was not done", "Het is niet gedaan"),
    "message.keyless": ("Identities cannot be shown here", "Identiteiten kunnen hier niet worden getoond"),
    "message.keyless.do": (
        "This console has no key of identities; whoever runs the monitor can give it one.",
        "Deze console heeft geen sleutel van identiteiten; de beheerder van de monitor kan er een geven.",
    ),
    "message.away": ("Identities cannot be reached now", "Identiteiten zijn nu niet bereikbaar"),
    "message.away.do": (
        "Their log does not answer. Nothing is shown. Look at the list of requests before you try again: it may have been done.",
        "Hun logboek antwoordt niet. Er wordt niets getoond. Kijk in de lijst van aanvragen voordat u het opnieuw probeert: het kan zijn gedaan.",
    ),
    "why.unreadable": ("It could not be read as a request.", "Het kon niet als aanvraag worden gelezen."),
    "why.forged": (
        "It was not signed with the key of identities. Tell who runs the monitor.",
        "Het was niet ondertekend met de sleutel van identiteiten. Meld dit de beheerder.",
    ),
    "why.stale": (
        "The clocks of this console and of Kafka are too far apart. Tell who runs the monitor.",
        "De klokken van deze console en van Kafka lopen te ver uiteen. Meld dit de beheerder.",
    ),
    "why.repeated": ("It was there already.", "Het was er al."),
    "why.no-names": ("Choose at least one name, and not too many.", "Kies ten minste één naam, en niet te veel."),
    "why.no-reason": ("It needs a reason.", "Er is een reden nodig."),
    "why.unknown-request": ("There is no such request.", "Deze aanvraag bestaat niet."),
    "why.own-request": (
        "Nobody approves or refuses what they asked for themselves.",
        "Niemand keurt goed of weigert wat hij zelf heeft aangevraagd.",
    ),
    "why.answered": ("It has been answered already.", "Het is al beantwoord."),
    "why.too-late": (
        "It was asked for too long ago; it has to be asked anew.",
        "Het is te lang geleden gevraagd; vraag het opnieuw aan.",
    ),
    "why.not-asker": ("Only who asked sees it.", "Alleen wie het heeft aangevraagd, ziet het."),
    "why.not-approved": ("It has not been approved.", "Het is niet goedgekeurd."),
    "why.expired": (
        "The time it was approved for is over; ask again.",
        "De tijd van de goedkeuring is voorbij; vraag het opnieuw aan.",
    ),
}
