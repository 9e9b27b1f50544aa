"""The audit log of the operators' commands."""

from collections.abc import Callable, Generator
from contextlib import closing, contextmanager

import typer

from hublaunch.cli.exits import FAILED


@contextmanager
def audited() -> Generator[Callable[..., None]]:
    """Yield a function that writes an action to the audit log, if there is one.

    The log is opened first: without it the command ends before it changes anything.
    """
    from hublaunch.observe.audit import AuditLog, operator  # noqa: PLC0415
    from hublaunch.settings import load_keys_settings  # noqa: PLC0415

    path = load_keys_settings().audit_log
    if path is None:
        yield lambda *_, **__: None
        return
    try:
        audit = AuditLog(path, standard=2)  # a key goes to standard output
    except OSError as error:
        typer.echo(f"LAUNCHER_AUDIT_LOG: {path} cannot be written ({error.strerror}).", err=True)
        raise typer.Exit(FAILED) from None
    with closing(audit):
        yield lambda action, **facts: audit.write(action, operator(), **facts)
