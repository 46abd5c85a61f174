"""`lanman completion`: what a shell needs to complete words (see `lanman.faces.cli.completion`)."""

from __future__ import annotations

from typing import Final

from lanman.faces.cli import completers, output
from lanman.faces.cli.invocation import Invocation
from lanman.faces.cli.options import verb
from lanman.faces.cli.parameters import argument
from lanman.faces.dialect import DialectError

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
    summary="what a shell needs to complete lanman's words",
    syntax=f"lanman completion {{{' | '.join(SCRIPTS)}}}",
    about="Prints what a shell needs to complete verbs, switches of both dialects, clients, files and accounts.",
    examples="""
eval "$(lanman completion bash)"                        for this bash; put it into ~/.bashrc to keep it
eval "$(lanman completion zsh)"                         for zsh, behind compinit in ~/.zshrc
lanman completion fish > ~/.config/fish/completions/lanman.fish
""",
)
@argument("shell", shell_complete=completers.one_of(*SCRIPTS))
def completion(invocation: Invocation, shell: str) -> None:
    """Print the script for a shell. DialectError 3953: the shell is not one of SCRIPTS."""
    script = SCRIPTS.get(shell.casefold())
    if script is None:
        raise DialectError(3953, hint=f"{shell} is not a shell that is known here: {', '.join(SCRIPTS)} are.")
    output.write(script)
