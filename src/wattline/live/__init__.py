"""Every node of a cluster scored as its samples arrive: from MQTT packets to windows, scores, and back to the broker."""
