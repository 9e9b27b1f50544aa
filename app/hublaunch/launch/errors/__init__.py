"""Everything that can go wrong with a launch, as one tree.

    LaunchError
    ├── InternalError                a fault of hublaunch itself; its log has the traceback
    ├── Interrupted                  its process ended, and another one starts the launch over
    ├── RequestRefused               before acceptance; nothing was created
    │   ├── InvalidRequest             a field of the request is invalid
    │   ├── Unauthenticated            the caller is unknown, and this needs a known one
    │   │   ├── AdminLinkEnded           the admin link is wrong, or its time is over
    │   │   └── InvitationUnknown        no invitation has this code
    │   ├── AccessDenied               the caller is known, and lacks the right
    │   │   └── InvitationEnded          the invitation's time is over, or it was revoked
    │   ├── ImageNotAllowed            LAUNCHER_ALLOWED_IMAGES has no pattern for the image
    │   ├── DigestRequired             the image is named by a tag, and must be named by its digest
    │   ├── RepoNotAllowed             the repository is not allowed, or it is banned
    │   ├── HookRefused                the operator's pre_launch_hook refused the launch
    │   ├── HookFailed                 the hook raised an error, or took too long
    │   ├── ServerAlreadyRunning       the user's default server is running
    │   ├── ServerNameTaken            the user already has a server of this name
    │   ├── AlreadyLaunching           another launch of the user's server is in progress
    │   ├── AlreadyRunning             the caller has a launch of the same image, and wanted no second one
    │   ├── NamedServerLimitReached    the user has as many named servers as allowed
    │   ├── QuotaReached               as many launches are active as a quota allows
    │   │   └── InvitationFull           as many launches are active as the invitation allows
    │   ├── RateLimited                too many requests in too short a time
    │   ├── IdempotencyKeyReused       the key was sent with a different request before
    │   ├── QueueFull                  the queue is full, and no other caller's launch makes room
    │   ├── StorageFull                the disk has too little free space for another launch
    │   ├── SpecNotMapped              LAUNCHER_BINDER_IMAGES has no image for the repository
    │   ├── LaunchNotFound             there is no launch with this id
    │   ├── LaunchGone                 the launch is older than LAUNCHER_RETENTION, and expired
    │   ├── ServerStopped              the server of the launch to continue has stopped
    │   ├── NothingToExtend            the launch has no running server, or its server has no time limit
    │   ├── SessionLimitReached        the server would run longer than LAUNCHER_MAX_EXTENDED_SESSION_S
    │   ├── SecretRequired             the launch's secret is missing or wrong
    │   ├── ServiceDraining            an operator is refusing new launches
    │   └── ServiceStopping            this process accepts no more launches
    ├── HubError                     the Hub did not do what it was asked to do
    │   ├── HubUnavailable             no answer, an incomplete one, or a 5xx; the Hub may have acted
    │   │   ├── HubFailed                the Hub itself sent the 5xx, not a proxy in front of it
    │   │   └── NotTheHub                another web server answers at the Hub's address
    │   ├── HubBusy                    429: ask again after `retry_after_s`
    │   └── HubRefused                 any other 4xx
    │       ├── HubForbidden             403: the scopes of the token are not sufficient
    │       │   └── HubTokenUnknown        403: the Hub does not know the token
    │       ├── SpawnRefused             the spawner or a hook refused to start the server
    │       │   └── NamedServersOff        named servers are disabled at the Hub
    │       ├── NameTaken                the name belongs to somebody else, and must not be cleaned up
    │       │   ├── UserExists             409 on the first try to create a user
    │       │   └── ServerExists           400 "already running" on the first try to start a server
    │       ├── NotStarting              400 or 404 on progress: the Hub has no such spawn
    │       └── TokenRefused             the Hub did not issue the visitor's token
    ├── PreflightRefused             the image's registry was asked before the Hub
    │   ├── ImageAbsent                the registry has no such image
    │   ├── ImageWrongPlatform         the image has none of LAUNCHER_PLATFORMS
    │   └── ImageUnchecked             nothing is known, and LAUNCHER_PREFLIGHT=require
    └── SpawnError                   an accepted launch ended without a ready server
        ├── SpawnLost                  the Hub no longer knows the spawn
        ├── SpawnCancelled             the spawn was cancelled at the Hub, not by hublaunch
        ├── ServerNotFound             another web server answers at the server's address
        ├── SpawnTimedOut              launch_timeout ran out
        ├── Displaced                  the launch made room in a full queue for another launch
        ├── NotAdmitted                the launch ended in the queue
        │   ├── QueueTimedOut            it waited for LAUNCHER_MAX_WAIT_S
        │   └── ImageFailing             the image itself caused two recent failures
        └── SpawnFailed                the Hub gave a reason, which `causes.py` reads
            ├── ImageNotFound            the image does not exist, or may not be pulled
            ├── ImagePullFailed          the image could not be pulled for another reason
            ├── CommandNotFound          the image has no Jupyter server that runs
            ├── NoRoom                   no node has room for another server
            ├── ClusterQuotaExceeded     a ResourceQuota of Kubernetes is used up
            ├── ClusterRefused           Kubernetes does not let the spawner create the server
            ├── VolumeFailed             the server's storage could not be mounted
            ├── ServerExited             the server ended before it was ready
            ├── ServerSilent             the Hub's http_timeout ran out
            └── StartTimedOut            the Hub's start_timeout ran out

Each class has a stable `code`, a `title`, `advice` for the caller, `operator_advice` for the operator, and `retryable`:
whether another attempt can help. `str()` returns the class's `sentence`, or a sentence that the constructor
writes from the facts. No sentence repeats the caller's input, names a setting, or contains a credential.
`api/problems/types.py` decides how callers see an error.
"""

from hublaunch.launch.errors.admin_links import *
from hublaunch.launch.errors.base import *
from hublaunch.launch.errors.hub import *
from hublaunch.launch.errors.invitations import *
from hublaunch.launch.errors.preflight import *
from hublaunch.launch.errors.refusals import *
from hublaunch.launch.errors.spawn import *
