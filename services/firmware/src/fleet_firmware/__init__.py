"""RouterFleet firmware-checker: advises on RouterOS upgrades."""
