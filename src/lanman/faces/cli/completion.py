r"""`lanman completion SHELL`, and what the shells ask when somebody presses TAB.

What a shell is given is a few lines that call `lanman __complete SHELL WORD...`, where the last word is the one being
typed, and offer what is printed: one candidate a line and, behind a tab, what it means. So the words of all shells are
those of the verbs themselves, in both dialects: `/DELETE` where a slash was typed, in the case it was typed in, and
`--delete` where a dash was. Clients, open files, shares and accounts of this machine's own Server are completed too.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from typing import Final

import click

from lanman.errors import LanmanError
from lanman.faces.cli import output
from lanman.faces.cli.main import VERBS, load
from lanman.faces.cli.options import Call, NetOption, common_options, switches, verb
from lanman.faces.dialect import DialectError, Grammar, Switch, split_verb

# How long a person who pressed TAB is kept waiting for the Server of this machine, in seconds.
PATIENCE: Final = 2.0

FILE_OPTIONS: Final = frozenset({"authentication-file", "config", "home"})
YES_OR_NO: Final = frozenset({"hidden", "active"})
FILES: Final = ":files"
"""The one line that tells a shell to complete the names of files and folders itself."""

BASH: Final = r"""# lanman's completion for bash: eval "$(lanman completion bash)"
_lanman() {
    local line=${COMP_LINE:0:COMP_POINT} IFS=$'\n' current candidate prefix
    current=${line##*[[:space:]]}
    # bash cuts words at : and =; NET's switches have values behind them, so they are put together again.
    local -a words=()
    IFS=$' \t\n' read -r -a words <<< "$line"
    [[ -n $current ]] || words+=("")
    COMPREPLY=()
    prefix=""
    [[ $current == *[:=]* && $COMP_WORDBREAKS == *[:=]* ]] && prefix=${current%"${current##*[:=]}"}
    while IFS= read -r candidate; do
        candidate=${candidate%%$'\t'*}
        if [[ $candidate == :files ]]; then
            compopt -o filenames 2>/dev/null
            COMPREPLY+=($(compgen -f -- "${current#"$prefix"}"))
        else
            [[ $candidate == *[:=] ]] && compopt -o nospace 2>/dev/null
            COMPREPLY+=("${candidate#"$prefix"}")
        fi
    done < <(command lanman __complete bash "${words[@]:1}" 2>/dev/null)
}
complete -F _lanman lanman
alias net 2>/dev/null | grep -q lanman && complete -F _lanman net
true
"""

ZSH: Final = r"""#compdef lanman
# lanman's completion for zsh: eval "$(lanman completion zsh)", after compinit
_lanman() {
    local line candidate
    local -a candidates open_ended
    for line in ${(f)"$(command lanman __complete zsh "${(@)words[2,CURRENT]}" 2>/dev/null)"}; do
        candidate=${line%%$'\t'*}
        if [[ $candidate == :files ]]; then
            _files
        elif [[ $candidate == *[:=] ]]; then
            open_ended+=("$candidate")
        else
            candidates+=("$candidate")
        fi
    done
    (( $#candidates )) && compadd -Q -U -- $candidates
    (( $#open_ended )) && compadd -Q -U -S '' -- $open_ended
    return 0
}
(( $+functions[compdef] )) && compdef _lanman lanman
true
"""

FISH: Final = r"""# lanman's completion for fish: lanman completion fish | source
function __lanman_complete
    set -l words (commandline -opc)
    for line in (command lanman __complete fish $words[2..-1] (commandline -ct) 2>/dev/null)
        if test "$line" = ":files"
            __fish_complete_path (commandline -ct)
        else
            echo $line
        end
    end
end
complete -c lanman -f -a '(__lanman_complete)'
"""

SCRIPTS: Final = {"bash": BASH, "fish": FISH, "zsh": ZSH}


@verb(
    "completion",
    syntax=f"lanman completion {{{' | '.join(SCRIPTS)}}}",
    about="Prints what a shell needs to complete verbs, switches of both dialects, clients, files and accounts.",
    examples="""
eval "$(lanman completion bash)"                        for this bash; put it into ~/.bashrc to keep it
eval "$(lanman completion zsh)"                         for zsh, behind compinit in ~/.zshrc
lanman completion fish > ~/.config/fish/completions/lanman.fish
""",
)
@click.argument("shell")
def completion(call: Call, shell: str) -> None:
    script = SCRIPTS.get(shell.casefold())
    if script is None:
        raise DialectError(3953, hint=f"{shell} is not a shell that is known here: {', '.join(SCRIPTS)} are.")
    output.write(script)


def emit_candidates(words: Sequence[str]) -> int:
    """Answer a shell: `words` are its name and the words behind `lanman`, the last of them unfinished. Never fails."""
    shell, *typed = words or [""]
    *before, current = typed or [""]
    try:
        found = list(candidates(before, current))
    except (DialectError, LanmanError):
        return output.EXIT_SUCCESS
    for word, about in dict(found).items():
        # Only fish and zsh know what to do with a meaning.
        output.emit([f"{word}\t{about}" if about and shell != "bash" else word])
    return output.EXIT_SUCCESS


def candidates(before: Sequence[str], current: str) -> Iterator[tuple[str, str]]:
    """The words that may stand where `current` has been begun, each with what it means."""
    grammar = Grammar(switches(common_options()))
    name, rest = split_verb(_without_last_value(before, grammar.switches), grammar)
    if name is None:
        yield from _options(common_options(), before, current)
        yield from (
            (verb_name, about)
            for verb_name, (_, about) in VERBS.items()
            if current[:1] not in ("-", "/") and verb_name.startswith(current.casefold())
        )
        return
    command = load(name)
    if (waiting := _waiting_for_value(before, command.grammar.switches)) is not None:
        yield from _values(waiting, current)
    elif current.startswith("-") or (current.startswith("/") and not current.startswith("//")):
        yield from _options(command.params, before, current)
        if command.takes_paths and current.startswith("/"):
            yield FILES, ""
    else:
        arguments = [word for word in rest if not word.startswith(("-", "/"))]
        yield from _arguments(command.name or "", arguments, current)


def _without_last_value(before: Sequence[str], known: Sequence[Switch]) -> list[str]:
    # An option whose value is being typed is not there yet, as far as finding the verb goes.
    return list(before[:-1]) if _waiting_for_value(before, known) is not None else list(before)


def _waiting_for_value(before: Sequence[str], known: Sequence[Switch]) -> str | None:
    """The name of the option whose value comes next (`--client`, `-S`); NET's switches carry theirs with them."""
    if not before or not before[-1].startswith("-") or "=" in before[-1]:
        return None
    word = before[-1]
    for switch in known:
        if switch.takes_value and (word[2:] in switch.names if word.startswith("--") else word[1:] in switch.short):
            return switch.names[0]
    return None


def _options(params: Sequence[click.Parameter], before: Sequence[str], current: str) -> Iterator[tuple[str, str]]:
    """The options in the dialect in which one was begun, or the value behind the colon."""
    if current[:1] not in ("-", "/"):
        return
    slash = current.startswith("/")
    name, mark, value = current.partition(":" if slash else "=")
    if mark:
        begun = name.lstrip("-/").casefold()
        yield from ((f"{name}{mark}{word}", about) for word, about in _values(begun, value) if word != FILES)
        return
    upper = current.upper() == current
    for option in (param for param in params if isinstance(param, click.Option)):
        for spelling in (spelling[2:] for spelling in option.opts if spelling.startswith("--")):
            if slash and not isinstance(option, NetOption):
                continue
            shown = f"/{spelling.upper() if upper else spelling}" if slash else f"--{spelling}"
            if slash and not option.is_flag:
                shown += ":"
            if shown.casefold().startswith(current.casefold()) and shown not in before:
                yield shown, option.help or ""


def _values(option: str, current: str) -> Iterator[tuple[str, str]]:
    """What may stand behind an option."""
    if option in FILE_OPTIONS:
        yield FILES, ""
    elif option in YES_OR_NO:
        yield from ((word, "") for word in ("YES", "NO") if word.startswith(current.upper()))
    elif option == "client":
        yield from _clients(current)
    elif option == "user":
        yield from _accounts("users", current)


def _arguments(name: str, arguments: Sequence[str], current: str) -> Iterator[tuple[str, str]]:
    """What may stand behind a verb that is no option."""
    place = len(arguments)
    if name in ("config", "start", "statistics", "stop") and place == 0:
        yield from ((word, "the Server service") for word in ("server",) if word.startswith(current.casefold()))
    elif name == "help" and place == 0:
        from lanman.faces.cli.help import TOPICS

        known = {verb_name: about for verb_name, (_, about) in VERBS.items()} | {
            topic: about for topic, (about, _) in TOPICS.items()
        }
        yield from ((word, about) for word, about in known.items() if word.startswith(current.casefold()))
    elif name == "completion" and place == 0:
        yield from ((shell, "") for shell in SCRIPTS if shell.startswith(current))
    elif name == "session" and place == 0:
        yield from _clients(current)
    elif name == "file":
        yield from _asked("files", current)
    elif name == "share" and place == 0:
        yield from _asked("shares", current)
    elif name == "user" and place == 0:
        yield from _accounts("users", current)
    elif name == "localgroup":
        yield from _accounts("groups" if place == 0 else "users", current)
    elif name == "serve":
        yield FILES, ""


def _clients(current: str) -> Iterator[tuple[str, str]]:
    r"""The clients of this machine's Server, behind as many slashes as were typed: `\\pc7`, `//pc7`, `pc7`."""
    bare = current.lstrip("'\"\\/")
    slashes = current[: len(current) - len(bare)]
    yield from ((f"{slashes}{word}", about) for word, about in _asked("sessions", bare))


def _asked(what: str, begun: str) -> list[tuple[str, str]]:
    """What this machine's own Server lists; nothing where it cannot be asked without a password."""

    async def ask() -> list[tuple[str, str]]:
        async with Call(timeout=PATIENCE, home=os.environ.get("LANMAN_HOME") or None).manager() as manager:
            if what == "sessions":
                sessions = (await manager.sessions()).entries
                return [((one.client_name or "").lstrip("\\"), one.user_name or "") for one in sessions]
            if what == "files":
                return [(str(one.id), one.path or "") for one in await manager.files()]
            return [(one.netname or "", one.remark or "") for one in await manager.shares()]

    try:
        listed = asyncio.run(ask())
    except LanmanError:
        return []
    # A peer chose these names: only those that no shell makes anything of are offered.
    return [
        (word, about if about.isprintable() else "")
        for word, about in listed
        if word.casefold().startswith(begun.casefold()) and _is_harmless(word)
    ]


def _accounts(what: str, begun: str) -> Iterator[tuple[str, str]]:
    from lanman.net.accounts import AccountFile
    from lanman.net.home import default_home

    accounts = AccountFile(default_home().accounts).read()
    names = sorted(accounts.users if what == "users" else accounts.groups)
    yield from ((name, "") for name in names if name.casefold().startswith(begun.casefold()) and _is_harmless(name))


def _is_harmless(word: str) -> bool:
    # A dollar sign that ends a word (IPC$) is no more than that.
    return bool(word) and all(character.isalnum() or character in "-_.:[]@" for character in word.removesuffix("$"))
