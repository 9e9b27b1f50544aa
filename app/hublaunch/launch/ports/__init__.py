"""The ports: protocols of the Hub, the store's roles and the rate counts, all that the core needs from outside."""

from hublaunch.launch.ports.counts import *
from hublaunch.launch.ports.faults import *
from hublaunch.launch.ports.hub import *
from hublaunch.launch.ports.intake import *
from hublaunch.launch.ports.log import *
from hublaunch.launch.ports.ownership import *
from hublaunch.launch.ports.queue import *
from hublaunch.launch.ports.upkeep import *
