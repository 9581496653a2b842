"""Makes links of the pages' names in Markdown that mandoc wrote: python3 links.py DIRECTORY < page"""
import pathlib
import re
import sys

here = {page.name for page in pathlib.Path(sys.argv[1]).iterdir()}


def link(found):
    name = f"{found[1]}.{found[2]}"
    return f"[{found[0]}]({name}.md)" if name in here else found[0]


lines = sys.stdin.read().split("\n")
# The first line is the title, which names the page itself, and indented ones are examples.
print("\n".join(
    line if number == 0 or line.startswith("\t") else re.sub(r"\b(holdfast[a-z.-]*)\(([1-9])\)", link, line)
    for number, line in enumerate(lines)
), end="")
