"""Everything that can go wrong with a launch, as one tree.

    LaunchError
    ├── InternalError                a fault of hublaunch itself; its log has it
    ├── Interrupted                  its process ended, and another begins anew
    ├── RequestRefused               before acceptance; the caller can change something
    │   ├── InvalidRequest             a field is not what it must be
    │   ├── Unauthenticated            who is calling is not known, and has to be
    │   ├── AccessDenied               who is calling is known, and may not do this
    │   ├── ImageNotAllowed            LAUNCHER_ALLOWED_IMAGES does not name it
    │   ├── DigestRequired             the image is named by a tag, and has to be by its digest
    │   ├── RepoNotAllowed             the repository is none of the allowed ones, or is banned
    │   ├── HookRefused                the operator's pre_launch_hook said no
    │   ├── HookFailed                 the hook broke, or took too long
    │   ├── ServerAlreadyRunning       the user's default server is up
    │   ├── ServerNameTaken            the user already has a server of this name
    │   ├── AlreadyLaunching           another launch of the user's server is under way
    │   ├── AlreadyRunning             the caller has a launch of the same, and wanted no second one
    │   ├── NamedServerLimitReached    the user has as many named servers as allowed
    │   ├── QuotaReached               as many launches as allowed, of the caller or in all
    │   ├── RateLimited                too many requests in too short a time
    │   ├── IdempotencyKeyReused       the key came with another request before
    │   ├── QueueFull                   as many launches wait for their turn as may, and none makes room
    │   ├── StorageFull                the disk has too little room for another launch
    │   ├── SpecNotMapped              LAUNCHER_BINDER_IMAGES has no image for the repository
    │   ├── LaunchNotFound             no launch of that id
    │   ├── LaunchGone                 there may have been one, and its record was removed
    │   ├── ServerStopped              the launch that is asked for again has lost its server since
    │   ├── SecretRequired             the launch's secret is missing or wrong
    │   └── ServiceStopping            this process takes no more launches
    ├── HubError                     the Hub did not do what it was asked
    │   ├── HubUnavailable             no answer, a broken one, or a 5xx; it may have acted
    │   │   ├── HubFailed                the 5xx is the Hub's own, not a proxy's before it
    │   │   └── NotTheHub                another web server answers at the Hub's address
    │   ├── HubBusy                    429: ask again after `retry_after_s`
    │   └── HubRefused                 another 4xx
    │       ├── HubForbidden             403: token or scopes do not suffice
    │       ├── SpawnRefused             the server was refused, by the spawner or a hook
    │       │   └── NamedServersOff        the Hub has named servers switched off
    │       ├── NameTaken                what is there is somebody else's, and not to be cleaned up
    │       │   ├── UserExists             409 on the first try to create a user
    │       │   └── ServerExists           400 "already running" on the first try to start a server
    │       ├── NotStarting              400 or 404 on progress: no spawn to follow
    │       └── TokenRefused             the Hub would not mint the visitor's token
    └── SpawnError                   the Hub was asked, and no server came of it
        ├── SpawnLost                  the Hub knows nothing of the spawn any more
        ├── SpawnCancelled             the spawn was cancelled at the Hub, not by us
        ├── ServerNotFound             another web server answers at the server's address
        ├── SpawnTimedOut              launch_timeout ran out
        ├── Displaced                  it made room in a full queue for another caller's
        ├── NotAdmitted                it ends in the queue
        │   ├── QueueTimedOut            its turn did not come in LAUNCHER_MAX_WAIT_S
        │   └── ImageFailing             the image has failed twice of late, by itself
        └── SpawnFailed                the Hub said so and gave a reason, which `causes.py` reads
            ├── ImageNotFound            no such image, or none that may be pulled
            ├── ImagePullFailed          the image is not there yet, for another reason
            ├── CommandNotFound          the image has no server that runs
            ├── NoRoom                   no node takes another server
            ├── ClusterQuotaExceeded     a ResourceQuota of Kubernetes is used up
            ├── ClusterRefused           Kubernetes does not let the spawner do it
            ├── VolumeFailed             the server's storage is not there
            ├── ServerExited             the server ended before it was ready
            ├── ServerSilent             the Hub's http_timeout ran out
            └── StartTimedOut            the Hub's start_timeout ran out

A class carries a stable `code`, a `title`, `advice` for the caller, `operator_advice` for the operator, and
`retryable`: whether another attempt can help. Its constructor takes the facts and writes the sentence that `str()`
gives. No sentence repeats what the caller sent, names a setting, or holds a credential. How an error looks to a caller
is decided in `api/errors.py`.
"""

