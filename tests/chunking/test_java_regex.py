"""Java's regexes, translated: what Java finds, what Java says, and that everything ends.

The expected places and messages were printed by a JDK 25, flag MULTILINE.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from esinfer.chunking.java_regex import MAX_LENGTH, Budget, separator
from esinfer.chunking.settings import SeparatorGroup
from esinfer.errors import PatternSyntax, RegexReadLimit, UnsupportedPattern

FINDS: dict[str, tuple[str, str, list[int]]] = {
    "plaintext group, paragraphs": ("(?<!\\n)\\n\\n(?!\\n)", "a\n\nb\n\n\nc\n\nd", [1, 8]),
    "plaintext group, lines": ("(?<!\\n)\\n(?!\\n)", "a\nb\n\nc\nd", [1, 6]),
    "markdown heading": ("\n## ", "a\n## b\n### c\n## d", [1, 12]),
    "markdown rule of dashes": (
        "\n^(?!\\s*$).*\\n-{1,}\\n",
        "x\nTitle\n---\nfoo\n\n---\nbar\n  \n-\n\nT\r\n-\n",
        [1],
    ),
    "markdown rule of equals": (
        "\n^(?!\\s*$).*\\n={1,}\\n",
        "x\nTitle\n===\nfoo\n\n===\n\n\nb\u2028\n==\n",
        [1],
    ),
    "start of line": ("^", "a\nb\r\nc\rd\u2028e\u2029f\x85g\x0bh\n", [0, 2, 5, 7, 9, 11, 13]),
    "end of line": ("$", "a\nb\r\nc\rd\u2028e\u2029f\x85g\x0bh\n", [1, 3, 6, 8, 10, 12, 16, 17]),
    "start of text without m": ("(?-m)^", "a\nb\n", [0]),
    "end of text without m": ("(?-m)$", "a\nb\n", [3, 4]),
    "end of text without m, CR LF": ("(?-m)$", "a\nb\r\n", [3, 5]),
    "unix start of line": ("(?d)^", "a\nb\r\nc\rd\n", [0, 2, 5]),
    "unix end of line": ("(?d)$", "a\nb\r\nc\rd\n", [1, 4, 8, 9]),
    "unix end of text without m": ("(?d-m)$", "a\r\n", [2, 3]),
    "\\A": ("\\A", "a\nb", [0]),
    "\\Z": ("\\Z", "a\nb\n", [3, 4]),
    "\\Z before a last CR": ("\\Z", "a\r", [1, 2]),
    "\\z": ("\\z", "a\n", [2]),
    "\\G": ("\\Ga", "aaba", [0, 1]),
    "\\G after nothing": ("\\Gx?", "xxaxx", [0, 1, 2]),
    "\\G or a letter": ("b|\\G", "abcb", [0, 1, 2, 3, 4]),
    "dot": ("a.", "a\na\ra\x85a\u2028a\u2029ab", [10]),
    "dot with s": ("(?s)a.", "a\nab", [0, 2]),
    "dot with d": ("(?d)a.", "a\na\rab", [2, 4]),
    "\\s is ASCII": ("\\s", "a b\tc\xa0d\u2003e\x0bf\x1cg", [1, 3, 9]),
    "\\S": ("\\S", " \xa0a", [1, 2]),
    "\\d is ASCII": ("\\d", "1٣", [0]),
    "\\w is ASCII": ("\\w", "aé_1٣", [0, 2, 3]),
    "\\W": ("\\W", "aé ", [1, 2]),
    "\\b is ASCII": ("\\b", "ab é cé", [0, 2, 5, 6]),
    "\\b and marks": ("\\b", "áb ́ é́", [0, 3, 7, 8]),
    "\\B": ("\\B", "ab é cé", [1, 3, 4, 7]),
    "unicode \\b": ("(?U)\\b", "ab é cé", [0, 2, 3, 4, 5, 7]),
    "unicode \\B": ("(?U)\\B", "ab é cé", [1, 6]),
    "unicode \\w": ("(?U)\\w", "aé_1٣ ", [0, 1, 2, 3, 4]),
    "unicode \\s": ("(?U)\\s", " \xa0\u2003", [0, 1, 2]),
    "unicode \\d": ("(?U)\\d", "1٣", [0, 1]),
    "i is ASCII": ("(?i)é|k", "éÉkKK", [0, 2, 3]),
    "iu": ("(?iu)é|k|ß", "éÉkKKßẞ", [0, 1, 2, 3, 4, 5]),
    "i in a class": ("(?i)[é-ök-m]", "éÉkKKMn", [0, 2, 3, 5]),
    "iu in a class": ("(?iu)[é-ök]", "éÉkKKÖ", [0, 1, 2, 3, 4, 5]),
    "i in a negative class": ("(?i)[^a]", "aAb", [2]),
    "i and properties": ("(?i)\\p{Lu}", "aB1", [0, 1]),
    "i and POSIX": ("(?i)\\p{Lower}", "aB1", [0, 1]),
    "i ends with its group": ("((?i)a)b", "Ab aB ab", [0, 6]),
    "i for a group": ("(?i:a)b", "Ab AB", [0]),
    "i switched off": ("(?i)a(?-i)b", "Ab AB", [0]),
    "i and back reference": ("(?i)(a)\\1", "aA bb", [0]),
    "comments": ("(?x) a b # comment\n c", "abc a b", [0]),
    "comments in a class": ("(?x)[a b]", "a b", [0, 2]),
    "escaped blank in comments": ("(?x)a\\ b", "ab a b", [3]),
    "comments for a group": ("(?x: a b ) c", "ab cabc", [0]),
    "\\h": ("\\h", "a \t\xa0\u180e\u3000\n", [1, 2, 3, 4, 5]),
    "\\H": ("\\H", " a", [1]),
    "\\v": ("\\v", "\n\x0b\x0c\r\x85\u2028a", [0, 1, 2, 3, 4, 5]),
    "\\V": ("\\V", "\na", [1]),
    "\\R": ("\\R", "a\r\nb\rc\nd\u2028", [1, 4, 6, 8]),
    "\\R comes back": ("\\R\\n", "\r\n", [0]),
    "\\R repeated does not come back": ("\\R{2}", "\r\n", []),
    "\\R in an optional group comes back": ("(\\R)?\\n", "\r\n", [0]),
    "\\X": ("\\X", "éa\r\n👍🏽", [0, 2, 3, 5]),
    "\\N": ("\\N{LATIN SMALL LETTER E WITH ACUTE}", "eé", [1]),
    "quotes": ("\\Qa.b*\\E+", "a.b***", [0]),
    "quote without end": ("x\\Q(a", "x(a", [0]),
    "quoted digit": ("(a)\\1\\Q1\\E", "aa1", [0]),
    "quotes in a class": ("[\\Q^]\\E]", "a^]", [1, 2]),
    "escaped backslash before Q": ("\\\\Q", "\\Q", [0]),
    "octal": ("\\0101\\07\\0377", "A\x07ÿ", [0]),
    "octal ends": ("\\0400", " 0", [0]),
    "hexadecimal": ("\\x41\\x{1F600}", "A😀", [0]),
    "utf-16": ("\\u0041\\uD83D\\uDE00", "A😀", [0]),
    "control": ("\\cA\\cj", "\x01*", [0]),
    "bell, escape, form feed": ("[\\a\\e\\f]", "\x07\x1b\x0c", [0, 1, 2]),
    "escaped punctuation": ("\\-\\_\\<\\@", "-_<@", [0]),
    "L": ("\\p{L}", "aé1", [0, 1]),
    "one letter name": ("\\pL\\PL", "a1é2", [0, 2]),
    "Lu": ("\\p{Lu}", "aÉ", [1]),
    "negative": ("\\P{Lu}", "aÉ", [0]),
    "IsL": ("\\p{IsL}", "aé1", [0, 1]),
    "gc": ("\\p{gc=Nd}", "1٣a", [0, 1]),
    "general category in any case": ("\\p{General_Category=Nd}", "1a", [0]),
    "IsAlphabetic": ("\\p{IsAlphabetic}", "aé1", [0, 1]),
    "isalphabetic in any case": ("\\p{Isalphabetic}", "aé1", [0, 1]),
    "script": ("\\p{IsGreek}", "aα", [1]),
    "script by its code": ("\\p{sc=Grek}", "aα", [1]),
    "script key": ("\\p{script=Han}", "漢a", [0]),
    "block": ("\\p{InGreek}", "aα", [1]),
    "block with blanks": ("\\p{InLatin-1 Supplement}", "aé", [1]),
    "block key": ("\\p{blk=Cyrillic}", "aж", [1]),
    "POSIX Alpha": ("\\p{Alpha}", "aé1", [0]),
    "POSIX Punct": ("\\p{Punct}", "!§$a", [0, 2]),
    "POSIX Space": ("\\p{Space}", " \xa0", [0]),
    "unicode POSIX": ("(?U)\\p{Alpha}", "aé1", [0, 1]),
    "java method": ("\\p{javaLowerCase}", "aéÉ", [0, 1]),
    "javaWhitespace": ("\\p{javaWhitespace}", " \xa0\u2003\x1c", [0, 2, 3]),
    "emoji": ("\\p{IsEmoji_Presentation}", "a😀", [1]),
    "L1": ("\\p{L1}", "aÿĀ", [0, 1]),
    "intersection": ("[a-z&&[^bc]]", "abcd", [0, 3]),
    "intersection without brackets": ("[a-z&&b-d]", "abcde", [1, 2, 3]),
    "intersection of three": ("[a-z&&[^b]&&[^d]]", "abcde", [0, 2, 4]),
    "union": ("[a[b-c]d]", "abcde", [0, 1, 2, 3]),
    "union after intersection": ("[a-c&&[b]x]", "abcx", [1]),
    "negated intersection": ("[^a-z&&[b]]", "abA", [0, 2]),
    "negative covers the nested": ("[^a[b]]", "abc", [2]),
    "nothing right of &&": ("[ab&&]", "abc", [0, 1]),
    "single ampersand": ("[a&b]", "a&b", [0, 1, 2]),
    "bracket first": ("[]a]", "]a", [0, 1]),
    "caret not first": ("[a^]", "a^", [0, 1]),
    "minus at the ends": ("[-a]|[b-]", "-ab", [0, 1, 2]),
    "minus before a bracket": ("[a-[b]]", "a-b", [0, 1, 2]),
    "minus after a class": ("[\\d-x]", "1-x", [0, 1, 2]),
    "POSIX bracket is none": ("[[:alpha:]]", "al:z", [0, 1, 2]),
    "set operators are letters": ("[~~a||d]", "a~|d-", [0, 1, 2, 3]),
    "property in a class": ("[\\p{L}\\d]", "a1é ", [0, 1, 2]),
    "negated property in a class": ("[^\\P{L}]", "a1é", [0, 2]),
    "\\v ends a range": ("[\\n-\\v]", "\n\x0b\x0c", [0, 1]),
    "blank in a class": ("[ #]", " #", [0, 1]),
    "possessive": ("a*+a", "aaa", []),
    "possessive backs off nowhere": ("a?+ab", "ab aab", [3]),
    "possessive of a group": ("(?:a|ab)++c", "abc ac", [4]),
    "possessive one": ("(?:a|ab){1}+c", "abc ac", [4]),
    "atomic": ("(?>a|ab)c", "abc ac", [4]),
    "lazy": ("a+?b", "aab", [0]),
    "lazy count": ("a{2,3}?", "aaaaa", [0, 2]),
    "count": ("a{2}", "aaaaa", [0, 2]),
    "open count": ("a{2,}b", "ab aab", [3]),
    "count of zero": ("ba{0}c", "bc bac", [0]),
    "count of nothing": ("{2}a", "a", [0]),
    "count after count": ("a{2}{3}b", "aab", [0]),
    "quantified edge": ("^*a", "aba", [0, 2]),
    "quantified look-ahead": ("(?=b)*a", "ab", [0]),
    "named group": ("(?<x1>a|b)\\k<x1>", "aa ab bb", [0, 6]),
    "back reference": ("(a|b)\\1", "aa ab bb", [0, 6]),
    "group eleven is one and a digit": ("(a)\\11", "aa1", [0]),
    "group eleven": ("(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)(k)\\11", "abcdefghijkk", [0]),
    "reference to no group": ("a\\2|b", "ab", [1]),
    "reference ahead": ("(?:\\2b|(a)(b))+$", "abbb", [0]),
    "reference to an unset group": ("(?:(a)|b)\\1", "aa b", [0]),
    "look-ahead": ("a(?=b)", "ab ac", [0]),
    "negative look-ahead": ("a(?!b)", "ab ac", [3]),
    "look-behind": ("(?<=a)b", "ab cb", [1]),
    "negative look-behind": ("(?<!a)b", "ab cb", [4]),
    "look-behind of two lengths": ("(?<=a|bc)d", "ad bcd cd", [1, 5]),
    "look-behind with a count": ("(?<=a{1,3})b", "ab b", [1]),
    "look-behind without end": ("(?<=a+)b", "aab b", [2]),
    "edge in a look-behind": ("(?<=\\ba)b", "ab cab", [1]),
    "nothing": ("", "ab", [0, 1, 2]),
    "nothing first": ("|a", "aa", [0, 1, 2]),
    "lazy nothing": ("a??", "aa", [0, 1, 2]),
    "nothing or more": ("(?:)|aa", "aaa", [0, 1, 2, 3]),
    "star": ("a*", "baac", [0, 1, 3, 4]),
    "optional": ("x?", "axx", [0, 1, 2, 3]),
    "capitals ahead": ("(?=[A-Z])", "aBcD", [1, 3]),
    "astral text": ("b", "😀b😀b", [1, 3]),
    "dot takes an astral character": ("^.$", "😀", [0]),
    "closing brackets are letters": ("a]}", "a]}", [0]),
    "quote marks": ("\"'`", "\"'`", [0]),
    "NUL": ("\x00b", "a\x00b", [1]),
    "branch reset is no syntax of Java's, fuzzy braces neither": ("a\\{e<=1\\}", "a{e<=1}", [0]),
    "named list": ("\\x4c<a>", "L<a>", [0]),
    "sentence ends": ("(?<=[.!?])\\s+", "A. B!  C?D", [2, 5]),
    "html": ("<[^>]+>", "<p>a</p>", [0, 4]),
    "Chinese": ("[。！？]", "好。好！", [1, 3]),
}
"""Pattern, text, and where Java's matches begin."""

