"""Figures of servers for Prometheus.

`table` declares them, `figures` and `watched` work them out, `exporter` asks servers, and `exposition` and `http` give
them away. Only `exposition` needs prometheus_client (the extra metrics).
"""
