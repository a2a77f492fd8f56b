"""RouterOS rows to typed readings. Pure; one module a menu; absent stays absent (None)."""
