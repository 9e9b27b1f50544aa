"""The audit log and the reports of faults that all commands for operators share."""

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
        audit = AuditLog(path, standard=2)  # standard output is for the new key
    except OSError as error:
        typer.echo(f"LAUNCHER_AUDIT_LOG: {path} cannot be written ({error.strerror}).", err=True)
        raise typer.Exit(FAILED) from None
    with closing(audit):
        yield lambda action, **facts: audit.write(action, operator(), **facts)


@contextmanager
def reported_faults() -> Generator[None]:
    """Print the faults of the operator's settings, files and database, and exit with a failure."""
    from hublaunch.files.watched import FileFault  # noqa: PLC0415 - needs the server extra
    from hublaunch.launch.errors import InvalidRequest  # noqa: PLC0415 - as above
    from hublaunch.settings import SettingsFault  # noqa: PLC0415 - as above
    from hublaunch.store.errors import StoreError  # noqa: PLC0415 - as above

    try:
        yield
    except (FileFault, InvalidRequest, SettingsFault, StoreError) as fault:
        typer.echo(str(fault), err=True)
        raise typer.Exit(FAILED) from None