REFUSALS: dict[str, str] = {
    "(a": "Unclosed group near index 2",
    "(": "Unclosed group near index 1",
    "((a)": "Unclosed group near index 4",
    "(?:a": "Unclosed group near index 4",
    "(?<n>a": "Unclosed group near index 6",
    "(?=a": "Unclosed group near index 4",
    "*a": "Dangling meta character '*' near index 0",
    "a**": "Dangling meta character '*' near index 2",
    "+": "Dangling meta character '+' near index 0",
    "a|?": "Dangling meta character '?' near index 2",
    "[a": "Unclosed character class near index 1",
    "[": "Unclosed character class near index 0",
    "[a&&": "Unclosed character class near index 3",
    "[^": "Unclosed character class near index 1",
    "[a-": "Illegal character range near index 3",
    "a)": "Unmatched closing ')' near index 0",
    "a{": "Illegal repetition near index 2",
    "a{x": "Illegal repetition near index 2",
    "a{1": "Unclosed counted closure near index 3",
    "a{1x}": "Unclosed counted closure near index 3",
    "a{1,2": "Unclosed counted closure near index 5",
    "a{2,1}": "Illegal repetition range near index 5",
    "a{99999999999}": "Illegal repetition range near index 11",
    "a{1,99999999999}": "Illegal repetition range near index 13",
    "x{,2}": "Illegal repetition near index 2",
    "(?<=(?:a|bc)*)d": "Look-behind group does not have an obvious maximum length near index 12",
    "(?<=(a|b){2})c": "Look-behind group does not have an obvious maximum length near index 11",
    "(?<!a*?b*?)c": "Look-behind group does not have an obvious maximum length near index 9",
    "(?<=(a)\\1)b": "Look-behind group does not have an obvious maximum length near index 8",
    "\\k<x>": "named capturing group <x> does not exist near index 4",
    "\\kx": "\\k is not followed by '<' for named capturing group near index 2",
    "\\k<1>": "capturing group name does not start with a Latin letter near index 3",
    "\\k<x": "named capturing group is missing trailing '>' near index 4",
    "\\i": "Illegal/unsupported escape sequence near index 1",
    "\\_\\y": "Illegal/unsupported escape sequence near index 3",
    "[\\b]": "Illegal/unsupported escape sequence near index 2",
    "[\\1]": "Illegal/unsupported escape sequence near index 2",
    "[\\R]": "Illegal/unsupported escape sequence near index 2",
    "\\pX": "Unknown character property name {X} near index 2",
    "\\p{Foo}": "Unknown character property name {Foo} near index 6",
    "\\p{IsFoo}": "Unknown character property name {IsFoo} near index 8",
    "\\p{InFoo}": "Unknown character property name {InFoo} near index 8",
    "\\p{sc=Foo}": "Unknown Unicode property {name=<sc>, value=<Foo>} near index 9",
    "\\p{foo=Lu}": "Unknown Unicode property {name=<foo>, value=<Lu>} near index 9",
    "\\p{}": "Empty character family near index 3",
    "\\p{L": "Unclosed character family near index 4",
    "\\xg": "Illegal hexadecimal escape sequence near index 2",
    "\\x{110000}": "Hexadecimal codepoint is too big near index 8",
    "\\x{41": "Unclosed hexadecimal escape sequence near index 5",
    "\\x{}": "Illegal hexadecimal escape sequence near index 2",
    "\\u12": "Illegal Unicode escape sequence near index 4",
    "\\08": "Illegal octal escape sequence near index 2",
    "\\c": "Illegal control escape sequence near index 1",
    "a\\": "Unescaped trailing backslash near index 2",
    "(a\\": "Unclosed group near index 4",
    "\\N{NO SUCH NAME}": "Unknown character name [NO SUCH NAME] near index 15",
    "\\N{A": "Unclosed character name escape sequence near index 3",
    "\\NA": "Illegal character name escape sequence near index 2",
    "(?z)": "Unknown inline modifier near index 2",
    "(?": "Unknown inline modifier near index 2",
    "(?i": "Unknown inline modifier near index 3",
    "(?iz:a)": "Unknown inline modifier near index 3",
    "(?$a)": "Unknown group type near index 2",
    "(?@a)": "Unknown group type near index 2",
    "(?<1>a)": "capturing group name does not start with a Latin letter near index 3",
    "(?<a_b>c)": "named capturing group is missing trailing '>' near index 4",
    "(?<a>x)(?<a>y)": "Named capturing group <a> is already defined near index 11",
    "(?<>a)": "capturing group name does not start with a Latin letter near index 3",
    "[z-a]": "Illegal character range near index 3",
    "[a-\\d]": "Illegal character range near index 4",
    "[&&&&]": "Bad class syntax near index 2",
    "a\\b{g": "Illegal/unsupported escape sequence near index 5",
    "\t(a": "Unclosed group near index 3",
    "é😀(": "Unclosed group near index 3",
    "(?x)a # (\n(": "Unclosed group near index 11",
    "a\n[": "Unclosed character class near index 2",
}
"""The first line of Java's message for a pattern."""

