"""A pace for tests: the core pauses for milliseconds."""

from hublaunch.launch.pace import Backoff, Pace

QUICK = Pace(
    ask_again_s=Backoff(0.01, 0.05),
    reopen_s=Backoff(0.01, 0.05),
    recheck_ready_s=0.01,
    hub_busy_s=0.01,
    clean_up_grace_s=0.2,
    finish_s=0.2,
    retry_launch_s=0.0,
    reaper_s=0.0,
)
