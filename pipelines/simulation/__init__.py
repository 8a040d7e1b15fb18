"""A site with a number pool and known truth, made without the code it tests (transforms/)."""
