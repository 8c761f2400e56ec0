"""Campaign of bad inputs, kills, full disks, concurrent processes and resources (make campaign)."""
