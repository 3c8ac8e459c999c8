"""The trainers of SFT: trl's with tries (v1), and a loop of our own on Accelerate (lite)."""
