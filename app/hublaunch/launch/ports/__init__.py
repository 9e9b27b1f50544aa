"""The ports: protocols of the Hub, the store's roles and the rate counts, all that the core needs from outside."""

from hublaunch.launch.ports.counts import RateCounts
from hublaunch.launch.ports.faults import LeaseLost, StoreFault
from hublaunch.launch.ports.hub import Hub, Identity, LoginToken, Progress, Reach, Reached, Server, Token, User
from hublaunch.launch.ports.intake import Intake, Unless
from hublaunch.launch.ports.log import LaunchFilter, LaunchLog
from hublaunch.launch.ports.ownership import Held, Ownership
from hublaunch.launch.ports.queue import AdmissionRound, Admitted, Capacity, LaunchQueue, Positions
from hublaunch.launch.ports.upkeep import History, Upkeep

__all__ = [
    "AdmissionRound",
    "Admitted",
    "Capacity",
    "Held",
    "History",
    "Hub",
    "Identity",
    "Intake",
    "LaunchFilter",
    "LaunchLog",
    "LaunchQueue",
    "LeaseLost",
    "LoginToken",
    "Ownership",
    "Positions",
    "Progress",
    "RateCounts",
    "Reach",
    "Reached",
    "Server",
    "StoreFault",
    "Token",
    "Unless",
    "Upkeep",
    "User",
]
