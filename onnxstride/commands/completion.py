"""The completion command: the script by which a shell completes onnxstride's command lines."""

import click

from ..output import write_stdout

_VARIABLE = "_ONNXSTRIDE_COMPLETE"  # click asks it for what to complete, and how


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that completes command lines in SHELL.

    It completes commands, options, and what they take: codes of rules, names of rewrites, formats,
    levels, files. Evaluate it when the shell starts:

    \b
    bash  ~/.bashrc:  eval "$(onnxstride completion bash)"
    zsh   ~/.zshrc:   eval "$(onnxstride completion zsh)"
    fish  onnxstride completion fish > ~/.config/fish/completions/onnxstride.fish
    """  # noqa: D301 - click takes the character for a paragraph that keeps its lines
    from click.shell_completion import get_completion_class

    completing = get_completion_class(shell)
    assert completing is not None, "click knows the shells that the argument allows"
    root = ctx.find_root()
    script = completing(root.command, {}, str(root.info_name), _VARIABLE).source()
    write_stdout(script)