from hublaunch.launch.errors.base import (
    InternalError,
    Interrupted,
    LaunchError,
)
from hublaunch.launch.errors.hub import (
    HubBusy,
    HubError,
    HubFailed,
    HubForbidden,
    HubRefused,
    HubUnavailable,
    NamedServersOff,
    NameTaken,
    NotStarting,
    NotTheHub,
    ServerExists,
    SpawnRefused,
    TokenRefused,
    UserExists,
)
from hublaunch.launch.errors.refusals import (
    AccessDenied,
    AlreadyLaunching,
    AlreadyRunning,
    DigestRequired,
    HookFailed,
    HookRefused,
    IdempotencyKeyReused,
    ImageNotAllowed,
    InvalidRequest,
    LaunchGone,
    LaunchNotFound,
    NamedServerLimitReached,
    QueueFull,
    QuotaReached,
    RateLimited,
    RepoNotAllowed,
    RequestRefused,
    SecretRequired,
    ServerAlreadyRunning,
    ServerNameTaken,
    ServerStopped,
    ServiceStopping,
    SpecNotMapped,
    StorageFull,
    Unauthenticated,
)
from hublaunch.launch.errors.spawn import (
    ClusterQuotaExceeded,
    ClusterRefused,
    CommandNotFound,
    Displaced,
    ImageFailing,
    ImageNotFound,
    ImagePullFailed,
    NoRoom,
    NotAdmitted,
    QueueTimedOut,
    ServerExited,
    ServerNotFound,
    ServerSilent,
    SpawnCancelled,
    SpawnError,
    SpawnFailed,
    SpawnLost,
    SpawnTimedOut,
    StartTimedOut,
    VolumeFailed,
)

__all__ = [
    "AccessDenied",
    "AlreadyLaunching",
    "AlreadyRunning",
    "ClusterQuotaExceeded",
    "ClusterRefused",
    "CommandNotFound",
    "DigestRequired",
    "Displaced",
    "HookFailed",
    "HookRefused",
    "HubBusy",
    "HubError",
    "HubFailed",
    "HubForbidden",
    "HubRefused",
    "HubUnavailable",
    "IdempotencyKeyReused",
    "ImageFailing",
    "ImageNotAllowed",
    "ImageNotFound",
    "ImagePullFailed",
    "InternalError",
    "Interrupted",
    "InvalidRequest",
    "LaunchError",
    "LaunchGone",
    "LaunchNotFound",
    "NameTaken",
    "NamedServerLimitReached",
    "NamedServersOff",
    "NoRoom",
    "NotAdmitted",
    "NotStarting",
    "NotTheHub",
    "QueueFull",
    "QueueTimedOut",
    "QuotaReached",
    "RateLimited",
    "RepoNotAllowed",
    "RequestRefused",
    "SecretRequired",
    "ServerAlreadyRunning",
    "ServerExists",
    "ServerExited",
    "ServerNameTaken",
    "ServerNotFound",
    "ServerSilent",
    "ServerStopped",
    "ServiceStopping",
    "SpawnCancelled",
    "SpawnError",
    "SpawnFailed",
    "SpawnLost",
    "SpawnRefused",
    "SpawnTimedOut",
    "SpecNotMapped",
    "StartTimedOut",
    "StorageFull",
    "TokenRefused",
    "Unauthenticated",
    "UserExists",
    "VolumeFailed",
]