MESSAGES: dict[str, str] = {
    "(a": "Unclosed group near index 2\n(a",
    "*a": "Dangling meta character '*' near index 0\n*a\n^",
    "(a\\": "Unclosed group near index 4\n(a\\",
    "\t(a": "Unclosed group near index 3\n\t(a",
    "é😀(": "Unclosed group near index 3\né😀(\n   ^",
    "a\n[": "Unclosed character class near index 2\na\n[\n  ^",
    "(?x)a # (\n(": "Unclosed group near index 11\n(?x)a # (\n(",
}
"""Java's whole message: the caret counts UTF-16 units, and is left out beyond the end."""

RUNAWAYS: dict[str, tuple[str, str]] = {
    "nested quantifiers": ("(a+)+b", "a" * 5000 + "c" + "b"),
    "nested stars": (r"(?:(.*)*x)+\1y", "x" * 5000),
    "alternatives alike": ("(?:a|aa)+$", "a" * 5000 + "b"),
    "back references": (r"(a*)\1\1(a*)\2[bc]", "a" * 5000),
    "a look-ahead": ("(?=(a+)+[bc])a", "a" * 5000),
    "a look-behind": ("(?<!c" + "(?:a|aa)?" * 40 + ")a", "a" * 5000),
    "lazy quantifiers": ("(?:a+?)+?[bc]", "a" * 5000),
    "in any case": ("(?i)(a+)+[bc]", "aA" * 5000),
    "possessive in a loop": ("(?:a|aa|a(?:a|aa)++)+[bc]", "a" * 5000),
    "a find that is slow at each place": (r"\w*\s", "a" * 60000),
    "a choice at each place": (r"(?:a?){40}a{40}[bc]", "a" * 5000),
}

