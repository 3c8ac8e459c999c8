"""What a training needs before it is started: memory, machines, recipes of the xLAM family."""
