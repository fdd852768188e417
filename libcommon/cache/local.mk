# Sources of the room cache.
