"""What this service asks of the Hub."""

from enum import StrEnum


class Operation(StrEnum):
    """A kind of request to the Hub. Its value says, within an error's sentence, what the Hub was to do."""

    TELL_VERSION = "tell its version"
    IDENTIFY = "know this token"
    EXCHANGE_CODE = "take the login's code"
    CREATE_USER = "create the user"
    GET_USER = "show the user"
    DELETE_USER = "delete the user"
    START_SERVER = "start the server"
    STOP_SERVER = "stop the server"
    PROGRESS = "tell of the spawn"
    MINT_TOKEN = "mint a token"
    LIST_TOKENS = "list tokens"
    REVOKE_TOKEN = "revoke the token"
    SHOW_PAGE = "show a page"
    REACH_SERVER = "let the server answer"

    @property
    def kind(self) -> str:
        """What it is called in metrics and traces."""
        return self.name.lower()


OTHER = "other"
"""The kind of a request that was asked for by its path, as `Launcher.api_request` does."""


def kind_of(operation: str) -> str:
    """The kind of any operation: one of a fixed set, whatever its words are."""
    return operation.kind if isinstance(operation, Operation) else OTHER
