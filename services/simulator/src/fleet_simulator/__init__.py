"""RouterFleet simulator: thousands of RouterOS API devices in one process."""