UNSUPPORTED: dict[str, tuple[str, str]] = {
    "canonical equivalence": ("(?c)a", "canonical equivalence, (?c) near index 2"),
    "grapheme edge": (r"\b{g}", r"\b{g} near index 4"),
    "atomic group behind": ("(?<=(?>a|b))c", "an atomic group in a look-behind near index 6"),
    "possessive behind": ("(?<=a?+b)c", "a possessive quantifier in a look-behind near index 6"),
    "two endless sets behind": ("(?<=a+b+)c", "a look-behind that long near index 7"),
    "group behind": (r"(?<=(a))b\1", "a back reference to a group in a look-behind near index 10"),
    "last match behind": (r"(?<=\Ga)b", r"\G in a look-behind near index 5"),
    "groups in groups": ("(" * 60 + ")" * 60, "more than 50 groups in one another near index 50"),
    "a million letters": ("(?:a{1000}){1000}", "repetitions of that size"),
    "more than all memory": ("(?:(?:(?:a|b){1000}){1000}){1000}", "repetitions of that size"),
    "one huge count": ("a{2000000000}", "repetitions of that size"),
    "tripled and tripled": ("(?:x|" * 14 + "a" + "){2,3}" * 14, "repetitions of that size"),
    "classes in classes": ("[" * 1500 + "a" + "]" * 1500, "nesting that deep"),
    "a long pattern": ("a" * (MAX_LENGTH + 1), f"patterns of more than {MAX_LENGTH} characters"),
}


