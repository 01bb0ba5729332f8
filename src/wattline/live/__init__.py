"""Every node of a cluster scored as its samples arrive: from MQTT packets to windows, to scores, and back."""
