"""The ports: protocols of the Hub, registries, the store's roles and the rate counts: all that the core needs."""

from hublaunch.launch.ports.counts import *
from hublaunch.launch.ports.faults import *
from hublaunch.launch.ports.hub import *
from hublaunch.launch.ports.hub_calls import *
from hublaunch.launch.ports.intake import *
from hublaunch.launch.ports.log import *
from hublaunch.launch.ports.operation import *
from hublaunch.launch.ports.ownership import *
from hublaunch.launch.ports.pool import *
from hublaunch.launch.ports.queue import *
from hublaunch.launch.ports.registry import *
from hublaunch.launch.ports.session_ends import *
from hublaunch.launch.ports.silences import *
from hublaunch.launch.ports.upkeep import *
