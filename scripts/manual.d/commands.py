"""holdfast(1) and the pages of its commands, from what argument-parser says of them (--experimental-dump-help)."""
from mdoc import argument, example, prose

# argument-parser adds them to every command.
EVERYWHERE = ("version", "help")


def shown(command):
    return [c for c in command.get("subcommands", []) if c["shouldDisplay"] and c["commandName"] != "help"]


def parameters(command):
    return [
        p for p in command.get("arguments", [])
        if p["shouldDisplay"] and p["valueName"] not in EVERYWHERE
    ]


def flags(parameter):
    """Its names as `Fl` writes them: a short one first."""
    names = sorted(parameter["names"], key=lambda n: n["kind"] != "short")
    return [n["name"] if n["kind"] == "short" else "-" + n["name"] for n in names]


def mention(parameter):
    """How it stands in the synopsis."""
    value = f"Ar {parameter['valueName']}" + (" ..." if parameter["isRepeating"] else "")
    if parameter["kind"] == "positional":
        return f".Op {value}" if parameter["isOptional"] else f".{value}"
    name = f"Fl -{parameter['preferredName']['name']}"
    return f".Op {name} {value}" if parameter["kind"] == "option" else f".Op {name}"


def item(parameter):
    if parameter["kind"] == "positional":
        head = f".It Ar {parameter['valueName']}"
    else:
        names = " , ".join(f"Fl {name}" for name in flags(parameter))
        head = f".It {names}" + (f" Ar {parameter['valueName']}" if parameter["kind"] == "option" else "")
    text = parameter.get("abstract", "")
    # What the text itself says of a default is better, and does not depend on this machine.
    default = parameter.get("defaultValue")
    if default is not None and "(default:" not in text:
        text += f" The default is {default}."
    return [head, *prose(text)]


def options(command):
    made = [line for p in parameters(command) for line in item(p)]
    return [".Bl -tag -width Ds", *made, ".El"] if made else []


def discussion(command):
    """The paragraphs of the help; indented lines are examples."""
    made = []
    for block in command.get("discussion", "").split("\n\n"):
        lines = block.split("\n")
        if lines[0].startswith("  "):
            made += example("sh", [line[2:] for line in lines])
        elif block:
            made += [".Pp", *prose(block)]
    return made


def synopsis(words, command):
    head = f'.Nm "{" ".join(("holdfast", *words))}"'
    return [head, *map(mention, parameters(command))]


def page(command, date, system, more):
    """One command's page; `more` is what scripts/manual.d adds, from a section of its own on."""
    name = command["commandName"]
    lines = [
        f".Dd {date}", f".Dt HOLDFAST-{name.upper()} 1", f".Os {system}",
        ".Sh NAME", f".Nm holdfast-{name}", f".Nd {nd(command)}", ".Sh SYNOPSIS",
    ]
    subcommands = shown(command)
    for words, each in [((name, s["commandName"]), s) for s in subcommands] or [((name,), command)]:
        lines += synopsis(words, each)
    lines.append(".Sh DESCRIPTION")
    lines += prose(command["abstract"])
    lines += discussion(command)
    lines += options(command)
    for each in subcommands:
        lines += [f".Ss {each['commandName']}", *prose(each["abstract"])]
        lines += discussion(each) + options(each)
    if name != "serve":
        more = more or [".Sh SEE ALSO", ".Xr holdfast 1"]
    return [*lines, *more]


def nd(command):
    text = command["abstract"].removesuffix(".")
    return text[0].lower() + text[1:]


def overview(command):
    """The list of commands, for holdfast(1)."""
    lines = [".Bl -tag -width Ds"]
    for each in shown(command):
        lines += [f".It Xr holdfast-{each['commandName']} 1", *prose(each["abstract"])]
    return lines + [".El"]
