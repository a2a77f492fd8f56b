"""The RouterOS API: framing, tagged pipelining, login and TLS behind one typed session."""
