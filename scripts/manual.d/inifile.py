"""conf/holdfast.ini as the middle of holdfast.ini(5).

The file's form is its contract with this program, and Tests/ConfigurationTests/ManualTests.swift hold it to the most
of it: comments are paragraphs; "[section]", or "# [section ARGUMENT]: …" and an example "#[section x]", begins a
section; "#key = default" ends the description of a key, whose last sentences are "Allowed: …" and what a change needs.
"""
import re

from mdoc import argument, example, literal, prose


class IniFile:
    def __init__(self, text):
        self.head = []
        self.sections = []
        self._paragraphs = []
        self._raw = None
        for line in text.splitlines():
            self._take(line)
        self._end_of_block()

    def _take(self, line):
        body = line[1:] if line.startswith("#") else line
        if set(body.strip()) == {"-"} or line == "":
            self._end_of_block()
        elif self._raw is not None:
            self._raw.append(body)
        elif body == "":
            self._paragraphs.append([])
        elif body.startswith(" "):
            if title := re.match(r" \[(\w+(?: [A-Z]+)?)\]: (.*)", body):
                self._begin(title[1])
                body = " " + title[2][0].upper() + title[2][1:]
            if not self._paragraphs:
                self._paragraphs.append([])
            self._paragraphs[-1].append(body[1:])
        elif body.startswith("["):
            section = self.sections[-1] if self.sections else None
            if not line.startswith("#"):
                self._begin(body[1:-1])
            elif section["keys"]:
                # More than the example of a section: lines to copy.
                self._raw = [body]
            else:
                section["example"] = body
                section["text"] += self._taken()
        else:
            key, value = (part.strip() for part in body.split("=", 1))
            self.sections[-1]["keys"].append((key, value, self._taken()))

    def _taken(self):
        taken, self._paragraphs = [p for p in self._paragraphs if p], []
        return taken

    def _begin(self, title):
        self._end_of_block()
        self.sections.append({"title": title, "text": [], "example": None, "keys": [], "after": []})

    def _end_of_block(self):
        """Paragraphs that no key has taken are of the section, or of the file."""
        section = self.sections[-1] if self.sections else None
        taken = self._taken()
        if section is None:
            self.head += taken
        elif section["keys"]:
            section["after"] += taken
        else:
            section["text"] += taken
        if self._raw is not None:
            section["after"].append(("example", self._raw))
            self._raw = None


def paragraph(lines):
    """A paragraph; indented lines with a gap in them are a list."""
    if not lines[0].startswith("  "):
        return [".Pp", *prose(" ".join(lines))]
    items = []
    for line in lines:
        term, gap, text = line.strip().partition("  ")
        if line.startswith("   ") and not gap:
            items[-1][1].append(term)
        else:
            if not gap:
                term, _, text = line.strip().partition(" prints ")
                text = "prints " + text
            items.append((term, [text.strip()]))
    made = [".Bl -tag -width Ds"]
    for term, texts in items:
        made += [f".It Li {argument(term)}", *prose(" ".join(texts))]
    return made + [".El"]


def key(name, value, paragraphs):
    text = " ".join(" ".join(lines) for lines in paragraphs)
    text, rule = re.fullmatch(r"(.*?) ?(Allowed: .*)", text).groups()
    made = [f".It Cm {name}", *prose(text)]
    if made[1:] == [""]:
        made.pop()
    else:
        made.append(".Pp")
    if "No default." not in rule:
        made.append(f".No Default : Li {argument(value)} .")
    return made + prose(rule)


def middle(text):
    """The sections of the file, and its first comment, as lines of mdoc."""
    file = IniFile(text)
    head = [line for p in file.head[1:] for line in paragraph(p)]
    body = [".Bl -tag -width Ds -compact"]
    for section in file.sections:
        first = re.split(r"(?<=[.;]) ", " ".join(section["text"][0]))[0].rstrip(".;") + "."
        body += [f".It Li {argument('[' + section['title'] + ']')}", *prose(first)]
    body.append(".El")
    for section in file.sections:
        # The last characters keep mandoc from taking the bracket for a delimiter.
        body += [f".Ss \"{literal('[' + section['title'] + ']')}\\&\""]
        for number, lines in enumerate(section["text"]):
            body += paragraph(lines)[1 if number == 0 else 0:]
        if section["example"]:
            body += [".Pp", f".No The keys, here of Li {argument(section['example'])} :"]
        body += [".Bl -tag -width Ds"]
        for entry in section["keys"]:
            body += key(*entry)
        body.append(".El")
        for after in section["after"]:
            body += example("ini", after[1]) if after[0] == "example" else paragraph(after)
    return head, body
