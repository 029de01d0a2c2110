"""Which urls ``java.net.URI`` refuses, and why.

Elasticsearch checks a ``url`` by nothing else: no scheme, host or
reachability is looked at. The grammar is RFC 2396's with Java's deviations
(other characters than ASCII are allowed unless they are blanks; so is an empty
authority before a path, query or fragment).
Source: hugging_face.md section 1.4.
"""

from __future__ import annotations

import ipaddress
import re

_ALNUM = "A-Za-z0-9"
_MARK = r"_\-!.~'()*"
# Beyond ASCII all but controls and what Character.isSpaceChar counts as a blank. As a class of
# its own, negated: one with the ranges of all these characters takes long to compile.
_OTHER = r"[^\x00-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
_ESCAPED = "%[0-9A-Fa-f]{2}"


def _run(characters: str) -> re.Pattern[str]:
    """Pattern of the longest legal run of these characters and of escapes."""
    return re.compile(f"(?:[{_ALNUM}{_MARK}{characters}]|{_OTHER}|{_ESCAPED})*")


_URIC = _run(r";/?:@&=+$,\[\]")
_PATH = _run(":@&=+$,;/")
_USER_INFO = _run(";:&=+$,")
_SERVER = _run(r";:&=+$,.@\[\]")
_REGISTRY = _run("$,;:@&=+")
_SCHEME = re.compile(f"[{_ALNUM}+.-]*")
_LABEL = f"[{_ALNUM}](?:[{_ALNUM}-]*[{_ALNUM}])?"
_HOST_NAME = re.compile(rf"(?:\d+\.){{3}}\d+|{_LABEL}|(?:{_LABEL}\.)+(?=[A-Za-z]){_LABEL}\.?")
_PORT = re.compile(r"\d{0,10}")
_PARTS = re.compile(r"(?:([^/?#:]*):)?(.*?)(?:#(.*))?", re.DOTALL)
_HIERARCHY = re.compile(r"(//[^/?]*)?([^?]*)(?:\?(.*))?", re.DOTALL)


def syntax_error(url: str) -> str | None:
    """Java's reason for refusing the url, None if it is a URI."""
    match = _PARTS.fullmatch(url)
    if match is None:  # the pattern matches every text
        return "Illegal character in path"
    scheme, rest, fragment = match.groups()
    problem = None if scheme is None else _scheme_error(scheme)
    if problem is None:
        opaque = scheme is not None and not rest.startswith("/")
        problem = _opaque_error(rest) if opaque else _rest_error(rest, ends=fragment is None)
    if problem is None and fragment is not None:
        problem = _illegal(fragment, _URIC, "fragment")
    return problem


def _scheme_error(scheme: str) -> str | None:
    if not scheme:
        return "Expected scheme name"
    legal = scheme[0].isascii() and scheme[0].isalpha() and _SCHEME.fullmatch(scheme)
    return None if legal else "Illegal character in scheme name"


def _opaque_error(rest: str) -> str | None:
    return _illegal(rest, _URIC, "opaque part") if rest else "Expected scheme-specific part"


def _rest_error(rest: str, *, ends: bool) -> str | None:
    match = _HIERARCHY.fullmatch(rest)
    if match is None:  # the pattern matches every text
        return "Illegal character in path"
    authority, path, query = match.groups()
    problem = None
    if authority == "//" == rest and ends:
        return "Expected authority"
    if authority is not None:
        problem = _authority_error(authority[2:])
    if problem is None:
        problem = _illegal(path, _PATH, "path")
    if problem is None and query is not None:
        problem = _illegal(query, _URIC, "query")
    return problem


def _authority_error(authority: str) -> str | None:
    """Only a name with a bracket is held to the rules of a server: any other may be a registry."""
    problem = _illegal(authority, _REGISTRY, "authority")
    if authority.startswith("]"):  # Java looks for escapes first, here alone
        problem = _illegal(authority, _SERVER, "authority") or problem
    if problem != "Illegal character in authority":
        return problem
    if _SERVER.fullmatch(authority.replace("%", "-")):
        return _server_error(authority)
    return problem


def _server_error(authority: str) -> str | None:
    user, at, host = authority.partition("@")
    if not at:
        user, host = "", authority
    problem = _illegal(user, _USER_INFO, "user info")
    if problem is not None:
        return problem
    if host.startswith("["):
        return _ip_literal_error(host)
    name, _, _ = host.partition(":")
    if not name:
        return "Expected hostname"
    return f"Illegal character in {'port number' if _HOST_NAME.fullmatch(name) else 'hostname'}"


def _ip_literal_error(host: str) -> str | None:
    address, closed, rest = host[1:].partition("]")
    if not closed or not address:
        return "Expected closing bracket for IPv6 address"
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        return "Malformed IPv6 address"
    if rest and not rest.startswith(":"):
        return "Expected port number"
    return None if _PORT.fullmatch(rest[1:]) else "Illegal character in port number"


def _illegal(text: str, legal: re.Pattern[str], part: str) -> str | None:
    match = legal.match(text)
    end = match.end() if match else 0
    if end == len(text):
        return None
    return "Malformed escape pair" if text[end] == "%" else f"Illegal character in {part}"
