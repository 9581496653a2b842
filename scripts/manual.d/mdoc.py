"""Text as mdoc: what is special is escaped, and every sentence begins on a line of its own."""
import re

# groff turns these into typographic characters, which a reader cannot copy into a shell.
LITERAL = {"\\": "\\e", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti", "-": "\\-"}


def literal(text):
    """Characters as they are, for one line of a program, a command or an answer."""
    text = "".join(LITERAL.get(character, character) for character in text)
    return "\\&" + text if text.startswith(".") else text


def argument(text):
    """The same as one argument of a macro."""
    return '"' + literal(text).replace('"', '\\(dq') + '"'


def example(kind, lines):
    """An example; the comment before it says to the tests what it is."""
    return [f".\\\" example: {kind}", ".Bd -literal -offset indent", *map(literal, lines), ".Ed"]


def _word(word):
    # A path, an option or a name may be copied; in other words a hyphen is one.
    if word.lstrip("(\"'").startswith("-") or "/" in word or "=" in word or "_" in word:
        return word.replace("-", "\\-")
    return word


def prose(text):
    """Sentences, one per line."""
    text = text.replace("\\", "\\e").replace("~", "\\(ti").replace("^", "\\(ha")
    text = " ".join(map(_word, text.split()))
    lines = []
    # Not after an abbreviation or a single letter.
    for line in re.split(r"(?<=[.!?])\s+(?=[^a-z])|(?<=[a-z)\"][.!?])\s+(?=[a-z])", text):
        lines.append("\\&" + line if line.startswith((".", "'")) else line)
    return lines


def wrapped(lines):
    """The same, with lines of text of at most 80 bytes, which mandoc asks for; examples stay as they are."""
    made, is_example = [], False
    for line in lines:
        is_example = (is_example or line.startswith(".Bd -literal")) and line != ".Ed"
        while not is_example and not line.startswith(".") and len(line.encode()) > 80:
            cut = line.rfind(" ", 0, 78)
            # The next line must not begin with what is a macro's or a comment's first character.
            while cut > 0 and line[cut + 1] in ".'":
                cut = line.rfind(" ", 0, cut)
            if cut <= 0:
                break
            made.append(line[:cut])
            line = line[cut + 1:]
        made.append(line)
    return made


def fenced(text):
    """A source of scripts/manual.d: mdoc, but examples stand between ```KIND and ``` as they are."""
    lines, kind, held = [], None, []
    for line in text.splitlines():
        if line.startswith("```"):
            if kind is None:
                kind = line[3:]
            else:
                lines += example(kind, held)
                kind, held = None, []
        elif kind is not None:
            held.append(line)
        else:
            lines.append(line)
    assert kind is None, "an example does not end"
    return lines
