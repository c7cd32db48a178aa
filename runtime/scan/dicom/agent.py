"""Whether a name says that a contrast agent was given: yes, no, or nothing."""

from __future__ import annotations

import re

_WITHOUT = r"without|w ?/? ?o|ohne|sans|senza|sin|sem|zonder|uten|utan|uden|non?|not"
_WITH = r"with|w|mit|avec|con|com|c|met|med|m"
_BRANDS = (
    "gado|gadavist|dotarem|clariscan|magne(?:vist|tolux|gita)|multihance|omniscan|prohance|"
    "optimark|primovist|eovist|ablavar|vasovist|elucirem|vueway|artirem|dotagraf|cyclolux|ferahem|"
    "ferumox"
)
_AGENT = (
    rf"(?:(?:iv|i v|i\.v\.)[ .]*)?(?:(?:{_BRANDS})[a-z]*|ga?d|gbca|km|mdc|ce|inj[a-z]*|"
    r"enhanc[a-z]*|[ck]ontr?a?st[a-z]*|contr)"
)
_AND = r"[ ,;/&+]*(?:and|und|et|y|ed?|en|och|og|vs)?[ ,;/&+]*"
_BOTH = re.compile(
    rf"(?<![a-z])(?:(?:{_WITH}){_AND}(?:{_WITHOUT})|(?:{_WITHOUT}){_AND}(?:{_WITH})|"
    rf"w/?wo|pre{_AND}post)(?![a-z])|(?:\+ ?/ ?-|- ?/ ?\+|±)"
)
_NO = re.compile(
    rf"(?<![a-z])(?:(?:{_WITHOUT}|pre|before|vor|avant|prima|antes|un)[ /.-]*{_AGENT}(?![a-z])|"
    r"pre(?![a-z]| ?-? ?(?:op|surg|treat|tx|rt|scan|chemo|natal))|"
    rf"(?:{_WITHOUT})(?= *$|[ /]*c(?![a-z]))|s/c(?![a-z])|nati[vf][a-z]*(?: *{_AGENT}(?![a-z]))?|"
    r"(?:c|iv|ga?d|km|inj)-(?= |$))"
)
_YES = re.compile(
    rf"(?<![a-z])(?:{_AGENT}(?![a-z])|(?:c|iv) ?\+|c/c(?![a-z])|"
    r"(?:w ?/|with|mit) ?c(?![a-z])|"
    r"post(?![a-z]| ?-? ?(?:op|surg|treat|tx|rt|radi|chemo|proc|resec|trauma|ictal|biops|implant|"
    r"interv|stroke|dbs|\d+ ?(?:d|w|m|y))))"
    rf"|t1w?[ -]?ce(?![a-z])|t1w?c(?![a-z-])|\+ ?(?:c|k|iv)(?![a-z])|post(?={_AGENT}(?![a-z]))"
)
_OTHER_CONTRAST = re.compile(r"(?:phase|multi|high|low|tissue|soft)[ -]*contrast[a-z]*")


def named(name: str) -> bool | None:
    """What a description in lower case says of an agent; None if nothing, or both.

    "w wo contrast" names a protocol, and tells of none of its series whether it came before.
    """
    spaced = _OTHER_CONTRAST.sub(" ", re.sub(r"[\s_()\[\]]+", " ", name).strip())
    if _BOTH.search(spaced):
        return None
    rest, denials = _NO.subn(" ", spaced)
    given = bool(_YES.search(rest))
    return None if given == bool(denials) else given
