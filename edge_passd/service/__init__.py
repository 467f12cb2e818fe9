"""edge-passd as a service of systemd: the unit, and the installation of it."""
