"""MQTT for agent and supervisor: one connection that comes back, and acknowledgement when the consumer says so."""

from messaging.broker import Broker
from messaging.connection import PublishError
from messaging.delivery import Delivery
from messaging.identity import ClientIdentity
from messaging.settings import BrokerSettings, Will

__all__ = ["Broker", "BrokerSettings", "ClientIdentity", "Delivery", "PublishError", "Will"]