def group_pattern(pattern: str) -> str:
    """The same regex under a text that no table knows."""
    return f"(?:){pattern}"


@pytest.mark.parametrize(("pattern", "text", "starts"), FINDS.values(), ids=FINDS)
def test_finds_what_java_finds(pattern: str, text: str, starts: list[int]) -> None:
    assert separator(pattern).starts(text) == starts


def refusal_of(pattern: str) -> PatternSyntax:
    with pytest.raises(PatternSyntax) as refusal:
        separator(pattern)
    return refusal.value


@pytest.mark.parametrize(("pattern", "first_line"), REFUSALS.items(), ids=REFUSALS)
def test_refuses_what_java_refuses_in_its_words(pattern: str, first_line: str) -> None:
    refusal = refusal_of(pattern)
    assert type(refusal) is PatternSyntax
    assert refusal.reason.split("\n")[0] == first_line
    assert (refusal.type, refusal.status) == ("pattern_syntax_exception", 400)


@pytest.mark.parametrize(("pattern", "message"), MESSAGES.items(), ids=MESSAGES)
def test_message_shows_the_pattern_and_the_place(pattern: str, message: str) -> None:
    assert refusal_of(pattern).reason == message


@pytest.mark.parametrize(("pattern", "what"), UNSUPPORTED.values(), ids=UNSUPPORTED)
def test_says_plainly_what_it_does_not_support(pattern: str, what: str) -> None:
    begun = time.process_time()
    refusal = refusal_of(pattern)
    assert isinstance(refusal, UnsupportedPattern)
    assert refusal.reason.startswith(f"esinfer does not support {what}\n{pattern}")
    assert time.process_time() - begun < 1


