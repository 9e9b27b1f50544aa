"""The kinds of requests to the Hub."""

from enum import StrEnum


class Operation(StrEnum):
    """A kind of request to the Hub. Its value completes the sentence "JupyterHub did not …" of an error."""

    GET_VERSION = "report its version"
    GET_PAGE = "serve a page"
    IDENTIFY = "identify the token"
    EXCHANGE_CODE = "accept the login code"
    CREATE_USER = "create the user"
    GET_USER = "return the user"
    DELETE_USER = "delete the user"
    START_SERVER = "start the server"
    STOP_SERVER = "stop the server"
    NOTE_ACTIVITY = "note the activity of the server"
    PROGRESS = "report the progress of the spawn"
    MINT_TOKEN = "mint a token"
    LIST_TOKENS = "list tokens"
    REVOKE_TOKEN = "revoke the token"
    REACH_SERVER = "reach the server"
    READ_SERVER = "read from the server"

    @property
    def kind(self) -> str:
        """The name in metrics and traces."""
        return self.name.lower()


OTHER = "other"
"""The kind of requests made by path, with `Launcher.api_request`."""


def kind_of(operation: str) -> str:
    """Return the kind of any operation: one of a fixed set, whatever the operation's text."""
    return operation.kind if isinstance(operation, Operation) else OTHER
