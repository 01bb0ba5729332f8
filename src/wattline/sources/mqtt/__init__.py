"""Samples on an MQTT broker, under ExaMon's topics."""