@pytest.mark.parametrize(("pattern", "text"), RUNAWAYS.values(), ids=RUNAWAYS)
def test_runaway_is_stopped(pattern: str, text: str) -> None:
    begun = time.process_time()
    with pytest.raises(RegexReadLimit) as stop:
        separator(pattern).starts(text, budget=budget_of(0.1))
    reason = f"Chunk separator regex [{pattern}] has exceeded the character read limit"
    assert stop.value.reason == reason
    assert (stop.value.type, stop.value.status) == ("illegal_argument_exception", 400)
    assert time.process_time() - begun < 2


def budget_of(seconds: float) -> Budget:
    budget = Budget(0)
    budget.left = seconds
    return budget


def test_budget_grows_with_the_text() -> None:
    assert Budget(0).left == pytest.approx(1)
    assert Budget(5_000_000).left == pytest.approx(11)


def test_budget_is_spent_over_calls() -> None:
    budget = budget_of(60)
    text = "a\n" * 20_000
    separator("^").starts(text, budget=budget)
    once = 60 - budget.left
    separator("^").starts(text, budget=budget)
    assert once > 0
    assert budget.left < 60 - once


def test_spent_budget_stops_the_next_call() -> None:
    with pytest.raises(RegexReadLimit):
        separator("^").starts("a", budget=budget_of(0))


