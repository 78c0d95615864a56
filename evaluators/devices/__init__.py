"""Where work runs: devices, the lock between trainers and measurements, seeds."""
