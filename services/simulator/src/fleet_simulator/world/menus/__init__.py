"""The menus of the simulated routers, one module per branch of the console."""