def test_long_find_lets_other_threads_run() -> None:
    turns = 0
    stopped = threading.Event()

    def run_away() -> None:
        with pytest.raises(RegexReadLimit):
            separator("(a+)+[bc]").starts("a" * 5000, budget=budget_of(0.5))
        stopped.set()

    thread = threading.Thread(target=run_away)
    thread.start()
    while not stopped.wait(0.001):
        turns += 1
    thread.join()
    assert turns > 20


def test_find_goes_on_after_a_slow_one() -> None:
    slow = "(?:a|aa)+[bc]|x"
    text = "x" + "a" * 28 + "yx"
    assert separator(slow).starts(text, budget=budget_of(60)) == [0, len(text) - 1]


@pytest.mark.parametrize("pattern", [p for group in SeparatorGroup for p in group.value])
@pytest.mark.parametrize("unit", ["\n", "\n-", "a", " \n", "a\n\n", "\n# a\n---\n", "\r\n"])
def test_separator_groups_take_linear_time(pattern: str, unit: str) -> None:
    text = unit * 100_000
    begun = time.process_time()
    separator(pattern).starts(text)
    assert time.process_time() - begun < 1


@pytest.mark.parametrize("pattern", ["a*", "", "^", "x?", r"\b|$"])
def test_many_matches_of_nothing_are_honest(pattern: str) -> None:
    assert len(separator(pattern).starts("\n" * 100_000, budget=budget_of(2))) <= 100_001


@given(st.text("ab -=\n\r\t\x0b\x85\u2028", max_size=30))
@example("\nT\n---\n")
@example("\n\n\n---\n\r\n-\n--\n")
def test_linear_markdown_rules_find_the_same(text: str) -> None:
    for pattern in SeparatorGroup.MARKDOWN.value[-2:]:
        assert separator(pattern).starts(text) == separator(group_pattern(pattern)).starts(text)


@given(
    st.sampled_from([pattern for pattern, _, _ in FINDS.values()]),
    st.text("abc \n\r1.A-#", max_size=20),
    st.integers(0, 20),
    st.integers(0, 20),
)
def test_piece_stands_alone(pattern: str, text: str, start: int, end: int) -> None:
    start, end = sorted((min(start, len(text)), min(end, len(text))))
    cut = separator(pattern)
    starts = cut.starts(text, start, end)
    assert starts == [start + at for at in cut.starts(text[start:end])]
    assert starts == sorted(set(starts))
    assert all(start <= at <= end for at in starts)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), st.data())
def test_quoted_text_is_found_as_itself(text: str, draw: st.DataObject) -> None:
    start = draw.draw(st.integers(0, len(text)))
    sought = text[start : draw.draw(st.integers(start, len(text)))]
    if sought and "\\" not in sought:
        quoted = rf"\Q{sought}\E"
        assert separator(quoted).starts(text)[0] == text.find(sought)
        assert separator(f"(?:){quoted}").starts(text) == separator(quoted).starts(text)


@given(st.text("ab\\[](){}*+?|^$&-<>=!:PpkxuQEG01,# \t\n", max_size=12))
def test_any_pattern_is_compiled_or_refused(pattern: str) -> None:
    with suppress(PatternSyntax):
        assert separator(pattern).starts("ab \n1")[:7] == separator(pattern).starts("ab \n1")
